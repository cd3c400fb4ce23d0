import zlib from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compress, compressionOf, compressions, decompress } from './compression.ts';

const codecs = compressions.filter((codec) => codec !== 'none');

describe.each(codecs)('%s', (codec) => {
  test('round trip', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), fc.nat(200), (bytes, repeat) => {
        const content = Buffer.concat(Array.from({ length: repeat }, () => bytes));
        expect(Buffer.from(decompress(codec, compress(codec, content), content.length + 1)).equals(content)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  test('a small batch that would grow beyond the limit is refused before it grows', () => {
    const bomb = compress(codec, new Uint8Array(8 * 1024 * 1024));
    expect(bomb.length).toBeLessThan(600_000);
    expect(() => decompress(codec, bomb, 1024 * 1024)).toThrow(expect.objectContaining({ code: 'too-large' }));
    expect(decompress(codec, bomb, 8 * 1024 * 1024)).toHaveLength(8 * 1024 * 1024);
  });

  test('cut at any byte and flipped at any bit it gives an error or bytes within the limit, and never hangs', () => {
    const content = Buffer.from('a line of text, a line of text, and another line of text. '.repeat(20));
    const compressed = compress(codec, content);
    for (let end = 0; end < compressed.length; end++) attempt(compressed.subarray(0, end));
    for (let bit = 0; bit < compressed.length * 8; bit++) {
      const flipped = Buffer.from(compressed);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      attempt(flipped);
    }

    function attempt(bytes: Uint8Array): void {
      try {
        expect(decompress(codec, bytes, 100_000).length).toBeLessThanOrEqual(100_000);
      } catch (error) {
        expect(error).toMatchObject({ name: 'RecordError' });
      }
    }
  });
});

describe("what Kafka's Java client writes and reads", () => {
  test('snappy is written in the xerial framing and read with and without it', () => {
    const content = Buffer.from('x'.repeat(100_000));
    const framed = Buffer.from(compress('snappy', content));
    expect(framed.subarray(0, 16).toString('hex')).toBe('82534e4150505900' + '00000001' + '00000001');
    const firstBlock = framed.subarray(20, 20 + framed.readInt32BE(16));
    expect(decompress('snappy', firstBlock, 100_000)).toEqual(content.subarray(0, 32 * 1024));
  });

  test('lz4 is a frame of independent blocks, which alone the Java client reads', () => {
    const framed = Buffer.from(compress('lz4', Buffer.from('y'.repeat(500_000))));
    expect(framed.subarray(0, 4).toString('hex')).toBe('04224d18');
    const flags = framed[4] as number;
    expect(flags >> 6).toBe(1);
    expect(flags & 0x20).toBe(0x20);
    expect(flags & 0x01).toBe(0);
  });

  test('gzip members and zstd frames are the plain ones', () => {
    const content = Buffer.from('z'.repeat(1000));
    expect(zlib.gunzipSync(compress('gzip', content, 9))).toEqual(content);
    expect(zlib.zstdDecompressSync(compress('zstd', content, 3))).toEqual(content);
  });

  test('numbers', () => {
    expect([0, 1, 2, 3, 4].map(compressionOf)).toEqual(['none', 'gzip', 'snappy', 'lz4', 'zstd']);
    expect(() => compressionOf(5)).toThrow(expect.objectContaining({ code: 'corrupt' }));
  });
});
