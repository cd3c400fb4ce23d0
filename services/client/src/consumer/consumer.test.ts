import { errorCodes } from '@naru/kafka-protocol';
import { type Compression, encodeBatch } from '@naru/record';
import { describe, expect, test } from 'vitest';
import type { ConsumerOptions } from '../client.ts';
import {
  ConfigError,
  CorruptRecordError,
  IllegalStateError,
  LogTruncationError,
  NoOffsetForPartitionError,
  OffsetOutOfRangeError,
  RecordDeserializationError,
  WakeupError,
} from '../errors.ts';
import { ScriptedCluster } from '../scripted/scripted-cluster.ts';
import type { ScriptedLog } from '../scripted/scripted-log.ts';
import type { Consumer } from './consumer.ts';
import type { ConsumerRecord } from './consumer-record.ts';

const tp = (partition = 0) => ({ topic: 't', partition });

async function setUp(options: ConsumerOptions<Buffer, Buffer> = {}, partitions = 1, brokers = 1) {
  const cluster = await ScriptedCluster.start(brokers);
  const logs = cluster.addTopic('t', partitions);
  const consumer = cluster.client().consumer({ autoOffsetReset: 'earliest', ...options });
  return { cluster, consumer, logs, log: logs[0] as ScriptedLog };
}

/** Appends `count` records in batches of `perBatch`; values go on from the log's end. */
function fill(log: ScriptedLog, count: number, perBatch: number, compression: Compression = 'none', size = 0): void {
  for (let i = 0; i < count; i += perBatch) {
    const records = Array.from({ length: Math.min(perBatch, count - i) }, (_, j) => ({
      key: null,
      value: Buffer.from(`v${log.endOffset + j}`.padEnd(size, '.')),
      timestampMs: 1_000 + i + j,
    }));
    log.append(encodeBatch({ compression, records }));
  }
}

async function readCount(
  cluster: ScriptedCluster,
  consumer: Consumer,
  count: number,
): Promise<ConsumerRecord<Buffer, Buffer>[]> {
  const records: ConsumerRecord<Buffer, Buffer>[] = [];
  while (records.length < count) {
    const polled = await cluster.run(consumer.poll(5_000));
    if (polled.length === 0) throw new Error(`only ${records.length} records came`);
    records.push(...polled);
  }
  return records;
}

const valuesOf = (records: readonly ConsumerRecord<Buffer, Buffer>[]): string[] =>
  records.map((record) => (record.value as Buffer).toString().replaceAll('.', ''));
const numbers = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `v${from + i}`);

