import { limits } from './limits.ts';
import { ProtocolError } from './protocol-error.ts';

const pow32 = 0x100000000;
const uuidBytes = 16;
const slabBytes = 16_384;
/** Byte fields below this size are copied: a chunk of its own would cost more. */
const copiedBytesMax = 1_024;

/**
 * Writes the primitive types of Kafka's protocol. The result is a list of chunks: what is written goes into slabs that never grow or move, large byte
 * fields stand in the list themselves, uncopied. One writer serves message after message; what it has given out it does not touch again.
 */
export class Writer {
  #slab: Buffer = Buffer.allocUnsafeSlow(slabBytes);
  #start = 0;
  #position = 0;
  #chunks: Uint8Array[] = [];
  #flushedBytes = 0;

  /** Bytes since the last `finish`. */
  get size(): number {
    return this.#flushedBytes + this.#position - this.#start;
  }

  int8(value: number): void {
    const at = this.#reserve(1);
    this.#slab[at] = value;
  }

  bool(value: boolean): void {
    this.int8(value ? 1 : 0);
  }

  /** Also for unsigned values. */
  int16(value: number): void {
    const at = this.#reserve(2);
    this.#slab[at] = value >>> 8;
    this.#slab[at + 1] = value;
  }

  int32(value: number): void {
    this.#int32At(this.#reserve(4), value);
  }

  int64(value: number): void {
    const at = this.#reserve(8);
    this.#int32At(at, Math.floor(value / pow32));
    this.#int32At(at + 4, value >>> 0);
  }

  float64(value: number): void {
    const at = this.#reserve(8);
    this.#slab.writeDoubleBE(value, at);
  }

  unsignedVarint(value: number): void {
    const at = this.#reserve(5);
    let size = 0;
    let left = value >>> 0;
    while (left > 0x7f) {
      this.#slab[at + size++] = (left & 0x7f) | 0x80;
      left >>>= 7;
    }
    this.#slab[at + size++] = left;
    this.#position = at + size;
  }

  uuid(value: string): void {
    const at = this.#reserve(uuidBytes);
    const written = this.#slab.write(value, at, uuidBytes, 'base64url');
    if (written !== uuidBytes) throw new ProtocolError('malformed', 'a topic id is 22 characters of base64url');
  }

  /** `isCompact`: the length as the flexible versions write it. */
  string(value: string | null, isCompact: boolean): void {
    if (value === null) {
      if (isCompact) this.unsignedVarint(0);
      else this.int16(-1);
      return;
    }
    const length = Buffer.byteLength(value, 'utf8');
    if (length > limits.stringBytesMax) throw new ProtocolError('too-large', `a string of ${length} bytes`);
    if (isCompact) this.unsignedVarint(length + 1);
    else this.int16(length);
    const at = this.#reserve(length);
    this.#slab.write(value, at, length, 'utf8');
  }

  /** Several runs of bytes are written as one. */
  bytes(value: Uint8Array | readonly Uint8Array[] | null, isCompact: boolean): void {
    if (value === null || value instanceof Uint8Array) {
      this.length(value === null ? -1 : value.length, isCompact);
      if (value !== null) this.raw(value);
      return;
    }
    let length = 0;
    for (const run of value) length += run.length;
    this.length(length, isCompact);
    for (const run of value) this.raw(run);
  }

  /** Length of bytes, count of an array; -1 for null. */
  length(length: number, isCompact: boolean): void {
    if (isCompact) this.unsignedVarint(length + 1);
    else this.int32(length);
  }

  raw(value: Uint8Array): void {
    if (value.length > copiedBytesMax) {
      this.#flush();
      this.#chunks.push(value);
      this.#flushedBytes += value.length;
    } else {
      const at = this.#reserve(value.length);
      this.#slab.set(value, at);
    }
  }

  /** Everything since the last `finish`. */
  finish(): Uint8Array[] {
    this.#flush();
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#flushedBytes = 0;
    return chunks;
  }

  /** As `finish`; the message began with an int32, which becomes the size of what follows it. */
  finishFrame(): Uint8Array[] {
    const size = this.size - 4;
    const chunks = this.finish();
    const first = chunks[0] as Uint8Array;
    first[0] = size >>> 24;
    first[1] = size >>> 16;
    first[2] = size >>> 8;
    first[3] = size;
    return chunks;
  }

  /** Forgets what an encoding that failed has left. */
  discard(): void {
    this.#start = this.#position;
    this.#chunks = [];
    this.#flushedBytes = 0;
  }

  #int32At(at: number, value: number): void {
    const slab = this.#slab;
    slab[at] = value >>> 24;
    slab[at + 1] = value >>> 16;
    slab[at + 2] = value >>> 8;
    slab[at + 3] = value;
  }

  #reserve(length: number): number {
    if (this.#position + length > this.#slab.length) {
      this.#flush();
      this.#slab = Buffer.allocUnsafeSlow(Math.max(slabBytes, length));
      this.#start = 0;
      this.#position = 0;
    }
    const at = this.#position;
    this.#position = at + length;
    return at;
  }

  #flush(): void {
    if (this.#position === this.#start) return;
    this.#chunks.push(this.#slab.subarray(this.#start, this.#position));
    this.#flushedBytes += this.#position - this.#start;
    this.#start = this.#position;
  }
}

const shared = new Writer();

/** What `write` writes, in memory of its own: a writer for each would cost a slab for a few bytes. Not to be nested. Throws what `write` throws. */
export function bytesOf(write: (writer: Writer) => void): Uint8Array {
  try {
    write(shared);
    return Buffer.concat(shared.finish());
  } catch (error) {
    shared.discard();
    throw error;
  }
}
