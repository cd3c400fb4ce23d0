import type { KafkaError } from '../errors.ts';

/** Names may repeat and keep their order: a list of pairs, or an object where each name comes once. */
export type HeadersInput =
  | readonly (readonly [name: string, value: Uint8Array | string | null])[]
  | Readonly<Record<string, Uint8Array | string | null>>;

/** A record to be sent. Text becomes UTF-8; a missing or null value is a tombstone. */
export interface ProducerRecord<K = Uint8Array | string, V = Uint8Array | string> {
  readonly topic: string;
  /** Left out: the partitioner chooses. */
  readonly partition?: number | undefined;
  readonly key?: K | null | undefined;
  readonly value?: V | null | undefined;
  /** Milliseconds since the epoch; left out: now. */
  readonly timestamp?: number | undefined;
  readonly headers?: HeadersInput | undefined;
}

/** Where a record went. `offset` is -1n with acks=0, where nobody knows it. */
export interface RecordMetadata {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  /** As stored: the record's own, or the broker's with message.timestamp.type=LogAppendTime. */
  readonly timestamp: number;
}

/** Called once, with the error or with the metadata. Must not throw. */
export type SendCallback = (error: KafkaError | null, metadata: RecordMetadata | undefined) => void;
