import { brokerMethods } from '@naru/rpc';
import { type Delay, diskTimesDefault } from '@naru/runtime/simulated';
import { describe, expect, test } from 'vitest';
import { batchesIn } from './checkers/truth.ts';
import { SimulatedCluster } from './simulated-cluster.ts';
import { readAll, replicaBytes, SequentialProducer } from './workload.ts';

const topic = 'events';
const segment = `/data/${topic}-0/00000000000000000000.log`;

interface Run {
  readonly cluster: SimulatedCluster;
  readonly producers: readonly SequentialProducer[];
  readonly brokerIds: readonly number[];
}

/** Disks so slow that several batches are never synced when the power goes, on every replica. */
async function written(seed: number, replicas: number): Promise<Run> {
  const brokerConfig = { 'log.flush.offset.checkpoint.interval.ms': 500, 'unclean.leader.election.enable': false };
  const cluster = await SimulatedCluster.start({ seed, brokers: replicas, brokerConfig });
  await cluster.createTopic(topic, 1, replicas, { 'min.insync.replicas': String(Math.min(2, replicas)) });
  const producers = Array.from({ length: 8 }, () => new SequentialProducer(cluster, topic, 0));
  for (const producer of producers) producer.start();
  await cluster.sim.runUntil(() => producers.every(({ acked }) => acked.length >= 20));
  await cluster.sim.runFor(1_000);
  const { brokerIds } = cluster;
  setSyncs(cluster, { minMs: 300, meanMs: 400 });
  const unsynced = (id: number): number => logEnds(cluster, id).end - logEnds(cluster, id).flushed;
  await cluster.sim.runUntil(() => brokerIds.every((id) => unsynced(id) >= 3));
  return { cluster, producers, brokerIds };
}

function setSyncs(cluster: SimulatedCluster, sync: Delay): void {
  for (const id of cluster.brokerIds) {
    const { disk } = cluster.node(`b${id}`);
    disk.times = { ...disk.times, sync };
  }
}

async function allowUncleanElection(cluster: SimulatedCluster): Promise<void> {
  const channel = await cluster.rpc.connect(cluster.addressOf(1));
  const resource = { type: 'topic', name: topic };
  const set = { 'unclean.leader.election.enable': 'true' };
  const request = { resources: [{ resource, set, remove: [] }], validateOnly: false };
  const { results } = await channel.call(brokerMethods.alterConfigs, request);
  expect(results[0]?.errorCode).toBe(0);
  await channel.close();
}

function logEnds(cluster: SimulatedCluster, id: number): { readonly end: number; readonly flushed: number } {
  const found = cluster.broker(id).replicas.find(topic, '', 0);
  if (found.kind !== 'partition') throw new Error(`broker ${id} has no replica`);
  return { end: found.partition.log.logEndOffset, flushed: found.partition.log.flushedOffset };
}

/** The power goes everywhere. Of what was not synced, everything reaches the disk but the first batch. */
function goDark({ cluster, brokerIds }: Run): void {
  const flushed = new Map(brokerIds.map((id) => [id, logEnds(cluster, id).flushed]));
  for (const id of brokerIds) cluster.node(`b${id}`).losePower({ unsynced: 'kept' });
  cluster.losePowerOfAll();
  for (const [id, offset] of flushed) damage(cluster, id, offset);
}

function damage(cluster: SimulatedCluster, id: number, offset: number): void {
  const { disk } = cluster.node(`b${id}`);
  const bytes = disk.contentOf(segment);
  let at = 0;
  for (const batch of batchesIn(bytes)) {
    if (batch.baseOffset >= offset) break;
    at += 12 + new DataView(bytes.buffer, bytes.byteOffset + at + 8).getInt32(0);
  }
  disk.flipBit(segment, 8 * (at + 50));
}

async function expectEverything({ cluster, producers }: Run, replicas: number): Promise<void> {
  await cluster.sim.runUntil(() => cluster.isrOf(topic, 0).length === replicas);
  const acked = producers.map((producer) => producer.acked.length);
  await cluster.sim.runUntil(() => producers.every((producer, i) => producer.acked.length > (acked[i] as number) + 3));
  await cluster.sim.complete(Promise.all(producers.map((producer) => producer.stop())));
  await cluster.sim.runFor(2_000);
  const values = await cluster.sim.complete(readAll(cluster, topic, 0));
  for (const { value, offset } of producers.flatMap((producer) => producer.acked)) {
    expect(values.get(offset), 'C1').toBe(value);
  }
  expect(new Set((await cluster.sim.complete(replicaBytes(cluster, topic, 0))).values()).size, 'L7').toBe(1);
}

describe('a loss of power of all nodes, and a hole in the unsynced end of every replica (row 57)', () => {
  test.each([1, 3])(
    'of %i: the partition comes back by itself, and nothing acknowledged is lost (C1)',
    async (replicas) => {
      const run = await written(57 + replicas, replicas);
      goDark(run);
      await run.cluster.restartAll();
      setSyncs(run.cluster, diskTimesDefault.sync);
      await expectEverything(run, replicas);
      const names = await run.cluster.sim.complete(run.cluster.node('b1').runtime.disk.list('/data'));
      expect(
        names.filter((name) => name.includes('stray')),
        'what was never synced is cut, not kept',
      ).toEqual([]);
    },
  );

  test('a synced part is bad as well: it stays offline, until the operator allows an unclean election', async () => {
    const run = await written(59, 1);
    const { cluster } = run;
    goDark(run);
    damage(cluster, 1, 5);
    await cluster.restartAll();
    setSyncs(cluster, diskTimesDefault.sync);
    await cluster.sim.runFor(10_000);
    expect(cluster.leaderOf(topic, 0)).toBeUndefined();
    await cluster.sim.complete(allowUncleanElection(cluster));
    await cluster.sim.runUntil(() => cluster.leaderOf(topic, 0) !== undefined);
    const before = run.producers[0]?.acked.length as number;
    await cluster.sim.runUntil(() => (run.producers[0]?.acked.length as number) > before + 3);
    await cluster.sim.complete(Promise.all(run.producers.map((producer) => producer.stop())));
    expect((await cluster.sim.complete(readAll(cluster, topic, 0))).has(4), 'what was intact is kept').toBe(true);
  });
});
