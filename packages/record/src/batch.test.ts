import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BatchBuilder, encodeBatch, type RecordInput, recordBytesMax } from './batch-builder.ts';
import {
  batchesOf,
  batchHeaderBytes,
  computeBatchCrc,
  readBatchHeader,
  setBaseOffset,
  setMaxTimestampAndLogAppendTime,
  setPartitionLeaderEpoch,
} from './batch-header.ts';
import { compressions } from './compression.ts';
import { RecordError } from './errors.ts';
import { decodeRecords, RecordReader } from './record-reader.ts';
import { validateBatch } from './validate-batch.ts';

const limits = { maxBatchBytes: 1_000_000, source: 'producer' } as const;
const nullableBytes = fc.option(fc.uint8Array({ maxLength: 60 }), { nil: null });
const record: fc.Arbitrary<RecordInput> = fc.record({
  key: nullableBytes,
  value: nullableBytes,
  timestampMs: fc.oneof(fc.integer({ min: 0, max: 2 ** 45 }), fc.constantFrom(0, 1_700_000_000_000, 1_700_000_000_001)),
  headers: fc.array(fc.tuple(fc.string({ unit: 'grapheme', maxLength: 8 }), nullableBytes), { maxLength: 3 }),
});

describe('round trip', () => {
  test('records of every shape, with every codec', () => {
    const records = fc.array(record, { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(records, fc.constantFrom(...compressions), fc.nat(1e9), (input, compression, baseOffset) => {
        const batch = encodeBatch({ records: input, compression, baseOffset });
        const header = { maxTimestampMs: Math.max(...input.map(({ timestampMs }) => timestampMs)) };
        expect(validateBatch(batch, 0, limits)).toMatchObject({ kind: 'valid', end: batch.length, header });
        const decoded = [...decodeRecords(batch)];
        expect(decoded.map(({ offset }) => offset)).toEqual(input.map((_, i) => baseOffset + i));
        expect(decoded.map(plain)).toEqual(input.map(plain));
      }),
      { numRuns: 200 },
    );
  });

  test('a timestamp before the first gives a negative delta', () => {
    const records = [5_000, 4_000, 9_000].map((timestampMs) => ({ key: null, value: null, timestampMs }));
    const batch = encodeBatch({ records });
    expect([...decodeRecords(batch)].map(({ timestampMs }) => timestampMs)).toEqual([5_000, 4_000, 9_000]);
    expect(readBatchHeader(batch)).toMatchObject({ baseTimestampMs: 5_000, maxTimestampMs: 9_000, recordsCount: 3 });
  });

  test('header fields', () => {
    const batch = encodeBatch({
      records: [{ key: null, value: Buffer.from('v'), timestampMs: 1 }],
      baseOffset: 2 ** 40 + 7,
      partitionLeaderEpoch: 12,
      producerId: 2 ** 35 + 1,
      producerEpoch: 3,
      baseSequence: 99,
      isTransactional: true,
      isControl: true,
    });
    expect(readBatchHeader(batch)).toMatchObject({
      baseOffset: 2 ** 40 + 7,
      lastOffset: 2 ** 40 + 7,
      partitionLeaderEpoch: 12,
      producerId: 2 ** 35 + 1,
      producerEpoch: 3,
      baseSequence: 99,
      isTransactional: true,
      isControl: true,
      magic: 2,
    });
  });

  test('what the builder estimates is what comes out, and a record is never larger than its bound', () => {
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 30 }), (input) => {
        const builder = new BatchBuilder({ capacityBytes: 0 });
        for (const { key, value, timestampMs, headers } of input) {
          const before = builder.estimatedBytes;
          builder.append(key, value, timestampMs, headers);
          expect(builder.estimatedBytes - before).toBeLessThanOrEqual(recordBytesMax(key, value, headers));
        }
        const { estimatedBytes } = builder;
        expect(builder.close().length).toBe(estimatedBytes);
      }),
    );
  });
});

/**
 * One record, key "k", value "v", no headers, timestamp 1, written down byte by byte from Kafka's documentation of the record
 * batch (Implementation, Message Format).
 */
const documented = Buffer.from(
  [
    '0000000000000000', // baseOffset
    '0000003a', // batchLength: 70 - 12
    'ffffffff', // partitionLeaderEpoch
    '02', // magic
    '00000000', // crc, set below
    '0000', // attributes
    '00000000', // lastOffsetDelta
    '0000000000000001', // baseTimestamp
    '0000000000000001', // maxTimestamp
    'ffffffffffffffff', // producerId
    'ffff', // producerEpoch
    'ffffffff', // baseSequence
    '00000001', // recordsCount
    '10', // length 8
    '00', // attributes
    '00', // timestampDelta
    '00', // offsetDelta
    '02', // keyLength 1
    '6b', // k
    '02', // valueLength 1
    '76', // v
    '00', // headers
  ].join(''),
  'hex',
);

