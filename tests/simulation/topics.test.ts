import { brokerMethods } from '@naru/rpc';
import { describe, expect, test } from 'vitest';
import { SimulatedCluster } from './simulated-cluster.ts';
import { readAll, replicaBytes, SequentialProducer } from './workload.ts';

const topic = 'events';

async function write(cluster: SimulatedCluster, count: number): Promise<SequentialProducer> {
  const producer = new SequentialProducer(cluster, topic, 0);
  producer.start();
  await cluster.sim.runUntil(() => producer.acked.length >= count);
  await cluster.sim.complete(producer.stop());
  return producer;
}

async function deleteTopic(cluster: SimulatedCluster, at: number): Promise<void> {
  const channel = await cluster.sim.complete(cluster.rpc.connect(cluster.addressOf(at)));
  const request = { names: [topic], timeoutMs: 10_000 };
  const response = await cluster.sim.complete(channel.call(brokerMethods.deleteTopics, request));
  expect(response.topics[0]?.errorCode).toBe(0);
  await cluster.sim.complete(channel.close());
}

function directories(cluster: SimulatedCluster, id: number): readonly string[] {
  const paths = [...cluster.node(`b${id}`).disk.files()].map(([path]) => path);
  return [...new Set(paths.filter((path) => path.includes(topic)).map((path) => path.split('/')[2] as string))];
}

describe('topics that go and come again', () => {
  test('row 18: a broker that was away while a topic was deleted and made anew keeps nothing of the old one', async () => {
    const cluster = await SimulatedCluster.start({ seed: 18 });
    await cluster.createTopic(topic, 1, 3, { 'min.insync.replicas': '2' });
    await write(cluster, 30);
    const away = 3;
    cluster.crashBroker(away);
    await deleteTopic(cluster, 1);
    await cluster.sim.runFor(3_000);
    // Two brokers are left; then the third comes back to an assignment that includes it.
    await cluster.createTopic(topic, 1, 2, { 'min.insync.replicas': '1' });
    await cluster.untilLed(topic, 0);
    const producer = await write(cluster, 10);
    await cluster.restartBroker(away);
    await cluster.sim.runFor(3_000);
    expect(directories(cluster, away)).toEqual([]);
    const values = await cluster.sim.complete(readAll(cluster, topic, 0));
    expect([...values.values()]).toEqual(producer.acked.map(({ value }) => value));
    expect(new Set((await cluster.sim.complete(replicaBytes(cluster, topic, 0))).values()).size).toBe(1);
    expect(cluster.failures).toEqual([]);
  });

  test('deleted, the logs go from every disk; made anew, offsets begin at 0', async () => {
    const cluster = await SimulatedCluster.start({ seed: 19 });
    for (let round = 0; round < 3; round++) {
      await cluster.createTopic(topic, 1, 3, { 'min.insync.replicas': '2' });
      await cluster.untilLed(topic, 0);
      const producer = await write(cluster, 10);
      expect(producer.acked[0]?.offset).toBe(0);
      await deleteTopic(cluster, 2);
      await cluster.sim.runFor(2_000);
      for (const id of cluster.brokerIds) expect(directories(cluster, id)).toEqual([]);
    }
    expect(cluster.failures).toEqual([]);
  });
});
