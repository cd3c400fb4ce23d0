import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { encodeBatch } from '@naru/record';
import { expect, onTestFinished, test } from 'vitest';
import type { ConsumerOptions } from '../client.ts';
import { RecordDeserializationError } from '../errors.ts';
import { ScriptedCluster } from '../scripted/scripted-cluster.ts';
import { ScriptedGroups } from '../scripted/scripted-groups.ts';
import type { ScriptedLog } from '../scripted/scripted-log.ts';
import * as serdes from '../serialization/serdes.ts';
import { passedOverMax } from './fetched-data.ts';

/** Ten records of JSON in batches of 3; those named are none. */
async function setUp(bad: readonly number[], options: ConsumerOptions<Buffer, number> = {}) {
  const groups = new ScriptedGroups();
  const cluster = await ScriptedCluster.start(1, 1, (id) => groups.services(id));
  groups.attach(cluster.simulation);
  const [log] = cluster.addTopic('t', 1) as [ScriptedLog];
  const values = Array.from({ length: 10 }, (_, i) => (bad.includes(i) ? '{' : `${i}`));
  for (let i = 0; i < values.length; i += 3) {
    const records = values.slice(i, i + 3).map((value) => ({
      key: null,
      value: Buffer.from(value),
      timestampMs: 1,
      headers: [['h', Buffer.from('1')] as [string, Buffer]],
    }));
    log.append(encodeBatch({ compression: 'none', records }));
  }
  const consumer = cluster.client().consumer<Buffer, number>({
    groupId: 'g',
    autoOffsetReset: 'earliest',
    value: serdes.json<number>(),
    ...options,
  });
  consumer.subscribe(['t']);
  const committed = (): number | undefined => groups.offsets.get('t/0')?.offset;
  const valuesOf = async (): Promise<unknown[]> => (await cluster.run(consumer.poll(5_000))).map(({ value }) => value);
  return { cluster, consumer, log, committed, valuesOf };
}

test('fail: the records before it first, then the error with topic, partition and offset, at each poll; nothing at or after it is committed', async () => {
  const { cluster, consumer, committed, valuesOf } = await setUp([4]);
  expect(await valuesOf()).toEqual([0, 1, 2, 3]);
  for (let i = 0; i < 2; i++) {
    const error = await cluster.run(consumer.poll(5_000)).catch((reason) => reason);
    expect(error).toBeInstanceOf(RecordDeserializationError);
    expect(error).toMatchObject({ topic: 't', partition: 0, offset: 4n, origin: 'value' });
    expect(error.record.value.toString()).toBe('{');
    expect(error.message).toMatch(/^the value of the record at offset 4 of t-0 cannot be deserialized: /);
  }
  expect(await cluster.run(consumer.position({ topic: 't', partition: 0 }))).toBe(4n);
  await cluster.run(consumer.commitSync());
  expect(committed()).toBe(4);
  await cluster.run(consumer.close());
  expect(committed()).toBe(4);
});

test('fail: seek goes past it', async () => {
  const { cluster, consumer, valuesOf } = await setUp([4]);
  await valuesOf();
  const error = await cluster.run(consumer.poll(5_000)).catch((reason) => reason);
  consumer.seek(error, error.offset + 1n);
  expect(await valuesOf()).toEqual([5, 6, 7, 8, 9]);
});

test('fail ends an iteration with the error, after the records before it', async () => {
  const { cluster, consumer, committed } = await setUp([1]);
  const seen: unknown[] = [];
  const loop = async (): Promise<void> => {
    for await (const { value } of consumer) seen.push(value);
  };
  await expect(cluster.run(loop())).rejects.toThrow(RecordDeserializationError);
  expect(seen).toEqual([0]);
  await cluster.run(consumer.close());
  expect(committed()).toBe(1);
});

test('skip: passed over, counted, and committed with those around it', async () => {
  const { cluster, consumer, committed, valuesOf } = await setUp([0, 1, 2, 5, 9], { onDeserializationError: 'skip' });
  expect(await valuesOf()).toEqual([3, 4, 6, 7, 8]);
  expect(consumer.counters).toEqual({ skippedRecords: 5, rawRecords: 0 });
  await cluster.run(consumer.commitSync());
  expect(committed()).toBe(10);
});

