import type { KafkaError } from '../errors.ts';
import type { TopicPartition } from '../topic-partition.ts';
import type { Deserializers } from './consumer-record.ts';
import type { DeserializationCounters } from './deserialization.ts';
import type { Assignor } from './groups/assignors/assignor.ts';
import type { OffsetToCommit } from './groups/offset-commits.ts';
import type { DeadLetterFunction } from './record-runner.ts';

/** Aborting ends the wait with the signal's reason; nothing is lost. */
export interface PollOptions {
  readonly signal?: AbortSignal | undefined;
}

/** How `batches` reads. */
export interface BatchesOptions extends PollOptions {
  /** Records in one batch at most; default `max.poll.records`. */
  readonly maxRecords?: number | undefined;
}

/** An offset in a partition. */
export interface PartitionOffset extends TopicPartition {
  readonly offset: bigint;
}

/** How long a commit or a look at committed offsets may take. */
export interface CommitOptions {
  /** Default: `default.api.timeout.ms`. */
  readonly timeoutMs?: number | undefined;
}

/** How long closing may take. */
export interface ConsumerCloseOptions {
  /** For the last commit, the listener and leaving the group; default 30 s. */
  readonly timeoutMs?: number | undefined;
}

/** Called when a commit has ended; `error` undefined: the offsets are committed. */
export type CommitCallback = (error: KafkaError | undefined, offsets: readonly OffsetToCommit[]) => void;

/** What a consumer is made of besides its settings. */
export interface ConsumerParts<K, V> {
  readonly deserializers: Deserializers<K, V> & { readonly counters: Readonly<DeserializationCounters> };
  /** Assignors of one's own, for `partition.assignment.strategy`. */
  readonly assignors?: readonly Assignor[] | undefined;
  /** Writes a record to a topic for those that cannot be handled. */
  readonly deadLetterTo?: ((topic: string) => DeadLetterFunction<K, V>) | undefined;
}

/** The first record at or after a time; `offset` undefined when there is none. */
export interface OffsetAtTime extends TopicPartition {
  readonly offset: bigint | undefined;
  readonly timestamp: number | undefined;
  readonly leaderEpoch: number | undefined;
}

/** How far a partition's reader is behind. */
export interface PartitionLag extends TopicPartition {
  /** Records between the position and the end; undefined until an answer has told the end. */
  readonly lag: bigint | undefined;
}