describe('reading', () => {
  test.each(['none', 'gzip', 'lz4', 'zstd', 'snappy'] as const)(
    'every record once and in order, %s (C7)',
    async (codec) => {
      const { cluster, consumer, log } = await setUp({ maxPollRecords: 7 });
      fill(log, 100, 13, codec);
      consumer.assign([tp()]);
      const records = await readCount(cluster, consumer, 100);
      expect(valuesOf(records)).toEqual(numbers(0, 100));
      expect(records.map((record) => record.offset)).toEqual(Array.from({ length: 100 }, (_, i) => BigInt(i)));
      expect(records[0]).toMatchObject({
        topic: 't',
        partition: 0,
        timestamp: 1_000,
        timestampType: 'CreateTime',
        leaderEpoch: 0,
      });
      expect(await cluster.run(consumer.position(tp()))).toBe(100n);
    },
  );

  test('max.poll.records bounds a poll', async () => {
    const { cluster, consumer, log } = await setUp({ maxPollRecords: 10 });
    fill(log, 35, 35);
    consumer.assign([tp()]);
    expect(await cluster.run(consumer.poll(1_000))).toHaveLength(10);
    expect(await cluster.run(consumer.poll(0))).toHaveLength(10);
  });

  test('a fetch in the middle of a batch skips the earlier records', async () => {
    const { cluster, consumer, log } = await setUp();
    fill(log, 20, 10);
    consumer.assign([tp()]);
    consumer.seek(tp(), 7n);
    expect(valuesOf(await readCount(cluster, consumer, 13))).toEqual(numbers(7, 20));
  });

  test('keys and values are views of the answer, not copies', async () => {
    const { cluster, consumer, log } = await setUp();
    fill(log, 2, 2);
    consumer.assign([tp()]);
    const [first, second] = await readCount(cluster, consumer, 2);
    expect(first?.value?.buffer).toBe(second?.value?.buffer);
  });

  test('an empty partition: poll returns nothing at its timeout, records come as they are written', async () => {
    const { cluster, consumer, log } = await setUp();
    consumer.assign([tp()]);
    const startMs = cluster.simulation.nowMs;
    expect(await cluster.run(consumer.poll(1_200))).toEqual([]);
    expect(cluster.simulation.nowMs - startMs).toBeCloseTo(1_200, 0);
    const producer = cluster.client().producer({ lingerMs: 0 });
    const polled = consumer.poll(10_000);
    await cluster.run(producer.send({ topic: 't', value: 'now' }));
    expect(valuesOf(await cluster.run(polled))).toEqual(['now']);
    expect(log.endOffset).toBe(1);
  });

  test('partitions take turns', async () => {
    const { cluster, consumer, logs } = await setUp({ maxPollRecords: 10 }, 3);
    for (const log of logs) fill(log, 100, 10);
    consumer.assign([tp(0), tp(1), tp(2)]);
    await cluster.run(consumer.poll(1_000));
    await cluster.simulation.runFor(100);
    const seen = new Set<number>();
    for (let i = 0; i < 3; i++) for (const record of await cluster.run(consumer.poll(0))) seen.add(record.partition);
    expect(seen.size).toBe(3);
  });

  test('for await: leaving the loop loses nothing', async () => {
    const { cluster, consumer, log } = await setUp();
    fill(log, 10, 10);
    consumer.assign([tp()]);
    const take = async (count: number): Promise<string[]> => {
      const values: string[] = [];
      for await (const record of consumer) {
        values.push((record.value as Buffer).toString());
        if (values.length === count) break;
      }
      return values;
    };
    expect(await cluster.run(take(3))).toEqual(numbers(0, 3));
    expect(await cluster.run(consumer.position(tp()))).toBe(3n);
    expect(consumer.lag()).toEqual([{ ...tp(), lag: 7n }]);
    expect(consumer.currentLag(tp())).toBe(7n);
    expect(await cluster.run(take(4))).toEqual(numbers(3, 7));
    expect(valuesOf(await cluster.run(consumer.poll(0)))).toEqual(numbers(7, 10));
  });

  test('batches holds one partition each', async () => {
    const { cluster, consumer, logs } = await setUp({}, 2);
    for (const log of logs) fill(log, 5, 5);
    consumer.assign([tp(0), tp(1)]);
    const batches = consumer.batches();
    const found = [];
    for (let i = 0; i < 2; i++) found.push((await cluster.run(batches.next())).value);
    expect(found.map((batch) => [batch?.partition, batch?.records.length, batch?.highWatermark]).sort()).toEqual([
      [0, 5, 5n],
      [1, 5, 5n],
    ]);
  });
});

describe('fetch-ahead', () => {
  test('the next fetch is under way while the application works, and what waits is bounded', async () => {
    const { cluster, consumer, log } = await setUp({ maxPartitionFetchBytes: 2_000, maxPollRecords: 1 });
    fill(log, 1_000, 5, 'none', 100);
    consumer.assign([tp()]);
    await cluster.run(consumer.poll(1_000));
    await cluster.simulation.runFor(2_000);
    // One answer in hand and one ahead, and then quiet until the application goes on.
    expect(cluster.fetched).toHaveLength(2);
    expect(valuesOf(await readCount(cluster, consumer, 999))).toEqual(numbers(1, 1_000));
  });

  test('no fetch leaves while fetch.max.bytes are buffered', async () => {
    const { cluster, consumer, logs } = await setUp({ fetchMaxBytes: 3_000, maxPartitionFetchBytes: 2_000 }, 10);
    for (const log of logs) fill(log, 100, 5, 'none', 100);
    consumer.assign(logs.map((_, i) => tp(i)));
    await cluster.run(consumer.position(tp()));
    await cluster.simulation.runFor(2_000);
    for (const { request } of cluster.fetched) expect(request.maxBytes).toBeLessThanOrEqual(3_000);
    const fetchesBefore = cluster.fetched.length;
    await cluster.simulation.runFor(2_000);
    expect(cluster.fetched.length).toBe(fetchesBefore);
    expect(await readCount(cluster, consumer, 1_000)).toHaveLength(1_000);
  });

  test('one fetch asks for several partitions of a broker', async () => {
    const { cluster, consumer, logs } = await setUp({}, 6, 2);
    for (const log of logs) fill(log, 10, 10);
    consumer.assign(logs.map((_, i) => tp(i)));
    await readCount(cluster, consumer, 60);
    expect(cluster.fetched.slice(0, 2).map(({ request }) => request.partitions.length)).toEqual([3, 3]);
  });

  test('pause stops one partition, resume goes on where it was', async () => {
    const { cluster, consumer, logs } = await setUp({}, 2);
    for (const log of logs) fill(log, 10, 10);
    consumer.assign([tp(0), tp(1)]);
    consumer.pause([tp(1)]);
    expect(new Set((await readCount(cluster, consumer, 10)).map((r) => r.partition))).toEqual(new Set([0]));
    expect(await cluster.run(consumer.poll(700))).toEqual([]);
    expect(consumer.paused()).toEqual([tp(1)]);
    consumer.resume([tp(1)]);
    expect(valuesOf(await readCount(cluster, consumer, 10))).toEqual(numbers(0, 10));
  });
});

