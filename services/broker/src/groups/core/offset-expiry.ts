import type { GroupRecord } from '../records/group-record.ts';
import type { CommittedState } from './committed-state.ts';
import type { ConsumerGroup } from './consumer/consumer-group.ts';
import type { Group } from './group.ts';

export interface ExpiryInput {
  readonly committed: CommittedState;
  readonly groupId: string;
  /** Undefined for a group that has offsets only. */
  readonly group: Group | ConsumerGroup | undefined;
  readonly nowWallMs: number;
  /** `offsets.retention.minutes`. */
  readonly retentionMs: number;
}

/**
 * Tombstones for what has expired (KIP-211, KIP-496): offsets of a group that has been empty for the retention time; of one with members, those of
 * topics that no member consumes; and the group itself when it is empty and nothing is left. Nothing of a group whose subscriptions are not known.
 */
export function expired(input: ExpiryInput): readonly GroupRecord[] {
  const { committed, groupId: group, group: machine, nowWallMs, retentionMs } = input;
  const subscribed = machine === undefined ? new Set<string>() : machine.subscribedTopics;
  if (subscribed === undefined) return [];
  const isEmpty = machine === undefined || machine.membersCount === 0;
  const emptySinceMs = isEmpty ? (committed.groups.get(group)?.stateTimestampMs ?? -1) : -1;
  const records: GroupRecord[] = [];
  let isSomethingLeft = false;
  for (const { topic, partition, value } of committed.allOffsetsOf(group)) {
    const idleSinceMs = Math.max(value.commitTimestampMs, emptySinceMs);
    if (!subscribed.has(topic) && idleSinceMs + retentionMs <= nowWallMs) {
      records.push({ kind: 'offset', group, topic, partition, value: null });
    } else {
      isSomethingLeft = true;
    }
  }
  const isGroupOver = isEmpty && !isSomethingLeft && emptySinceMs + retentionMs <= nowWallMs;
  if (isGroupOver) records.push(...committed.tombstonesOf(group));
  return records;
}
