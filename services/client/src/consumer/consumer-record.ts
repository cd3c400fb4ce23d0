import type { RecordDeserializationError } from '../errors.ts';
import type { TopicPartition } from '../topic-partition.ts';

/** A header as it was read; null is not empty. */
export type ConsumedHeader = readonly [name: string, value: Buffer | null];

/**
 * A record as it was read. Without deserializers, key and value are views of the bytes that were fetched, not copies: keeping one keeps
 * the whole answer (about `max.partition.fetch.bytes`) in memory; copy what is to live long (`Buffer.from(record.value)`).
 */
export interface ConsumerRecord<K = Buffer, V = Buffer> extends TopicPartition {
  readonly offset: bigint;
  /** Milliseconds since the epoch. */
  readonly timestamp: number;
  readonly timestampType: 'CreateTime' | 'LogAppendTime';
  readonly key: K | null;
  readonly value: V | null;
  /** In the order in which they were written; names may repeat. */
  readonly headers: readonly ConsumedHeader[];
  /** Epoch of the leader that wrote the record. */
  readonly leaderEpoch: number;
  /** Why key and value are bytes here (`onDeserializationError: 'raw'`). */
  readonly error?: RecordDeserializationError;
}

/** Records of one partition, in order. */
export interface ConsumerBatch<K = Buffer, V = Buffer> extends TopicPartition {
  readonly records: readonly ConsumerRecord<K, V>[];
  /** End of what may be read, as of the answer that brought the last record. */
  readonly highWatermark: bigint;
  /** Commits the offset after the last record for the group. Fails as `commitSync`. */
  commit(): Promise<void>;
}

/** Makes what the application gets of a record as it was read; undefined: nothing, it is passed over. Throws `RecordDeserializationError`. */
export interface Deserializers<K, V> {
  apply(raw: ConsumerRecord): ConsumerRecord<K, V> | undefined;
}
