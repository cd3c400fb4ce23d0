import { RecordError } from './errors.ts';
import { eachMatch, repeat } from './match-finder.ts';

/** Lengths from here on go into bytes of their own. */
const inTokenMax = 15;
const matchBytesMin = 4;

/** What compressing so many bytes may take at most. */
export function lz4BlockBytesMax(contentBytes: number): number {
  return contentBytes + Math.ceil(contentBytes / 255) + 16;
}

/**
 * Writes `bytes` from `start` to `end` as one block: sequences of a token, literals and a match, the last without a match. Returns where it ends.
 * There must be room for `lz4BlockBytesMax`.
 */
export function writeLz4Block(output: Uint8Array, at: number, bytes: Uint8Array, start: number, end: number): number {
  let position = at;
  const literals = eachMatch(bytes, start, end, (from, to, offset, length) => {
    position = writeSequence(output, position, bytes, from, to, length - matchBytesMin);
    output[position++] = offset & 0xff;
    output[position++] = offset >>> 8;
    position = writeLength(output, position, length - matchBytesMin);
  });
  return writeSequence(output, position, bytes, literals, end, 0);
}

/** Token and literals. */
function writeSequence(
  output: Uint8Array,
  at: number,
  bytes: Uint8Array,
  from: number,
  to: number,
  match: number,
): number {
  const count = to - from;
  output[at] = (Math.min(count, inTokenMax) << 4) | Math.min(match, inTokenMax);
  const position = writeLength(output, at + 1, count);
  output.set(bytes.subarray(from, to), position);
  return position + count;
}

function writeLength(output: Uint8Array, at: number, length: number): number {
  if (length < inTokenMax) return at;
  let position = at;
  let rest = length - inTokenMax;
  for (; rest >= 255; rest -= 255) output[position++] = 255;
  output[position++] = rest;
  return position;
}

/**
 * Writes the content of a block whose structure `lz4FrameContentBytes` has walked: lengths stay within the block and the output. `earliest`: matches
 * reach back to here. Returns where the content ends.
 */
export function readLz4Block(block: Uint8Array, output: Uint8Array, at: number, earliest: number): number {
  let position = 0;
  let written = at;
  const length = (inToken: number): number => {
    if (inToken < inTokenMax) return inToken;
    let total = inToken;
    for (let byte = 255; byte === 255 && position < block.length; ) total += byte = block[position++] as number;
    return total;
  };
  while (position < block.length) {
    const token = block[position++] as number;
    const literals = length(token >>> 4);
    output.set(block.subarray(position, position + literals), written);
    position += literals;
    written += literals;
    if (position >= block.length) break;
    if (position + 2 > block.length) throw new RecordError('corrupt', 'LZ4 block ends inside a match');
    const offset = (block[position] as number) | ((block[position + 1] as number) << 8);
    position += 2;
    const match = length(token & inTokenMax) + matchBytesMin;
    if (offset === 0 || written - offset < earliest)
      throw new RecordError('corrupt', 'LZ4 match begins before its block');
    repeat(output, written, offset, match);
    written += match;
  }
  return written;
}
