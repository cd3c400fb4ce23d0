import type { BinaryWriter } from '@bufbuild/protobuf/wire';

/** `bytes` from this size on are passed on as a chunk of their own; smaller ones are cheaper to copy. */
export const chunkBytesMin = 4_096;

/** Small fields of many messages share one allocation; a slab is never written twice, so what was handed out stays valid. */
const slabBytes = 65_536;
/** Room left in a slab below which a new message starts a new slab, so that most messages never outgrow theirs. */
const slabTailBytes = 4_096;
const lengthPrefixBytesMax = 5;

interface PassedChunk {
  /** Where in the small fields the chunk belongs. */
  at: number;
  readonly bytes: Uint8Array;
}

/**
 * Writes what the generated `encode` functions ask for, byte for byte as protobuf's own writer does, but keeps large
 * `bytes` fields, also those of nested messages, out of its buffer: record batches leave as the chunks they came in.
 *
 * One writer serves the process: encoding is synchronous and never nested.
 */
export class MessageWriter {
  #slab: Buffer = Buffer.allocUnsafeSlow(slabBytes);
  /** Where the current message begins, and where its next byte goes. */
  #start = 0;
  #position = 0;
  #end = slabBytes;
  #passed: PassedChunk[] = [];
  #passedBytes = 0;
  /** For each open fork: its position, the number and the bytes of passed chunks before it. */
  #forks: number[] = [];

  /** Runs a generated `encode`. The chunks must not be changed afterwards. */
  encode<Message>(encode: (message: Message, writer: BinaryWriter) => BinaryWriter, message: Message): Uint8Array[] {
    try {
      // The generated functions call no other method than those below.
      encode(message, this as unknown as BinaryWriter);
      return this.#take();
    } finally {
      this.#reset();
    }
  }

  #take(): Uint8Array[] {
    const small = this.#slab;
    let from = this.#start;
    const chunks: Uint8Array[] = [];
    for (const passed of this.#passed) {
      if (passed.at > from) chunks.push(small.subarray(from, passed.at));
      chunks.push(passed.bytes);
      from = passed.at;
    }
    if (this.#position > from || chunks.length === 0) chunks.push(small.subarray(from, this.#position));
    this.#start = this.#position;
    return chunks;
  }

  #reset(): void {
    this.#position = this.#start;
    if (this.#passed.length > 0) this.#passed = [];
    this.#passedBytes = 0;
    this.#forks.length = 0;
    if (this.#end - this.#start < slabTailBytes) this.#renewSlab(slabBytes);
  }

  #renewSlab(bytes: number): void {
    this.#slab = Buffer.allocUnsafeSlow(bytes);
    this.#start = 0;
    this.#position = 0;
    this.#end = bytes;
  }

  /** Moves the unfinished message to a larger slab. */
  #grow(needed: number): void {
    const start = this.#start;
    const used = this.#position - start;
    const old = this.#slab;
    this.#renewSlab(Math.max(slabBytes, 2 * (used + needed)));
    old.copy(this.#slab, 0, start, start + used);
    this.#position = used;
    for (const passed of this.#passed) passed.at -= start;
    for (let index = 0; index < this.#forks.length; index += 3) {
      this.#forks[index] = (this.#forks[index] as number) - start;
    }
  }

  #reserve(bytes: number): void {
    if (this.#end - this.#position < bytes) this.#grow(bytes);
  }

  fork(): this {
    this.#reserve(1);
    this.#forks.push(this.#position, this.#passed.length, this.#passedBytes);
    // One byte for the length, as most nested messages are shorter than 128 bytes.
    this.#position += 1;
    return this;
  }

  join(): this {
    const passedBytesBefore = this.#forks.pop() as number;
    const passedBefore = this.#forks.pop() as number;
    let at = this.#forks.pop() as number;
    const small = this.#position - at - 1;
    const length = small + this.#passedBytes - passedBytesBefore;
    if (length < 0x80) {
      this.#slab[at] = length;
      return this;
    }
    const extra = varintSize(length) - 1;
    this.#reserve(extra);
    // Growing may have moved the message to another slab.
    at = this.#position - small - 1;
    this.#slab.copyWithin(at + 1 + extra, at + 1, this.#position);
    for (let index = passedBefore; index < this.#passed.length; index += 1) {
      (this.#passed[index] as PassedChunk).at += extra;
    }
    const end = this.#position + extra;
    this.#position = at;
    this.#varint(length);
    this.#position = end;
    return this;
  }

  #varint(value: number): void {
    const slab = this.#slab;
    let position = this.#position;
    let rest = value;
    while (rest > 0x7f) {
      slab[position++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    slab[position++] = rest;
    this.#position = position;
  }

  uint32(value: number): this {
    if (value >>> 0 !== value) throw new RangeError(`not a uint32: ${value}`);
    this.#reserve(5);
    this.#varint(value);
    return this;
  }

  int32(value: number): this {
    if ((value | 0) !== value) throw new RangeError(`not an int32: ${value}`);
    if (value < 0) return this.int64(value);
    this.#reserve(5);
    this.#varint(value);
    return this;
  }

  int64(value: number): this {
    if (!Number.isSafeInteger(value)) throw new RangeError(`not a safe integer: ${value}`);
    this.#reserve(10);
    if (value >= 0 && value <= 0xffff_ffff) {
      this.#varint(value);
      return this;
    }
    // Two's complement of 64 bits in two halves.
    let low = value >>> 0;
    let high = Math.floor(value / 0x1_0000_0000) >>> 0;
    const slab = this.#slab;
    let position = this.#position;
    while (high > 0 || low > 0x7f) {
      slab[position++] = (low & 0x7f) | 0x80;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    slab[position++] = low;
    this.#position = position;
    return this;
  }

  bool(value: boolean): this {
    this.#reserve(1);
    this.#slab[this.#position++] = value ? 1 : 0;
    return this;
  }

  bytes(value: Uint8Array): this {
    const length = value.byteLength;
    this.#reserve(lengthPrefixBytesMax);
    this.#varint(length);
    if (length >= chunkBytesMin) {
      this.#passed.push({ at: this.#position, bytes: value });
      this.#passedBytes += length;
      return this;
    }
    this.#reserve(length);
    this.#slab.set(value, this.#position);
    this.#position += length;
    return this;
  }

  string(value: string): this {
    const length = value.length;
    // A UTF-16 code unit takes at most three bytes of UTF-8.
    this.#reserve(lengthPrefixBytesMax + 3 * length);
    if (length <= asciiLengthMax && this.#ascii(value)) return this;
    const at = this.#position + varintSize(length);
    const written = this.#slab.write(value, at, 'utf8');
    if (varintSize(written) !== varintSize(length)) {
      const moved = this.#position + varintSize(written);
      this.#slab.copyWithin(moved, at, at + written);
    }
    this.#varint(written);
    this.#position += written;
    return this;
  }

  /** Most strings are names and ids: short and ASCII. False, with nothing written, when this one is not. */
  #ascii(value: string): boolean {
    const slab = this.#slab;
    let position = this.#position + 1;
    for (let index = 0; index < value.length; index += 1) {
      const code = value.charCodeAt(index);
      if (code > 0x7f) return false;
      slab[position++] = code;
    }
    slab[this.#position] = value.length;
    this.#position = position;
    return true;
  }
}

/** A call into native code costs more than a short loop; the length must fit one byte. */
const asciiLengthMax = 40;

function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  return value < 0x1000_0000 ? 4 : 5;
}
