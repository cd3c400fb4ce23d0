import type { KafkaError } from '../errors.ts';
import type { TopicPartition } from '../topic-partition.ts';

/** How one partition of a request fared. */
export interface PartitionOutcome extends TopicPartition {
  /** Undefined when it was done. */
  readonly error: KafkaError | undefined;
}

/** Where a partition shall be; the first broker is the preferred leader. */
export interface PartitionReassignmentTarget extends TopicPartition {
  /** Left out or null: what is under way is cancelled. */
  readonly replicas?: readonly number[] | null | undefined;
}

/** A move that is under way. */
export interface OngoingReassignment extends TopicPartition {
  /** The target, and those that go. */
  readonly replicas: readonly number[];
  readonly addingReplicas: readonly number[];
  readonly removingReplicas: readonly number[];
}

/** `unclean`: where nobody leads, any live replica; acknowledged records may be lost. */
export type ElectionType = 'preferred' | 'unclean';
