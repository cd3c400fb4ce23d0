import { crc32 } from 'node:zlib';

/** Each stored value carries the CRC-32 of the rest in its first four bytes: a store that skips bad blocks must not pass for sound (row 63). */

export function seal(parts: readonly Uint8Array[]): Uint8Array {
  const sealed = Buffer.concat([Buffer.alloc(4), ...parts]);
  sealed.writeUInt32BE(crc32(sealed.subarray(4)), 0);
  return sealed;
}

/** The content, or undefined when the checksum does not fit. */
export function unseal(value: Uint8Array): Uint8Array | undefined {
  const buffer = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (buffer.length < 4) return undefined;
  const content = buffer.subarray(4);
  return buffer.readUInt32BE(0) === crc32(content) ? content : undefined;
}
