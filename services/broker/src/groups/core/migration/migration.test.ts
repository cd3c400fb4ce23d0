import { decodeAssignment, encodeAssignment, encodeSubscription } from '@naru/kafka-protocol';
import { beforeEach, describe, expect, test } from 'vitest';
import type { GroupMemberValue, GroupMetadataValue } from '../../records/group-metadata-value.ts';
import { heartbeatClassic, joinClassic, syncClassic } from '../consumer/classic-members.ts';
import { ConsumerGroup } from '../consumer/consumer-group.ts';
import { awayEpoch } from '../consumer/consumer-group-state.ts';
import type { ConsumerGroupSettings, MemberHeartbeat, TopicCatalog } from '../consumer/consumer-group-types.ts';
import { noPartitions } from '../consumer/partition-set.ts';
import { Group } from '../group.ts';
import type { GroupSurroundings, JoinRequest } from '../group-types.ts';
import { downgrade } from './downgrade.ts';
import { upgrade } from './upgrade.ts';

const settings: ConsumerGroupSettings = {
  sessionTimeoutMs: 45_000,
  heartbeatIntervalMs: 5_000,
  membersMax: 10,
  assignors: ['uniform'],
  migrationPolicy: 'bidirectional',
};
const catalog: TopicCatalog = {
  version: 1,
  names: () => ['t'],
  find: (name) => (name === 't' ? { id: 'T', partitions: 4 } : undefined),
  nameOf: (id) => (id === 'T' ? 't' : undefined),
};
let ids = 0;
const surroundings: GroupSurroundings = {
  settings: {
    initialRebalanceDelayMs: 0,
    sessionTimeoutMsMin: 6_000,
    sessionTimeoutMsMax: 1_800_000,
    membersMax: 10,
  },
  newMemberId: (prefix) => `${prefix}-${++ids}`,
  wallMs: () => 77,
};
const generation = 5;
let nowMs: number;

beforeEach(() => {
  nowMs = 0;
});

const named = (numbers: readonly number[]) => numbers.map((partition) => ({ topic: 't', partition }));
const subscription = (owned: readonly number[] = [], generationId = generation) =>
  encodeSubscription({
    topics: ['t'],
    ownedPartitions: named(owned),
    generationId,
    userData: null,
    rackId: null,
  });

function member(memberId: string, assigned: readonly number[], owned = assigned, ownedIn = 4): GroupMemberValue {
  return {
    memberId,
    instanceId: null,
    clientId: 'c',
    clientHost: '/h',
    rebalanceTimeoutMs: 20_000,
    sessionTimeoutMs: 10_000,
    subscription: subscription(owned, ownedIn),
    assignment: encodeAssignment({ partitions: named(assigned), userData: null }),
  };
}

/** Stable, as the log says it. */
function classic(members: readonly GroupMemberValue[], fields: Partial<GroupMetadataValue> = {}): Group {
  const value = { protocolType: 'consumer', generation, protocol: 'cooperative-sticky', stateTimestampMs: 1 };
  const leader = members[0]?.memberId ?? null;
  return Group.restore('g', { ...value, leader, members, ...fields }, surroundings, nowMs);
}

function upgraded(members: readonly GroupMemberValue[]): ConsumerGroup {
  const records = upgrade(classic(members), settings, catalog);
  if (!records.ok) throw new Error(records.reason);
  return ConsumerGroup.restore('g', records.records, settings, catalog, nowMs);
}

const joining = { instanceId: '', rackId: undefined, rebalanceTimeoutMs: 20_000, topics: ['t'] };
const saidNothing = { topicPattern: undefined, assignor: undefined, sequence: 0, clientId: 'c', clientHost: '/h' };

/** What a member of the new protocol is told; its records are in the log at once. */
function beat(group: ConsumerGroup, memberId: string, memberEpoch: number, fields: Partial<MemberHeartbeat> = {}) {
  const owned = memberEpoch === 0 ? noPartitions : undefined;
  const request = { ...joining, ...saidNothing, memberId, memberEpoch, owned, ...fields };
  const decision = group.heartbeat(request, nowMs);
  if (!decision.ok) throw new Error(decision.error);
  group.apply(decision.records, nowMs);
  return decision.answer;
}

/** Returns the generation. */
function join(group: ConsumerGroup, memberId: string, owned: readonly number[], generationId: number): number | string {
  const request: JoinRequest = {
    memberId,
    instanceId: '',
    clientId: 'c',
    clientHost: '/h',
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 20_000,
    protocolType: 'consumer',
    protocols: [{ name: 'cooperative-sticky', metadata: subscription(owned, generationId) }],
    admitWithoutMemberId: true,
  };
  const decision = joinClassic(group, request, surroundings, nowMs);
  if (!decision.ok) return decision.error;
  group.apply(decision.records, nowMs);
  return decision.answer.generation;
}

