import { RecordError } from './errors.ts';

const frameMagic = 0x184d2204;
const minMatch = 4;

/**
 * How many bytes an LZ4 frame (magic 04 22 4d 18) will give, found by walking its blocks without writing any: the native decoder
 * takes no limit, and a block of 64 KiB can grow to 16 MiB. Stops as soon as `maxBytes` is passed.
 * Throws `RecordError` `corrupt` or `too-large`.
 */
export function lz4FrameContentBytes(bytes: Uint8Array, maxBytes: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 7 || view.getUint32(0, true) !== frameMagic) throw corrupt('no LZ4 frame');
  const flags = bytes[4] as number;
  if (flags >>> 6 !== 1) throw corrupt('unknown LZ4 frame version');
  const hasBlockChecksum = (flags & 0x10) !== 0;
  const hasContentSize = (flags & 0x08) !== 0;
  const hasDictionary = (flags & 0x01) !== 0;
  let position = 6 + (hasContentSize ? 8 : 0) + (hasDictionary ? 4 : 0) + 1;
  let total = 0;
  for (;;) {
    if (position + 4 > bytes.length) throw corrupt('LZ4 frame ends without an end mark');
    const header = view.getUint32(position, true);
    position += 4;
    if (header === 0) return total;
    const size = header & 0x7fffffff;
    if (position + size > bytes.length) throw corrupt('LZ4 block goes past the frame');
    const isStored = header >>> 31 === 1;
    total += isStored ? size : blockContentBytes(bytes, position, position + size);
    if (total > maxBytes) throw new RecordError('too-large', `LZ4 content is larger than ${maxBytes} bytes`);
    position += size + (hasBlockChecksum ? 4 : 0);
  }
}

/** A block is a run of sequences: token, literals, then a match (except in the last). */
function blockContentBytes(bytes: Uint8Array, start: number, end: number): number {
  let position = start;
  let total = 0;
  while (position < end) {
    const token = bytes[position++] as number;
    let literals = token >>> 4;
    if (literals === 15) {
      let byte = 255;
      while (byte === 255 && position < end) literals += byte = bytes[position++] as number;
    }
    position += literals;
    total += literals;
    if (position > end) throw corrupt('LZ4 literals go past the block');
    if (position === end) return total;
    position += 2;
    let match = (token & 0x0f) + minMatch;
    if ((token & 0x0f) === 15) {
      let byte = 255;
      while (byte === 255 && position < end) match += byte = bytes[position++] as number;
    }
    total += match;
  }
  return total;
}

function corrupt(message: string): RecordError {
  return new RecordError('corrupt', message);
}
