import { describe, expect, test } from 'vitest';
import { murmur2, partitionForKey } from './murmur2.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("murmur2 gives what Kafka's Java client gives (Kafka: UtilsTest)", () => {
  test.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('%s', (text, hash) => {
    expect(murmur2(bytes(text))).toBe(hash);
  });

  test('bytes above 127 are taken as unsigned', () => {
    expect(murmur2(new Uint8Array([0xff, 0xfe, 0xfd]))).not.toBe(murmur2(new Uint8Array([0x7f, 0x7e, 0x7d])));
  });

  test('a negative hash loses its sign, not its absolute value (Kafka: Utils.toPositive)', () => {
    expect(partitionForKey(bytes('21'), 3)).toBe((-973932308 & 0x7fffffff) % 3);
    expect(partitionForKey(bytes('foobar'), 7)).toBe((-790332482 & 0x7fffffff) % 7);
  });
});
