import { Client, type PartitionDescription, type TopicDescription } from '@naru/client';
import { beforeEach, describe, expect, test } from 'vitest';
import { SimulatedCluster } from './simulated-cluster.ts';
import { readAll, SequentialProducer } from './workload.ts';

const topic = 'events';

/** KIP-966, as an operator sees it: three brokers, three replicas, min.insync.replicas=2, and one broker after the other goes. */
describe('eligible leader replicas (KIP-966, rows 7, 8)', () => {
  let cluster: SimulatedCluster;
  let client: Client;
  let producer: SequentialProducer;
  let leader: number;
  /** The followers: the first to leave the ISR, and the last. */
  let first: number;
  let last: number;

  beforeEach(async () => {
    cluster = await SimulatedCluster.start({ seed: 966, brokerConfig: { 'replica.lag.time.max.ms': 3_000 } });
    client = new Client({
      'bootstrap.servers': cluster.brokerIds.map((id) => `b${id}:9092`),
      runtime: cluster.client.runtime,
    });
    await cluster.createTopic(topic, 1, 3, { 'min.insync.replicas': '2' });
    leader = await cluster.untilLed(topic, 0);
    [first, last] = cluster.brokerIds.filter((id) => id !== leader) as [number, number];
    producer = new SequentialProducer(cluster, topic, 0);
    producer.start();
    await acked(20);
    cluster.crashBroker(first);
    await cluster.sim.runUntil(() => cluster.isrOf(topic, 0).length === 2);
    await acked(20);
  });

  async function acked(more: number): Promise<void> {
    const goal = producer.acked.length + more;
    await cluster.sim.runUntil(() => producer.acked.length >= goal);
  }

  /** As `kafka-topics.sh --describe` asks. */
  async function described(): Promise<Partial<PartitionDescription>> {
    const [found] = await cluster.sim.complete(client.admin().describeTopics([topic]));
    const { leader: leads, isr, elr, lastKnownElr } = (found as TopicDescription).partitions[0] as PartitionDescription;
    return { leader: leads, isr, elr, lastKnownElr };
  }

  async function aloneInTheIsr(): Promise<void> {
    await cluster.sim.runUntil(() => cluster.isrOf(topic, 0).length === 1);
    expect(await described()).toEqual({ leader, isr: [leader], elr: [last], lastKnownElr: [] });
    const before = producer.acked.length;
    await cluster.sim.runFor(5_000);
    expect(producer.acked.length, 'below min.insync.replicas nothing is acknowledged').toBe(before);
  }

  async function everythingIsThere(): Promise<void> {
    await acked(20);
    await cluster.sim.complete(producer.stop());
    const values = await cluster.sim.complete(readAll(cluster, topic, 0));
    for (const { value, offset } of producer.acked) expect(values.get(offset), `offset ${offset}`).toBe(value);
    expect(cluster.failures).toEqual([]);
  }

  test('who fell behind below min.insync.replicas and lives is elected at once', async () => {
    cluster.sim.network.cut(`b${leader}`, `b${last}`);
    await aloneInTheIsr();
    cluster.crashBroker(leader);
    await cluster.sim.runUntil(() => cluster.leaderOf(topic, 0) === last);
    expect(await described()).toEqual({ leader: last, isr: [last], elr: [leader], lastKnownElr: [] });
    await cluster.restartBroker(first);
    await everythingIsThere();
  });

  test('who died as a member of the ELR is elected when it is back on its disk; who left while there were enough is not', async () => {
    cluster.crashBroker(last);
    await aloneInTheIsr();
    cluster.crashBroker(leader);
    await cluster.restartBroker(first);
    await cluster.sim.runFor(20_000);
    expect(await described()).toEqual({ leader: undefined, isr: [leader], elr: [last], lastKnownElr: [] });
    await cluster.restartBroker(last);
    await cluster.sim.runUntil(() => cluster.leaderOf(topic, 0) === last);
    await everythingIsThere();
  });

  test('who comes back with an empty disk is not elected, member of the ELR or not', async () => {
    cluster.crashBroker(last);
    await aloneInTheIsr();
    cluster.crashBroker(leader);
    const node = cluster.node(`b${last}`);
    node.restart();
    await cluster.sim.complete(node.runtime.disk.remove('/data'));
    node.crash();
    for (const id of [first, last]) await cluster.restartBroker(id);
    await cluster.sim.runFor(20_000);
    expect(await described()).toMatchObject({ leader: undefined, isr: [leader] });
    await cluster.restartBroker(leader);
    await cluster.sim.runUntil(() => cluster.leaderOf(topic, 0) === leader);
    await everythingIsThere();
  });
});
