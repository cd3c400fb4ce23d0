import { RecordError } from './errors.ts';

/** Raw snappy of one block. */
export interface SnappyBlocks {
  compress(bytes: Uint8Array): Uint8Array;
  uncompress(bytes: Uint8Array): Uint8Array;
}

/** The Java library's stream header: a magic that is no raw snappy, then version and compatible version, both 1. */
const xerialMagic = Uint8Array.of(0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00);
const xerialHeader = Uint8Array.of(...xerialMagic, 0, 0, 0, 1, 0, 0, 0, 1);
/** Uncompressed bytes of a block, as the Java client cuts them. */
const xerialBlockBytes = 32 * 1024;

/** Three bytes are a copy of 64 at most: whoever states a larger content has made it up, and nothing is allocated for it. */
const expansionMax = 22;

/** Writes the xerial framing: what Kafka's Java client writes, and the only form that its consumers read. */
export function compressXerial(snappy: SnappyBlocks, bytes: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [xerialHeader];
  for (let start = 0; start < bytes.length; start += xerialBlockBytes) {
    const block = snappy.compress(bytes.subarray(start, start + xerialBlockBytes));
    const length = Buffer.allocUnsafe(4);
    length.writeInt32BE(block.length);
    parts.push(length, block);
  }
  return Buffer.concat(parts);
}

/** Reads the xerial framing and raw snappy. Throws `RecordError` `corrupt` or `too-large`. */
export function uncompressSnappy(snappy: SnappyBlocks, bytes: Uint8Array, maxBytes: number): Uint8Array {
  if (!isXerial(bytes)) return uncompressBlock(snappy, bytes, maxBytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const blocks: Uint8Array[] = [];
  let total = 0;
  let position = xerialHeader.length;
  if (position > bytes.length) throw new RecordError('corrupt', 'snappy stream ends inside its header');
  while (position < bytes.length) {
    if (position + 4 > bytes.length) throw new RecordError('corrupt', 'snappy stream ends inside a block length');
    const size = view.getInt32(position);
    position += 4;
    if (size < 0 || position + size > bytes.length)
      throw new RecordError('corrupt', 'snappy block goes past the stream');
    const block = uncompressBlock(snappy, bytes.subarray(position, position + size), maxBytes - total);
    blocks.push(block);
    total += block.length;
    position += size;
  }
  return blocks.length === 1 ? (blocks[0] as Uint8Array) : Buffer.concat(blocks, total);
}

function isXerial(bytes: Uint8Array): boolean {
  return bytes.length >= xerialMagic.length && xerialMagic.every((byte, i) => bytes[i] === byte);
}

/** A raw block states its uncompressed length first: it is checked before the decoder allocates it. */
function uncompressBlock(snappy: SnappyBlocks, bytes: Uint8Array, maxBytes: number): Uint8Array {
  let length = 0;
  for (let i = 0; ; i++) {
    const byte = bytes[i];
    if (byte === undefined || i === 5) throw new RecordError('corrupt', 'snappy block without a length');
    length += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) break;
  }
  if (length > bytes.length * expansionMax)
    throw new RecordError('corrupt', `snappy block cannot hold ${length} bytes`);
  if (length > maxBytes) throw new RecordError('too-large', `snappy content is larger than allowed (${length} bytes)`);
  return snappy.uncompress(bytes);
}
