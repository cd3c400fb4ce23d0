// With Node's own test runner: node --test node.test.mjs
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client } from '@naru/client';
import { startCluster } from '@naru/testing';

let cluster;
let client;

before(async () => {
  cluster = await startCluster({ brokers: 1 });
  client = new Client({ bootstrapServers: cluster.bootstrapServers });
});

after(async () => {
  await client?.close();
  await cluster?.stop();
});

test('orders are billed in the order in which they came', async () => {
  await client.admin().createTopics([{ name: 'orders', partitions: 1 }]);
  const producer = client.producer();
  for (const id of ['a', 'b', 'c']) await producer.send({ topic: 'orders', value: id });

  const consumer = client.consumer({ groupId: 'billing', autoOffsetReset: 'earliest' });
  consumer.subscribe(['orders']);
  const billed = [];
  for await (const { value } of consumer) {
    billed.push(String(value));
    if (billed.length === 3) break;
  }
  assert.deepEqual(billed, ['a', 'b', 'c']);
});