function sync(group: ConsumerGroup, memberId: string, generationId: number): readonly number[] | string {
  const claim = { memberId, instanceId: '', generation: generationId };
  const decision = syncClassic(group, { ...claim, protocolType: '', protocol: '', assignments: new Map() }, nowMs);
  if (!decision.ok) return decision.error;
  return decodeAssignment(decision.answer.assignment).partitions.map(({ partition }) => partition);
}

const heartbeat = (group: ConsumerGroup, memberId: string, generationId: number) =>
  heartbeatClassic(group, { memberId, instanceId: '', generation: generationId }, nowMs);

describe('a classic group becomes one whose coordinator assigns (KIP-848, online upgrade)', () => {
  test('the generation is everybody’s epoch: owners stay, commits of the generation count, sessions keep their length', () => {
    const group = upgraded([member('a', [0, 1]), member('b', [2, 3])]);
    expect([group.state.epoch, group.state.targetEpoch]).toEqual([generation, generation]);
    expect(['T/0', 'T/3'].map((partition) => group.state.ownerOf(partition))).toEqual(['a', 'b']);
    expect(group.checkCommit({ memberId: 'a', instanceId: '', generation })).toBeUndefined();
    expect(group.checkCommit({ memberId: 'a', instanceId: '', generation: 4 })).toBe('ILLEGAL_GENERATION');
    expect(group.tick(9_999)).toEqual([]);
    expect(group.tick(10_000).map((record) => 'member' in record && record.member)).toContain('a');
  });

  test('the one who joins begins the next epoch, and is given what the others have given up by joining again (G1)', () => {
    const group = upgraded([member('a', [0, 1, 2, 3])]);
    expect(beat(group, 'c', 0)).toMatchObject({ memberEpoch: 6, assignment: noPartitions });
    expect(heartbeat(group, 'a', 5)).toBe('REBALANCE_IN_PROGRESS');
    expect(join(group, 'a', [0, 1, 2, 3], 5), 'it still has everything').toBe(5);
    const kept = sync(group, 'a', 5);
    expect(kept).toHaveLength(2);
    expect(beat(group, 'c', 6).assignment).toBeUndefined();
    expect(join(group, 'a', kept as number[], 5)).toBe(6);
    expect(beat(group, 'c', 6).assignment?.size).toBe(2);
    expect(sync(group, 'a', 6)).toEqual(kept);
    expect(heartbeat(group, 'a', 6)).toBeUndefined();
  });

  test('G1: what a cooperative member brought into the generation and was not assigned is its own until it joins again', () => {
    const group = upgraded([member('a', [0], [0, 1]), member('b', [2, 3])]);
    expect(group.state.ownerOf('T/1')).toBe('a');
    expect(beat(group, 'c', 0).assignment).toEqual(noPartitions);
    expect(sync(group, 'a', 5), 'it learns of it').toEqual([0]);
    expect(heartbeat(group, 'a', 5)).toBe('REBALANCE_IN_PROGRESS');
    join(group, 'a', [0], 5);
    expect(beat(group, 'c', 6).assignment).toEqual(new Set(['T/1']));
  });

  test('a claim on what another member was assigned is an old one; of two claims the one of the later generation counts', () => {
    const group = upgraded([member('a', [0], [0, 1, 3], 2), member('b', [1], [1, 3], 4)]);
    expect(['T/1', 'T/3'].map((partition) => group.state.ownerOf(partition))).toEqual(['b', 'b']);
  });

  test('not while it rebalances, nor when only a reservation is known: the one who joins tries again', () => {
    const reserved = classic([member('a', [])], { leader: null });
    const again = { ok: false, error: 'COORDINATOR_LOAD_IN_PROGRESS' };
    expect(upgrade(reserved, settings, catalog)).toMatchObject(again);
    const stable = classic([member('a', [0])]);
    stable.leave('a', '', nowMs);
    stable.join(
      {
        ...{ memberId: '', instanceId: '', clientId: 'c', clientHost: '/h' },
        ...{ sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 20_000, protocolType: 'consumer' },
        ...{ protocols: [{ name: 'range', metadata: subscription() }], admitWithoutMemberId: true },
      },
      1,
      nowMs,
    );
    expect(upgrade(stable, settings, catalog)).toMatchObject(again);
  });

  const broken = { ...member('a', [0]), assignment: Buffer.from('mine') };
  const withUserData = encodeAssignment({ partitions: named([0]), userData: Buffer.from('x') });
  test.each<[string, Group, Partial<ConsumerGroupSettings>]>([
    ['online upgrade is disabled', classic([member('a', [0])]), { migrationPolicy: 'downgrade' }],
    ['protocol type connect', classic([member('a', [0])], { protocolType: 'connect' }), {}],
    ['more than group.consumer.max.size', classic([member('a', [0]), member('b', [1])]), { membersMax: 1 }],
    ['not those of Kafka', classic([broken]), {}],
    ['tells members more', classic([{ ...member('a', [0]), assignment: withUserData }]), {}],
    ['to several members', classic([member('a', [0]), member('b', [0])]), {}],
  ])('refused for good, and why: %s', (reason, group, changed) => {
    const refusal = { ok: false, error: 'GROUP_ID_NOT_FOUND', reason: expect.stringContaining(reason) };
    expect(upgrade(group, { ...settings, ...changed }, catalog)).toEqual(refusal);
  });
});

