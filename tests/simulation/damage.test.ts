import type { Broker } from '@naru/broker';
import { describe, expect, test } from 'vitest';
import { SimulatedCluster } from './simulated-cluster.ts';
import { readAll, replicaBytes, SequentialProducer } from './workload.ts';

const topic = 'events';

type Partition = NonNullable<ReturnType<Broker['replicas']['partitionById']>>;

/** What the controller did about who is in sync: broker ids, for every version of the state. */
function watchIsr(cluster: SimulatedCluster): (readonly number[])[] {
  const seen: (readonly number[])[] = [];
  const witness = cluster.brokers[0];
  witness?.publisher.subscribe((image) => {
    const state = image.topics.get(topic)?.partitions[0]?.state;
    const ids = state?.isr.map((member) => member.brokerId) ?? [];
    if (JSON.stringify(ids) !== JSON.stringify(seen.at(-1))) seen.push(ids);
  });
  return seen;
}

async function readToDamage(log: Partition['log']): Promise<void> {
  for (let offset = 0; ; ) {
    const result = await log.read(offset, 1_000_000, log.logEndOffset);
    if (result.kind !== 'batches') return;
    offset = result.nextOffset;
  }
}

interface Damaged {
  readonly cluster: SimulatedCluster;
  readonly producer: SequentialProducer;
  readonly victim: number;
}

/** A bit of an early batch flips on one replica's disk; nothing is served from memory, so that it will be met. */
async function damaged(seed: number, whose: 'leader' | 'follower'): Promise<Damaged> {
  const brokerConfig = {
    'log.memory.bytes': 0,
    'replica.lag.time.max.ms': 3_000,
    'log.flush.offset.checkpoint.interval.ms': 10,
  };
  const cluster = await SimulatedCluster.start({ seed, brokerConfig });
  await cluster.createTopic(topic, 1, 3, { 'min.insync.replicas': '2' });
  const producer = new SequentialProducer(cluster, topic, 0);
  producer.start();
  await cluster.sim.runUntil(() => producer.acked.length >= 30);
  const leader = cluster.leaderOf(topic, 0) as number;
  const victim = whose === 'leader' ? leader : (cluster.brokerIds.find((id) => id !== leader) as number);
  const { disk } = cluster.node(`b${victim}`);
  const file = [...disk.files()]
    .map(([path]) => path)
    .find((path) => path.endsWith(`${topic}-0/00000000000000000000.log`));
  disk.flipBit(file as string, 8 * 200);
  return { cluster, producer, victim };
}

async function expectWhole({ cluster, producer, victim }: Damaged): Promise<void> {
  const before = producer.acked.length;
  await cluster.sim.runUntil(() => producer.acked.length >= before + 10);
  await cluster.sim.runUntil(() => cluster.isrOf(topic, 0).length === 3);
  await cluster.sim.runUntil(() => cluster.broker(victim).replicas.damaged.length === 0);
  await cluster.sim.complete(producer.stop());
  await cluster.sim.runFor(2_000);
  const values = await cluster.sim.complete(readAll(cluster, topic, 0));
  for (const { value, offset } of producer.acked) expect(values.get(offset)).toBe(value);
  const replicas = await cluster.sim.complete(replicaBytes(cluster, topic, 0));
  expect(new Set(replicas.values()).size, 'L7').toBe(1);
  for (const broker of cluster.brokers) {
    const registered = cluster.broker(victim).publisher.image.brokers.get(broker.id);
    expect(registered?.damaged.size, 'nobody is said to be damaged any more').toBe(0);
  }
  const names = await cluster.sim.complete(cluster.node(`b${victim}`).runtime.disk.list('/data'));
  expect(
    names.filter((name) => name.includes('stray')),
    'what was damaged is kept for people',
  ).toHaveLength(1);
}

describe('a replica that is damaged at rest (rows 21, 57, 58)', () => {
  test('a leader that meets it serves nothing of it, gives up leadership, and is repaired from the others', async () => {
    const run = await damaged(21, 'leader');
    const failed = await run.cluster.sim.complete(
      readAll(run.cluster, topic, 0).catch((error: Error) => error.message),
    );
    expect(failed).toMatch(/fetch at \d+: 56/);
    await run.cluster.sim.runUntil(() => run.cluster.leaderOf(topic, 0) !== run.victim);
    await expectWhole(run);
  });

  test('a follower that finds it at its start is repaired before it may lead', async () => {
    const run = await damaged(22, 'follower');
    run.cluster.crashBroker(run.victim);
    await run.cluster.restartBroker(run.victim);
    await expectWhole(run);
  });

  test('a follower that repairs its log leaves the ISR once and joins it once', async () => {
    const run = await damaged(23, 'follower');
    const { cluster, victim, producer } = run;
    const isrs = watchIsr(cluster);
    const found = cluster.broker(victim).replicas.find(topic, '', 0);
    if (found.kind === 'partition') await cluster.sim.complete(readToDamage(found.partition.log));
    const acked = producer.acked.length;
    await cluster.sim.runUntil(() => producer.acked.length >= acked + 100);
    await expectWhole(run);
    const joinsAndLeaves = isrs.map((ids) => ids.includes(victim));
    expect(joinsAndLeaves.filter((isIn, i) => i > 0 && isIn !== joinsAndLeaves[i - 1])).toEqual([false, true]);
  });
});
