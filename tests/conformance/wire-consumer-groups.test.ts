import { apis, errorCodes } from '@naru/kafka-protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { call, cluster, idOf, start, topic } from './wire-world.ts';

afterEach(() => expect(cluster.failures).toEqual([]));

const joining = {
  groupId: 'g',
  memberEpoch: 0,
  rebalanceTimeoutMs: 10_000,
  subscribedTopicNames: [topic],
  topicPartitions: [],
};

const heartbeat = (request: { readonly memberId: string; readonly [field: string]: unknown }) =>
  call(apis.consumerGroupHeartbeat, 1, { ...joining, ...request });
const stay = (memberId: string, memberEpoch: number, owned?: readonly number[]) =>
  call(apis.consumerGroupHeartbeat, 1, {
    groupId: 'g',
    memberId,
    memberEpoch,
    topicPartitions: owned === undefined ? null : [{ topicId: idOf(topic), partitions: owned }],
  });

/** Numbers of the partitions that an answer gives out. */
function given({ assignment }: Awaited<ReturnType<typeof heartbeat>>): readonly number[] | undefined {
  return assignment?.topicPartitions.flatMap(({ partitions }) => partitions);
}

describe('groups whose coordinator assigns (KIP-848)', () => {
  beforeEach(async () => {
    await start({ 'group.initial.rebalance.delay.ms': 0 });
    for (let attempt = 0; attempt < 50; attempt++) {
      const { errorCode } = await call(apis.findCoordinator, 3, { key: 'g' });
      const isServed = (await stay('nobody', 1)).errorCode === errorCodes.GROUP_ID_NOT_FOUND;
      if (errorCode === 0 && isServed) return;
      await cluster.sim.runFor(100);
    }
    throw new Error('no coordinator');
  });

  test('a partition is given to its new member when the old one has said that it gave it up', async () => {
    const first = await heartbeat({ memberId: 'a' });
    expect(first).toMatchObject({ errorCode: 0, memberId: 'a', memberEpoch: 1, heartbeatIntervalMs: 5_000 });
    const all = given(first) as readonly number[];
    const second = await heartbeat({ memberId: 'b' });
    expect(second).toMatchObject({ errorCode: 0, memberEpoch: 2, assignment: { topicPartitions: [] } });
    // Told what to keep, in its old epoch: it has not given anything up yet.
    const told = await stay('a', 1);
    const kept = given(told) as readonly number[];
    expect(told.memberEpoch).toBe(1);
    expect(kept.length).toBe(Math.ceil(all.length / 2));
    expect((await stay('b', 2)).assignment).toBeNull();
    expect(await stay('a', 1, kept)).toMatchObject({ errorCode: 0, memberEpoch: 2 });
    const moved = given(await stay('b', 2));
    expect([...kept, ...(moved ?? [])].sort()).toEqual([...all].sort());
  });

  test('commits carry the member epoch; v9 and v10 name topics by name and by id', async () => {
    await heartbeat({ memberId: 'a' });
    const partitions = [{ partitionIndex: 0, committedOffset: 42, committedLeaderEpoch: 0, committedMetadata: 'kept' }];
    const commit = async (version: number, memberEpoch: number, memberId = 'a', topicId = idOf(topic)) => {
      const topics = [{ name: topic, topicId, partitions }];
      const claim = { groupId: 'g', memberId, generationId: memberEpoch };
      return (await call(apis.offsetCommit, version, { ...claim, topics })).topics[0]?.partitions[0]?.errorCode;
    };
    expect(await commit(9, 1)).toBe(0);
    expect(await commit(10, 1)).toBe(0);
    expect(await commit(9, 0)).toBe(errorCodes.STALE_MEMBER_EPOCH);
    expect(await commit(9, 1, 'b')).toBe(errorCodes.UNKNOWN_MEMBER_ID);
    expect(await commit(10, 1, 'a', 'AAAAAAAAAAAAAAAAAAAAAQ')).toBe(errorCodes.UNKNOWN_TOPIC_ID);
    const fetch = async (version: number, memberEpoch: number) => {
      const topics = [{ name: topic, topicId: idOf(topic), partitionIndexes: [0] }];
      const { groups } = await call(apis.offsetFetch, version, {
        groups: [{ groupId: 'g', memberId: 'a', memberEpoch, topics }],
      });
      return groups[0];
    };
    expect((await fetch(9, 1))?.topics[0]).toMatchObject({ name: topic, partitions: [{ committedOffset: 42 }] });
    const byId = (await fetch(10, 1))?.topics[0];
    expect(byId).toMatchObject({ topicId: idOf(topic), partitions: [{ committedOffset: 42, metadata: 'kept' }] });
    expect((await fetch(9, 2))?.errorCode).toBe(errorCodes.STALE_MEMBER_EPOCH);
  });

  test('who is fenced, unknown, or asks for what is not there hears it by name', async () => {
    await heartbeat({ memberId: 'a', instanceId: 'i' });
    const codeOf = async (answer: ReturnType<typeof heartbeat>) => (await answer).errorCode;
    expect(await codeOf(stay('a', 7))).toBe(errorCodes.FENCED_MEMBER_EPOCH);
    expect(await codeOf(stay('b', 1))).toBe(errorCodes.UNKNOWN_MEMBER_ID);
    expect(await codeOf(heartbeat({ memberId: 'b', instanceId: 'i' }))).toBe(errorCodes.UNRELEASED_INSTANCE_ID);
    expect(await codeOf(heartbeat({ memberId: 'b', serverAssignor: 'mine' }))).toBe(errorCodes.UNSUPPORTED_ASSIGNOR);
    const badPattern = { memberId: 'b', subscribedTopicNames: [], subscribedTopicRegex: '(' };
    expect(await codeOf(heartbeat(badPattern))).toBe(errorCodes.INVALID_REGULAR_EXPRESSION);
    expect(await codeOf(heartbeat({ memberId: 'b', rebalanceTimeoutMs: -1 }))).toBe(errorCodes.INVALID_REQUEST);
    expect(await codeOf(heartbeat({ memberId: '' }))).toBe(errorCodes.INVALID_REQUEST);
  });

  test('a static member that left for a while comes back under another id to what it had; the old id is fenced (row 52)', async () => {
    const first = await heartbeat({ memberId: 'a', instanceId: 'i' });
    await heartbeat({ memberId: 'x' });
    expect(await heartbeat({ memberId: 'a', instanceId: 'i', memberEpoch: -2 })).toMatchObject({ memberEpoch: -2 });
    const back = await heartbeat({ memberId: 'b', instanceId: 'i' });
    expect(back.errorCode).toBe(0);
    for (const partition of given(back) ?? []) expect(given(first)).toContain(partition);
    expect(await heartbeat({ memberId: 'a', instanceId: 'i', memberEpoch: 1 })).toMatchObject({
      errorCode: errorCodes.FENCED_INSTANCE_ID,
    });
  });

  test('version 0: the coordinator makes the id; a pattern finds topics, not internal ones', async () => {
    const nameless = await call(apis.consumerGroupHeartbeat, 0, { ...joining, memberId: '' });
    expect(nameless).toMatchObject({ errorCode: 0, memberEpoch: 1 });
    expect(nameless.memberId).toMatch(/^[\w-]{22}$/);
    await call(apis.consumerGroupHeartbeat, 0, { ...joining, memberId: nameless.memberId ?? '', memberEpoch: -1 });
    const pattern = { memberId: 'p', subscribedTopicNames: [], subscribedTopicRegex: '.*' };
    const found = await heartbeat(pattern);
    expect(found.assignment?.topicPartitions.map(({ topicId }) => topicId)).toEqual([idOf(topic)]);
  });

  test('described and listed by type and state; the other kind does not know it', async () => {
    await heartbeat({ memberId: 'a', subscribedTopicNames: [topic] });
    const { groups } = await call(apis.consumerGroupDescribe, 1, {
      groupIds: ['g', 'none'],
      includeAuthorizedOperations: true,
    });
    expect(groups[0]).toMatchObject({
      errorCode: 0,
      groupState: 'Stable',
      groupEpoch: 1,
      assignmentEpoch: 1,
      assignorName: 'uniform',
      members: [{ memberId: 'a', memberEpoch: 1, subscribedTopicNames: [topic], memberType: 1 }],
    });
    expect(groups[0]?.members[0]?.assignment).toEqual(groups[0]?.members[0]?.targetAssignment);
    expect(groups[1]).toMatchObject({ errorCode: errorCodes.GROUP_ID_NOT_FOUND });
    const classic = await call(apis.describeGroups, 6, { groups: ['g'] });
    expect(classic.groups[0]).toMatchObject({ errorCode: errorCodes.GROUP_ID_NOT_FOUND, groupState: 'Dead' });
    const listed = await call(apis.listGroups, 5, { statesFilter: ['stable'], typesFilter: ['consumer'] });
    expect(listed.groups).toMatchObject([{ groupId: 'g', groupState: 'Stable', groupType: 'Consumer' }]);
    expect((await call(apis.listGroups, 5, { typesFilter: ['classic'] })).groups).toEqual([]);
  });

  test('a group that nobody is in changes its kind', async () => {
    const classic = {
      groupId: 'g',
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 10_000,
      protocolType: 'consumer',
      memberId: '',
      protocols: [{ name: 'range', metadata: Buffer.from('0001', 'hex') }],
    };
    await heartbeat({ memberId: 'a' });
    expect(await call(apis.joinGroup, 3, classic)).toMatchObject({ errorCode: errorCodes.INCONSISTENT_GROUP_PROTOCOL });
    await stay('a', -1);
    const joined = await call(apis.joinGroup, 3, classic);
    expect(joined.errorCode).toBe(0);
    expect((await heartbeat({ memberId: 'a' })).errorCode).toBe(errorCodes.COORDINATOR_LOAD_IN_PROGRESS);
    await call(apis.leaveGroup, 3, { groupId: 'g', members: [{ memberId: joined.memberId }] });
    expect(await heartbeat({ memberId: 'a' })).toMatchObject({ errorCode: 0, memberEpoch: 1 });
    expect((await call(apis.deleteGroups, 2, { groupsNames: ['g'] })).results[0]?.errorCode).toBe(
      errorCodes.NON_EMPTY_GROUP,
    );
    await stay('a', -1);
    expect((await call(apis.deleteGroups, 2, { groupsNames: ['g'] })).results[0]?.errorCode).toBe(0);
  });
});
