import { describe, expect, test } from 'vitest';
import { SimulatedCluster } from './simulated-cluster.ts';
import { readAll, replicaBytes, SequentialProducer } from './workload.ts';

const topic = 'events';

interface Run {
  readonly cluster: SimulatedCluster;
  readonly producers: readonly SequentialProducer[];
}

/** Three brokers, a topic with three replicas and min.insync.replicas=2, a writer per partition. */
async function started(seed: number, partitions = 2): Promise<Run> {
  const cluster = await SimulatedCluster.start({ seed, brokerConfig: { 'replica.lag.time.max.ms': 3_000 } });
  await cluster.createTopic(topic, partitions, 3, { 'min.insync.replicas': '2' });
  const producers = Array.from({ length: partitions }, (_, i) => new SequentialProducer(cluster, topic, i));
  for (const producer of producers) producer.start();
  await untilAcked({ cluster, producers }, 20);
  return { cluster, producers };
}

/** So many more acknowledged writes in every partition. */
async function untilAcked({ cluster, producers }: Run, more: number): Promise<void> {
  const goals = producers.map((producer) => producer.acked.length + more);
  await cluster.sim.runUntil(() => producers.every((p, i) => p.acked.length >= (goals[i] as number)));
}

async function settled({ cluster, producers }: Run): Promise<void> {
  const all = cluster.brokerIds.length;
  await cluster.sim.runUntil(() => producers.every((_, i) => cluster.isrOf(topic, i).length === all));
  await cluster.sim.complete(Promise.all(producers.map((producer) => producer.stop())));
  await cluster.sim.runFor(2_000);
}

/** C1: every acknowledged value at its offset. L7: the replicas are the same, byte for byte. */
async function check(run: Run): Promise<void> {
  await settled(run);
  const { cluster, producers } = run;
  for (const [partition, producer] of producers.entries()) {
    const values = await cluster.sim.complete(readAll(cluster, topic, partition));
    for (const { value, offset } of producer.acked) expect(values.get(offset), `offset ${offset}`).toBe(value);
    const replicas = await cluster.sim.complete(replicaBytes(cluster, topic, partition));
    expect(replicas.size).toBe(3);
    expect(new Set(replicas.values()).size, 'replicas are identical (L7)').toBe(1);
  }
  expect(cluster.failures).toEqual([]);
}

describe('what was acknowledged is there afterwards (C1), and all replicas are the same (L7)', () => {
  test('without any fault', async () => {
    await check(await started(1));
  });

  test('when the leader is killed', async () => {
    const run = await started(2);
    const leader = run.cluster.leaderOf(topic, 0) as number;
    run.cluster.crashBroker(leader);
    const killedMs = run.cluster.sim.nowMs;
    await untilAcked(run, 20);
    expect(run.cluster.sim.nowMs - killedMs, 'writes resume within 2 s').toBeLessThan(2_500);
    await run.cluster.restartBroker(leader);
    await check(run);
  });

  test('when a follower is killed and comes back', async () => {
    const run = await started(3);
    const leader = run.cluster.leaderOf(topic, 0) as number;
    const follower = run.cluster.brokerIds.find((id) => id !== leader) as number;
    run.cluster.crashBroker(follower);
    await untilAcked(run, 50);
    await run.cluster.restartBroker(follower);
    await check(run);
  });

  test('when a broker loses its power and comes back before its session expires (row 10)', async () => {
    const run = await started(4);
    for (let round = 0; round < 3; round++) {
      const leader = run.cluster.leaderOf(topic, 0) as number;
      run.cluster.losePowerOfBroker(leader);
      await run.cluster.restartBroker(leader);
      await untilAcked(run, 20);
    }
    await check(run);
  });

  test('when everything loses its power at once', async () => {
    const run = await started(5);
    run.cluster.losePowerOfAll();
    await run.cluster.sim.runFor(1_000);
    await run.cluster.restartAll();
    await untilAcked(run, 20);
    await check(run);
  });

  test('when the power goes under many writers and leaves holes in unsynced tails (row 57)', async () => {
    const cluster = await SimulatedCluster.start({ seed: 104, brokerConfig: { 'replica.lag.time.max.ms': 3_000 } });
    await cluster.createTopic(topic, 1, 3, { 'min.insync.replicas': '2' });
    const writers = Array.from({ length: 30 }, () => new SequentialProducer(cluster, topic, 0));
    for (const writer of writers) writer.start();
    await cluster.sim.runUntil(() => writers.every((writer) => writer.acked.length >= 20));
    const victim = cluster.leaderOf(topic, 0) as number;
    cluster.losePowerOfBroker(victim);
    await cluster.restartBroker(victim);
    const counts = writers.map((writer) => writer.acked.length);
    await cluster.sim.runUntil(() => writers.every((w, i) => w.acked.length >= (counts[i] as number) + 5));
    await cluster.sim.runUntil(() => cluster.isrOf(topic, 0).length === 3);
    await cluster.sim.complete(Promise.all(writers.map((writer) => writer.stop())));
    const values = await cluster.sim.complete(readAll(cluster, topic, 0));
    for (const { value, offset } of writers.flatMap((writer) => writer.acked)) expect(values.get(offset)).toBe(value);
  });

  test('when the leader is cut off from everyone', async () => {
    const run = await started(6);
    const leader = run.cluster.leaderOf(topic, 0) as number;
    run.cluster.sim.network.isolate(`b${leader}`);
    await run.cluster.sim.runFor(12_000);
    run.cluster.sim.network.healAll();
    await untilAcked(run, 20);
    await check(run);
  });
});
