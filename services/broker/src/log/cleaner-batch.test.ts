import { attributeBits, batchLayout, encodeBatch, readBatchHeader, validateBatch, writeInt64 } from '@naru/record';
import { expect, test } from 'vitest';
import { type CleaningRules, filterBatch } from './cleaner-batch.ts';
import { keyedBatch, recordsIn } from './testing/compacted-log.ts';

const storedLimits = { maxBatchBytes: 1_000_000, source: 'log' } as const;
const rules: CleaningRules = { lastOffsetOf: () => -1, latestOffset: 1_000, nowMs: 50_000, deleteRetentionMs: 500 };

/** What the offset map says: everything that is named here has a later record. */
function replaced(...keys: string[]): CleaningRules {
  return { ...rules, lastOffsetOf: (key) => (keys.includes(Buffer.from(key).toString()) ? 900 : -1) };
}

function at(offset: number, batch: Uint8Array): Uint8Array {
  writeInt64(batch, batchLayout.baseOffset, offset);
  return batch;
}

test('L9: what is kept keeps offset, time, headers, codec and the fields of its batch', () => {
  const headers = [['trace', Buffer.from('ä')]] as const;
  for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
    const batch = at(
      100,
      keyedBatch(
        [
          { key: 'a', value: '1', timestampMs: 5_000 },
          { key: 'b', value: '2', timestampMs: 9_000, headers },
          { key: 'c', value: '3', timestampMs: 7_000 },
        ],
        { compression, producerId: 7, baseSequence: 30 },
      ),
    );
    const header = readBatchHeader(batch);
    expect(filterBatch(batch, header, rules, false)).toBe(batch);
    const kept = filterBatch(batch, header, replaced('a', 'c'), false) as Uint8Array;
    expect(validateBatch(kept, 0, storedLimits).kind).toBe('valid');
    const { crc, sizeBytes, recordsCount, ...same } = readBatchHeader(kept);
    expect(header).toMatchObject(same);
    expect(recordsCount).toBe(1);
    expect(recordsIn(kept)).toEqual([{ offset: 101, timestampMs: 9_000, key: 'b', value: '2', headers }]);
    expect(readBatchHeader(filterBatch(batch, header, replaced('b'), false) as Uint8Array)).toMatchObject({
      maxTimestampMs: 7_000,
      lastOffsetDelta: 2,
    });
  }
});

test('a batch of which nothing is left goes, or stays without records', () => {
  const batch = at(5, keyedBatch([{ key: 'a', value: '1' }], { compression: 'gzip', producerId: 7, baseSequence: 30 }));
  const header = readBatchHeader(batch);
  expect(filterBatch(batch, header, replaced('a'), false)).toBeUndefined();
  const empty = filterBatch(batch, header, replaced('a'), true) as Uint8Array;
  expect(validateBatch(empty, 0, storedLimits).kind).toBe('valid');
  const { baseOffset, lastOffset, producerId, producerEpoch, baseSequence, maxTimestampMs } = header;
  const fields = { baseOffset, lastOffset, producerId, producerEpoch, baseSequence, maxTimestampMs };
  expect(readBatchHeader(empty)).toMatchObject({ ...fields, recordsCount: 0, sizeBytes: 61, compression: 'none' });
  expect(filterBatch(empty, readBatchHeader(empty), rules, true)).toBe(empty);
  expect(filterBatch(empty, readBatchHeader(empty), rules, false)).toBeUndefined();
});

test('KIP-534: the first cleaning gives tombstones a horizon, and only one after it takes them', () => {
  const batch = at(
    10,
    keyedBatch([
      { key: 'a', value: null, timestampMs: 1_234 },
      { key: 'b', value: 'x', timestampMs: 99_999_999_999 },
    ]),
  );
  const first = filterBatch(batch, readBatchHeader(batch), rules, false) as Uint8Array;
  expect(validateBatch(first, 0, storedLimits).kind).toBe('valid');
  const header = readBatchHeader(first);
  expect(header.attributes & attributeBits.deleteHorizon).toBe(attributeBits.deleteHorizon);
  expect(header.baseTimestampMs).toBe(50_500);
  expect(recordsIn(first)).toEqual(recordsIn(batch));
  expect(filterBatch(first, header, { ...rules, nowMs: 50_499 }, false)).toBe(first);
  const second = filterBatch(first, header, { ...rules, nowMs: 50_500 }, false) as Uint8Array;
  expect(recordsIn(second).map((record) => record.key)).toEqual(['b']);
  expect(recordsIn(second)[0]?.timestampMs).toBe(99_999_999_999);
});

test('a tombstone beyond what the map knows gets no horizon: what it deletes may still be there', () => {
  const batch = at(10, keyedBatch([{ key: 'a', value: null }]));
  expect(filterBatch(batch, readBatchHeader(batch), { ...rules, latestOffset: 9 }, false)).toBe(batch);
});

test('records beyond the map stay whatever the map says, records without key go', () => {
  const batch = at(
    10,
    keyedBatch([
      { key: null, value: 'no key' },
      { key: 'a', value: 'old' },
      { key: 'a', value: 'beyond' },
    ]),
  );
  const kept = filterBatch(batch, readBatchHeader(batch), { ...replaced('a'), latestOffset: 11 }, false) as Uint8Array;
  expect(recordsIn(kept).map((record) => record.value)).toEqual(['beyond']);
});

test('row 48: control batches stay as they are', () => {
  const records = [{ key: Buffer.from([0, 0, 0, 1]), value: Buffer.from([0, 0, 0, 0, 0, 0]), timestampMs: 1 }];
  const batch = at(
    10,
    encodeBatch({ isControl: true, isTransactional: true, producerId: 4, producerEpoch: 0, records }),
  );
  expect(filterBatch(batch, readBatchHeader(batch), { ...rules, lastOffsetOf: () => 900 }, false)).toBe(batch);
});

test('a batch that cannot be unpacked is refused, not judged', () => {
  const batch = at(10, keyedBatch([{ key: 'a', value: 'x'.repeat(100) }], { compression: 'gzip' }));
  batch.fill(0xff, 70);
  expect(() => filterBatch(batch, readBatchHeader(batch), rules, false)).toThrow('gzip');
});
