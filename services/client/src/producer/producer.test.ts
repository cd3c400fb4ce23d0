import { errorCodes } from '@naru/kafka-protocol';
import { RecordReader } from '@naru/record';
import { describe, expect, test } from 'vitest';
import type { ProducerOptions } from '../client.ts';
import {
  BufferExhaustedError,
  ConfigError,
  IllegalStateError,
  KafkaError,
  NetworkError,
  RecordTooLargeError,
  SendManyError,
  UnknownTopicOrPartitionError,
} from '../errors.ts';
import { ScriptedCluster } from '../scripted/scripted-cluster.ts';
import type { ScriptedLog } from '../scripted/scripted-log.ts';
import type { Producer } from './producer.ts';
import type { RecordMetadata } from './producer-record.ts';

async function setUp(options: ProducerOptions<never, never> = {}, partitions = 1, brokers = 1) {
  const cluster = await ScriptedCluster.start(brokers);
  cluster.addTopic('t', partitions);
  const producer = cluster.client().producer(options as ProducerOptions<string, string>);
  return { cluster, producer, log: cluster.log('t', 0) };
}

function sendAll(
  producer: Producer<string, string>,
  values: readonly string[],
): Promise<PromiseSettledResult<RecordMetadata>[]> {
  return Promise.allSettled(values.map((value) => producer.send({ topic: 't', partition: 0, value })));
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, i) => `v${i}`);

