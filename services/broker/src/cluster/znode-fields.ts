/**
 * A znode whose content is not what its path promises. Whoever meets one keeps what it knew before: unreadable metadata is
 * never a deletion (row 58).
 */
export class ZnodeDecodeError extends Error {
  override readonly name = 'ZnodeDecodeError';
  readonly code = 'undecodable-znode';
  readonly path: string;

  constructor(path: string, message: string, options?: ErrorOptions) {
    super(`${path}: ${message}`, options);
    this.path = path;
  }
}

const int32Max = 0x7fff_ffff;
/** UTF-16 units of one text in a znode. Whoever writes must keep to it, or nobody can read it. */
export const textLengthMax = 4_096;
const listLengthMax = 1_000_000;

/** Reads a JSON object field by field; every wrong or missing field is a `ZnodeDecodeError` that names the path. Unknown fields are left alone. */
export class ZnodeFields {
  readonly path: string;
  readonly #object: Readonly<Record<string, unknown>>;

  private constructor(path: string, object: Readonly<Record<string, unknown>>) {
    this.path = path;
    this.#object = object;
  }

  static parse(path: string, data: Uint8Array): ZnodeFields {
    let value: unknown;
    try {
      value = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf8'));
    } catch (error) {
      throw new ZnodeDecodeError(path, 'not JSON', { cause: error });
    }
    return ZnodeFields.#of(path, value, 'the content');
  }

  static #of(path: string, value: unknown, what: string): ZnodeFields {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new ZnodeDecodeError(path, `${what} is not an object`);
    }
    return new ZnodeFields(path, value as Record<string, unknown>);
  }

  fail(message: string): never {
    throw new ZnodeDecodeError(this.path, message);
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#object, name);
  }

  names(): readonly string[] {
    return Object.keys(this.#object);
  }

  /** A format version that this build understands. */
  version(expected: number): void {
    const version = this.integer('version');
    if (version !== expected) this.fail(`version ${version} is not supported, this build knows ${expected}`);
  }

  integer(name: string, min = 0, max = int32Max): number {
    return this.#integer(this.#get(name), name, min, max);
  }

  integers(name: string, min = 0, max = int32Max): readonly number[] {
    return this.#list(name).map((value) => this.#integer(value, name, min, max));
  }

  text(name: string): string {
    return this.#text(this.#get(name), name);
  }

  optionalText(name: string): string | undefined {
    const value = this.has(name) ? this.#object[name] : undefined;
    return value === undefined || value === null ? undefined : this.#text(value, name);
  }

  /** False when it is missing. */
  flag(name: string): boolean {
    const value = this.has(name) ? this.#object[name] : false;
    return typeof value === 'boolean' ? value : this.fail(`${name} is not true or false`);
  }

  texts(name: string): readonly string[] {
    return this.#list(name).map((value) => this.#text(value, name));
  }

  object(name: string): ZnodeFields {
    return ZnodeFields.#of(this.path, this.#get(name), name);
  }

  #get(name: string): unknown {
    if (!this.has(name)) this.fail(`${name} is missing`);
    return this.#object[name];
  }

  #list(name: string): readonly unknown[] {
    const value = this.#get(name);
    if (!Array.isArray(value) || value.length > listLengthMax) this.fail(`${name} is not a list`);
    return value;
  }

  #integer(value: unknown, name: string, min: number, max: number): number {
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max) {
      this.fail(`${name} is not an integer from ${min} to ${max}`);
    }
    return value;
  }

  #text(value: unknown, name: string): string {
    if (typeof value !== 'string' || value.length > textLengthMax) {
      this.fail(`${name} is not a string of at most ${textLengthMax} characters`);
    }
    return value;
  }
}

export function encodeJson(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value), 'utf8');
}