describe('seek', () => {
  test.each([
    ['forward', 50, 90],
    ['back', 50, 10],
  ])('%s while a fetch is under way: its answer is dropped', async (_, from, to) => {
    const { cluster, consumer, log } = await setUp();
    fill(log, 100, 10);
    cluster.onFetch = () => ({ kind: 'answer', delayMs: cluster.fetched.length === 1 ? 200 : 0 });
    consumer.assign([tp()]);
    consumer.seek(tp(), from);
    await cluster.simulation.runUntil(() => cluster.fetched.length === 1);
    consumer.seek(tp(), to);
    // The answer to the old position comes first in one case, last in the other.
    if (to < from) cluster.onFetch = () => ({ kind: 'answer', delayMs: 400 });
    expect(valuesOf(await readCount(cluster, consumer, 100 - to))).toEqual(numbers(to, 100));
    await cluster.simulation.runFor(1_000);
    expect(await cluster.run(consumer.poll(0))).toEqual([]);
  });

  test('in the middle of an iteration', async () => {
    const { cluster, consumer, log } = await setUp();
    fill(log, 10, 10);
    consumer.assign([tp()]);
    const seen: string[] = [];
    const work = async (): Promise<void> => {
      for await (const record of consumer) {
        seen.push((record.value as Buffer).toString());
        if (seen.length === 3) consumer.seek(tp(), 8);
        if (seen.length === 5) break;
      }
    };
    await cluster.run(work());
    expect(seen).toEqual(['v0', 'v1', 'v2', 'v8', 'v9']);
  });

  test('to the beginning and the end', async () => {
    const { cluster, consumer, log } = await setUp();
    fill(log, 10, 10);
    consumer.assign([tp()]);
    consumer.seekToEnd();
    expect(await cluster.run(consumer.position(tp()))).toBe(10n);
    consumer.seekToBeginning();
    expect(await cluster.run(consumer.position(tp()))).toBe(0n);
    expect(valuesOf(await readCount(cluster, consumer, 10))).toEqual(numbers(0, 10));
  });

  test('a partition that is not assigned is refused', async () => {
    const { consumer } = await setUp();
    consumer.assign([tp()]);
    expect(() => consumer.seek(tp(1), 0)).toThrow(IllegalStateError);
  });
});

