import fc from 'fast-check';
import { expect, test } from 'vitest';
import { crc32c, crc32cInJavaScript } from './crc32c.ts';

test("RFC 3720's test vectors", () => {
  const ascending = Uint8Array.from({ length: 32 }, (_, i) => i);
  for (const sum of [crc32c, crc32cInJavaScript]) {
    expect(sum(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(sum(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
    expect(sum(ascending)).toBe(0x46dd794e);
    expect(sum(ascending.toReversed())).toBe(0x113fdb5c);
    expect(sum(Buffer.from('123456789'))).toBe(0xe3069283);
    expect(sum(new Uint8Array(0))).toBe(0);
  }
});

test('both implementations agree, also in pieces', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(300), (bytes, at) => {
      const split = Math.min(at, bytes.length);
      const whole = crc32c(bytes);
      expect(crc32cInJavaScript(bytes)).toBe(whole);
      expect(crc32c(bytes.subarray(split), crc32c(bytes.subarray(0, split)))).toBe(whole);
      expect(crc32cInJavaScript(bytes.subarray(split), crc32c(bytes.subarray(0, split)))).toBe(whole);
    }),
  );
});
