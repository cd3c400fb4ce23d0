import { errorCodes } from '@naru/kafka-protocol';
import { brokerMethods, type UnaryMethod, type broker as wire } from '@naru/rpc';
import { describe, expect, test } from 'vitest';
import { SimulatedCluster } from './simulated-cluster.ts';
import { readAll, SequentialProducer } from './workload.ts';

const topic = 'events';

interface Run {
  readonly cluster: SimulatedCluster;
  readonly producer: SequentialProducer;
  readonly source: readonly number[];
  readonly target: readonly number[];
}

/** Six brokers; the partition is on three of them and shall move to the other three, under load. */
async function started(seed: number): Promise<Run> {
  const brokerConfig = { 'replica.lag.time.max.ms': 2_000, 'session.timeout.ms': 2_000 };
  const cluster = await SimulatedCluster.start({ seed, brokers: 6, brokerConfig });
  await cluster.createTopic(topic, 1, 3, { 'min.insync.replicas': '2' });
  await cluster.untilLed(topic, 0);
  const producer = new SequentialProducer(cluster, topic, 0);
  producer.start();
  await cluster.sim.runUntil(() => producer.acked.length >= 30);
  const source = partitionOf(cluster).replicas;
  return { cluster, producer, source, target: cluster.brokerIds.filter((id) => !source.includes(id)) };
}

function partitionOf(cluster: SimulatedCluster) {
  const newest = cluster.brokers.map((b) => b.publisher.image).sort((a, b) => b.zxid - a.zxid)[0];
  const partition = newest?.topics.get(topic)?.partitions[0];
  if (partition === undefined) throw new Error('there is no partition');
  return partition;
}

function controllerOf(cluster: SimulatedCluster): number {
  return cluster.brokers.find((broker) => broker.controller.term !== undefined)?.id as number;
}

async function call<Request, Response>(
  cluster: SimulatedCluster,
  method: UnaryMethod<Request, Response>,
  request: Request,
): Promise<Response> {
  const channel = await cluster.rpc.connect(cluster.addressOf(cluster.brokers[0]?.id as number));
  try {
    return await channel.call(method, request);
  } finally {
    await channel.close();
  }
}

async function alter(cluster: SimulatedCluster, target: readonly number[] | 'cancel'): Promise<number> {
  const isCancel = target === 'cancel';
  const partitions = [{ topic, partition: 0, target: isCancel ? [] : [...target], cancel: isCancel }];
  const request = { partitions, timeoutMs: 10_000, keepReplicationFactor: false };
  const answer: wire.AlterPartitionReassignmentsResponse = await cluster.sim.complete(
    call(cluster, brokerMethods.alterPartitionReassignments, request),
  );
  return answer.partitions[0]?.errorCode as number;
}

async function list(cluster: SimulatedCluster): Promise<readonly wire.OngoingReassignment[]> {
  const { partitions } = await cluster.sim.complete(
    call(cluster, brokerMethods.listPartitionReassignments, { partitions: [] }),
  );
  return partitions;
}

function isOn(cluster: SimulatedCluster, replicas: readonly number[]): boolean {
  const partition = partitionOf(cluster);
  return (
    JSON.stringify(partition.replicas) === JSON.stringify(replicas) &&
    partition.adding.length + partition.removing.length === 0 &&
    partition.state?.isr.length === replicas.length
  );
}

/** C1, and only the replicas have a log. */
async function expectMoved({ cluster, producer }: Run, replicas: readonly number[]): Promise<void> {
  await cluster.sim.runUntil(() => isOn(cluster, replicas), 60_000);
  const before = producer.acked.length;
  await cluster.sim.runUntil(() => producer.acked.length >= before + 10);
  await cluster.sim.complete(producer.stop());
  await cluster.sim.runFor(2_000);
  const values = await cluster.sim.complete(readAll(cluster, topic, 0));
  for (const { value, offset } of producer.acked) expect(values.get(offset), 'C1').toBe(value);
  for (const { id } of cluster.brokers) {
    const names = await cluster.sim.complete(cluster.node(`b${id}`).runtime.disk.list('/data'));
    expect(names.includes(`${topic}-0`), `the log on b${id}`).toBe(replicas.includes(id));
  }
  expect(await list(cluster)).toEqual([]);
  expect(cluster.failures).toEqual([]);
}

