import { limits } from './limits.ts';
import { ProtocolError } from './protocol-error.ts';

const pow32 = 0x100000000;
const uuidBytes = 16;

/**
 * Reads the primitive types of Kafka's protocol from one message. Checks every length against what is there before it believes it; throws
 * `ProtocolError`. Byte fields are views.
 */
export class Reader {
  readonly #bytes: Buffer;
  #position: number;
  #elementsLeft: number = limits.elementsMax;

  constructor(bytes: Uint8Array, position = 0) {
    this.#bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#position = position;
  }

  get position(): number {
    return this.#position;
  }

  get remaining(): number {
    return this.#bytes.length - this.#position;
  }

  int8(): number {
    return ((this.#bytes[this.#take(1)] as number) << 24) >> 24;
  }

  bool(): boolean {
    return this.#bytes[this.#take(1)] !== 0;
  }

  int16(): number {
    return (this.uint16() << 16) >> 16;
  }

  uint16(): number {
    const at = this.#take(2);
    return ((this.#bytes[at] as number) << 8) | (this.#bytes[at + 1] as number);
  }

  int32(): number {
    return this.#int32At(this.#take(4));
  }

  /** Exact within the safe integers, which is where offsets, ids and times live. */
  int64(): number {
    const at = this.#take(8);
    return this.#int32At(at) * pow32 + (this.#int32At(at + 4) >>> 0);
  }

  float64(): number {
    return this.#bytes.readDoubleBE(this.#take(8));
  }

  unsignedVarint(): number {
    const first = this.#bytes[this.#take(1)] as number;
    if (first < 0x80) return first;
    let value = first & 0x7f;
    for (let shift = 7; shift < 35; shift += 7) {
      const byte = this.#bytes[this.#take(1)] as number;
      // The fifth byte has room for four bits.
      if (shift === 28 && byte > 0x0f) throw new ProtocolError('malformed', 'a varint is longer than 32 bits');
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw new ProtocolError('malformed', 'a varint is longer than five bytes');
  }

  /** In the notation of Kafka's tools: 22 characters of base64url. */
  uuid(): string {
    const at = this.#take(uuidBytes);
    return this.#bytes.toString('base64url', at, at + uuidBytes);
  }

  /** -1 is null, as in every length below. */
  string(length: number): string | null {
    if (length === -1) return null;
    if (length > limits.stringBytesMax) throw new ProtocolError('too-large', `a string of ${length} bytes`);
    const at = this.#take(length);
    return this.#bytes.toString('utf8', at, at + length);
  }

  bytes(length: number): Uint8Array | null {
    if (length === -1) return null;
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** Lengths of the flexible versions: one more than the length, 0 is null. */
  compactLength(): number {
    return this.unsignedVarint() - 1;
  }

  /** Believes the count of an array, or -1, only when as many elements of that size can follow. */
  checkCount(count: number, elementBytesMin: number): number {
    if (count < -1) throw new ProtocolError('malformed', `a count of ${count}`);
    if (count * elementBytesMin > this.remaining) {
      throw new ProtocolError('truncated', `${count} elements in ${this.remaining} bytes`);
    }
    this.#elementsLeft -= count;
    if (this.#elementsLeft < 0) throw new ProtocolError('too-large', `more than ${limits.elementsMax} elements`);
    return count;
  }

  skip(length: number): void {
    this.#take(length);
  }

  /** Nothing may be left. */
  finish(): void {
    if (this.remaining !== 0) throw new ProtocolError('malformed', `${this.remaining} bytes behind the message`);
  }

  #int32At(at: number): number {
    const bytes = this.#bytes;
    return (
      ((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)
    );
  }

  #take(length: number): number {
    const at = this.#position;
    if (length < 0) throw new ProtocolError('malformed', `a length of ${length}`);
    if (length > this.#bytes.length - at) {
      throw new ProtocolError('truncated', `${length} bytes were announced, ${this.remaining} are there`);
    }
    this.#position = at + length;
    return at;
  }
}
