import { errorCodes } from '@naru/kafka-protocol';
import { batchesOf } from '@naru/record';
import { expect, test } from 'vitest';
import type { ProducerOptions } from '../client.ts';
import { InvalidRecordError, OutOfOrderSequenceError, TimeoutError, UnsupportedVersionError } from '../errors.ts';
import { ScriptedCluster } from '../scripted/scripted-cluster.ts';
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
