import { apis, decodeAssignment, encodeAssignment, errorCodes } from '@naru/kafka-protocol';
import { afterEach, describe, expect, test } from 'vitest';
import { call, cluster, start, topic } from './wire-world.ts';

afterEach(() => expect(cluster.failures).toEqual([]));

/** As KafkaJS 2 sends it: version 1, but without what version 1 added. */
const kafkaJs = Buffer.concat([
  Buffer.from('0001' + '00000001' + '0006', 'hex'),
  Buffer.from(topic),
  Buffer.from('00000000', 'hex'),
]);
const protocols = [{ name: 'RoundRobinAssigner', metadata: kafkaJs }];
const group = { groupId: 'g' };
const timeouts = { sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 20_000 };

interface Claim {
  readonly groupId: string;
  readonly memberId: string;
  readonly generationId: number;
}

const join = (memberId: string, fields: object = {}) =>
  call(apis.joinGroup, 5, { ...group, ...timeouts, memberId, protocolType: 'consumer', protocols, ...fields });
const sync = (claim: Claim, assignments: { memberId: string; assignment: Uint8Array }[] = []) =>
  call(apis.syncGroup, 3, { ...claim, assignments });
const beat = async (claim: Claim) => (await call(apis.heartbeat, 3, claim)).errorCode;
const commit = async (claim: Claim, offset: number) => {
  const partitions = [{ partitionIndex: 0, committedOffset: offset, committedLeaderEpoch: 0, committedMetadata: '' }];
  const answer = await call(apis.offsetCommit, 7, { ...claim, topics: [{ name: topic, partitions }] });
  return answer.topics[0]?.partitions[0]?.errorCode;
};
const consumer = (memberId: string, memberEpoch: number, fields: object = {}) =>
  call(apis.consumerGroupHeartbeat, 1, {
    ...group,
    memberId,
    memberEpoch,
    ...(memberEpoch === 0
      ? { rebalanceTimeoutMs: 20_000, subscribedTopicNames: [topic], topicPartitions: [] }
      : { topicPartitions: null }),
    ...fields,
  });
const typeOfGroup = async () => (await call(apis.listGroups, 5, {})).groups[0]?.groupType;

/** A cluster in which the group's coordinator serves. */
async function begin(config: Record<string, unknown> = {}): Promise<void> {
  await start({ 'group.initial.rebalance.delay.ms': 0, ...config });
  for (let attempt = 0; attempt < 50; attempt++) {
    const { errorCode } = await call(apis.findCoordinator, 3, { key: 'g' });
    const unknown = { ...group, memberId: 'm', generationId: 1 };
    if (errorCode === 0 && (await beat(unknown)) === errorCodes.UNKNOWN_MEMBER_ID) return;
    await cluster.sim.runFor(100);
  }
  throw new Error('no coordinator');
}

/** One classic member, alone in a stable group. */
async function classicMember(userData: Buffer | null = null, fields: object = {}): Promise<Claim> {
  const { memberId } = await join('', fields);
  const { generationId } = await join(memberId, fields);
  const claim = { ...group, memberId, generationId };
  const partitions = [0, 1].map((partition) => ({ topic, partition }));
  const assignment = encodeAssignment({ partitions, userData }, 1);
  expect((await sync(claim, [{ memberId, assignment }])).errorCode).toBe(0);
  return claim;
}

async function syncedPartitions(claim: Claim): Promise<readonly number[]> {
  const synced = await sync(claim);
  expect(synced.errorCode).toBe(0);
  return decodeAssignment(synced.assignment).partitions.map(({ partition }) => partition);
}

