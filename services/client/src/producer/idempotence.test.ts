import { errorCodes } from '@naru/kafka-protocol';
import { batchesOf } from '@naru/record';
import type { broker } from '@naru/rpc';
import { expect, test } from 'vitest';
import type { ProducerOptions } from '../client.ts';
import { InvalidRecordError, OutOfOrderSequenceError, TimeoutError, UnsupportedVersionError } from '../errors.ts';
import { type ProduceScript, ScriptedCluster } from '../scripted/scripted-cluster.ts';
import type { ScriptedLog } from '../scripted/scripted-log.ts';
import type { Producer } from './producer.ts';
import type { RecordMetadata } from './producer-record.ts';

type Settled = PromiseSettledResult<RecordMetadata>[];

async function setUp(options: ProducerOptions<never, never> = {}) {
  const cluster = await ScriptedCluster.start(1);
  cluster.addTopic('t', 1);
  const producer = cluster
    .client()
    .producer({ lingerMs: 0, retryBackoffMs: 5, ...options } as ProducerOptions<string, string>);
  return { cluster, producer, log: cluster.log('t', 0) };
}

function send(producer: Producer<string, string>, ...values: readonly string[]): Promise<Settled> {
  return Promise.allSettled(values.map((value) => producer.send({ topic: 't', partition: 0, value })));
}

function offsetsOf(results: Settled): (bigint | unknown)[] {
  return results.map((result) => (result.status === 'fulfilled' ? result.value.offset : result.reason));
}

/** Epoch and first sequence number of each batch in the log. */
function numbersOf(log: ScriptedLog): string[] {
  return [...batchesOf(log.read(0, 1_000_000))].map(({ header }) => `${header.producerEpoch}:${header.baseSequence}`);
}

test('C4, row 39: a reply that is lost: the records are in the log once, and their offsets are told', async () => {
  const { cluster, producer, log } = await setUp();
  await cluster.run(send(producer, 'a'));
  let breaks = 3;
  cluster.onProduce = () => (breaks-- > 0 ? { kind: 'disconnect', append: true } : { kind: 'append' });
  expect(offsetsOf(await cluster.run(send(producer, 'b', 'c')))).toEqual([1n, 2n]);
  expect(log.values).toEqual(['a', 'b', 'c']);
  expect(producer.counters.retries).toBeGreaterThan(0);
});

test('C4: batches that were split from others behind them are told their own offsets', async () => {
  const { cluster, producer, log } = await setUp({ batchSize: 200 });
  await cluster.run(send(producer, 'first'));
  let isFirst = true;
  cluster.onProduce = (_, request) => {
    if (!isFirst) return { kind: 'append' };
    isFirst = false;
    // The leader dies when only the first batch was replicated; another producer writes before the others come again.
    const records = request.partitions[0]?.records ?? new Uint8Array(0);
    log.appendOnce([...batchesOf(records)][0]?.bytes ?? records);
    log.append(stranger);
    return { kind: 'disconnect', append: false };
  };
  const values = Array.from({ length: 6 }, (_, i) => `${i}`.padEnd(90, '.'));
  const stranger = Buffer.from(log.read(0, 1));
  const results = await cluster.run(send(producer, ...values));
  for (const [i, result] of results.entries()) {
    expect(log.values[Number(result.status === 'fulfilled' ? result.value.offset : -1)]).toBe(values[i]);
  }
  expect(log.values.length).toBe(8);
});

test('row 42: a duplicate of unknown offset is a success', async () => {
  const { cluster, producer, log } = await setUp();
  cluster.onProduce = () => ({ kind: 'append-then-refuse', code: errorCodes.DUPLICATE_SEQUENCE_NUMBER });
  expect(offsetsOf(await cluster.run(send(producer, 'a')))).toEqual([-1n]);
  expect(log.values).toEqual(['a']);
});

test('a batch that is refused for good leaves its sequence numbers to the next', async () => {
  const { cluster, producer, log } = await setUp();
  await cluster.run(send(producer, 'a'));
  cluster.onProduce = () => ({ kind: 'refuse', code: errorCodes.INVALID_RECORD });
  expect(offsetsOf(await cluster.run(send(producer, 'bad', 'worse')))[1]).toBeInstanceOf(InvalidRecordError);
  cluster.onProduce = () => ({ kind: 'append' });
  expect(offsetsOf(await cluster.run(send(producer, 'b')))).toEqual([1n]);
  expect(numbersOf(log)).toEqual(['0:0', '0:1']);
});