describe('a partition that moves to other brokers under load (KIP-455, row 13)', () => {
  test('grows, catches up, shrinks; nothing acknowledged is lost, and the old logs are gone', async () => {
    const run = await started(13);
    expect(await alter(run.cluster, run.target)).toBe(errorCodes.NONE);
    await expectMoved(run, run.target);
  });

  test.each([0, 5, 20, 60, 150, 400])(
    'another controller goes on with it, when the first one dies %i ms after it was asked for',
    async (afterMs) => {
      const run = await started(14 + afterMs);
      const { cluster, target } = run;
      const victim = controllerOf(cluster);
      const asked = alter(cluster, target).catch(() => -1);
      await asked;
      await cluster.sim.runFor(afterMs);
      cluster.crashBroker(victim);
      await cluster.sim.runFor(5_000);
      await cluster.restartBroker(victim);
      await expectMoved(run, target);
    },
  );

  test('waits for a target that is dead, and is cancelled', async () => {
    const run = await started(15);
    const { cluster, source, target } = run;
    expect(await alter(cluster, target)).toBe(errorCodes.NONE);
    const [first, second] = target as [number, number];
    cluster.crashBroker(second);
    await cluster.sim.runFor(6_000);
    expect(await list(cluster)).toMatchObject([
      { topic, partition: 0, addingReplicas: target, removingReplicas: source },
    ]);
    expect(partitionOf(cluster).state?.isr.map((member) => member.brokerId)).toContain(first);
    expect(await alter(cluster, 'cancel')).toBe(errorCodes.NONE);
    expect(await alter(cluster, 'cancel')).toBe(errorCodes.NO_REASSIGNMENT_IN_PROGRESS);
    await cluster.restartBroker(second);
    await expectMoved(run, source);
  });

  test('a broker that was away when it ended removes its log when it comes back (row 58: on what is committed)', async () => {
    const run = await started(16);
    const { cluster, source, target } = run;
    const away = source.find((id) => id !== controllerOf(cluster)) as number;
    cluster.crashBroker(away);
    expect(await alter(cluster, target)).toBe(errorCodes.NONE);
    await cluster.sim.runUntil(() => isOn(cluster, target), 60_000);
    await cluster.restartBroker(away);
    await expectMoved(run, target);
  });

  test('the topic is deleted meanwhile', async () => {
    const run = await started(17);
    const { cluster, target, producer } = run;
    expect(await alter(cluster, target)).toBe(errorCodes.NONE);
    const request = { names: [topic], timeoutMs: 10_000 };
    const deleted = await cluster.sim.complete(call(cluster, brokerMethods.deleteTopics, request));
    expect(deleted.topics[0]?.errorCode).toBe(errorCodes.NONE);
    void producer.stop();
    await cluster.sim.runFor(3_000);
    for (const { id } of cluster.brokers) {
      const names = await cluster.sim.complete(cluster.node(`b${id}`).runtime.disk.list('/data'));
      expect(names.filter((name) => name.startsWith(topic))).toEqual([]);
    }
    expect(await list(cluster)).toEqual([]);
  });

  test('leaders are elected on request (KIP-460)', async () => {
    const { cluster, producer, source } = await started(18);
    const [first, second] = source as [number, number];
    await alter(cluster, [second, first, source[2] as number]);
    const elect = (unclean: boolean) =>
      cluster.sim.complete(
        call(cluster, brokerMethods.electLeaders, {
          unclean,
          partitions: [{ topic, partition: 0 }],
          allPartitions: false,
          timeoutMs: 10_000,
        }),
      );
    const before = partitionOf(cluster).state?.leader;
    const needed = before !== second;
    const { partitions } = await elect(false);
    expect(partitions[0]?.errorCode).toBe(needed ? errorCodes.NONE : errorCodes.ELECTION_NOT_NEEDED);
    expect(partitionOf(cluster).state?.leader).toBe(second);
    expect((await elect(false)).partitions[0]?.errorCode).toBe(errorCodes.ELECTION_NOT_NEEDED);
    expect((await elect(true)).partitions[0]?.errorCode).toBe(errorCodes.ELECTION_NOT_NEEDED);
    const acked = producer.acked.length;
    await cluster.sim.runUntil(() => producer.acked.length > acked + 5);
  });
});
