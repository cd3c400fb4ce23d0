import { apis, errorCodes } from '@naru/kafka-protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { batch, call, cluster, start, topic } from './wire-world.ts';

afterEach(() => expect(cluster.failures).toEqual([]));

describe('groups', () => {
  const subscription = Buffer.from('0001', 'hex');
  const protocols = [{ name: 'range', metadata: subscription }];
  const joining = {
    groupId: 'g',
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 10_000,
    protocolType: 'consumer',
    protocols,
  };

  beforeEach(async () => {
    await start({ 'group.initial.rebalance.delay.ms': 0 });
    for (let attempt = 0; attempt < 50; attempt++) {
      const { errorCode } = await call(apis.findCoordinator, 3, { key: 'g' });
      if (
        errorCode === 0 &&
        (await call(apis.heartbeat, 3, { groupId: 'g', generationId: 1, memberId: 'm' })).errorCode === 25
      )
        return;
      await cluster.sim.runFor(100);
    }
    throw new Error('no coordinator');
  });

  test("KafkaJS's resetOffsets commits -2 (earliest) and -1 (latest): kept as they are, other negative ones are refused", async () => {
    const commit = async (committedOffset: number): Promise<number | undefined> => {
      const partitions = [{ partitionIndex: 0, committedOffset, committedMetadata: '' }];
      const claim = { groupId: 'g', generationIdOrMemberEpoch: -1, memberId: '' };
      const answer = await call(apis.offsetCommit, 5, { ...claim, topics: [{ name: topic, partitions }] });
      return answer.topics[0]?.partitions[0]?.errorCode;
    };
    for (const special of [-2, -1]) {
      expect(await commit(special)).toBe(errorCodes.NONE);
      const fetched = await call(apis.offsetFetch, 4, {
        groupId: 'g',
        topics: [{ name: topic, partitionIndexes: [0] }],
      });
      expect(fetched.topics[0]?.partitions[0]).toMatchObject({ committedOffset: special, errorCode: 0 });
    }
    expect(await commit(-3)).toBe(errorCodes.INVALID_REQUEST);
  });

  test('FindCoordinator for one key and for several', async () => {
    expect(await call(apis.findCoordinator, 0, { key: 'g' })).toMatchObject({ errorCode: 0, nodeId: 1, host: 'b1' });
    const many = await call(apis.findCoordinator, 4, { coordinatorKeys: ['g', 'h'] });
    expect(many.coordinators.map(({ key, errorCode, nodeId }) => [key, errorCode, nodeId])).toEqual([
      ['g', 0, 1],
      ['h', 0, 1],
    ]);
  });

  test('KIP-394: from version 4 on a new member is told its id first, before it is admitted at once', async () => {
    const told = await call(apis.joinGroup, 5, { ...joining, memberId: '' });
    expect(told.errorCode).toBe(errorCodes.MEMBER_ID_REQUIRED);
    const joined = await call(apis.joinGroup, 5, { ...joining, memberId: told.memberId });
    expect(joined).toMatchObject({ errorCode: 0, generationId: 1, protocolName: 'range', leader: told.memberId });
    const old = await call(apis.joinGroup, 3, { ...joining, groupId: 'old', memberId: '' });
    expect(old).toMatchObject({ errorCode: 0, generationId: 1 });
  });

  test('join, sync, heartbeat, commit with metadata, fetch one way and the other, describe, leave, delete', async () => {
    const { memberId } = await call(apis.joinGroup, 9, { ...joining, memberId: '' });
    const { generationId, members } = await call(apis.joinGroup, 9, { ...joining, memberId });
    expect(Buffer.from(members[0]?.metadata ?? [])).toEqual(subscription);
    const claim = { groupId: 'g', generationId, memberId };
    const assignment = Buffer.from('assigned');
    const synced = await call(apis.syncGroup, 5, { ...claim, assignments: [{ memberId, assignment }] });
    expect([synced.errorCode, Buffer.from(synced.assignment).toString()]).toEqual([0, 'assigned']);
    expect((await call(apis.heartbeat, 4, claim)).errorCode).toBe(0);
    const committed = { partitionIndex: 0, committedOffset: 42, committedLeaderEpoch: 0, committedMetadata: 'kept' };
    const commit = await call(apis.offsetCommit, 8, { ...claim, topics: [{ name: topic, partitions: [committed] }] });
    expect(commit.topics[0]?.partitions[0]?.errorCode).toBe(0);
    const asked = [{ name: topic, partitionIndexes: [0, 1] }];
    const old = await call(apis.offsetFetch, 5, { groupId: 'g', topics: asked });
    expect(old.topics[0]?.partitions.map((one) => [one.committedOffset, one.metadata])).toEqual([
      [42, 'kept'],
      [-1, ''],
    ]);
    const all = await call(apis.offsetFetch, 9, {
      groups: [
        { groupId: 'g', topics: null },
        { groupId: 'none', topics: asked },
      ],
    });
    expect(all.groups[0]?.topics[0]?.partitions).toMatchObject([{ partitionIndex: 0, committedOffset: 42 }]);
    expect(all.groups[1]).toMatchObject({
      errorCode: 0,
      topics: [{ partitions: [{ committedOffset: -1 }, { committedOffset: -1 }] }],
    });
    const described = await call(apis.describeGroups, 5, { groups: ['g', 'none'] });
    expect(described.groups.map(({ groupState, errorCode }) => [groupState, errorCode])).toEqual([
      ['Stable', 0],
      ['Dead', 0],
    ]);
    expect(described.groups[0]?.members[0]).toMatchObject({ memberId, clientId: 'test' });
    expect((await call(apis.describeGroups, 6, { groups: ['none'] })).groups[0]?.errorCode).toBe(
      errorCodes.GROUP_ID_NOT_FOUND,
    );
    expect((await call(apis.listGroups, 4, {})).groups).toMatchObject([{ groupId: 'g', groupState: 'Stable' }]);
    expect((await call(apis.deleteGroups, 2, { groupsNames: ['g'] })).results[0]?.errorCode).toBe(
      errorCodes.NON_EMPTY_GROUP,
    );
    expect((await call(apis.leaveGroup, 2, { groupId: 'g', memberId })).errorCode).toBe(0);
    expect((await call(apis.heartbeat, 4, claim)).errorCode).toBe(errorCodes.UNKNOWN_MEMBER_ID);
    expect((await call(apis.deleteGroups, 1, { groupsNames: ['g'] })).results[0]?.errorCode).toBe(0);
  });

  test('the first member of a cluster waits for the log of its group instead of being refused', async () => {
    await start({ 'group.initial.rebalance.delay.ms': 0 });
    let found = await call(apis.findCoordinator, 3, { key: 'g' });
    while (found.errorCode !== 0) found = await call(apis.findCoordinator, 3, { key: 'g' });
    expect((await call(apis.joinGroup, 5, { ...joining, memberId: '' })).errorCode).toBe(errorCodes.MEMBER_ID_REQUIRED);
  });

  test('assignments of a hundred thousand bytes come as they were sent', async () => {
    const { memberId } = await call(apis.joinGroup, 9, { ...joining, memberId: '' });
    const { generationId } = await call(apis.joinGroup, 9, { ...joining, memberId });
    const assignment = Buffer.from(Array.from({ length: 100_000 }, (_, i) => i % 251));
    const claim = { groupId: 'g', generationId, memberId };
    const synced = await call(apis.syncGroup, 3, { ...claim, assignments: [{ memberId, assignment }] });
    expect(Buffer.from(synced.assignment).equals(assignment)).toBe(true);
    const described = await call(apis.describeGroups, 5, { groups: ['g'] });
    expect(Buffer.from(described.groups[0]?.members[0]?.memberAssignment ?? []).equals(assignment)).toBe(true);
  });

  test('clients read the internal topics, but do not write them: the offsets of all groups are in there', async () => {
    const name = '__consumer_offsets';
    const { topics } = await call(apis.metadata, 9, { topics: [{ name }] });
    expect(topics[0]).toMatchObject({ errorCode: 0, isInternal: true });
    const asked = [{ name, partitions: [{ index: 0, records: batch(1) }] }];
    const refused = await call(apis.produce, 9, { acks: 1, timeoutMs: 1_000, topics: asked });
    expect(refused.topics[0]?.partitions[0]?.errorCode).toBe(errorCodes.INVALID_TOPIC_EXCEPTION);
  });
});