test('a batch that is divided keeps its place: its halves and what follows it have its numbers', async () => {
  const { cluster, producer, log } = await setUp({ lingerMs: 5 });
  log.maxBatchBytes = 200;
  const values = Array.from({ length: 9 }, (_, i) => `${i}`.padEnd(60, '.'));
  await cluster.run(send(producer, ...values));
  await cluster.run(send(producer, 'last'));
  expect(log.values).toEqual([...values, 'last']);
  expect(numbersOf(log).at(-1)).toBe('0:9');
});

test('KIP-360: what follows a batch that may be written begins a new epoch, which keeps the old one out', async () => {
  const { cluster, producer, log } = await setUp({ deliveryTimeoutMs: 1_000, requestTimeoutMs: 300 });
  await cluster.run(send(producer, 'a'));
  cluster.onProduce = () => ({ kind: 'silence', append: false });
  const [lost] = await cluster.run(send(producer, 'lost'));
  expect(lost).toMatchObject({ reason: expect.any(TimeoutError) });
  expect(lost).toMatchObject({ reason: { outcome: 'indefinite' } });
  const late = cluster.produced.at(-1)?.request.partitions[0]?.records as Uint8Array;
  cluster.onProduce = () => ({ kind: 'append' });
  expect(offsetsOf(await cluster.run(send(producer, 'b')))).toEqual([1n]);
  expect(numbersOf(log)).toEqual(['0:0', '1:0']);
  expect(log.appendOnce(late).errorCode).toBe(errorCodes.INVALID_PRODUCER_EPOCH);
});

test('rows 40, 41: a broker that knows nothing of the producer: what is not written for certain begins a new epoch', async () => {
  const { cluster, producer, log } = await setUp();
  await cluster.run(send(producer, 'a'));
  log.forgetProducers();
  expect(offsetsOf(await cluster.run(send(producer, 'b')))).toEqual([1n]);
  expect(numbersOf(log)).toEqual(['0:0', '1:0']);
});

test('C4: what may be written is not written again when the broker has forgotten the producer', async () => {
  const { cluster, producer, log } = await setUp();
  await cluster.run(send(producer, 'a'));
  cluster.onProduce = () => {
    cluster.onProduce = () => ({ kind: 'append' });
    cluster.simulation.at(0, () => log.forgetProducers());
    return { kind: 'disconnect', append: true };
  };
  const [doubtful] = await cluster.run(send(producer, 'b'));
  expect(doubtful).toMatchObject({ reason: { code: errorCodes.UNKNOWN_PRODUCER_ID, outcome: 'indefinite' } });
  expect(offsetsOf(await cluster.run(send(producer, 'c')))).toEqual([2n]);
  expect(log.values).toEqual(['a', 'b', 'c']);
});

test('acknowledged records that are no longer there: the producer ends, and says so to everyone', async () => {
  const { cluster, producer, log } = await setUp();
  await cluster.run(send(producer, 'a', 'b'));
  for (const [id, next] of log.nextSequences) log.nextSequences.set(id, next - 1);
  const [lost] = await cluster.run(send(producer, 'c'));
  expect(lost).toMatchObject({ reason: expect.any(OutOfOrderSequenceError) });
  expect(lost).toMatchObject({ reason: { fatal: true, outcome: 'definite' } });
  expect(offsetsOf(await cluster.run(send(producer, 'd')))[0]).toBeInstanceOf(OutOfOrderSequenceError);
  expect(log.values).toEqual(['a', 'b']);
  expect(producer.bufferAvailableBytes).toBe(33_554_432);
  await cluster.run(producer.close());
});

test('a broker that gives no producer ids: an error that says what to do; one that cannot now is asked again', async () => {
  const { cluster, producer } = await setUp();
  let refusals = 3;
  cluster.onInitProducerId = () => (refusals-- > 0 ? errorCodes.COORDINATOR_LOAD_IN_PROGRESS : 0);
  expect(offsetsOf(await cluster.run(send(producer, 'a')))).toEqual([0n]);
  const other = cluster.client().producer<string, string>();
  cluster.onInitProducerId = () => errorCodes.UNSUPPORTED_VERSION;
  const [refused] = await cluster.run(send(other, 'b'));
  expect(refused).toMatchObject({ reason: expect.any(UnsupportedVersionError) });
  expect(refused).toMatchObject({ reason: { message: expect.stringContaining('enable.idempotence=false') } });
});

