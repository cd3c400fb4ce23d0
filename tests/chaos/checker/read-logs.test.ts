import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeBatch } from '@naru/record';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { History, Send } from '../workload/history.ts';
import { encodeValue } from '../workload/value.ts';
import { checkAckedOnDisks, checkLogs } from './check-logs.ts';
import { readReplicaLogs } from './read-logs.ts';

const brokers = ['broker-1', 'broker-2', 'broker-3'];
const segment = '00000000000000000000.log';

/** Four records of producer 7, two a batch, the second compressed. */
function segmentBytes(): Buffer {
  const batch = (baseOffset: number, compression: 'none' | 'lz4') =>
    encodeBatch({
      baseOffset,
      compression,
      partitionLeaderEpoch: 0,
      records: [0, 1].map((i) => ({
        key: null,
        value: Buffer.from(encodeValue({ producer: 7, sequence: baseOffset + i }, 60)),
        timestampMs: 1_000,
      })),
    });
  return Buffer.concat([batch(0, 'none'), batch(2, 'lz4')]);
}

function historyOf(
  acked: readonly { readonly sequence: number; readonly offset: number }[],
  acks: 'all' | '1',
): History {
  const sends: Send[] = acked.map((one) => ({
    producer: 7,
    partition: 0,
    invokedMs: 0,
    endedMs: 1,
    outcome: 'acked',
    error: undefined,
    ...one,
  }));
  return {
    acks,
    isIdempotent: true,
    partitions: 1,
    readersGoBack: false,
    sends,
    polls: [],
    ends: [],
    committed: [],
    final: [],
  };
}

const asStored = [0, 1, 2, 3].map((offset) => ({ sequence: offset, offset }));

describe('what clients were promised, judged by the bytes on the disks', () => {
  let directory: string;
  const file = (broker: string): string => join(directory, broker, 'data', 'chaos-0', segment);
  const judge = (acked = asStored, acks: 'all' | '1' = 'all') => {
    const logs = readReplicaLogs(directory, brokers, 'chaos');
    return [...checkLogs(logs), ...checkAckedOnDisks(historyOf(acked, acks), logs, 'chaos')];
  };
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'naru-chaos-logs-'));
    for (const broker of brokers) {
      mkdirSync(join(directory, broker, 'data', 'chaos-0'), { recursive: true });
      writeFileSync(file(broker), segmentBytes());
    }
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  /** All batches but the last. */
  const withoutTheLast = (): number => {
    const bytes = readFileSync(file('broker-1'));
    return 12 + bytes.readInt32BE(8);
  };

  test('everything is there', () => {
    expect(judge()).toEqual([]);
  });

  test('R11: the last batch is gone from all replicas, which agree about it', () => {
    for (const broker of brokers) truncateSync(file(broker), withoutTheLast());
    expect(judge()).toEqual([
      { rule: 'R11', message: 'record 7:2, acknowledged at 2 of chaos-0, is on no disk' },
      { rule: 'R11', message: 'record 7:3, acknowledged at 3 of chaos-0, is on no disk' },
    ]);
    expect(judge(asStored, '1')).toEqual([]);
  });

  test('R10: one replica alone has what was acknowledged', () => {
    for (const broker of ['broker-1', 'broker-3']) truncateSync(file(broker), withoutTheLast());
    const found = judge();
    expect(new Set(found.map(({ rule }) => rule))).toEqual(new Set(['L7', 'R10']));
    expect(found.at(-1)?.message).toContain('is on the disk of broker-2 alone');
  });

  test('R11: another record stands where one was acknowledged', () => {
    expect(judge([{ sequence: 1, offset: 0 }]).map(({ rule }) => rule)).toEqual(['R11']);
  });

  test('L4: half a batch, and a flipped bit', () => {
    truncateSync(file('broker-1'), withoutTheLast() + 30);
    const bytes = readFileSync(file('broker-2'));
    bytes[80] = (bytes[80] as number) ^ 4;
    writeFileSync(file('broker-2'), bytes);
    const messages = judge().filter(({ rule }) => rule === 'L4');
    expect(messages.map(({ message }) => message)).toEqual([
      'broker-1 chaos-0: 30 bytes behind the last batch',
      'broker-2 chaos-0: the batch at 0 has a wrong CRC',
    ]);
  });
});