describe('auto.offset.reset', () => {
  test.each([
    ['earliest', 3],
    ['latest', 10],
  ])('%s', async (autoOffsetReset, expected) => {
    const { cluster, consumer, log } = await setUp({ autoOffsetReset });
    fill(log, 10, 1);
    log.deleteBefore(3);
    consumer.assign([tp()]);
    expect(await cluster.run(consumer.position(tp()))).toBe(BigInt(expected));
  });

  test('by_duration: the first record that is young enough, and the end when none is (KIP-1106)', async () => {
    const { cluster, consumer, log } = await setUp({ autoOffsetReset: 'by_duration:PT1H' });
    const asked: number[] = [];
    cluster.onListOffsets = ({ timestamp }) => {
      asked.push(timestamp);
      return 0;
    };
    consumer.assign([tp()]);
    expect(await cluster.run(consumer.position(tp()))).toBe(0n);
    expect(asked).toEqual(
      [cluster.clientNode.runtime.clock.wallMs() - 3_600_000, -1].map((t) => expect.closeTo(t, -2)),
    );
    expect(log.endOffset).toBe(0);
  });

  test('none: an error until the application seeks', async () => {
    const { cluster, consumer, log } = await setUp({ autoOffsetReset: 'none' });
    fill(log, 10, 10);
    consumer.assign([tp()]);
    for (let i = 0; i < 2; i++) {
      await expect(cluster.run(consumer.poll(1_000))).rejects.toBeInstanceOf(NoOffsetForPartitionError);
    }
    consumer.seek(tp(), 5);
    expect(valuesOf(await readCount(cluster, consumer, 5))).toEqual(numbers(5, 10));
  });

  test('none: out of range is an error with the offset; what was read before it comes first', async () => {
    const { cluster, consumer, log } = await setUp({ autoOffsetReset: 'none' });
    fill(log, 10, 10);
    consumer.assign([tp()]);
    consumer.seek(tp(), 50);
    const failure = await cluster.run(consumer.poll(5_000)).catch((error) => error);
    expect(failure).toBeInstanceOf(OffsetOutOfRangeError);
    expect(failure.message).toContain('50');
  });

  test('an offset that retention has removed begins at the first one left', async () => {
    const { cluster, consumer, log } = await setUp();
    fill(log, 20, 5);
    log.deleteBefore(10);
    consumer.assign([tp()]);
    consumer.seek(tp(), 2);
    expect(valuesOf(await readCount(cluster, consumer, 10))).toEqual(numbers(10, 20));
  });

  test('out of range beyond the end: asked again with fresh metadata before the position is given up (row 54)', async () => {
    const { cluster, consumer, log } = await setUp();
    fill(log, 20, 5);
    consumer.assign([tp()]);
    consumer.seek(tp(), 25);
    cluster.simulation.at(20, () => fill(log, 10, 10));
    expect(valuesOf(await readCount(cluster, consumer, 5))).toEqual(numbers(25, 30));
  });

  test('a mistyped policy is refused', async () => {
    const cluster = await ScriptedCluster.start(1);
    expect(() => cluster.client().consumer({ autoOffsetReset: 'newest' })).toThrow(ConfigError);
  });
});

