// With vitest: one cluster for the tests of a file, a topic for each test.
import { Client } from '@naru/client';
import { startCluster, type TestCluster } from '@naru/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';

let cluster: TestCluster;
let client: Client;

beforeAll(async () => {
  cluster = await startCluster({ brokers: 3 });
  client = new Client({ bootstrapServers: cluster.bootstrapServers });
});

afterAll(async () => {
  await client?.close();
  await cluster?.stop();
});

test('orders are billed in the order in which they came', async () => {
  await client.admin().createTopics([{ name: 'orders', partitions: 1 }]);
  const producer = client.producer();
  for (const id of ['a', 'b', 'c']) await producer.send({ topic: 'orders', value: id });

  const consumer = client.consumer({ groupId: 'billing', autoOffsetReset: 'earliest' });
  consumer.subscribe(['orders']);
  const billed: string[] = [];
  for await (const { value } of consumer) {
    billed.push(String(value));
    if (billed.length === 3) break;
  }
  expect(billed).toEqual(['a', 'b', 'c']);
});

test('what was acknowledged outlives the broker that acknowledged it', async () => {
  await client.admin().createTopics([{ name: 'payments', partitions: 1 }]);
  const producer = client.producer();
  const { partition, offset } = await producer.send({ topic: 'payments', value: '9.99' });
  const [leader] = await producer.partitionsFor('payments');
  await cluster.kill(leader?.leaderId as number);

  const consumer = client.consumer();
  consumer.assign([{ topic: 'payments', partition }]);
  consumer.seek({ topic: 'payments', partition }, offset);
  const [record] = await consumer.poll(30_000);
  expect(String(record?.value)).toBe('9.99');
});
