import type { KafkaError } from '../errors.ts';
import type { TopicPartition } from '../topic-partition.ts';

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
}

/** Records of one partition, in order. */
export interface ConsumerBatch<K = Buffer, V = Buffer> extends TopicPartition {
  readonly records: readonly ConsumerRecord<K, V>[];
  /** End of what may be read, as of the answer that brought the last record. */
  readonly highWatermark: bigint;
  /** Commits the offset after the last record for the group. Fails as `commitSync`. */
  commit(): Promise<void>;
}

/** Turns bytes into a key or value; not called for null. What it throws becomes a `RecordDeserializationError`. */
export interface Deserializer<T> {
  deserialize(bytes: Buffer, context: { readonly topic: string; readonly headers: readonly ConsumedHeader[] }): T;
}

export interface Deserializers<K, V> {
  readonly key: Deserializer<K> | undefined;
  readonly value: Deserializer<V> | undefined;
}

/** Called when a poll cannot go past a record or answer; the error is thrown after the records before it were returned. */
export type OnFailure = (error: KafkaError) => void;
