import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RecordError } from './errors.ts';
import { lz4InJavaScript } from './lz4-frame.ts';
import { snappyInJavaScript } from './snappy-block.ts';
import { compressXerial, uncompressSnappy } from './snappy-framing.ts';
import { xxHash32 } from './xxhash32.ts';

const require = createRequire(import.meta.url);
const nativeSnappy = require('snappy');
const nativeLz4 = require('lz4-napi');

/** Noise, runs, and what repeats near and far. */
const contents = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 400 }),
      fc
        .tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 3_000 }))
        .map(([part, times]) => Buffer.concat(Array.from({ length: times }, () => part))),
    ),
    { maxLength: 6 },
  )
  .map((parts) => Buffer.concat(parts));

const runs = { numRuns: 150 };

const codecs = [
  {
    name: 'snappy blocks',
    compress: (bytes: Uint8Array) => snappyInJavaScript.compress(bytes),
    decompress: (bytes: Uint8Array, maxBytes: number) => uncompressSnappy(snappyInJavaScript, bytes, maxBytes),
    nativeCompress: (bytes: Buffer): Buffer => nativeSnappy.compressSync(bytes),
    nativeDecompress: (bytes: Buffer): Buffer => nativeSnappy.uncompressSync(bytes),
  },
  {
    name: 'snappy in the xerial framing',
    compress: (bytes: Uint8Array) => compressXerial(snappyInJavaScript, bytes),
    decompress: (bytes: Uint8Array, maxBytes: number) => uncompressSnappy(snappyInJavaScript, bytes, maxBytes),
    nativeCompress: undefined,
    nativeDecompress: undefined,
  },
  {
    name: 'lz4 frames',
    compress: (bytes: Uint8Array) => lz4InJavaScript.compress(bytes),
    decompress: (bytes: Uint8Array, maxBytes: number) => lz4InJavaScript.decompress(bytes, maxBytes),
    nativeCompress: (bytes: Buffer): Buffer => nativeLz4.compressFrameSync(bytes),
    nativeDecompress: (bytes: Buffer): Buffer => nativeLz4.decompressFrameSync(bytes),
  },
];

describe.each(codecs)('$name without a native module', ({ compress, decompress, nativeCompress, nativeDecompress }) => {
  test('round trip', () => {
    fc.assert(
      fc.property(contents, (content) => {
        expect(Buffer.from(decompress(compress(content), content.length)).equals(content)).toBe(true);
      }),
      runs,
    );
  });

  test.runIf(nativeCompress !== undefined)('reads what the native module writes, and the other way round', () => {
    fc.assert(
      fc.property(contents, (content) => {
        expect(Buffer.from(decompress(nativeCompress?.(content) as Buffer, content.length)).equals(content)).toBe(true);
        expect(nativeDecompress?.(Buffer.from(compress(content))).equals(content)).toBe(true);
      }),
      runs,
    );
  });

  test('what repeats becomes small, and noise hardly grows', () => {
    expect(compress(Buffer.from('the same line again\n'.repeat(5_000))).length).toBeLessThan(6_000);
    const noise = Uint8Array.from(
      { length: 300_000 },
      (_, i) => (Math.imul(i + 1, 0x9e3779b1) ^ Math.imul(i, i)) >>> 19,
    );
    expect(compress(noise).length).toBeLessThan(noise.length * 1.02 + 100);
  });

  test('a small batch that would grow beyond the limit is refused before it grows', () => {
    const bomb = compress(new Uint8Array(8 * 1024 * 1024));
    expect(() => decompress(bomb, 1024 * 1024)).toThrow(expect.objectContaining({ code: 'too-large' }));
  });

  test('cut at any byte, flipped at any bit, or noise: an error or bytes within the limit', () => {
    const samples = [compress, ...(nativeCompress === undefined ? [] : [nativeCompress])].map((write) =>
      Buffer.from(write(Buffer.from('a line of text, a line of text, and another line of text. '.repeat(20)))),
    );
    for (const whole of samples) {
      for (let end = 0; end < whole.length; end++) attempt(whole.subarray(0, end));
      for (let bit = 0; bit < whole.length * 8; bit++) {
        const flipped = Buffer.from(whole);
        flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
        attempt(flipped);
      }
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(40), (noise, kept) => {
        attempt(noise);
        for (const whole of samples) attempt(Buffer.concat([whole.subarray(0, kept), noise]));
      }),
      { numRuns: 2_000 },
    );

    function attempt(bytes: Uint8Array): void {
      try {
        expect(decompress(bytes, 100_000).length).toBeLessThanOrEqual(100_000);
      } catch (error) {
        expect(error).toBeInstanceOf(RecordError);
      }
    }
  });
});

test('a block that states more than it can hold is refused before anything is allocated', () => {
  const stated = Buffer.from([0xff, 0xff, 0xff, 0x3f, 0x00, 0x61]);
  expect(() => uncompressSnappy(snappyInJavaScript, stated, 1 << 30)).toThrow('cannot hold');
});

test('lz4 checksums are checked: of the header, of blocks and of the content', () => {
  const content = Buffer.from('checked '.repeat(100));
  const frame = nativeLz4.compressFrameSync(content) as Buffer;
  const broken = Buffer.from(frame);
  broken[6] = (broken[6] as number) ^ 1;
  expect(() => lz4InJavaScript.decompress(broken, 10_000)).toThrow('checksum');
  // The same block with a checksum behind it, and a frame that ends with one of its content.
  const plain = Buffer.from(lz4InJavaScript.compress(content));
  const block = plain.subarray(11, plain.length - 4);
  const sum = (bytes: Uint8Array): Buffer => {
    const four = Buffer.alloc(4);
    four.writeUInt32LE(xxHash32(bytes));
    return four;
  };
  const descriptor = Buffer.from([0x60 | 0x10 | 0x04, 0x40]);
  const framed = (blockSum: Buffer, contentSum: Buffer): Buffer =>
    Buffer.concat([
      plain.subarray(0, 4),
      descriptor,
      Buffer.from([(xxHash32(descriptor) >>> 8) & 0xff]),
      plain.subarray(7, 11),
      block,
      blockSum,
      Buffer.alloc(4),
      contentSum,
    ]);
  expect(lz4InJavaScript.decompress(framed(sum(block), sum(content)), 10_000)).toEqual(content);
  expect(nativeLz4.decompressFrameSync(framed(sum(block), sum(content)))).toEqual(content);
  expect(() => lz4InJavaScript.decompress(framed(sum(content), sum(content)), 10_000)).toThrow(
    'block fails its checksum',
  );
  expect(() => lz4InJavaScript.decompress(framed(sum(block), sum(block)), 10_000)).toThrow(
    'content fails its checksum',
  );
});

test('xxHash32 gives the published values', () => {
  expect(xxHash32(Buffer.alloc(0))).toBe(0x02cc5d05);
  expect(xxHash32(Buffer.from('a'))).toBe(0x550d7456);
  expect(xxHash32(Buffer.from('abc'))).toBe(0x32d153ff);
  expect(xxHash32(Buffer.from('Nobody inspects the spammish repetition'))).toBe(0xe2293b2f);
});
