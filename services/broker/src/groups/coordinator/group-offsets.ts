import type { KafkaErrorName } from '@naru/kafka-protocol';
import { Group } from '../core/group.ts';
import type { Claim } from '../core/group-types.ts';
import type { GroupRecord } from '../records/group-record.ts';
import type { OffsetCommitValue } from '../records/offset-commit-value.ts';
import { encodeKey } from '../records/record-key.ts';
import type { GroupCoordinator, Refused } from './group-coordinator.ts';
import type { GroupShard } from './group-shard.ts';
import type { WriteOutcome } from './write-queue.ts';

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

export interface OffsetToCommit extends TopicPartition {
  readonly offset: number;
  readonly leaderEpoch: number;
  readonly metadata: string;
}

const unknownOffset = -1;

/**
 * Writes offsets of a group, when the group lets this caller (G4). The answer holds a code for each partition; it comes when the offsets are replicated
 * (G3). What cannot be committed does not keep the others from it.
 */
export async function commitOffsets(
  coordinator: GroupCoordinator,
  groupId: string,
  claim: Claim,
  offsets: readonly OffsetToCommit[],
): Promise<readonly KafkaErrorName[]> {
  const all = (error: KafkaErrorName): readonly KafkaErrorName[] => offsets.map(() => error);
  const found = coordinator.shardFor(groupId);
  if (!found.ok) return all(found.error);
  const refusal = checkCommit(found.shard, groupId, claim, coordinator.clock.monotonicMs());
  if (refusal !== undefined) return all(refusal);
  const faults = offsets.map((offset) => offsetFault(coordinator, offset));
  const records = offsets
    .filter((_, i) => faults[i] === undefined)
    .map((offset): GroupRecord => {
      const { topic, partition, offset: next, leaderEpoch, metadata } = offset;
      const commitTimestampMs = coordinator.clock.wallMs();
      return {
        kind: 'offset',
        group: groupId,
        topic,
        partition,
        value: { offset: next, leaderEpoch, metadata, commitTimestampMs },
      };
    });
  if (records.length === 0) return faults.map((fault) => fault ?? 'NONE');
  const code = commitCodeOf[await writeTo(found.shard, records)];
  return faults.map((fault) => fault ?? code);
}

function checkCommit(shard: GroupShard, groupId: string, claim: Claim, nowMs: number): KafkaErrorName | undefined {
  const consumerGroup = shard.consumerGroups.get(groupId);
  if (consumerGroup !== undefined) return consumerGroup.checkCommit(claim);
  const group = shard.groupOf(groupId);
  const refusal = group.checkCommit(claim, nowMs);
  shard.forgetIfBlank(group);
  return refusal;
}

/**
 * KafkaJS's `resetOffsets` commits -2 for the earliest offset and -1 for the latest, as ListOffsets names them, and Kafka keeps what it is given. Whoever reads a negative one
 * takes it for none.
 */
const earliestOffset = -2;

function offsetFault({ settings, publisher }: GroupCoordinator, asked: OffsetToCommit): KafkaErrorName | undefined {
  const partitions = publisher.image.topics.get(asked.topic)?.partitions;
  if (partitions?.[asked.partition] === undefined) return 'UNKNOWN_TOPIC_OR_PARTITION';
  if (Buffer.byteLength(asked.metadata) > settings.offsetMetadataBytesMax) return 'OFFSET_METADATA_TOO_LARGE';
  return asked.offset < earliestOffset || !Number.isSafeInteger(asked.offset) ? 'INVALID_REQUEST' : undefined;
}

const commitCodeOf: { readonly [Outcome in WriteOutcome]: KafkaErrorName } = {
  committed: 'NONE',
  'not-available': 'COORDINATOR_NOT_AVAILABLE',
  'not-coordinator': 'NOT_COORDINATOR',
  'too-large': 'INVALID_COMMIT_OFFSET_SIZE',
};

export function writeTo(shard: GroupShard, records: readonly GroupRecord[]): Promise<WriteOutcome> {
  return new Promise((resolve) => shard.write(records, resolve));
}

export interface FetchedOffset extends TopicPartition, OffsetCommitValue {}