describe('faults', () => {
  test('the leader moves, dies and comes back: nothing lost, nothing twice', async () => {
    const { cluster, consumer, log } = await setUp({ maxPollRecords: 5, maxPartitionFetchBytes: 500 }, 1, 2);
    fill(log, 400, 5, 'none', 30);
    consumer.assign([tp()]);
    const records = await readCount(cluster, consumer, 50);
    log.moveTo(2);
    fill(log, 100, 5, 'none', 30);
    records.push(...(await readCount(cluster, consumer, 150)));
    cluster.kill(2);
    cluster.simulation.at(500, () => log.moveTo(1));
    records.push(...(await readCount(cluster, consumer, 300)));
    expect(valuesOf(records)).toEqual(numbers(0, 500));
  });

  test.each(['FENCED_LEADER_EPOCH', 'UNKNOWN_LEADER_EPOCH', 'OFFSET_NOT_AVAILABLE', 'KAFKA_STORAGE_ERROR'] as const)(
    '%s now and then',
    async (name) => {
      const { cluster, consumer, log } = await setUp({ maxPartitionFetchBytes: 300 });
      fill(log, 100, 3);
      cluster.onFetch = () =>
        cluster.fetched.length % 3 === 1 ? { kind: 'refuse', code: errorCodes[name] } : { kind: 'answer' };
      consumer.assign([tp()]);
      expect(valuesOf(await readCount(cluster, consumer, 100))).toEqual(numbers(0, 100));
    },
  );

  test('a leader that falls silent and is replaced: reading goes on in seconds', async () => {
    const { cluster, consumer, log } = await setUp({ maxPollRecords: 10, maxPartitionFetchBytes: 500 }, 1, 2);
    fill(log, 100, 5, 'none', 30);
    consumer.assign([tp()]);
    const records = await readCount(cluster, consumer, 20);
    cluster.onFetch = (brokerId) => ({ kind: 'answer', delayMs: brokerId === 1 ? 100_000 : 0 });
    cluster.simulation.at(1_000, () => log.moveTo(2));
    const startMs = cluster.simulation.nowMs;
    records.push(...(await readCount(cluster, consumer, 80)));
    expect(valuesOf(records)).toEqual(numbers(0, 100));
    expect(cluster.simulation.nowMs - startMs).toBeLessThan(4_500);
  });

  test('a partition without a leader does not hold up the others', async () => {
    const { cluster, consumer, logs } = await setUp({}, 2);
    for (const log of logs) fill(log, 10, 10);
    (logs[1] as ScriptedLog).leaderId = -1;
    consumer.assign([tp(0), tp(1)]);
    const startMs = cluster.simulation.nowMs;
    expect(valuesOf(await readCount(cluster, consumer, 10))).toEqual(numbers(0, 10));
    expect(cluster.simulation.nowMs - startMs).toBeLessThan(2_000);
    (logs[1] as ScriptedLog).moveTo(1);
    expect(valuesOf(await readCount(cluster, consumer, 10))).toEqual(numbers(0, 10));
  });

  test('connections that break', async () => {
    const { cluster, consumer, log } = await setUp({ maxPartitionFetchBytes: 300 });
    fill(log, 100, 3);
    cluster.onFetch = () => (cluster.fetched.length % 4 === 2 ? { kind: 'disconnect' } : { kind: 'answer' });
    consumer.assign([tp()]);
    expect(valuesOf(await readCount(cluster, consumer, 100))).toEqual(numbers(0, 100));
  });

  test('what the broker refuses for good is thrown by poll', async () => {
    const { cluster, consumer, log } = await setUp();
    fill(log, 10, 10);
    cluster.onFetch = () => ({ kind: 'refuse', code: errorCodes.TOPIC_AUTHORIZATION_FAILED });
    consumer.assign([tp()]);
    await expect(cluster.run(consumer.poll(1_000))).rejects.toMatchObject({
      name: 'TopicAuthorizationError',
      topic: 't',
    });
  });

  test('a batch whose checksum is wrong: the good ones before it first, then the error, again at each poll', async () => {
    const { cluster, consumer, log } = await setUp();
    fill(log, 10, 5);
    log.corruptLast();
    consumer.assign([tp()]);
    expect(valuesOf(await readCount(cluster, consumer, 5))).toEqual(numbers(0, 5));
    for (let i = 0; i < 2; i++) {
      await expect(cluster.run(consumer.poll(1_000))).rejects.toBeInstanceOf(CorruptRecordError);
    }
    expect(await cluster.run(consumer.position(tp()))).toBe(5n);
  });

  test('check.crcs=false takes the bytes as they are', async () => {
    const { cluster, consumer, log } = await setUp({ checkCrcs: false });
    fill(log, 5, 5, 'none', 10);
    log.corruptLast();
    consumer.assign([tp()]);
    expect(await readCount(cluster, consumer, 4)).not.toHaveLength(0);
  });

  describe('a log that was cut and written anew is noticed by its leader epochs (KIP-320, row 22)', () => {
    /** Ten records are read, an unclean election cuts the log to six and writes another four. */
    async function cut(autoOffsetReset: string, read = 10) {
      const world = await setUp({ autoOffsetReset, maxPollRecords: read }, 1, 2);
      const { cluster, consumer, log } = world;
      log.leaderEpoch = 5;
      fill(log, 10, 2);
      consumer.assign([tp()]);
      consumer.seek(tp(), 0n);
      const before = await readCount(cluster, consumer, read);
      log.truncate(6);
      log.moveTo(2);
      fill(log, 5, 1);
      return { ...world, before };
    }

    test('auto.offset.reset=none: an error that names the first offset that is another', async () => {
      const { cluster, consumer, log } = await cut('none');
      const failure = await cluster.run(consumer.poll(5_000)).catch((error) => error);
      expect(failure).toBeInstanceOf(LogTruncationError);
      expect(failure).toMatchObject({ topic: 't', partition: 0, offset: 10n, divergentOffset: 6n });
      await expect(cluster.run(consumer.poll(5_000)), 'again at each poll').rejects.toBeInstanceOf(LogTruncationError);
      consumer.seek(tp(), failure.divergentOffset);
      expect(valuesOf(await readCount(cluster, consumer, 5))).toEqual(log.values.slice(6));
    });

    test.each(['earliest', 'latest'])('auto.offset.reset=%s: reading goes on where both part', async (policy) => {
      const { cluster, consumer, log } = await cut(policy);
      const records = await readCount(cluster, consumer, 5);
      expect(records[0]?.offset).toBe(6n);
      expect(valuesOf(records)).toEqual(log.values.slice(6));
    });

    test('only what was not handed out is cut: nobody notices, and what is gone is not handed out', async () => {
      const { cluster, consumer, log, before } = await cut('none', 4);
      await cluster.simulation.runFor(3_000);
      const after = await readCount(cluster, consumer, 7);
      expect(valuesOf([...before, ...after])).toEqual(log.values);
    });
  });

  test('a value that cannot be decoded: the error names its offset, seek goes past it', async () => {
    const cluster = await ScriptedCluster.start(1);
    const [log] = cluster.addTopic('t', 1) as [ScriptedLog];
    fill(log, 5, 5);
    const consumer = cluster.client().consumer<Buffer, string>({
      autoOffsetReset: 'earliest',
      value: {
        deserialize: (bytes) => {
          if (bytes.toString() === 'v2') throw new Error('not ours');
          return bytes.toString();
        },
      },
    });
    consumer.assign([tp()]);
    expect((await cluster.run(consumer.poll(1_000))).map((record) => record.value)).toEqual(['v0', 'v1']);
    const failure = await cluster.run(consumer.poll(1_000)).catch((error) => error);
    expect(failure).toBeInstanceOf(RecordDeserializationError);
    expect(failure).toMatchObject({ offset: 2n, topic: 't', partition: 0 });
    consumer.seek(tp(), failure.offset + 1n);
    expect((await cluster.run(consumer.poll(1_000))).map((record) => record.value)).toEqual(['v3', 'v4']);
  });
});

