import { RecordError } from './errors.ts';

/** Longest encodings: 32 and 64 bits in groups of seven. */
export const varintBytesMax = 5;
export const varlongBytesMax = 10;

/** Values of these many bits take the fast path, in which zigzag and shifts stay within 32-bit integers. */
const smallMax = 0x3fffffff;

/** Bytes that `writeVarint` will take for a 32-bit `value`. */
export function sizeOfVarint(value: number): number {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0;
  if (zigzag < 0x80) return 1;
  if (zigzag < 0x4000) return 2;
  if (zigzag < 0x200000) return 3;
  if (zigzag < 0x10000000) return 4;
  return 5;
}

/** Writes a signed 32-bit number in zigzag groups of seven bits; returns the position after it. */
export function writeVarint(bytes: Uint8Array, position: number, value: number): number {
  let zigzag = ((value << 1) ^ (value >> 31)) >>> 0;
  let at = position;
  while (zigzag >= 0x80) {
    bytes[at++] = (zigzag & 0x7f) | 0x80;
    zigzag >>>= 7;
  }
  bytes[at++] = zigzag;
  return at;
}

export function sizeOfVarlong(value: number): number {
  if (value <= smallMax && value >= -smallMax) return sizeOfVarint(value);
  let zigzag = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n));
  let size = 1;
  while (zigzag >= 0x80n) {
    zigzag >>= 7n;
    size++;
  }
  return size;
}

/** Writes a safe integer as a signed 64-bit number; returns the position after it. */
export function writeVarlong(bytes: Uint8Array, position: number, value: number): number {
  if (value <= smallMax && value >= -smallMax) return writeVarint(bytes, position, value);
  if (!Number.isSafeInteger(value)) throw new RecordError('not-encodable', `${value} is not a safe integer`);
  let zigzag = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n));
  let at = position;
  while (zigzag >= 0x80n) {
    bytes[at++] = Number(zigzag & 0x7fn) | 0x80;
    zigzag >>= 7n;
  }
  bytes[at++] = Number(zigzag);
  return at;
}

/**
 * Reads from a position that moves. One object for a whole batch, so that reading a number allocates nothing.
 * Reading past `end` throws `RecordError` `corrupt`.
 */
export class VarintReader {
  readonly bytes: Uint8Array;
  position: number;
  readonly end: number;

  constructor(bytes: Uint8Array, position = 0, end = bytes.length) {
    this.bytes = bytes;
    this.position = position;
    this.end = end;
  }

  readByte(): number {
    if (this.position >= this.end) throw truncated();
    return this.bytes[this.position++] as number;
  }

  readVarint(): number {
    const first = this.readByte();
    if (first < 0x80) return (first >>> 1) ^ -(first & 1);
    let zigzag = first & 0x7f;
    for (let shift = 7; ; shift += 7) {
      const byte = this.readByte();
      // The fifth byte holds the top four bits.
      if (shift === 28 && byte > 0x0f) throw new RecordError('corrupt', 'varint is longer than 32 bits');
      zigzag |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    return (zigzag >>> 1) ^ -(zigzag & 1);
  }

  /** Refuses values outside the safe integers: nothing legitimate in a batch is as far away. */
  readVarlong(): number {
    const start = this.position;
    const first = this.readByte();
    if (first < 0x80) return (first >>> 1) ^ -(first & 1);
    let small = first & 0x7f;
    for (let shift = 7; shift < 28; shift += 7) {
      const byte = this.readByte();
      small |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (small >>> 1) ^ -(small & 1);
    }
    this.position = start;
    return this.#readLongVarlong();
  }

  #readLongVarlong(): number {
    let zigzag = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.readByte();
      // The tenth byte holds the topmost bit.
      if (shift === 63n && byte > 1) throw new RecordError('corrupt', 'varlong is longer than 64 bits');
      zigzag |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    const value = Number((zigzag >> 1n) ^ -(zigzag & 1n));
    if (!Number.isSafeInteger(value)) throw new RecordError('corrupt', 'varlong is outside the safe integers');
    return value;
  }
}

function truncated(): RecordError {
  return new RecordError('corrupt', 'the bytes end inside a record');
}
