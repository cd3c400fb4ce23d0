import { BinaryReader } from '@bufbuild/protobuf/wire';

/**
 * Generated code turns a 64-bit integer into a number by `Number(value.toString())`. This value hands the number through as
 * it is, which saves a bigint and a string for each offset and timestamp.
 */
class ExactInteger {
  value = 0;
  toString(): string {
    return this.value as unknown as string;
  }
}

const exactInteger = new ExactInteger();

/** What `reset` replaces; protobuf's reader keeps it to itself. */
interface ReaderState {
  buf: Uint8Array;
  len: number;
  pos: number;
}

const nothing = new Uint8Array(0);

/** Strings up to this length are put together here: a call into native code costs more. */
const shortStringBytes = 24;

/**
 * Reads what protobuf's own reader does, with less work for what our messages consist of: short strings, 64-bit integers,
 * `bytes` as views of the input. Fixed-width numbers, which no message of ours has, it cannot read. One reader serves the process: decoding is synchronous and never nested.
 */
export class MessageReader extends BinaryReader {
  #bytes: Uint8Array = nothing;

  constructor() {
    super(nothing);
    this.uint32 = this.#readUint32;
  }

  /** Begins with another message. */
  reset(bytes: Uint8Array): void {
    this.#bytes = bytes;
    const state = this as unknown as ReaderState;
    state.buf = bytes;
    state.len = bytes.length;
    state.pos = 0;
  }

  readonly #readUint32 = (): number => {
    const bytes = this.#bytes;
    let position = this.pos;
    let byte = bytes[position++] as number;
    let value = byte & 0x7f;
    // Not `>= 0x80`: beyond the end `byte` is undefined, and the bounds are checked below.
    for (let shift = 7; byte > 0x7f; shift += 7) {
      if (shift > 63) throw new RangeError('a varint longer than ten bytes');
      byte = bytes[position++] as number;
      if (shift < 35) value |= (byte & 0x7f) << shift;
    }
    this.pos = position;
    if (position > bytes.length) throw new RangeError('premature EOF');
    return value >>> 0;
  };

  /** Throws `RangeError` for an integer that a number cannot hold. */
  override int64(): bigint {
    const bytes = this.#bytes;
    let low = 0;
    let high = 0;
    let shift = 0;
    let byte: number;
    do {
      if (shift > 63) throw new RangeError('a varint longer than ten bytes');
      byte = bytes[this.pos++] as number;
      if (shift < 28) low |= (byte & 0x7f) << shift;
      else if (shift === 28) {
        low |= (byte & 0x0f) << 28;
        high = (byte & 0x70) >> 4;
      } else high |= (byte & 0x7f) << (shift - 32);
      shift += 7;
    } while (byte > 0x7f);
    if (this.pos > bytes.length) throw new RangeError('premature EOF');
    const value = (high | 0) * 0x1_0000_0000 + (low >>> 0);
    if (!Number.isSafeInteger(value)) throw new RangeError(`a 64-bit integer beyond 2^53: ${value}`);
    exactInteger.value = value;
    return exactInteger as unknown as bigint;
  }

  override string(strict?: boolean): string {
    const start = this.pos;
    const length = this.#readUint32();
    const bytes = this.#bytes;
    const from = this.pos;
    if (length <= shortStringBytes && from + length <= bytes.length) {
      let text = '';
      let index = from;
      const end = from + length;
      for (; index < end; index += 1) {
        const byte = bytes[index] as number;
        if (byte > 0x7f) break;
        text += asciiCharacters[byte];
      }
      if (index === end) {
        this.pos = end;
        return text;
      }
    }
    this.pos = start;
    return super.string(strict);
  }
}

const asciiCharacters = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code));
