import { Client, orThrow } from '@naru/client';
import { afterEach, expect, test } from 'vitest';
import { startCluster, type TestCluster } from './start-cluster.ts';

const open: AsyncDisposable[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one[Symbol.asyncDispose]();
});

async function started(): Promise<{ cluster: TestCluster; client: Client }> {
  const cluster = await startCluster({ brokers: 3, settings: { 'replica.lag.time.max.ms': 1_000 } });
  open.push(cluster);
  const client = new Client({ bootstrapServers: cluster.bootstrapServers });
  open.push(client);
  const topic = { name: 't', partitions: 1, replicationFactor: 3, configs: { 'min.insync.replicas': 2 } };
  orThrow(await client.admin().createTopics([topic]));
  return { cluster, client };
}

async function leaderOf(client: Client): Promise<number> {
  const [topic] = await client.admin().describeTopics(['t']);
  if (topic === undefined || 'error' in topic) throw new Error('the topic is gone');
  return topic.partitions[0]?.leader ?? -1;
}

async function values(client: Client, count: number): Promise<string[]> {
  const consumer = client.consumer({ autoOffsetReset: 'earliest' });
  consumer.assign([{ topic: 't', partition: 0 }]);
  const read: string[] = [];
  while (read.length < count) read.push(...(await consumer.poll(5_000)).map((record) => String(record.value)));
  await consumer.close();
  return read;
}

test('what was acknowledged outlives the kill of its leader, and the killed broker comes back', async () => {
  const { cluster, client } = await started();
  const producer = client.producer({ acks: 'all', lingerMs: 0 });
  await producer.send({ topic: 't', value: 'before' });
  const leader = await leaderOf(client);
  await cluster.kill(leader);
  await producer.send({ topic: 't', value: 'after' });
  expect(await leaderOf(client)).not.toBe(leader);
  await cluster.restart(leader);
  await expect
    .poll(async () => {
      const [topic] = await client.admin().describeTopics(['t']);
      return topic !== undefined && 'partitions' in topic && topic.partitions[0]?.isr.length;
    })
    .toBe(3);
  expect(await values(client, 2)).toEqual(['before', 'after']);
  await producer.close();
});

test('an isolated leader is replaced, and what it could not replicate was never acknowledged', async () => {
  const { cluster, client } = await started();
  const producer = client.producer({ acks: 'all', lingerMs: 0 });
  await producer.send({ topic: 't', value: 'before' });
  const leader = await leaderOf(client);
  cluster.isolate([leader]);
  await producer.send({ topic: 't', value: 'after' });
  cluster.heal();
  expect(await values(client, 2)).toEqual(['before', 'after']);
  await producer.close();
});

test('every broker restarted in turn loses nothing, on the ports it had', async () => {
  const { cluster, client } = await started();
  const servers = cluster.bootstrapServers;
  const producer = client.producer({ acks: 'all', lingerMs: 0 });
  for (const id of cluster.brokerIds) {
    await producer.send({ topic: 't', value: `before ${id}` });
    await cluster.restart(id);
  }
  expect(cluster.bootstrapServers).toBe(servers);
  expect(await values(client, 3)).toEqual(['before 1', 'before 2', 'before 3']);
  await producer.close();
});

test('a broker that does not exist is named', async () => {
  const cluster = await startCluster({ brokers: 1 });
  open.push(cluster);
  await expect(cluster.kill(4)).rejects.toThrow('there is no broker 4; there are 1');
});