test('skip: a long row of such records is passed over in pieces, so that heartbeats have their turn', async () => {
  const { cluster, consumer, log } = await setUp([], { onDeserializationError: 'skip', maxPartitionFetchBytes: 1e6 });
  const bad = Array.from({ length: 3_500 }, () => ({ key: null, value: Buffer.from('{'), timestampMs: 1 }));
  log.append(encodeBatch({ compression: 'none', records: bad }));
  log.append(encodeBatch({ compression: 'none', records: [{ key: null, value: Buffer.from('7'), timestampMs: 1 }] }));
  await cluster.run(consumer.poll(5_000));
  let before = 0;
  cluster.simulation.afterEvent(() => {
    // An answer that comes in may wake the poll once more in the same event.
    expect(consumer.counters.skippedRecords - before).toBeLessThanOrEqual(2 * passedOverMax);
    before = consumer.counters.skippedRecords;
  });
  expect((await cluster.run(consumer.poll(5_000))).map(({ value }) => value)).toEqual([7]);
  expect(consumer.counters.skippedRecords).toBe(3_500);
});

test('raw: handed out as bytes, with the error beside them', async () => {
  const { cluster, consumer } = await setUp([1], { onDeserializationError: 'raw' });
  const records = await cluster.run(consumer.poll(5_000));
  expect(records.map(({ value }) => value)).toEqual([0, Buffer.from('{'), 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(records[1]?.error).toMatchObject({ offset: 1n, origin: 'value' });
  expect(records[0]?.error).toBeUndefined();
  expect(consumer.counters.rawRecords).toBe(1);
});

test('a function hears of each and decides', async () => {
  const seen: bigint[] = [];
  const published: unknown[] = [];
  const onMessage = (message: unknown): number => published.push(message);
  subscribe('naru:consumer:undecodable', onMessage);
  onTestFinished(() => void unsubscribe('naru:consumer:undecodable', onMessage));
  const { consumer, valuesOf } = await setUp([1, 2], {
    onDeserializationError: (error) => {
      seen.push(error.offset);
      return error.offset === 1n ? 'raw' : 'skip';
    },
  });
  expect(await valuesOf()).toHaveLength(9);
  expect(seen).toEqual([1n, 2n]);
  expect(published).toMatchObject([
    { groupId: 'g', policy: 'raw', error: { offset: 1n } },
    { groupId: 'g', policy: 'skip', error: { offset: 2n } },
  ]);
  expect(consumer.counters).toEqual({ skippedRecords: 1, rawRecords: 1 });
});

test('deserializers see topic, part and headers; null stays null and is not theirs', async () => {
  const seen: unknown[] = [];
  const { valuesOf } = await setUp([], {
    key: { deserialize: () => expect.unreachable() },
    value: {
      deserialize: (bytes, { topic, part, headers }) => {
        seen.push([topic, part, headers.map(([name, value]) => `${name}=${value}`)]);
        return Number(bytes.toString());
      },
    },
  });
  await valuesOf();
  expect(seen[0]).toEqual(['t', 'value', ['h=1']]);
});

test("Java's names in value.deserializer", async () => {
  const { cluster } = await setUp([]);
  const settings = { 'value.deserializer': 'org.apache.kafka.common.serialization.StringDeserializer' };
  const consumer = cluster.client().consumer<Buffer, string>({ autoOffsetReset: 'earliest', ...settings });
  consumer.assign([{ topic: 't', partition: 0 }]);
  expect((await cluster.run(consumer.poll(1_000)))[0]?.value).toBe('0');
  expect(() => cluster.client().consumer({ 'value.deserializer': 'nope' })).toThrow(/value\.deserializer/);
});

test('run: what cannot be handled goes to the dead letters byte for byte, also when it was deserialized', async () => {
  const { cluster, consumer, committed } = await setUp([3], { onDeserializationError: 'raw' });
  cluster.addTopic('dead', 1);
  const stop = new AbortController();
  const run = consumer.run({ deadLetter: 'dead', signal: stop.signal }, ({ value, offset, error }) => {
    if (offset === 9n) stop.abort();
    if (error !== undefined) throw error;
    if (value === 5) throw new Error('not five');
  });
  await cluster.run(run);
  expect(cluster.log('dead', 0).values).toEqual(['{', '5']);
  expect(committed()).toBe(10);
});
