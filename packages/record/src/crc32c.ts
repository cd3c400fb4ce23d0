import { createRequire } from 'node:module';

type Crc32c = (bytes: Uint8Array, seed?: number) => number;

/** Castagnoli's polynomial, bits reversed. */
const polynomial = 0x82f63b78;

const table = new Uint32Array(256).map((_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) remainder = remainder & 1 ? (remainder >>> 1) ^ polynomial : remainder >>> 1;
  return remainder;
});

/** The same sum in plain JavaScript, about fifteen times slower: for machines without a native module. */
export function crc32cInJavaScript(bytes: Uint8Array, seed = 0): number {
  let crc = ~seed;
  for (let i = 0; i < bytes.length; i++) {
    crc = (crc >>> 8) ^ (table[(crc ^ (bytes[i] as number)) & 0xff] as number);
  }
  return ~crc >>> 0;
}

function loadNative(): Crc32c | undefined {
  try {
    const native = createRequire(import.meta.url)('@node-rs/crc32') as { crc32c: Crc32c };
    return native.crc32c(Buffer.from('123456789')) === 0xe3069283 ? native.crc32c : undefined;
  } catch {
    return undefined;
  }
}

/** CRC-32C (RFC 3720) as an unsigned number. `seed` is the sum of the bytes before: the sum can be taken in pieces. */
export const crc32c: Crc32c = loadNative() ?? crc32cInJavaScript;