export const noOffset: OffsetCommitValue = {
  offset: unknownOffset,
  leaderEpoch: -1,
  metadata: '',
  commitTimestampMs: -1,
};

/**
 * Replicated offsets of the group; `partitions` undefined: of all that have one. `claim` undefined: nobody's. What is not committed is -1, never an
 * error: a new consumer asks before it has ever committed.
 */
export function fetchOffsets(
  coordinator: GroupCoordinator,
  groupId: string,
  claim: Claim | undefined,
  partitions: readonly TopicPartition[] | undefined,
): { readonly ok: true; readonly offsets: readonly FetchedOffset[] } | Refused<KafkaErrorName> {
  const found = coordinator.shardFor(groupId);
  if (!found.ok) return found;
  const { committed } = found.shard;
  if (claim !== undefined) {
    const group = found.shard.find(groupId);
    const error = group === undefined ? 'UNKNOWN_MEMBER_ID' : group.checkClaim(claim);
    if (error !== undefined) return { ok: false, error };
  }
  if (partitions === undefined) {
    const all = [...committed.allOffsetsOf(groupId)];
    return { ok: true, offsets: all.map(({ topic, partition, value }) => ({ topic, partition, ...value })) };
  }
  const offsets = partitions.map(({ topic, partition }) => {
    return { topic, partition, ...(committed.offset(groupId, topic, partition) ?? noOffset) };
  });
  return { ok: true, offsets };
}

/** Offsets of topics that a member of the group consumes stay. */
export async function deleteOffsets(
  coordinator: GroupCoordinator,
  groupId: string,
  partitions: readonly TopicPartition[],
): Promise<{ readonly ok: true; readonly errors: readonly KafkaErrorName[] } | Refused<KafkaErrorName>> {
  const found = coordinator.shardFor(groupId);
  if (!found.ok) return found;
  const { shard } = found;
  const group = shard.find(groupId);
  if (group === undefined && !shard.committed.has(groupId)) return { ok: false, error: 'GROUP_ID_NOT_FOUND' };
  const subscribed = group === undefined ? new Set<string>() : group.subscribedTopics;
  // Members whose metadata only they understand: any offset may be in use.
  if (subscribed === undefined) return { ok: false, error: 'NON_EMPTY_GROUP' };
  const isInUse = ({ topic }: TopicPartition): boolean => subscribed.has(topic);
  const records = partitions
    .filter((one) => !isInUse(one) && shard.committed.offset(groupId, one.topic, one.partition) !== undefined)
    .map(({ topic, partition }): GroupRecord => ({ kind: 'offset', group: groupId, topic, partition, value: null }));
  const code = records.length === 0 ? 'NONE' : commitCodeOf[await writeTo(shard, records)];
  return { ok: true, errors: partitions.map((one) => (isInUse(one) ? 'GROUP_SUBSCRIBED_TO_TOPIC' : code)) };
}

/** Everything the log says of an empty group, taken back: also what is on its way into the log. */
export async function deleteGroup(coordinator: GroupCoordinator, groupId: string): Promise<KafkaErrorName> {
  const found = coordinator.shardFor(groupId);
  if (!found.ok) return found.error;
  const { shard } = found;
  const group = shard.find(groupId);
  const isBusy = group instanceof Group && group.state !== 'Empty';
  if (isBusy || (group?.membersCount ?? 0) > 0) return 'NON_EMPTY_GROUP';
  const records = tombstonesOf(shard, groupId);
  if (records.length === 0) return 'GROUP_ID_NOT_FOUND';
  shard.endGroup(groupId);
  return commitCodeOf[await writeTo(shard, records)];
}

function tombstonesOf(shard: GroupShard, groupId: string): readonly GroupRecord[] {
  const records = new Map<string, GroupRecord>();
  const add = (record: GroupRecord): void => {
    records.set(Buffer.from(encodeKey(record)).toString('latin1'), { ...record, value: null });
  };
  for (const { topic, partition, value } of shard.committed.allOffsetsOf(groupId)) {
    add({ kind: 'offset', group: groupId, topic, partition, value });
  }
  for (const record of shard.committed.tombstonesOf(groupId)) add(record);
  for (const record of shard.pendingRecords()) if (record.group === groupId) add(record);
  return [...records.values()];
}
