import { Client } from '@naru/client';
import { errorCodes } from '@naru/kafka-protocol';
import { batchSizeAt, decodeRecords, encodeBatch } from '@naru/record';
import { brokerMethods, type broker as wire } from '@naru/rpc';
import { describe, expect, test } from 'vitest';
import { SimulatedCluster } from './simulated-cluster.ts';

/** More with NARU_SEEDS=100; one alone with NARU_SEED=17. */
const seeds =
  process.env.NARU_SEED !== undefined
    ? [Number(process.env.NARU_SEED)]
    : Array.from({ length: Number(process.env.NARU_SEEDS ?? 4) }, (_, i) => i + 1);

const topic = 'table';
const keysCount = 12;
const configs = {
  'cleanup.policy': 'compact',
  'min.insync.replicas': '2',
  'segment.ms': '300',
  'segment.bytes': '1048576',
  'min.cleanable.dirty.ratio': '0.1',
  'delete.retention.ms': '60000',
  'file.delete.delay.ms': '200',
};

async function start(seed: number | string): Promise<SimulatedCluster> {
  const brokerConfig = {
    'replica.lag.time.max.ms': 2_000,
    'session.timeout.ms': 2_000,
    'log.cleaner.backoff.ms': 150,
    'log.memory.bytes': 2_000,
  };
  const cluster = await SimulatedCluster.start({ seed, brokerConfig });
  await cluster.createTopic(topic, 1, 3, configs);
  await cluster.untilLed(topic, 0);
  return cluster;
}

type Stored = readonly [key: string, value: string | null];

/** By offset, what a replica holds. */
async function recordsOn(cluster: SimulatedCluster, brokerId: number): Promise<Map<number, Stored>> {
  const found = cluster.broker(brokerId).replicas.find(topic, '', 0);
  if (found.kind !== 'partition') throw new Error(found.kind);
  const { log } = found.partition;
  const records = new Map<number, Stored>();
  for (let offset = log.logStartOffset; offset < log.logEndOffset; ) {
    const result = await cluster.sim.complete(log.read(offset, 100_000, log.logEndOffset));
    if (result.kind !== 'batches') throw new Error(result.kind);
    for (const bytes of result.records) {
      for (let at = 0; at < bytes.length; at += batchSizeAt(bytes, at) as number) {
        for (const { offset: place, key, value } of decodeRecords(bytes.subarray(at))) {
          records.set(place, [String(Buffer.from(key ?? '')), value === null ? null : String(Buffer.from(value))]);
        }
      }
    }
    offset = result.nextOffset;
  }
  return records;
}

function faultOn(cluster: SimulatedCluster): void {
  const { sim } = cluster;
  const id = cluster.brokerIds[sim.random.nextInt(cluster.brokerIds.length)] as number;
  if (!cluster.brokerIds.every((each) => cluster.node(`b${each}`).alive)) return;
  const luck = sim.random.nextInt(3);
  if (luck === 0) cluster.crashBroker(id);
  if (luck === 1) cluster.losePowerOfBroker(id);
  if (luck < 2) sim.at(sim.random.nextInt(2_500), () => cluster.restartLater(id));
  else {
    sim.network.isolate(`b${id}`);
    sim.at(sim.random.nextInt(4_000), () => sim.network.healAll());
  }
}

describe('a compacted topic on three brokers, each of which cleans by itself', () => {
  test.each(seeds)(
    'L9, L5, C1: crashes, power cuts and new leaders (seed %i)',
    async (seed) => {
      const cluster = await start(seed);
      const { sim } = cluster;
      const bootstrapServers = cluster.brokerIds.map((id) => `b${id}:9092`).join(',');
      const client = new Client({ bootstrapServers, runtime: cluster.client.runtime });
      const producer = client.producer({ lingerMs: 1, requestTimeoutMs: 2_000, deliveryTimeoutMs: 60_000 });
      let sent = 0;
      let isOver = false;
      const sendNext = (): void => {
        if (isOver) return;
        const value = sim.random.nextInt(6) === 0 ? null : `${sent}`;
        producer.send({ topic, key: `k${sent++ % keysCount}`, value }, () => {});
        cluster.client.runtime.timers.after(sim.random.nextInt(25), sendNext);
      };
      sendNext();
      for (let i = 0; i < 12; i++) {
        await sim.runFor(1_200);
        faultOn(cluster);
      }
      await sim.runFor(5_000);
      sim.network.healAll();
      isOver = true;
      await sim.runUntil(() => cluster.isrOf(topic, 0).length === 3, 120_000);
      await sim.complete(producer.flush(), 120_000);
      const table = new Map<string, string>();
      for (let i = 0; i < keysCount; i++) {
        const [key, value] = [`k${i}`, `last-${i}`];
        table.set(key, value);
        await sim.complete(producer.send({ topic, key, value }), 60_000);
      }
      await sim.complete(producer.close());
      await sim.runFor(5_000);
      const replicas: Map<number, Stored>[] = [];
      for (const id of cluster.brokerIds) replicas.push(await recordsOn(cluster, id));
      const everything = new Map(replicas.flatMap((records) => [...records]));
      for (const records of replicas) {
        for (const [offset, record] of records) expect(everything.get(offset), `L5 at ${offset}`).toEqual(record);
        expect(new Map(records.values())).toEqual(table);
        expect(records.size).toBeLessThan(sent / 3);
      }
      expect(cluster.failures).toEqual([]);
    },
    60_000,
  );

  test('a record without key is refused, and nothing of its request is in the log', async () => {
    const cluster = await start('keyless');
    const leader = cluster.leaderOf(topic, 0) as number;
    const channel = await cluster.sim.complete(cluster.rpc.connect(cluster.addressOf(leader)));
    let answer: wire.ProduceResponse | undefined;
    const stream = channel.open(brokerMethods.produce);
    stream.handle({ onMessage: (response) => (answer = response), onClose: () => {} });
    const good = { key: Buffer.from('k'), value: Buffer.from('v'), timestampMs: 1 };
    const records = Buffer.concat([
      encodeBatch({ records: [good] }),
      encodeBatch({ records: [good, { ...good, key: null }] }),
    ]);
    const asked = { topic, topicId: '', partition: 0, records };
    stream.send({ correlationId: 1, acks: -1, timeoutMs: 1_000, partitions: [asked] });
    await cluster.sim.runUntil(() => answer !== undefined);
    expect(answer?.partitions[0]).toMatchObject({
      errorCode: errorCodes.INVALID_RECORD,
      errorMessage: 'Compacted topic cannot accept message without key in topic partition table-0',
      baseOffset: -1,
    });
    expect(await recordsOn(cluster, leader)).toEqual(new Map());
  });
});