describe('a group that changes its protocol while members are in it (KIP-848)', () => {
  test('upgrade: a classic member goes on in its generation, is told to join again, shares, and is described as what it is', async () => {
    await begin();
    const old = await classicMember();
    expect(await consumer('c', 0)).toMatchObject({ errorCode: 0, memberEpoch: 2, assignment: { topicPartitions: [] } });
    expect(await typeOfGroup()).toBe('Consumer');
    expect(await beat(old)).toBe(errorCodes.REBALANCE_IN_PROGRESS);
    expect(await commit(old, 5), 'what it has processed, before it gives up').toBe(0);
    const joined = await join(old.memberId);
    expect(joined).toMatchObject({ errorCode: 0, generationId: 2, leader: '', members: [] });
    expect(await beat(old), 'it speaks of its former generation').toBe(errorCodes.REBALANCE_IN_PROGRESS);
    const now = { ...old, generationId: 2 };
    const [mine, ...more] = await syncedPartitions(now);
    expect(more).toEqual([]);
    expect(await beat(now)).toBe(0);
    const given = (await consumer('c', 2)).assignment?.topicPartitions.flatMap(({ partitions }) => partitions);
    expect(given).toEqual([1 - (mine as number)]);
    expect(await commit(old, 6), 'its former generation is over (G4)').toBe(errorCodes.ILLEGAL_GENERATION);
    expect(await commit(now, 6)).toBe(0);
    const described = await call(apis.consumerGroupDescribe, 1, {
      groupIds: ['g'],
      includeAuthorizedOperations: false,
    });
    const types = described.groups[0]?.members.map(({ memberId, memberType }) => [memberId, memberType]);
    expect(types).toEqual([
      [old.memberId, 0],
      ['c', 1],
    ]);
  });

  test('a classic member joins a group of the other protocol: handshake, common assignor, no way back in under an old id (G4)', async () => {
    await begin();
    await consumer('c', 0);
    const told = await join('');
    expect(told.errorCode).toBe(errorCodes.MEMBER_ID_REQUIRED);
    expect((await join('never-given-out')).errorCode).toBe(errorCodes.UNKNOWN_MEMBER_ID);
    const joined = await join(told.memberId);
    expect(joined).toMatchObject({ errorCode: 0, generationId: 2 });
    const claim = { ...group, memberId: told.memberId, generationId: 2 };
    expect(await syncedPartitions(claim), 'the other one has everything yet').toEqual([]);
    expect(await beat(claim)).toBe(0);
    const kept = (await consumer('c', 1)).assignment?.topicPartitions ?? [];
    expect((await consumer('c', 1, { topicPartitions: kept })).memberEpoch).toBe(2);
    expect(await beat(claim), 'something has become free').toBe(errorCodes.REBALANCE_IN_PROGRESS);
    expect((await join(claim.memberId)).generationId).toBe(2);
    expect(await syncedPartitions(claim)).toHaveLength(1);
    const others = [{ name: 'range', metadata: kafkaJs }];
    expect((await join('', { protocols: others })).errorCode).toBe(errorCodes.INCONSISTENT_GROUP_PROTOCOL);
    expect((await join('', { protocolType: 'connect' })).errorCode).toBe(errorCodes.INCONSISTENT_GROUP_PROTOCOL);
    await cluster.sim.runFor(11_000);
    expect(await beat(claim)).toBe(errorCodes.UNKNOWN_MEMBER_ID);
    expect((await join(claim.memberId)).errorCode).toBe(errorCodes.UNKNOWN_MEMBER_ID);
  });

  test('downgrade: when the last member of the new protocol leaves, the others go on in their generation and join a classic round', async () => {
    await begin();
    const old = await classicMember();
    await consumer('c', 0);
    await join(old.memberId);
    const now = { ...old, generationId: 2 };
    await syncedPartitions(now);
    expect((await consumer('c', -1)).errorCode).toBe(0);
    expect(await typeOfGroup()).toBe('Classic');
    expect(await beat(now)).toBe(errorCodes.REBALANCE_IN_PROGRESS);
    expect(await commit(now, 7)).toBe(0);
    expect(await join(old.memberId)).toMatchObject({
      generationId: 3,
      leader: old.memberId,
      protocolName: 'RoundRobinAssigner',
    });
    expect((await consumer('c', 2)).errorCode, 'it is out').toBe(errorCodes.UNKNOWN_MEMBER_ID);
    const asked = [{ name: topic, partitionIndexes: [0] }];
    const { topics } = await call(apis.offsetFetch, 5, { ...group, topics: asked });
    expect(topics[0]?.partitions[0]?.committedOffset).toBe(7);
  });

  test('a static member comes back with the new protocol to what it had; its former id is fenced (KIP-345, row 52)', async () => {
    await begin();
    const old = await classicMember(null, { groupInstanceId: 'i' });
    const back = await consumer('c', 0, { instanceId: 'i' });
    expect(back).toMatchObject({ errorCode: 0, assignment: { topicPartitions: [{ partitions: [0, 1] }] } });
    const asBefore = { ...old, groupInstanceId: 'i' };
    expect(await beat(asBefore)).toBe(errorCodes.FENCED_INSTANCE_ID);
    expect(await commit(asBefore, 9)).toBe(errorCodes.FENCED_INSTANCE_ID);
  });

  test('refused by name: while it is rebalancing, an assignor that tells more, other protocol types, policy disabled', async () => {
    await begin();
    const { memberId } = await join('');
    const { generationId } = await join(memberId);
    expect((await consumer('c', 0)).errorCode, 'not now').toBe(errorCodes.COORDINATOR_LOAD_IN_PROGRESS);
    const claim = { ...group, memberId, generationId };
    const assignment = encodeAssignment({ partitions: [], userData: Buffer.from('mine') }, 1);
    await sync(claim, [{ memberId, assignment }]);
    expect(await consumer('c', 0)).toMatchObject({
      errorCode: errorCodes.GROUP_ID_NOT_FOUND,
      errorMessage: expect.stringContaining('tells members more than their partitions'),
    });
    expect(await beat(claim), 'nothing happened to the others').toBe(0);
    await begin();
    await classicMember(null, { protocolType: 'connect' });
    expect((await consumer('c', 0)).errorMessage).toContain('protocol type connect');
    await begin({ 'group.consumer.migration.policy': 'downgrade' });
    await classicMember();
    expect(await consumer('c', 0)).toMatchObject({
      errorCode: errorCodes.GROUP_ID_NOT_FOUND,
      errorMessage: expect.stringContaining('online upgrade is disabled'),
    });
  });

  test('group.consumer.migration.policy=upgrade: classic members that are left stay in a group that the coordinator assigns', async () => {
    await begin({ 'group.consumer.migration.policy': 'upgrade' });
    const old = await classicMember();
    await consumer('c', 0);
    await join(old.memberId);
    const now = { ...old, generationId: 2 };
    await syncedPartitions(now);
    await consumer('c', -1);
    expect(await typeOfGroup()).toBe('Consumer');
    expect(await beat(now), 'there is more to have').toBe(errorCodes.REBALANCE_IN_PROGRESS);
    const { generationId } = await join(old.memberId);
    expect(generationId).toBe(3);
    expect(await syncedPartitions({ ...now, generationId })).toEqual([0, 1]);
  });
});
