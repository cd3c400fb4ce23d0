import { expect, test } from 'vitest';
import type { GroupMetadataValue } from '../records/group-metadata-value.ts';
import { CommittedState } from './committed-state.ts';
import { Group } from './group.ts';
import { expired } from './offset-expiry.ts';

const retentionMs = 1_000;
const subscriptionToA = Buffer.from('0001000000010001 61ffffffff00000000'.replaceAll(' ', ''), 'hex');
const settings = { initialRebalanceDelayMs: 0, sessionTimeoutMsMin: 1, sessionTimeoutMsMax: 100_000, membersMax: 9 };
const surroundings = { settings, newMemberId: () => 'm', wallMs: () => 0 };

/** Topics a and b were committed at 100; the group came into its state at 500. */
function setUp(metadata: Partial<GroupMetadataValue> | undefined) {
  const committed = new CommittedState();
  for (const topic of ['a', 'b']) {
    const value = { offset: 1, leaderEpoch: -1, metadata: '', commitTimestampMs: 100 };
    committed.apply({ kind: 'offset', group: 'g', topic, partition: 0, value });
  }
  if (metadata === undefined) return { committed, group: undefined };
  const value: GroupMetadataValue = {
    protocolType: 'consumer',
    generation: 3,
    protocol: null,
    leader: null,
    stateTimestampMs: 500,
    members: [],
    ...metadata,
  };
  committed.apply({ kind: 'group', group: 'g', value });
  return { committed, group: Group.restore('g', value, surroundings, 0) };
}

function expiredAt(nowWallMs: number, metadata: Partial<GroupMetadataValue> | undefined): string[] {
  const { committed, group } = setUp(metadata);
  const records = expired({ committed, groupId: 'g', group, nowWallMs, retentionMs });
  return records.map((record) => (record.kind === 'offset' ? record.topic : record.kind));
}

const withMember = (protocolType: string): Partial<GroupMetadataValue> => ({
  protocolType,
  protocol: 'range',
  leader: 'm',
  members: [
    {
      memberId: 'm',
      instanceId: null,
      clientId: 'c',
      clientHost: '/h',
      rebalanceTimeoutMs: 1,
      sessionTimeoutMs: 1,
      subscription: subscriptionToA,
      assignment: new Uint8Array(0),
    },
  ],
});

test('KIP-211: the offsets of a group expire when it has been empty for the retention time, and the group with them', () => {
  expect(expiredAt(1_499, {})).toEqual([]);
  expect(expiredAt(1_500, {})).toEqual(['a', 'b', 'group']);
});

test('offsets without a group expire by their own age', () => {
  expect(expiredAt(1_099, undefined)).toEqual([]);
  expect(expiredAt(1_100, undefined)).toEqual(['a', 'b']);
});

test('KIP-496: of a group with members only what nobody consumes; nothing when that is not known', () => {
  expect(expiredAt(99_999, withMember('consumer'))).toEqual(['b']);
  expect(expiredAt(99_999, withMember('connect'))).toEqual([]);
});
