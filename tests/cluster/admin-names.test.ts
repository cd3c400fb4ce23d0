// The names that users of Java's Admin and of KafkaJS's admin bring along, against brokers.
import { type Admin, Client, TopicExistsError, UnknownTopicOrPartitionError } from '@naru/client';
import { startCluster } from '@naru/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';

let cluster: Awaited<ReturnType<typeof startCluster>>;
let client: Client;
let admin: Admin;

beforeAll(async () => {
  cluster = await startCluster({ brokers: 1 });
  client = new Client({ bootstrapServers: cluster.bootstrapServers });
  admin = client.admin();
  await admin.createTopics([{ name: 't', partitions: 2, replicationFactor: 1 }]);
  const producer = client.producer();
  await producer.sendMany(
    Array.from({ length: 10 }, (_, i) => ({ topic: 't', partition: i % 2, value: `${i}`, timestamp: 1_000 + i })),
  );
});

afterAll(async () => {
  await client?.close();
  await cluster?.stop();
});

test('topics and their offsets', async () => {
  const { topics } = await admin.fetchTopicMetadata({ topics: ['t'] });
  expect(topics).toMatchObject([
    {
      name: 't',
      partitions: [
        { partition: 0, leader: 1 },
        { partition: 1, leader: 1 },
      ],
    },
  ]);
  expect((await admin.fetchTopicMetadata()).topics.map(({ name }) => name)).toContain('t');
  await expect(admin.fetchTopicMetadata({ topics: ['nowhere'] })).rejects.toThrow(UnknownTopicOrPartitionError);
  const range = { offset: 5n, high: 5n, low: 0n };
  expect(await admin.fetchTopicOffsets('t')).toEqual([
    { partition: 0, ...range },
    { partition: 1, ...range },
  ]);
  expect(await admin.fetchTopicOffsetsByTimestamp('t', 1_004)).toEqual([
    { partition: 0, offset: 2n },
    { partition: 1, offset: 2n },
  ]);
  expect(await admin.fetchTopicOffsetsByTimestamp('t', 9_999)).toMatchObject([{ offset: 5n }, { offset: 5n }]);
  const [again] = await admin.createTopics([{ name: 't' }]);
  expect(again?.error).toBeInstanceOf(TopicExistsError);
});

test('offsets of a group', async () => {
  await admin.setOffsets({ groupId: 'g', topic: 't', partitions: [{ partition: 0, offset: '3' }] });
  expect(await admin.fetchOffsets({ groupId: 'g' })).toEqual([
    { topic: 't', partitions: [{ partition: 0, offset: 3n, metadata: '' }] },
  ]);
  expect(await admin.fetchOffsets({ groupId: 'g', topics: ['t'] })).toMatchObject([
    { topic: 't', partitions: [{ offset: 3n }, { offset: -1n }] },
  ]);
  await admin.resetOffsets({ groupId: 'g', topic: 't', earliest: true });
  expect(await admin.listConsumerGroupOffsets('g')).toMatchObject([{ offset: 0n }, { offset: 0n }]);
  await admin.resetOffsets({ groupId: 'g', topic: 't' });
  expect(await admin.listConsumerGroupOffsets('g')).toMatchObject([{ offset: 5n }, { offset: 5n }]);
  await admin.alterConsumerGroupOffsets('g', [{ topic: 't', partition: 1, offset: 1n }]);
  expect(await admin.deleteConsumerGroupOffsets('g', [{ topic: 't', partition: 0 }])).toMatchObject([
    { error: undefined },
  ]);
  expect(await admin.listConsumerGroupOffsets('g')).toMatchObject([{ partition: 1, offset: 1n }]);
  expect((await admin.listConsumerGroups()).map(({ groupId }) => groupId)).toContain('g');
  expect(await admin.deleteConsumerGroups(['g'])).toEqual([{ groupId: 'g', error: undefined }]);
});

test('a static member that will not come back is put out, and its partitions are free at once', async () => {
  const member = (): ReturnType<Client['consumer']> =>
    client.consumer({ groupId: 'static', groupInstanceId: 'one', autoOffsetReset: 'earliest' });
  const first = member();
  first.subscribe(['t']);
  await first.poll(10_000);
  await first.close(); // a static member stays in the group
  const [before] = await admin.describeConsumerGroups(['static']);
  expect(before?.members.map(({ groupInstanceId }) => groupInstanceId)).toEqual(['one']);
  const removed = await admin.removeMembersFromConsumerGroup('static', [{ groupInstanceId: 'one' }]);
  expect(removed).toMatchObject([{ groupInstanceId: 'one', error: undefined }]);
  const [after] = await admin.describeConsumerGroups(['static']);
  expect(after?.state).toBe('Empty');
  const [unknown] = await admin.removeMembersFromConsumerGroup('static', [{ groupInstanceId: 'two' }]);
  expect(unknown?.error?.name).toBe('UnknownMemberIdError');
  expect(await admin.removeMembersFromConsumerGroup('static')).toEqual([]);
});