async function failureOf(promise: Promise<unknown>): Promise<KafkaError> {
  const error = await promise.then(
    () => undefined,
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(KafkaError);
  return error;
}

describe('acknowledgements', () => {
  test('each record gets its own offset and timestamp', async () => {
    const { cluster, producer, log } = await setUp();
    const sent = [1, 2, 3].map((n) => producer.send({ topic: 't', partition: 0, value: `v${n}`, timestamp: 1000 + n }));
    const metadata = await cluster.run(Promise.all(sent));
    expect(metadata).toEqual([
      { topic: 't', partition: 0, offset: 0n, timestamp: 1001 },
      { topic: 't', partition: 0, offset: 1n, timestamp: 1002 },
      { topic: 't', partition: 0, offset: 2n, timestamp: 1003 },
    ]);
    expect(log.values).toEqual(['v1', 'v2', 'v3']);
    expect(cluster.produced).toHaveLength(1);
  });

  test('keys, headers that repeat and tombstones arrive as they were given', async () => {
    const { cluster, producer } = await setUp();
    const headers = [
      ['h', 'one'],
      ['h', null],
    ] as const;
    await cluster.run(producer.send({ topic: 't', key: 'k', value: null, headers }));
    const reader = new RecordReader(cluster.log('t', 0).read(0, 1));
    reader.next();
    expect([Buffer.from(reader.key as Uint8Array).toString(), reader.value]).toEqual(['k', null]);
    expect(reader.headers.map(([name, value]) => [name, value && Buffer.from(value).toString()])).toEqual(headers);
  });
});

describe('batches', () => {
  test('linger.ms collects, batch.size sends at once', async () => {
    const { cluster, producer } = await setUp({ lingerMs: 50, batchSize: 500 });
    const small = producer.send({ topic: 't', value: 'small' });
    const startMs = cluster.simulation.nowMs;
    await cluster.run(small);
    expect(cluster.simulation.nowMs - startMs).toBeGreaterThanOrEqual(50);
    const large = [1, 2].map(() => producer.send({ topic: 't', value: 'x'.repeat(400) }));
    const secondStartMs = cluster.simulation.nowMs;
    await cluster.run(large[0] as Promise<RecordMetadata>);
    expect(cluster.simulation.nowMs - secondStartMs).toBeLessThan(10);
    await cluster.run(Promise.all(large));
  });

  test('one request carries all ready batches of a partition, up to max.request.size', async () => {
    const { cluster, producer, log } = await setUp({ batchSize: 300, maxRequestSize: 1000, lingerMs: 0 });
    await cluster.run(Promise.all(numbers(40).map((v) => producer.send({ topic: 't', value: v.padEnd(90, '.') }))));
    expect(log.batchesCount).toBeGreaterThan(15);
    expect(cluster.produced.length).toBeLessThanOrEqual(Math.ceil(log.batchesCount / 3));
    for (const { request } of cluster.produced) expect(request.partitions[0]?.records.length).toBeLessThanOrEqual(1000);
  });

  test.each(['gzip', 'zstd'] as const)('compression.type %s', async (compressionType) => {
    const { cluster, producer, log } = await setUp({ compressionType });
    await cluster.run(sendAll(producer, numbers(100)));
    expect(log.values).toEqual(numbers(100));
    expect(log.read(0, 1).length).toBeLessThan(1000);
  });
});

/** Sends one record after the other over virtual time, so that requests, faults and new records overlap. */
function trickle(
  cluster: ScriptedCluster,
  producer: Producer<string, string>,
  values: readonly string[],
  partitionsCount = 1,
): Promise<PromiseSettledResult<RecordMetadata>[]> {
  const { timers } = cluster.clientNode.runtime;
  const results: Promise<PromiseSettledResult<RecordMetadata>[]>[] = [];
  return new Promise((resolve) => {
    const sendNext = (i: number): void => {
      if (i === values.length) {
        resolve(Promise.all(results).then((all) => all.flat()));
        return;
      }
      results.push(
        Promise.allSettled([producer.send({ topic: 't', partition: i % partitionsCount, value: values[i] as string })]),
      );
      timers.after(0.2, () => sendNext(i + 1));
    };
    sendNext(0);
  });
}

/** What must hold whatever happened: every record acknowledged, at the offset that was told, and the last copies in the order of sending. */
function expectDelivered(
  log: ScriptedLog,
  sent: readonly string[],
  results: readonly PromiseSettledResult<RecordMetadata>[],
): void {
  for (const [i, result] of results.entries()) {
    if (result.status === 'rejected') throw result.reason;
    expect(log.values[Number(result.value.offset)], `C1: what is at the offset told for ${sent[i]}`).toBe(sent[i]);
  }
  const lastCopies = sent.map((value) => log.values.lastIndexOf(value));
  expect(lastCopies, 'C5').toEqual([...lastCopies].sort((a, b) => a - b));
}

describe('order is kept under retries (C5)', () => {
  const codes = ['NOT_LEADER_OR_FOLLOWER', 'NOT_ENOUGH_REPLICAS', 'LEADER_NOT_AVAILABLE', 'UNKNOWN_TOPIC_ID'] as const;
  test.each(codes)('%s for every third request: each record once, in order', async (name) => {
    const { cluster, producer, log } = await setUp({
      batchSize: 200,
      maxRequestSize: 400,
      lingerMs: 0,
      retryBackoffMs: 5,
    });
    cluster.onProduce = () =>
      cluster.produced.length % 3 === 1
        ? { kind: 'refuse', code: errorCodes[name] }
        : { kind: 'append', delayMs: cluster.produced.length % 2 };
    const results = await cluster.run(trickle(cluster, producer, numbers(200)));
    expectDelivered(log, numbers(200), results);
    expect(log.values).toEqual(numbers(200));
  });

  const mixtures = [true, false].flatMap((enableIdempotence) =>
    [1, 2, 3, 4, 5, 6, 7, 8].map((seed) => ({ enableIdempotence, seed })),
  );
  test.each(mixtures)('any mixture of faults, idempotence $enableIdempotence, seed $seed', async (mixture) => {
    const { seed, enableIdempotence } = mixture;
    const cluster = await ScriptedCluster.start(2, seed);
    const logs = cluster.addTopic('t', 3);
    const producer = cluster.client().producer<string, string>({
      batchSize: 150,
      lingerMs: 1,
      enableIdempotence,
      bufferMemory: 2_000,
      requestTimeoutMs: 300,
      retryBackoffMs: 10,
      deliveryTimeoutMs: 60_000,
    });
    const { random } = cluster.simulation;
    cluster.onProduce = () => {
      if (cluster.produced.length > 400) return { kind: 'append' };
      const dice = random.nextFloat();
      if (dice < 0.05) return { kind: 'disconnect', append: random.nextFloat() < 0.5 };
      if (dice < 0.08) return { kind: 'silence', append: random.nextFloat() < 0.5 };
      if (dice < 0.15) return { kind: 'refuse', code: errorCodes.NOT_ENOUGH_REPLICAS };
      if (dice < 0.2) return { kind: 'append-then-refuse', code: errorCodes.NOT_ENOUGH_REPLICAS_AFTER_APPEND };
      if (dice < 0.25) logs[random.nextInt(3)]?.moveTo(1 + random.nextInt(2));
      return { kind: 'append', delayMs: random.nextInt(8) };
    };
    const results = await cluster.run(trickle(cluster, producer, numbers(600), 3), 120_000);
    for (const [partition, log] of logs.entries()) {
      const isHere = (_: unknown, i: number): boolean => i % 3 === partition;
      expectDelivered(log, numbers(600).filter(isHere), results.filter(isHere));
      if (enableIdempotence) expect(log.values, 'C4').toEqual(numbers(600).filter(isHere));
    }
    expect(producer.bufferAvailableBytes).toBe(2_000);
  });

  test('without idempotence, a connection that breaks after the append: sent again, so twice in the log, never lost or out of order', async () => {
    const { cluster, producer, log } = await setUp({ batchSize: 200, lingerMs: 0, enableIdempotence: false });
    let breaks = 3;
    cluster.onProduce = () => (breaks-- > 0 ? { kind: 'disconnect', append: true } : { kind: 'append' });
    expectDelivered(log, numbers(100), await cluster.run(trickle(cluster, producer, numbers(100))));
    expect(log.values.length).toBeGreaterThan(100);
  });

  test('at most one request per partition is under way, several per broker', async () => {
    const { cluster, producer } = await setUp({ lingerMs: 0, batchSize: 100 }, 4);
    cluster.onProduce = () => ({ kind: 'append', delayMs: 20 });
    await cluster.run(producer.send({ topic: 't', partition: 0, value: 'first' }));
    await cluster.run(trickle(cluster, producer, numbers(400), 4));
    const lastMs = new Map<number, number>();
    let overlaps = 0;
    for (const { request, atMs } of cluster.produced) {
      for (const { partition } of request.partitions) {
        const last = lastMs.get(partition);
        if (last !== undefined) expect(atMs - last).toBeGreaterThanOrEqual(20);
        lastMs.set(partition, atMs);
      }
      overlaps += cluster.produced.filter((other) => other.atMs < atMs && atMs < other.atMs + 20).length;
    }
    expect(overlaps).toBeGreaterThan(0);
  });

  test('a leader that dies: the next one gets what was not acknowledged, after what was', async () => {
    const { cluster, producer, log } = await setUp({ batchSize: 200, lingerMs: 1 }, 1, 2);
    const results = Promise.all(numbers(300).map((value) => producer.send({ topic: 't', value })));
    cluster.onProduce = (brokerId) => {
      if (brokerId === 1 && cluster.produced.length === 2) {
        cluster.kill(1);
        cluster.simulation.at(700, () => log.moveTo(2));
        return { kind: 'silence', append: false };
      }
      return { kind: 'append' };
    };
    const startMs = cluster.simulation.nowMs;
    await cluster.run(results);
    expect(log.values).toEqual(numbers(300));
    // Electing took 700 ms; finding out must not take a second more.
    expect(cluster.simulation.nowMs - startMs).toBeLessThan(1_200);
  });

  test('a broker that names the new leader is believed at once (KIP-951)', async () => {
    const { cluster, producer, log } = await setUp({ lingerMs: 0, retryBackoffMs: 1000 }, 1, 2);
    await cluster.run(producer.send({ topic: 't', value: 'first' }));
    log.moveTo(2);
    cluster.onProduce = (brokerId) =>
      brokerId === 1
        ? { kind: 'refuse', code: errorCodes.NOT_LEADER_OR_FOLLOWER, leaderHint: true }
        : { kind: 'append' };
    const startMs = cluster.simulation.nowMs;
    await cluster.run(producer.send({ topic: 't', value: 'second' }));
    expect(cluster.simulation.nowMs - startMs).toBeLessThan(50);
  });
});

describe('failures are told apart (row 55)', () => {
  test('NOT_ENOUGH_REPLICAS until the end: nothing was written', async () => {
    const { cluster, producer } = await setUp({ retries: 2, lingerMs: 0 });
    cluster.onProduce = () => ({ kind: 'refuse', code: errorCodes.NOT_ENOUGH_REPLICAS });
    const error = await cluster.run(failureOf(producer.send({ topic: 't', value: 'v' })));
    expect(error).toMatchObject({ name: 'NotEnoughReplicasError', code: 19, outcome: 'definite', topic: 't' });
    expect(cluster.produced).toHaveLength(3);
  });

  test('a clear refusal after an unclear one leaves it unclear', async () => {
    const { cluster, producer } = await setUp({ retries: 1, lingerMs: 0 });
    cluster.onProduce = () =>
      cluster.produced.length === 1
        ? { kind: 'disconnect', append: true }
        : { kind: 'refuse', code: errorCodes.NOT_ENOUGH_REPLICAS };
    const error = await cluster.run(failureOf(producer.send({ topic: 't', value: 'v' })));
    expect(error).toMatchObject({ name: 'NotEnoughReplicasError', outcome: 'indefinite' });
  });

  test('delivery.timeout.ms of records on the wire: indefinite, and told in time', async () => {
    const { cluster, producer } = await setUp({ deliveryTimeoutMs: 3_000, lingerMs: 0, requestTimeoutMs: 10_000 });
    cluster.onProduce = () => ({ kind: 'silence', append: true });
    const startMs = cluster.simulation.nowMs;
    const error = await cluster.run(failureOf(producer.send({ topic: 't', value: 'v' })));
    expect(error).toMatchObject({ name: 'TimeoutError', outcome: 'indefinite' });
    expect(cluster.simulation.nowMs - startMs).toBeGreaterThanOrEqual(3_000);
    expect(cluster.simulation.nowMs - startMs).toBeLessThan(3_100);
  });

  test('a partition without a leader: definite after delivery.timeout.ms', async () => {
    const { cluster, producer, log } = await setUp({ deliveryTimeoutMs: 2_000 });
    log.leaderId = -1;
    const error = await cluster.run(failureOf(producer.send({ topic: 't', value: 'v' })));
    expect(error).toMatchObject({ name: 'TimeoutError', outcome: 'definite' });
  });

  test('sendMany shows what was written beside what was not', async () => {
    const { cluster, producer } = await setUp({ lingerMs: 0 }, 2);
    cluster.log('t', 1).maxBatchBytes = 0;
    const records = [0, 1, 0].map((partition, i) => ({ topic: 't', partition, value: `v${i}` }));
    const error = (await cluster.run(failureOf(producer.sendMany(records)))) as SendManyError;
    expect(error).toBeInstanceOf(SendManyError);
    expect(error.produced.map((metadata) => metadata?.offset)).toEqual([0n, undefined, 1n]);
    expect(error.failures).toMatchObject([{ index: 1, error: { code: 10 } }]);
  });

  test('a request that is never answered is sent again over a new connection', async () => {
    const { cluster, producer, log } = await setUp({ lingerMs: 0, requestTimeoutMs: 1_000 });
    cluster.onProduce = () => (cluster.produced.length === 1 ? { kind: 'silence', append: false } : { kind: 'append' });
    await cluster.run(producer.send({ topic: 't', value: 'v' }));
    expect(log.values).toEqual(['v']);
  });

  test('a leader that falls silent and is replaced: no waiting for request.timeout.ms', async () => {
    const { cluster, producer, log } = await setUp({ lingerMs: 0 }, 1, 2);
    cluster.onProduce = (brokerId) => (brokerId === 1 ? { kind: 'silence', append: false } : { kind: 'append' });
    cluster.simulation.at(1_000, () => log.moveTo(2));
    const startMs = cluster.simulation.nowMs;
    await cluster.run(producer.send({ topic: 't', value: 'v' }));
    expect(cluster.simulation.nowMs - startMs).toBeLessThan(3_500);
    expect(log.values).toEqual(['v']);
  });

  test.each([0, 1, 2])(
    'a leader that is frozen is not asked who leads now (%i refreshes before)',
    async (refreshes) => {
      const { cluster, producer, log } = await setUp({ lingerMs: 0 }, 1, 3);
      for (let i = 0; i < refreshes; i++) {
        cluster.addTopic(`other-${i}`, 1);
        await cluster.run(producer.partitionsFor(`other-${i}`));
      }
      await cluster.run(producer.send({ topic: 't', value: 'a' }));
      cluster.node(1).pause();
      cluster.simulation.at(1_000, () => log.moveTo(2));
      const startMs = cluster.simulation.nowMs;
      await cluster.run(producer.send({ topic: 't', value: 'b' }));
      expect(cluster.simulation.nowMs - startMs).toBeLessThan(3_000);
      expect(log.values).toEqual(['a', 'b']);
    },
  );

  test('a leader that is slow and still leads is waited for', async () => {
    const { cluster, producer, log } = await setUp({ lingerMs: 0 }, 1, 2);
    cluster.onProduce = () => ({ kind: 'append', delayMs: 10_000 });
    await cluster.run(producer.send({ topic: 't', value: 'v' }));
    expect(log.values).toEqual(['v']);
  });

  test('an unreachable bootstrap list: every address is named', async () => {
    const cluster = await ScriptedCluster.start(2);
    cluster.kill(1);
    cluster.kill(2);
    const producer = cluster.client().producer({ maxBlockMs: 2_000 });
    const error = await cluster.run(failureOf(producer.send({ topic: 't', value: 'v' })));
    expect(error).toBeInstanceOf(NetworkError);
    expect(error.message).toMatch(/b1:9092.*b2:9092/);
    expect(error.outcome).toBe('definite');
  });

  test('a topic that does not exist: an error after max.block.ms; one that appears meanwhile is used', async () => {
    const { cluster, producer } = await setUp({ maxBlockMs: 1_000 });
    const error = await cluster.run(failureOf(producer.send({ topic: 'missing', value: 'v' })));
    expect(error).toBeInstanceOf(UnknownTopicOrPartitionError);
    const late = producer.send({ topic: 'late', value: 'v' });
    cluster.simulation.at(300, () => cluster.addTopic('late', 1));
    expect((await cluster.run(late)).offset).toBe(0n);
  });
});

describe('sizes', () => {
  test('a record over max.request.size is refused before anything is sent', async () => {
    const { cluster, producer } = await setUp({ maxRequestSize: 1_000 });
    const error = await cluster.run(failureOf(producer.send({ topic: 't', value: 'x'.repeat(1_000) })));
    expect(error).toBeInstanceOf(RecordTooLargeError);
    expect(error.outcome).toBe('definite');
    expect(cluster.produced).toEqual([]);
  });

  test('a batch that the topic refuses is divided until it fits, in order; a single record fails', async () => {
    const { cluster, producer, log } = await setUp({ lingerMs: 5 });
    log.maxBatchBytes = 300;
    const results = await cluster.run(sendAll(producer, [...numbers(50), 'x'.repeat(500), ...numbers(10)]));
    expect(results.filter((result) => result.status === 'rejected')).toHaveLength(1);
    expect(results[50]).toMatchObject({ reason: { name: 'RecordTooLargeError', outcome: 'definite' } });
    expect(log.values).toEqual([...numbers(50), ...numbers(10)]);
    for (const [i, result] of results.entries()) {
      if (result.status !== 'fulfilled' || i === 50) continue;
      expect(log.values[Number(result.value.offset)]).toBe(i < 50 ? `v${i}` : `v${i - 51}`);
    }
    expect(producer.bufferAvailableBytes).toBe(33_554_432);
  });
});

describe('buffer.memory', () => {
  test('is a bound: sends wait for space in order, and all arrive', async () => {
    const { cluster, producer, log } = await setUp({ bufferMemory: 4_000, batchSize: 1_000, lingerMs: 1_000 });
    cluster.onProduce = () => ({ kind: 'append', delayMs: 5 });
    let isShort = false;
    const results: Promise<void>[] = [];
    for (const value of numbers(500)) {
      results.push(
        new Promise((resolve, reject) => {
          const goesOn = producer.send({ topic: 't', partition: 0, value: value.padEnd(50, '.') }, (error) =>
            error === null ? resolve() : reject(error),
          );
          isShort ||= !goesOn;
        }),
      );
      expect(producer.bufferAvailableBytes).toBeGreaterThanOrEqual(0);
    }
    expect(isShort).toBe(true);
    await cluster.run(producer.ready());
    await cluster.run(Promise.all(results));
    expect(log.values.map((value) => value?.replaceAll('.', ''))).toEqual(numbers(500));
    expect(producer.bufferAvailableBytes).toBe(4_000);
  });

  test('full for max.block.ms: BufferExhaustedError, nothing of the record was sent', async () => {
    const options = { bufferMemory: 1_000, batchSize: 1_000, maxBlockMs: 500, lingerMs: 0, deliveryTimeoutMs: 5_000 };
    const { cluster, producer } = await setUp(options);
    cluster.onProduce = () => ({ kind: 'silence', append: false });
    const first = failureOf(producer.send({ topic: 't', value: 'x'.repeat(900) }));
    const error = await cluster.run(failureOf(producer.send({ topic: 't', value: 'y'.repeat(900) })));
    expect(error).toBeInstanceOf(BufferExhaustedError);
    expect(error.outcome).toBe('definite');
    expect((await cluster.run(first)).outcome).toBe('indefinite');
  });

  test('memory of a batch that expired on the wire stays taken until its request ends (row 53, CVE-2026-35554)', async () => {
    const { cluster, producer } = await setUp({
      bufferMemory: 10_000,
      batchSize: 1_000,
      lingerMs: 0,
      deliveryTimeoutMs: 1_000,
      requestTimeoutMs: 3_000,
    });
    let bytesOnTheWire: Uint8Array | undefined;
    cluster.onProduce = (_, request) => {
      bytesOnTheWire ??= Buffer.from(request.partitions[0]?.records as Uint8Array);
      return { kind: 'silence', append: false };
    };
    const error = await cluster.run(failureOf(producer.send({ topic: 't', value: 'expires' })));
    expect(error.outcome).toBe('indefinite');
    expect(producer.bufferAvailableBytes).toBe(9_000);
    // What is sent now goes into other bytes, and not before the first request is over.
    const second = failureOf(producer.send({ topic: 't', value: 'later' }));
    expect(cluster.produced).toHaveLength(1);
    expect(cluster.produced[0]?.request.partitions[0]?.records).toEqual(bytesOnTheWire);
    await cluster.simulation.runFor(10_000);
    await second;
    expect(producer.bufferAvailableBytes).toBe(10_000);
  });

  test('a topic that does not exist holds up nobody else', async () => {
    const { cluster, producer, log } = await setUp({ lingerMs: 0 });
    await cluster.run(producer.partitionsFor('t'));
    const missing = failureOf(producer.send({ topic: 'missing', value: 'v' }));
    const ignore = (): void => {};
    expect(producer.send({ topic: 't', value: 'v' }, ignore)).toBe(true);
    await producer.ready('t');
    await cluster.simulation.runFor(10);
    expect(log.values).toEqual(['v']);
    expect(await cluster.run(missing, 70_000)).toBeInstanceOf(UnknownTopicOrPartitionError);
  });

  test('a stream of records is held back and tells the first failure', async () => {
    const { cluster, producer, log } = await setUp({ bufferMemory: 2_000, batchSize: 500 });
    const writer = producer.stream().getWriter();
    const write = async (): Promise<void> => {
      for (const value of numbers(200)) {
        await writer.ready;
        await writer.write({ topic: 't', value });
      }
      await writer.close();
    };
    await cluster.run(write());
    expect(log.values).toEqual(numbers(200));
    const failing = producer.stream().getWriter();
    await cluster.run(failing.write({ topic: 't', value: 'x'.repeat(5_000) }));
    await expect(cluster.run(failing.close())).rejects.toBeInstanceOf(RecordTooLargeError);
  });

  test('an aborted send that waits for space is never sent', async () => {
    const { cluster, producer, log } = await setUp({ bufferMemory: 1_000, batchSize: 1_000, lingerMs: 0 });
    cluster.onProduce = () => ({ kind: 'append', delayMs: 100 });
    await cluster.run(producer.partitionsFor('t'));
    const first = producer.send({ topic: 't', value: 'x'.repeat(900) });
    const abort = new AbortController();
    const second = producer.send({ topic: 't', value: 'never' }, { signal: abort.signal });
    abort.abort(new Error('changed my mind'));
    await expect(second).rejects.toThrow('changed my mind');
    const third = producer.send({ topic: 't', value: 'third' });
    await cluster.run(Promise.all([first, third]));
    expect(log.values).toEqual(['x'.repeat(900), 'third']);
  });
});

describe('flush and close', () => {
  test('flush sends without lingering and resolves when all before it have ended, not what comes later', async () => {
    const { cluster, producer, log } = await setUp({ lingerMs: 60_000 });
    const sent = sendAll(producer, numbers(10));
    const startMs = cluster.simulation.nowMs;
    await cluster.run(producer.flush());
    expect(cluster.simulation.nowMs - startMs).toBeLessThan(100);
    expect(log.values).toEqual(numbers(10));
    expect((await sent).every((result) => result.status === 'fulfilled')).toBe(true);
    const later = producer.send({ topic: 't', value: 'later' });
    await cluster.simulation.runFor(1_000);
    expect(log.values).toHaveLength(10);
    await cluster.run(producer.flush());
    await later;
  });

  test('a flush that is not waited for any longer', async () => {
    const { cluster, producer } = await setUp();
    cluster.onProduce = () => ({ kind: 'silence', append: false });
    const failure = failureOf(producer.send({ topic: 't', value: 'v' }));
    const abort = new AbortController();
    const flushing = producer.flush({ signal: abort.signal });
    abort.abort(new Error('enough'));
    await expect(flushing).rejects.toThrow('enough');
    await cluster.run(producer.close({ timeoutMs: 10 }));
    await failure;
  });

  test('flush resolves when records failed, too', async () => {
    const { cluster, producer } = await setUp({ retries: 0 });
    cluster.onProduce = () => ({ kind: 'refuse', code: errorCodes.INVALID_RECORD });
    const failure = failureOf(producer.send({ topic: 't', value: 'v' }));
    await cluster.run(producer.flush());
    expect((await failure).name).toBe('InvalidRecordError');
  });

  test('close sends what is there; later sends are refused', async () => {
    const { cluster, producer, log } = await setUp({ lingerMs: 60_000 });
    const sent = sendAll(producer, numbers(10));
    await cluster.run(producer.close());
    expect((await sent).every((result) => result.status === 'fulfilled')).toBe(true);
    expect(log.values).toEqual(numbers(10));
    expect(await failureOf(producer.send({ topic: 't', value: 'v' }))).toBeInstanceOf(IllegalStateError);
  });

  test('close with a time limit fails the rest and says what is unclear', async () => {
    const { cluster, producer } = await setUp({ lingerMs: 0 });
    cluster.onProduce = () => ({ kind: 'silence', append: true });
    const onTheWire = failureOf(producer.send({ topic: 't', value: 'a' }));
    await cluster.simulation.runFor(50);
    const waiting = failureOf(producer.send({ topic: 't', value: 'b' }));
    const startMs = cluster.simulation.nowMs;
    await cluster.run(producer.close({ timeoutMs: 500 }));
    expect(cluster.simulation.nowMs - startMs).toBeLessThan(600);
    expect((await onTheWire).outcome).toBe('indefinite');
    expect((await waiting).outcome).toBe('definite');
  });
});

describe('input', () => {
  test('unknown configuration keys are refused with a suggestion, both spellings are taken', async () => {
    const { cluster } = await setUp();
    const client = cluster.client();
    expect(() => client.producer({ 'linger.msx': 5 } as never)).toThrow(/linger\.msx.*did you mean 'linger\.ms'/);
    expect(() => client.producer({ acks: '2' })).toThrow(ConfigError);
    expect(() => cluster.client({ bootstrapServers: 'nowhere' }).producer()).toThrow(/nowhere/);
    expect(client.producer({ 'linger.ms': '7' })).toBeDefined();
  });

  test('what is no text and no bytes needs a serializer', async () => {
    const { producer } = await setUp();
    const error = await failureOf(producer.send({ topic: 't', value: 5 as never }));
    expect(error.name).toBe('SerializationError');
  });

  test('serializers see topic and headers; partitioners see the bytes', async () => {
    const { cluster } = await setUp({}, 3);
    const seen: unknown[] = [];
    const producer = cluster.client().producer<string, { n: number }>({
      value: { serialize: (value, { topic }) => Buffer.from(`${topic}:${JSON.stringify(value)}`) },
      partitioner: ({ value, partitionsCount, available }) => {
        seen.push([Buffer.from(value as Uint8Array).toString(), partitionsCount, available]);
        return 2;
      },
    });
    await cluster.run(producer.send({ topic: 't', value: { n: 1 } }));
    expect(seen).toEqual([['t:{"n":1}', 3, [0, 1, 2]]]);
    expect(cluster.log('t', 2).values).toEqual(['t:{"n":1}']);
  });
});
