import type { KafkaError } from '../errors.ts';
import type { TopicPartition } from '../topic-partition.ts';

export interface RecordsToDelete extends TopicPartition {
  /** Everything below goes; -1: everything that is committed. */
  readonly beforeOffset: bigint | number;
}

export interface DeletedRecords extends TopicPartition {
  /** Undefined when it was done. */
  readonly error: KafkaError | undefined;
  /** Where the partition begins now, on every live replica. */
  readonly lowWatermark: bigint | undefined;
}

/** A log directory of a broker, and the replicas in it. */
export interface LogDirDescription {
  readonly path: string;
  readonly error: KafkaError | undefined;
  readonly replicas: readonly LogDirReplica[];
}

export interface LogDirReplica extends TopicPartition {
  readonly sizeBytes: number;
  /** Of the log end behind the high watermark. */
  readonly offsetLag: number;
}
