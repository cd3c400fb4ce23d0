import { expect, test } from 'vitest';
import { checkLogs, type ReplicaLog, type StoredBatch } from './check-logs.ts';

function batch(
  baseOffset: number,
  lastOffset: number,
  leaderEpoch: number,
  more: Partial<StoredBatch> = {},
): StoredBatch {
  const digest = `${baseOffset}-${lastOffset}-${leaderEpoch}`;
  return { baseOffset, lastOffset, leaderEpoch, isCrcValid: true, digest, records: [], ...more };
}

function replica(broker: string, more: Partial<ReplicaLog> = {}): ReplicaLog {
  const epochs = [
    { epoch: 0, startOffset: 0 },
    { epoch: 2, startOffset: 5 },
  ];
  return { broker, partition: 't-0', batches: [batch(0, 4, 0), batch(5, 5, 2)], epochs, trailingBytes: 0, ...more };
}

function rulesOf(...replicas: ReplicaLog[]): string[] {
  return [...new Set(checkLogs(replicas).map((violation) => violation.rule))];
}

test('replicas with the same bytes', () => {
  expect(checkLogs([replica('broker-1'), replica('broker-2'), replica('broker-3')])).toEqual([]);
});

test('L2: empty epochs in the checkpoint are right, an epoch of the log that is not there is not', () => {
  const empty = { epoch: 1, startOffset: 5 };
  const listed = replica('broker-1').epochs as readonly { epoch: number; startOffset: number }[];
  expect(rulesOf(replica('broker-1', { epochs: [listed[0] as never, empty, listed[1] as never] }))).toEqual([]);
  expect(rulesOf(replica('broker-1', { epochs: [listed[0] as never] }))).toEqual(['L2']);
  expect(rulesOf(replica('broker-1', { epochs: [{ epoch: 2, startOffset: 5 }, listed[0] as never] }))).toContain('L2');
});

test('L2: an epoch falls along the log', () => {
  expect(rulesOf(replica('broker-1', { batches: [batch(0, 4, 2), batch(5, 5, 1)], epochs: undefined }))).toEqual([
    'L2',
  ]);
});

test.each([
  ['a hole', [batch(0, 4, 0), batch(6, 6, 2)]],
  ['an overlap', [batch(0, 4, 0), batch(4, 6, 2)]],
])('L1: %s', (_, batches) => {
  expect(rulesOf(replica('broker-1', { batches, epochs: undefined }))).toEqual(['L1']);
});

test('L4: a wrong CRC, and bytes that are no batch', () => {
  expect(rulesOf(replica('broker-1', { batches: [batch(0, 5, 0, { isCrcValid: false })], epochs: undefined }))).toEqual(
    ['L4'],
  );
  expect(rulesOf(replica('broker-1', { trailingBytes: 3 }))).toEqual(['L4']);
});

test('L5: other bytes at the same offsets; L7: one is shorter', () => {
  const diverged = replica('broker-2', { batches: [batch(0, 4, 0), batch(5, 5, 2, { digest: 'other' })] });
  expect(rulesOf(replica('broker-1'), diverged)).toEqual(['L5']);
  const shorter = replica('broker-2', { batches: [batch(0, 4, 0)], epochs: undefined });
  expect(rulesOf(replica('broker-1'), shorter)).toEqual(['L7']);
});
