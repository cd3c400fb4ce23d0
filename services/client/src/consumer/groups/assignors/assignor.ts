import type { Subscription } from '@naru/kafka-protocol';
import { partitionKey, type TopicPartition } from '../../../topic-partition.ts';

/**
 * `eager`: every member gives up everything before it joins. `cooperative` (KIP-429): members keep reading what they have; only what
 * moves to another member is given up, and a second rebalance hands it over.
 */
export type RebalanceProtocol = 'eager' | 'cooperative';

/** A member as the leader's assignor sees it. */
export interface GroupMember extends Subscription {
  readonly memberId: string;
  readonly groupInstanceId: string | undefined;
}

/** Partitions of each topic that exists; a topic that is not here does not. */
export type PartitionCounts = ReadonlyMap<string, number>;

/** What to tell the others, besides the topics. */
export interface OwnState {
  readonly topics: readonly string[];
  /** What the member was assigned last, also when it has given it up since. */
  readonly lastAssigned: readonly TopicPartition[];
  readonly generation: number;
}

/**
 * Decides who reads what. The leader's assignor is asked once per rebalance; all members must know the name. Pure: the same
 * input gives the same result.
 */
export interface Assignor {
  readonly name: string;
  readonly protocols: readonly RebalanceProtocol[];
  /** Told to the leader with the member's topics. */
  userData?(state: OwnState): Uint8Array | null;
  /** A list for each member; every partition of a topic that somebody wants at exactly one member (cooperative: at most one). */
  assign(partitions: PartitionCounts, members: readonly GroupMember[]): ReadonlyMap<string, readonly TopicPartition[]>;
}

/** Static members first, by their instance id, so that they keep their place over restarts; then by member id (Kafka: MemberInfo). */
export function compareMembers(a: GroupMember, b: GroupMember): number {
  if (a.groupInstanceId !== undefined && b.groupInstanceId !== undefined) {
    return compareText(a.groupInstanceId, b.groupInstanceId);
  }
  if (a.groupInstanceId !== undefined) return -1;
  return b.groupInstanceId === undefined ? compareText(a.memberId, b.memberId) : 1;
}

export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** An empty list for everybody. */
export function emptyAssignment(members: readonly GroupMember[]): Map<string, TopicPartition[]> {
  return new Map(members.map((member) => [member.memberId, []]));
}

export function keyOf({ topic, partition }: TopicPartition): string {
  return partitionKey(topic, partition);
}