describe('bytes', () => {
  test("are those of Kafka's documentation", () => {
    const batch = encodeBatch({ records: [{ key: Buffer.from('k'), value: Buffer.from('v'), timestampMs: 1 }] });
    const withoutCrc = Buffer.from(batch);
    withoutCrc.writeUInt32BE(0, 17);
    expect(withoutCrc.toString('hex')).toBe(documented.toString('hex'));
    expect(validateBatch(batch, 0, limits).kind).toBe('valid');
  });

  test('base offset and leader epoch are outside the CRC, LogAppendTime is inside', () => {
    const batch = encodeBatch({ records: [{ key: null, value: null, timestampMs: 5 }] });
    setBaseOffset(batch, 0, 2 ** 41 + 3);
    setPartitionLeaderEpoch(batch, 0, 77);
    expect(validateBatch(batch, 0, limits)).toMatchObject({
      kind: 'valid',
      header: { baseOffset: 2 ** 41 + 3, partitionLeaderEpoch: 77 },
    });
    setMaxTimestampAndLogAppendTime(batch, 0, 1_234);
    expect(validateBatch(batch, 0, limits).kind).toBe('valid');
    expect([...decodeRecords(batch)][0]?.timestampMs).toBe(1_234);
  });

  test('several batches are found one after the other; a part at the end is left out', () => {
    const one = encodeBatch({ records: [{ key: null, value: Buffer.from('a'), timestampMs: 5 }] });
    const run = Buffer.concat([one, one, one.subarray(0, one.length - 1)]);
    expect([...batchesOf(run)].map(({ position }) => position)).toEqual([0, one.length]);
    expect([...batchesOf(run.subarray(0, 5))]).toEqual([]);
  });
});

describe('bad input', () => {
  const sample = (compression: (typeof compressions)[number]) =>
    encodeBatch({
      compression,
      records: Array.from({ length: 5 }, (_, i) => ({
        key: i % 2 ? Buffer.from(`key${i}`) : null,
        value: Buffer.from('value '.repeat(i)),
        timestampMs: 1_000 + i,
        headers: [['name', Buffer.from('content')]] as const,
      })),
    });

  test.each(compressions)('%s: a batch that ends at any byte is truncated', (compression) => {
    const batch = sample(compression);
    for (let end = 0; end < batch.length; end++) {
      expect(validateBatch(batch.subarray(0, end), 0, limits)).toMatchObject({ kind: 'invalid', reason: 'truncated' });
      expect(() => [...decodeRecords(batch.subarray(0, end))]).toThrow(RecordError);
    }
  });

  test.each(compressions)('%s: every flipped bit that the CRC covers is detected', (compression) => {
    const batch = sample(compression);
    for (let bit = 16 * 8; bit < batch.length * 8; bit++) {
      const flipped = Buffer.from(batch);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(validateBatch(flipped, 0, limits).kind, `bit ${bit}`).toBe('invalid');
    }
  });

  test.each(compressions)('%s: decoding flipped bytes ends with records or a RecordError', (compression) => {
    const batch = sample(compression);
    for (let bit = 0; bit < batch.length * 8; bit++) {
      const flipped = Buffer.from(batch);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      try {
        const reader = new RecordReader(flipped, 100_000);
        while (reader.next());
      } catch (error) {
        expect(error, `bit ${bit}`).toBeInstanceOf(RecordError);
      }
    }
  });

  test('random bytes are refused and never hang', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(validateBatch(bytes, 0, limits).kind).toBe('invalid');
        try {
          expect([...batchesOf(bytes)].length).toBeLessThanOrEqual(bytes.length / batchHeaderBytes);
        } catch (error) {
          expect(error).toBeInstanceOf(RecordError);
        }
      }),
    );
  });

  test('each rule has its reason', () => {
    const reasonAfter = (change: (bytes: Buffer) => void, source: 'producer' | 'log' = 'producer', max = 1_000_000) => {
      const bytes = Buffer.from(sample('none'));
      change(bytes);
      fixCrc(bytes);
      const result = validateBatch(bytes, 0, { maxBatchBytes: max, source });
      return result.kind === 'invalid' ? result.reason : 'valid';
    };
    expect(reasonAfter((b) => b.writeInt8(0, 16))).toBe('unsupported-magic');
    expect(reasonAfter((b) => b.writeInt8(1, 16))).toBe('unsupported-magic');
    expect(reasonAfter((b) => b.writeInt8(3, 16))).toBe('bad-magic');
    expect(reasonAfter((b) => b.writeInt32BE(10, 8))).toBe('bad-length');
    expect(reasonAfter(() => {}, 'producer', 100)).toBe('too-large');
    expect(reasonAfter((b) => b.writeInt16BE(6, 21))).toBe('bad-compression');
    expect(reasonAfter((b) => b.writeInt32BE(-1, 57))).toBe('bad-count');
    expect(reasonAfter((b) => b.writeInt32BE(4, 57))).toBe('bad-last-offset-delta');
    expect(reasonAfter((b) => b.writeInt32BE(4, 57), 'log')).toBe('valid');
    expect(reasonAfter((b) => b.writeInt16BE(0x20, 21))).toBe('control-batch');
    expect(reasonAfter((b) => b.writeInt16BE(0x20, 21), 'log')).toBe('valid');
    expect(reasonAfter((b) => b.writeBigInt64BE(2n ** 60n, 35))).toBe('bad-number');
    expect(reasonAfter((b) => b.writeBigInt64BE(-5n, 0))).toBe('bad-number');
  });

  test('a count that the bytes cannot hold is refused before anything is reserved for it', () => {
    const bytes = Buffer.from(sample('none'));
    bytes.writeInt32BE(0x7fffffff, 57);
    expect(() => new RecordReader(bytes)).toThrow(expect.objectContaining({ code: 'corrupt' }));
  });
});

function plain(record: RecordInput): unknown {
  const bytes = (field: Uint8Array | null) => field && [...field];
  return {
    key: bytes(record.key),
    value: bytes(record.value),
    timestampMs: record.timestampMs,
    headers: (record.headers ?? []).map(([name, value]) => [name, bytes(value)]),
  };
}

function fixCrc(bytes: Buffer): void {
  bytes.writeUInt32BE(computeBatchCrc(bytes, 0, bytes.length), 17);
}
