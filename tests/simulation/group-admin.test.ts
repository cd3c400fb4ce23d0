import { Client, errorFromCode, type KafkaError } from '@naru/client';
import { beforeEach, describe, expect, test } from 'vitest';
import { GroupHistory, GroupMember } from './group-member.ts';
import { SimulatedCluster } from './simulated-cluster.ts';

const topic = 'events';
let cluster: SimulatedCluster;
let admin: ReturnType<Client['admin']>;

/** Runs the simulation until it is done. */
function done<T>(work: Promise<T>): Promise<T> {
  return cluster.sim.complete(work);
}

beforeEach(async () => {
  const brokerConfig = {
    'group.initial.rebalance.delay.ms': 0,
    'offsets.topic.num.partitions': 5,
    'offset.metadata.max.bytes': 10,
    'min.insync.replicas': 2,
    'offsets.retention.minutes': 1,
    'offsets.retention.check.interval.ms': 20_000,
  };
  cluster = await SimulatedCluster.start({ seed: 21, coordinators: 1, brokerConfig });
  await cluster.createTopic(topic, 3, 3);
  admin = new Client({ bootstrapServers: 'b1:9092,b2:9092,b3:9092', runtime: cluster.client.runtime }).admin();
});

async function withMember(groupId: string): Promise<GroupMember> {
  const member = new GroupMember({ cluster, groupId, topic, partitions: 3, history: new GroupHistory() });
  member.start();
  await cluster.sim.runUntil(() => member.owned.length === 3);
  return member;
}

function code(outcome: { readonly error: KafkaError | undefined } | undefined): number | undefined {
  return outcome?.error?.code;
}

describe('offsets of a group without members', () => {
  test('are set, listed and outlive their coordinator (G3); each partition has an outcome of its own', async () => {
    const outcomes = await done(
      admin.alterGroupOffsets('g', [
        { topic, partition: 0, offset: 5n, leaderEpoch: 0, metadata: 'here' },
        { topic, partition: 1, offset: 6n, metadata: 'far too long for that' },
        { topic, partition: 9, offset: 7n },
        { topic: 'none', partition: 0, offset: 8n },
      ]),
    );
    expect(outcomes.map(code)).toEqual([undefined, 12, 3, 3]);
    const expected = [{ topic, partition: 0, offset: 5n, leaderEpoch: 0, metadata: 'here' }];
    expect(await done(admin.listGroupOffsets('g'))).toEqual(expected);
    const [described] = await done(admin.describeGroups(['g']));
    expect(described).toMatchObject({ state: 'Empty', members: [], error: undefined });
    cluster.crashBroker(described?.coordinator.id as number);
    expect(await done(admin.listGroupOffsets('g'))).toEqual(expected);
    const asked = [0, 1].map((partition) => ({ topic, partition }));
    const some = await done(admin.listGroupOffsets('g', { partitions: asked }));
    expect(some.map(({ offset }) => offset)).toEqual([5n, undefined]);
  });

  test('expire (KIP-211)', async () => {
    await done(admin.alterGroupOffsets('g', [{ topic, partition: 0, offset: 5n }]));
    await cluster.sim.runFor(50_000);
    expect(await done(admin.listGroupOffsets('g'))).toHaveLength(1);
    await cluster.sim.runFor(50_000);
    expect(await done(admin.listGroupOffsets('g'))).toEqual([]);
    expect(await done(admin.listGroups())).toEqual([]);
  });

  test('go with their topic, and with the group', async () => {
    await cluster.createTopic('short', 1, 3);
    const offsets = [topic, 'short'].map((name) => ({ topic: name, partition: 0, offset: 1n }));
    await done(admin.alterGroupOffsets('g', offsets));
    await done(admin.deleteTopics(['short']));
    await cluster.sim.runFor(2_000);
    expect((await done(admin.listGroupOffsets('g'))).map((one) => one.topic)).toEqual([topic]);
    expect((await done(admin.deleteGroups(['g', 'none']))).map(code)).toEqual([undefined, 69]);
    expect(await done(admin.listGroupOffsets('g'))).toEqual([]);
    expect((await done(admin.describeGroups(['g'])))[0]).toMatchObject({ state: 'Dead' });
  });
});

test('groups of all brokers are listed, by state too', async () => {
  for (const id of ['a', 'b', 'c', 'd', 'e']) {
    await done(admin.alterGroupOffsets(id, [{ topic, partition: 0, offset: 1n }]));
  }
  await withMember('with member');
  const listed = await done(admin.listGroups());
  expect(listed.map(({ groupId }) => groupId)).toEqual(['a', 'b', 'c', 'd', 'e', 'with member']);
  const stable = await done(admin.listGroups({ states: ['stable'] }));
  expect(stable).toEqual([{ groupId: 'with member', protocolType: 'consumer', state: 'Stable', type: 'Classic' }]);
});

test('a group with members keeps its offsets to itself', async () => {
  const member = await withMember('g');
  await cluster.sim.runFor(3_000);
  const [described] = await done(admin.describeGroups(['g']));
  expect(described).toMatchObject({
    state: 'Stable',
    protocol: 'range',
    generation: 1,
    members: [{ memberId: member.memberId, clientId: 'sim', clientHost: expect.stringMatching(/^\//) }],
  });
  expect(code((await done(admin.deleteGroups(['g'])))[0])).toBe(68);
  const change = [{ topic, partition: 0, offset: 0n }];
  expect(code((await done(admin.alterGroupOffsets('g', change)))[0])).toBe(25);
  expect(code((await done(admin.deleteGroupOffsets('g', change)))[0])).toBe(86);
  await done(member.leave());
  expect((await done(admin.deleteGroupOffsets('g', change))).map(code)).toEqual([undefined]);
  expect((await done(admin.listGroupOffsets('g'))).map(({ partition }) => partition)).toEqual([1, 2]);
});

test('nobody but the brokers writes into __consumer_offsets', async () => {
  await done(admin.alterGroupOffsets('g', [{ topic, partition: 0, offset: 1n }]));
  const client = new Client({ bootstrapServers: 'b1:9092,b2:9092,b3:9092', runtime: cluster.client.runtime });
  const sent = client.producer().send({ topic: '__consumer_offsets', partition: 0, value: Buffer.from('x') });
  await expect(done(sent)).rejects.toMatchObject({ code: 17 });
});

test('group ids that are none', async () => {
  for (const id of ['', 'x'.repeat(5_000)]) {
    await expect(done(admin.listGroupOffsets(id))).rejects.toThrow(errorFromCode(24, '').message);
  }
});