describe('control', () => {
  test('wakeup interrupts a waiting poll, or the next', async () => {
    const { cluster, consumer } = await setUp();
    consumer.assign([tp()]);
    const waiting = consumer.poll(60_000);
    cluster.simulation.at(10, () => consumer.wakeup());
    await expect(cluster.run(waiting)).rejects.toBeInstanceOf(WakeupError);
    consumer.wakeup();
    await expect(cluster.run(consumer.poll(60_000))).rejects.toBeInstanceOf(WakeupError);
    expect(await cluster.run(consumer.poll(10))).toEqual([]);
  });

  test('a signal aborts, a second poll is refused, close ends a waiting poll', async () => {
    const { cluster, consumer } = await setUp();
    consumer.assign([tp()]);
    const abort = new AbortController();
    const waiting = consumer.poll(60_000, { signal: abort.signal });
    await expect(consumer.poll(0)).rejects.toBeInstanceOf(IllegalStateError);
    abort.abort(new Error('enough'));
    await expect(cluster.run(waiting)).rejects.toThrow('enough');
    const last = consumer.poll(60_000);
    last.catch(() => {});
    await cluster.run(consumer.close());
    await expect(last).rejects.toBeInstanceOf(IllegalStateError);
  });

  test('offsets by beginning, end and time; lag after the first answer', async () => {
    const { cluster, consumer, logs } = await setUp({ maxPollRecords: 4 }, 2, 2);
    fill(logs[0] as ScriptedLog, 10, 10);
    consumer.assign([tp(0)]);
    expect(consumer.lag()).toEqual([{ ...tp(0), lag: undefined }]);
    expect(await cluster.run(consumer.endOffsets([tp(0), tp(1)]))).toEqual([
      { ...tp(0), offset: 10n },
      { ...tp(1), offset: 0n },
    ]);
    expect(await cluster.run(consumer.beginningOffsets([tp(0)]))).toEqual([{ ...tp(0), offset: 0n }]);
    const times = await cluster.run(consumer.offsetsForTimes([tp(0), tp(1)].map((p) => ({ ...p, timestamp: 5 }))));
    expect(times.map((time) => time.offset)).toEqual([0n, undefined]);
    await cluster.run(consumer.poll(1_000));
    expect(consumer.lag()).toEqual([{ ...tp(0), lag: 6n }]);
  });

  test('a lookup waits out a leader that does not know yet (OFFSET_NOT_AVAILABLE, row 15)', async () => {
    const { cluster, consumer } = await setUp();
    let refusals = 2;
    cluster.onListOffsets = () => (refusals-- > 0 ? errorCodes.OFFSET_NOT_AVAILABLE : 0);
    expect(await cluster.run(consumer.endOffsets([tp()]))).toEqual([{ ...tp(), offset: 0n }]);
  });

  test('assign replaces: positions of partitions that stay are kept, answers for those that went are dropped', async () => {
    const { cluster, consumer, logs } = await setUp({}, 2);
    for (const log of logs) fill(log, 10, 10);
    consumer.assign([tp(0), tp(1)]);
    await readCount(cluster, consumer, 20);
    consumer.assign([tp(0)]);
    for (const log of logs) fill(log, 1, 1);
    const records = await readCount(cluster, consumer, 1);
    expect(valuesOf(records)).toEqual(['v10']);
    expect(records[0]?.partition).toBe(0);
    expect(consumer.assignment()).toEqual([tp(0)]);
  });
});
