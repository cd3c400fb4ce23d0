// With jest, as it is: CommonJS, no flags, no transform.
const { Client } = require('@naru/client');
const { startCluster } = require('@naru/testing');

let cluster;
let client;

beforeAll(async () => {
  cluster = await startCluster({ brokers: 1 });
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
  const billed = [];
  for await (const { value } of consumer) {
    billed.push(String(value));
    if (billed.length === 3) break;
  }
  expect(billed).toEqual(['a', 'b', 'c']);
});
