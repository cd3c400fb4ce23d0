// Byte for byte those of org.apache.kafka.common.serialization: what one side writes the other reads. Numbers are big-endian.
import type { Serde } from './serde.ts';
import { type StandardSchema, validated } from './standard-schema.ts';

/** Text; UTF-8 unless said otherwise. Bytes that are no valid text become U+FFFD, as in Java. */
export function string(encoding: BufferEncoding = 'utf8'): Serde<string> {
  return {
    serialize: (value) => Buffer.from(expectType('string', value), encoding),
    deserialize: (bytes) => bytes.toString(encoding),
  };
}

/** Java's Short: 2 bytes. */
export const short = (): Serde<number> => whole('short', 2);

/** Java's Integer: 4 bytes. */
export const integer = (): Serde<number> => whole('integer', 4);

function whole(name: string, size: 2 | 4): Serde<number> {
  const limit = 2 ** (size * 8 - 1);
  return {
    serialize: (value) => {
      if (!Number.isInteger(value) || value < -limit || value >= limit) {
        throw new RangeError(`${String(value)} is no ${name}: a whole number from ${-limit} to ${limit - 1}`);
      }
      const bytes = Buffer.allocUnsafe(size);
      bytes.writeIntBE(value, 0, size);
      return bytes;
    },
    deserialize: (bytes) => sized(name, bytes, size).readIntBE(0, size),
  };
}

const longLimit = 2n ** 63n;

/** Java's Long: 8 bytes. Read as bigint; written from a bigint or a whole number. */
export function long(): Serde<bigint> & {
  /** Throws for a number that is not whole or too large to be exact. */
  serialize(value: bigint | number): Buffer;
} {
  return {
    serialize: (value: bigint | number) => {
      const number = typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value;
      if (typeof number !== 'bigint' || number < -longLimit || number >= longLimit) {
        throw new RangeError(`${String(value)} is no long: a bigint of 64 bits or a whole number`);
      }
      const bytes = Buffer.allocUnsafe(8);
      bytes.writeBigInt64BE(number);
      return bytes;
    },
    deserialize: (bytes) => sized('long', bytes, 8).readBigInt64BE(),
  };
}

/** Java's Float: 4 bytes, so digits beyond the seventh are lost. */
export function float(): Serde<number> {
  return {
    serialize: (value) => {
      const bytes = Buffer.allocUnsafe(4);
      bytes.writeFloatBE(expectType('number', value));
      return bytes;
    },
    deserialize: (bytes) => sized('float', bytes, 4).readFloatBE(),
  };
}

/** Java's Double: 8 bytes. */
export function double(): Serde<number> {
  return {
    serialize: (value) => {
      const bytes = Buffer.allocUnsafe(8);
      bytes.writeDoubleBE(expectType('number', value));
      return bytes;
    },
    deserialize: (bytes) => sized('double', bytes, 8).readDoubleBE(),
  };
}

/** One byte, 1 or 0. */
export function boolean(): Serde<boolean> {
  return {
    serialize: (value) => Buffer.of(expectType('boolean', value) ? 1 : 0),
    deserialize: (bytes) => {
      const [byte] = sized('boolean', bytes, 1);
      if (byte !== 0 && byte !== 1) throw new RangeError(`a boolean is the byte 0 or 1, not ${byte}`);
      return byte === 1;
    },
  };
}

/** As they are. What is read is a view of the bytes that were fetched. */
export function bytes(): Serde<Uint8Array> & {
  /** A view, not a copy. */
  deserialize(bytes: Buffer): Buffer;
} {
  return {
    serialize: (value) => {
      if (value instanceof Uint8Array) return value;
      throw new TypeError(`bytes are a Uint8Array or Buffer, not ${typeof value}`);
    },
    deserialize: (read: Buffer) => read,
  };
}

const uuidText = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Its 36 characters, as Java's UUIDSerializer writes them. */
export function uuid(): Serde<string> {
  const check = (text: string): string => {
    if (typeof text === 'string' && uuidText.test(text)) return text.toLowerCase();
    throw new TypeError(`${JSON.stringify(text)} is no UUID, such as 123e4567-e89b-12d3-a456-426614174000`);
  };
  return {
    serialize: (value) => Buffer.from(check(value)),
    deserialize: (read) => check(read.toString()),
  };
}

/**
 * JSON as UTF-8. With a schema (any library that follows Standard Schema: zod, valibot, arktype, …) values are checked before they are written and after
 * they were read; what the schema makes of them is what is written or read.
 */
export function json<T = unknown>(schema?: StandardSchema<T>): Serde<T> {
  return {
    serialize: (value) => {
      const text = JSON.stringify(schema === undefined ? value : validated(schema, value));
      if (text === undefined) throw new TypeError(`a ${typeof value} has no JSON`);
      return Buffer.from(text);
    },
    deserialize: (read) => {
      const value: unknown = JSON.parse(read.toString());
      return schema === undefined ? (value as T) : validated(schema, value);
    },
  };
}

/** Nothing: for topics whose keys (or values) are always null. */
export function nothing(): Serde<null> {
  const refuse = (): never => {
    throw new TypeError('only null is expected here');
  };
  return { serialize: refuse, deserialize: refuse };
}

function expectType<T extends 'string' | 'number' | 'boolean'>(
  type: T,
  value: unknown,
): T extends 'string' ? string : T extends 'number' ? number : boolean {
  if (typeof value === type) return value as never;
  throw new TypeError(`a ${type} is wanted, not ${value instanceof Uint8Array ? 'bytes' : `a ${typeof value}`}`);
}

function sized(name: string, read: Buffer, size: number): Buffer {
  if (read.length === size) return read;
  throw new RangeError(`a ${name} has ${size} bytes, not ${read.length}`);
}