/** What may happen to requests; `late`: a request that a broker takes long after the client has given it up. */
const mishaps = ['forgets', 'late'] as const;

/** Records that are sent all the time, one after the other, while requests fail in every way. */
async function runMixture(seed: number, mishap: (typeof mishaps)[number]): Promise<void> {
  const cluster = await ScriptedCluster.start(2, seed);
  const [log] = cluster.addTopic('t', 1) as [ScriptedLog];
  const { random } = cluster.simulation;
  const producer = cluster.client().producer<string, string>({
    batchSize: 150,
    lingerMs: 1,
    maxRequestSize: 600,
    requestTimeoutMs: 60,
    retryBackoffMs: 5,
    retryBackoffMaxMs: 20,
    reconnectBackoffMs: 5,
    reconnectBackoffMaxMs: 20,
    deliveryTimeoutMs: 150,
    retries: seed % 3 === 0 ? 2 : 100,
  });
  log.maxBatchBytes = 140;
  let wasClean = false;
  cluster.onProduce = (brokerId, request) => {
    const script = scriptOf(request);
    wasClean = script.kind === 'append' && brokerId === log.leaderId;
    return script;
  };
  const scriptOf = (request: broker.ProduceRequest): ProduceScript => {
    const dice = random.nextFloat();
    if (cluster.produced.length > 300 || dice > 0.5) return { kind: 'append', delayMs: random.nextInt(8) };
    if (dice < 0.08) return { kind: 'disconnect', append: random.nextFloat() < 0.5 };
    if (dice < 0.14) return { kind: 'silence', append: random.nextFloat() < 0.5 };
    if (dice < 0.2) return { kind: 'refuse', code: errorCodes.NOT_ENOUGH_REPLICAS };
    if (dice < 0.26) return { kind: 'append-then-refuse', code: errorCodes.NOT_ENOUGH_REPLICAS_AFTER_APPEND };
    if (dice < 0.3) return { kind: 'refuse', code: errorCodes.INVALID_RECORD };
    if (dice < 0.34) log.moveTo(1 + random.nextInt(2));
    // As after a day: what was sent before is acknowledged.
    if (dice < 0.4 && mishap === 'forgets' && wasClean) log.forgetProducers();
    if (dice < 0.45 && mishap === 'late') {
      const records = Uint8Array.from(request.partitions[0]?.records ?? []);
      cluster.simulation.at(random.nextInt(300), () => log.appendOnce(records));
      return { kind: 'silence', append: false };
    }
    return { kind: 'append' };
  };
  const values = Array.from({ length: 1_500 }, (_, i) => `v${i}`);
  const results: Promise<PromiseSettledResult<RecordMetadata>>[] = [];
  for (const value of values) {
    results.push(Promise.allSettled([producer.send({ topic: 't', partition: 0, value })]).then(([result]) => result));
    await cluster.simulation.runFor(random.nextInt(3));
  }
  const settled = await cluster.run(Promise.all(results));
  await cluster.simulation.runFor(1_000);
  expect(new Set(log.values).size, `C4, seed ${seed}`).toBe(log.values.length);
  const places = new Map(log.values.map((value, i) => [value, i]));
  let last = -1;
  for (const [i, result] of settled.entries()) {
    const value = values[i] as string;
    const place = places.get(value);
    if (result.status === 'fulfilled') expect(place, `C1: ${value}, seed ${seed}`).toBe(Number(result.value.offset));
    else if (result.reason.outcome === 'definite') expect(place, `C3: ${value}, seed ${seed}`).toBeUndefined();
    if (place === undefined) continue;
    expect(place, `C5: ${value}, seed ${seed}`).toBeGreaterThan(last);
    last = place;
  }
  const acknowledged = settled.filter((result) => result.status === 'fulfilled').length;
  expect(acknowledged, `seed ${seed}`).toBeGreaterThan(50);
  expect(producer.bufferAvailableBytes).toBe(33_554_432);
}

const what = { forgets: 'forgets its producers', late: 'takes requests long after they were given up' };
const seeds = Array.from({ length: Number(process.env.NARU_SEEDS ?? 6) }, (_, i) => i + 1);
for (const mishap of mishaps) {
  test.each(seeds)(
    `C1, C3, C4, C5: deadlines, refusals, divided batches; a broker that ${what[mishap]}; seed %i`,
    async (seed) => {
      await runMixture(seed, mishap);
    },
  );
}
