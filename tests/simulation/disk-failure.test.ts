import { describe, expect, test } from 'vitest';
import { SimulatedCluster } from './simulated-cluster.ts';
import { readAll, replicaBytes, SequentialProducer } from './workload.ts';

const topic = 'events';

async function started(seed: number) {
  const cluster = await SimulatedCluster.start({ seed, brokerConfig: { 'replica.lag.time.max.ms': 2_000 } });
  await cluster.createTopic(topic, 1, 3, { 'min.insync.replicas': '2' });
  const producer = new SequentialProducer(cluster, topic, 0);
  producer.start();
  await cluster.sim.runUntil(() => producer.acked.length >= 20);
  return { cluster, producer, leader: cluster.leaderOf(topic, 0) as number };
}

async function expectSafe({ cluster, producer }: Awaited<ReturnType<typeof started>>): Promise<void> {
  const before = producer.acked.length;
  await cluster.sim.runUntil(() => producer.acked.length >= before + 10);
  await cluster.sim.runUntil(() => cluster.isrOf(topic, 0).length === 3);
  await cluster.sim.complete(producer.stop());
  await cluster.sim.runFor(2_000);
  const values = await cluster.sim.complete(readAll(cluster, topic, 0));
  for (const { value, offset } of producer.acked) expect(values.get(offset)).toBe(value);
  expect(new Set((await cluster.sim.complete(replicaBytes(cluster, topic, 0))).values()).size, 'L7').toBe(1);
}

describe('a disk that fails (row 56)', () => {
  test.each(['leader', 'follower'])(
    'a sync of the %s fails: it acknowledges nothing more, leaves, and comes back by its next start',
    async (whose) => {
      const run = await started(56);
      const { cluster, leader } = run;
      const victim = whose === 'leader' ? leader : (cluster.brokerIds.find((id) => id !== leader) as number);
      cluster.node(`b${victim}`).disk.failSyncs(`${topic}-0`);
      await cluster.sim.runUntil(() => cluster.failures.length > 0);
      expect(cluster.failures[0]).toMatchObject({ name: 'StorageError', code: 'failed' });
      await cluster.sim.runUntil(() => cluster.leaderOf(topic, 0) !== victim || whose === 'follower');
      // Its process ends, as main.ts has it end.
      cluster.crashBroker(victim);
      const before = run.producer.acked.length;
      await cluster.sim.runUntil(() => run.producer.acked.length >= before + 10);
      await cluster.restartBroker(victim);
      await expectSafe(run);
    },
  );

  test('a disk that is full refuses writes and loses none; with room again all goes on', async () => {
    const run = await started(57);
    const { cluster, leader } = run;
    cluster.node(`b${leader}`).disk.fillUpAfter(300);
    await cluster.sim.runFor(5_000);
    cluster.node(`b${leader}`).disk.fillUpAfter(Number.POSITIVE_INFINITY);
    if (cluster.failures.length > 0) {
      cluster.crashBroker(leader);
      await cluster.restartBroker(leader);
    }
    await expectSafe(run);
  });

  test('a slow disk (0.5 s a sync) of a follower slows writes but loses nothing', async () => {
    const run = await started(58);
    const { cluster, leader } = run;
    const slow = cluster.brokerIds.find((id) => id !== leader) as number;
    const { disk } = cluster.node(`b${slow}`);
    const times = disk.times;
    disk.times = { ...times, sync: { minMs: 500, meanMs: 800 } };
    await cluster.sim.runFor(20_000);
    disk.times = times;
    await expectSafe(run);
    expect(cluster.failures).toEqual([]);
  });
});

describe('an orderly end of one broker after the other (rolling restart)', () => {
  test('loses nothing, and no writer waits long', async () => {
    const run = await started(60);
    const { cluster } = run;
    let longestMs = 0;
    for (const id of cluster.brokerIds) {
      const startedMs = cluster.sim.nowMs;
      const before = run.producer.acked.length;
      await cluster.sim.complete(cluster.closeBroker(id));
      await cluster.sim.runUntil(() => run.producer.acked.length > before + 3);
      longestMs = Math.max(longestMs, cluster.sim.nowMs - startedMs);
      cluster.node(`b${id}`).crash();
      await cluster.restartBroker(id);
      await cluster.sim.runUntil(() => cluster.isrOf(topic, 0).length === 3);
    }
    expect(longestMs).toBeLessThan(1_000);
    await expectSafe(run);
    expect(cluster.failures).toEqual([]);
  });
});
