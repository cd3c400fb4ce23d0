import { RecordError } from './errors.ts';
import { lz4BlockBytesMax, readLz4Block, writeLz4Block } from './lz4-block.ts';
import { xxHash32 } from './xxhash32.ts';

const frameMagic = 0x184d2204;
const minMatch = 4;
const flagBits = { independent: 0x20, blockChecksum: 0x10, contentSize: 0x08, contentChecksum: 0x04, dictionary: 0x01 };
/** Version 1, blocks independent, nothing else: what Kafka's Java client writes, and the only blocks that it reads. */
const writtenFlags = 0x40 | flagBits.independent;
const writtenBlockBytes = 64 * 1024;
/** The code of 64 KiB. */
const writtenBlockCode = 0x40;
/** Set in a block's size: its bytes are as they were. */
const storedBit = 0x8000_0000;

/** LZ4 frames in plain TypeScript, for machines without the native module. `decompress` throws `RecordError` `corrupt` or `too-large`. */
export const lz4InJavaScript = { compress: compressFrame, decompress: decompressFrame };

function compressFrame(bytes: Uint8Array): Uint8Array {
  const blocks = Math.ceil(bytes.length / writtenBlockBytes);
  const output = Buffer.allocUnsafe(7 + blocks * 4 + lz4BlockBytesMax(bytes.length) + blocks * 16 + 4);
  output.writeUInt32LE(frameMagic);
  output[4] = writtenFlags;
  output[5] = writtenBlockCode;
  output[6] = headerChecksum(output.subarray(4, 6));
  let position = 7;
  for (let start = 0; start < bytes.length; start += writtenBlockBytes) {
    const end = Math.min(bytes.length, start + writtenBlockBytes);
    const blockAt = position + 4;
    position = writeLz4Block(output, blockAt, bytes, start, end);
    const isStored = position - blockAt >= end - start;
    if (isStored) {
      output.set(bytes.subarray(start, end), blockAt);
      position = blockAt + end - start;
    }
    output.writeUInt32LE(position - blockAt + (isStored ? storedBit : 0), blockAt - 4);
  }
  output.writeUInt32LE(0, position);
  return output.subarray(0, position + 4);
}

function decompressFrame(bytes: Uint8Array, maxBytes: number): Uint8Array {
  const total = lz4FrameContentBytes(bytes, maxBytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const flags = bytes[4] as number;
  const has = (bit: number): boolean => (flags & bit) !== 0;
  let position = headerBytes(flags);
  if (bytes[position - 1] !== headerChecksum(bytes.subarray(4, position - 1)))
    throw corrupt('LZ4 frame header fails its checksum');
  if (has(flagBits.dictionary)) throw corrupt('LZ4 frame needs a dictionary');
  if (has(flagBits.contentSize) && view.getBigUint64(6, true) !== BigInt(total))
    throw corrupt('LZ4 frame states another size');
  const output = Buffer.allocUnsafe(total);
  let written = 0;
  for (let header = view.getUint32(position, true); header !== 0; header = view.getUint32(position, true)) {
    const start = position + 4;
    position = start + (header & ~storedBit);
    const block = bytes.subarray(start, position);
    if (header < storedBit) {
      written = readLz4Block(block, output, written, has(flagBits.independent) ? written : 0);
    } else {
      output.set(block, written);
      written += block.length;
    }
    if (!has(flagBits.blockChecksum)) continue;
    if (view.getUint32(position, true) !== xxHash32(block)) throw corrupt('LZ4 block fails its checksum');
    position += 4;
  }
  if (!has(flagBits.contentChecksum)) return output;
  if (position + 8 > bytes.length) throw corrupt('LZ4 frame ends inside its checksum');
  if (view.getUint32(position + 4, true) !== xxHash32(output)) throw corrupt('LZ4 content fails its checksum');
  return output;
}

/** Magic, flags, block code, what the flags announce, checksum. */
function headerBytes(flags: number): number {
  return 6 + ((flags & flagBits.contentSize) !== 0 ? 8 : 0) + ((flags & flagBits.dictionary) !== 0 ? 4 : 0) + 1;
}

function headerChecksum(descriptor: Uint8Array): number {
  return (xxHash32(descriptor) >>> 8) & 0xff;
}

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
  const hasBlockChecksum = (flags & flagBits.blockChecksum) !== 0;
  let position = headerBytes(flags);
  let total = 0;
  for (;;) {
    if (position + 4 > bytes.length) throw corrupt('LZ4 frame ends without an end mark');
    const header = view.getUint32(position, true);
    position += 4;
    if (header === 0) return total;
    const size = header & ~storedBit;
    if (position + size > bytes.length) throw corrupt('LZ4 block goes past the frame');
    const isStored = header >= storedBit;
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