describe('members of the classic protocol in a group whose coordinator assigns', () => {
  test('G1: a JoinGroup of an older generation says nothing of what the member has given up', () => {
    const group = upgraded([member('a', [0, 1, 2, 3])]);
    beat(group, 'c', 0);
    expect(join(group, 'a', [], 4), 'an eager one that was overtaken').toBe(5);
    expect(group.state.ownerOf('T/3')).toBe('a');
    expect(join(group, 'a', [], 5)).toBe(6);
  });

  test('told to join again, it must within its rebalance timeout, however alive it is', () => {
    const group = upgraded([member('a', [0, 1])]);
    beat(group, 'c', 0);
    for (; nowMs <= 20_000; nowMs += 5_000) {
      expect(heartbeat(group, 'a', 5)).toBe('REBALANCE_IN_PROGRESS');
      beat(group, 'c', 6);
      if (nowMs < 20_000) expect(group.tick(nowMs)).toEqual([]);
    }
    expect(group.tick(20_000)).toContainEqual({ kind: 'consumer-member', group: 'g', member: 'a', value: null });
  });

  test('who joins and never asks for its assignment is out after its rebalance timeout', () => {
    const group = upgraded([member('a', [0, 1])]);
    beat(group, 'c', 0);
    expect(join(group, 'a', [], 5)).toBe(6);
    for (; nowMs < 20_000; nowMs += 5_000) heartbeat(group, 'a', 6);
    beat(group, 'c', 6);
    expect(group.tick(20_000)).toContainEqual({ kind: 'consumer-member', group: 'g', member: 'a', value: null });
  });

  test('G4: who was put out does not come back under its old id', () => {
    const group = upgraded([member('a', [0, 1])]);
    beat(group, 'c', 0);
    group.apply(group.tick(10_000), 10_000);
    expect(join(group, 'a', [0, 1], 5)).toBe('UNKNOWN_MEMBER_ID');
  });
});

describe('a group of which only classic members are left becomes a classic one (KIP-848, online downgrade)', () => {
  /** a of the classic protocol, c of the other, both in epoch 6. */
  function mixed(): ConsumerGroup {
    const group = upgraded([member('a', [0, 1, 2, 3])]);
    beat(group, 'c', 0);
    join(group, 'a', [], 5);
    return group;
  }

  function leave(group: ConsumerGroup, epoch = -1): void {
    const decision = group.leave('c', '', epoch);
    if (decision.ok) group.apply(decision.records, nowMs);
  }

  test('a reservation of the generation that its members have: they go on to commit, and join the next one', () => {
    const group = mixed();
    expect(downgrade(group, surroundings.settings, settings, 77)).toBeUndefined();
    leave(group);
    const value = downgrade(group, surroundings.settings, settings, 77) as GroupMetadataValue;
    expect(value).toMatchObject({ generation: 6, leader: null, protocol: 'cooperative-sticky', stateTimestampMs: 77 });
    const again = Group.restore('g', value, surroundings, nowMs);
    const claim = { memberId: 'a', instanceId: '', generation: 6 };
    expect(again.checkCommit(claim, nowMs)).toBeUndefined();
    expect(again.heartbeat(claim, nowMs)).toBe('REBALANCE_IN_PROGRESS');
    expect(again.heartbeat({ ...claim, generation: 5 }, nowMs), 'G4').toBe('ILLEGAL_GENERATION');
  });

  test('should it stay what it is, the next who joins is given what the other one had', () => {
    const group = mixed();
    leave(group);
    const onlyUp = { migrationPolicy: 'upgrade' } as const;
    expect(downgrade(group, surroundings.settings, onlyUp, 77)).toBeUndefined();
    sync(group, 'a', 6);
    expect(heartbeat(group, 'a', 6)).toBe('REBALANCE_IN_PROGRESS');
    expect(join(group, 'a', [], 6)).toBe(7);
    expect(sync(group, 'a', 7)).toEqual([0, 1, 2, 3]);
  });

  test('not for a member that will be back, a group of nobody, or one that is too large', () => {
    const group = upgraded([member('a', [0, 1])]);
    beat(group, 'c', 0, { instanceId: 'i' });
    const away = group.leave('c', 'i', awayEpoch);
    if (away.ok) group.apply(away.records, nowMs);
    expect(downgrade(group, surroundings.settings, settings, 77)).toBeUndefined();
    const small = { ...surroundings.settings, membersMax: 1 };
    expect(downgrade(upgraded([member('a', [0]), member('b', [1])]), small, settings, 77)).toBeUndefined();
    expect(downgrade(new ConsumerGroup('g', settings, catalog), surroundings.settings, settings, 77)).toBeUndefined();
  });
});
