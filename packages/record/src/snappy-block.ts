import { RecordError } from './errors.ts';
import { eachMatch, repeat } from './match-finder.ts';
import type { SnappyBlocks } from './snappy-framing.ts';

/** Kind of an element, in the lowest two bits of its first byte. */
const kinds = { literal: 0, copyNear: 1, copy: 2, copyFar: 3 } as const;

/** A literal of more bytes has its length in 1 to 4 bytes of its own. */
const shortLiteralMax = 60;
const copyBytesMax = 64;
/** Bytes that are compressed by themselves, so that every offset fits into 16 bits. */
const fragmentBytes = 64 * 1024;

/** Snappy's block format in plain TypeScript, for machines without the native module: the length, then literals and copies. */
export const snappyInJavaScript: SnappyBlocks = { compress, uncompress };

function compress(bytes: Uint8Array): Uint8Array {
  // A literal costs at most its bytes and one in sixty; a copy is never longer than what it stands for.
  const output = new Uint8Array(16 + bytes.length + Math.ceil(bytes.length / shortLiteralMax));
  let position = writeLength(output, bytes.length);
  for (let start = 0; start < bytes.length; start += fragmentBytes) {
    const end = Math.min(bytes.length, start + fragmentBytes);
    const literals = eachMatch(bytes, start, end, (from, at, offset, length) => {
      position = writeLiterals(output, position, bytes, from, at);
      position = writeCopies(output, position, offset, length);
    });
    position = writeLiterals(output, position, bytes, literals, end);
  }
  return output.subarray(0, position);
}

function writeLength(output: Uint8Array, length: number): number {
  let position = 0;
  let rest = length;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) output[position++] = (rest % 0x80) | 0x80;
  output[position++] = rest;
  return position;
}

function writeLiterals(output: Uint8Array, at: number, bytes: Uint8Array, from: number, to: number): number {
  const length = to - from;
  if (length === 0) return at;
  let position = at;
  if (length <= shortLiteralMax) {
    output[position++] = ((length - 1) << 2) | kinds.literal;
  } else {
    const lengthBytes = length <= 0x100 ? 1 : 2;
    output[position++] = ((shortLiteralMax - 1 + lengthBytes) << 2) | kinds.literal;
    output[position++] = (length - 1) & 0xff;
    if (lengthBytes === 2) output[position++] = (length - 1) >>> 8;
  }
  output.set(bytes.subarray(from, to), position);
  return position + length;
}

function writeCopies(output: Uint8Array, at: number, offset: number, length: number): number {
  let position = at;
  for (let rest = length; rest > 0; ) {
    const part = Math.min(rest, copyBytesMax);
    if (part >= 4 && part <= 11 && offset < 0x800) {
      output[position++] = ((offset >>> 8) << 5) | ((part - 4) << 2) | kinds.copyNear;
      output[position++] = offset & 0xff;
    } else {
      output[position++] = ((part - 1) << 2) | kinds.copy;
      output[position++] = offset & 0xff;
      output[position++] = offset >>> 8;
    }
    rest -= part;
  }
  return position;
}

/** The caller has checked the length that the block states. */
function uncompress(bytes: Uint8Array): Uint8Array {
  let position = 0;
  let total = 0;
  for (let unit = 1; ; unit *= 0x80) {
    const byte = bytes[position++] as number;
    total += (byte & 0x7f) * unit;
    if (byte < 0x80) break;
  }
  const output = Buffer.allocUnsafe(total);
  let written = 0;
  while (position < bytes.length) {
    const tag = bytes[position++] as number;
    const kind = tag & 3;
    if (kind === kinds.literal) {
      const lengthBytes = Math.max(0, (tag >>> 2) - shortLiteralMax + 1);
      const length = (lengthBytes === 0 ? tag >>> 2 : littleEndian(bytes, position, lengthBytes)) + 1;
      position += lengthBytes;
      if (position + length > bytes.length || written + length > total) throw corrupt('literals go past the block');
      output.set(bytes.subarray(position, position + length), written);
      position += length;
      written += length;
      continue;
    }
    const offsetBytes = kind === kinds.copyNear ? 1 : kind === kinds.copy ? 2 : 4;
    const near = kind === kinds.copyNear ? (tag >>> 5) << 8 : 0;
    const offset = near + littleEndian(bytes, position, offsetBytes);
    const length = kind === kinds.copyNear ? ((tag >>> 2) & 7) + 4 : (tag >>> 2) + 1;
    position += offsetBytes;
    if (offset === 0 || offset > written) throw corrupt('a copy begins before the block');
    if (written + length > total) throw corrupt('a copy goes past the block');
    repeat(output, written, offset, length);
    written += length;
  }
  if (written !== total) throw corrupt(`it has ${written} bytes instead of ${total}`);
  return output;
}

function littleEndian(bytes: Uint8Array, at: number, count: number): number {
  if (at + count > bytes.length) throw corrupt('it ends inside an element');
  let value = 0;
  for (let i = count - 1; i >= 0; i--) value = value * 0x100 + (bytes[at + i] as number);
  return value;
}

function corrupt(message: string): RecordError {
  return new RecordError('corrupt', `snappy block: ${message}`);
}
