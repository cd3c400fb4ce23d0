import { channel } from 'node:diagnostics_channel';
import type { HeaderEntry } from '@naru/record';
import type { ConsumerRecord } from '../consumer/consumer-record.ts';
import type { OffsetToCommit } from '../consumer/groups/offset-commits.ts';
import type { KafkaError, RecordDeserializationError } from '../errors.ts';
import type { TopicPartition } from '../topic-partition.ts';

/** A batch of a producer, the same object in every message about it. */
export interface DiagnosedBatch extends TopicPartition {
  /** The producer's `client.id`. */
  readonly clientId: string;
}

/** A record was given to `send` and has been encoded. In the caller's asynchronous context. */
export interface SendMessage {
  readonly clientId: string;
  readonly topic: string;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  /** Subscribers may add entries; they are written with the record. The array is the one of the record's `AppendMessage`. */
  readonly headers: HeaderEntry[];
}

/** The record was put into a batch, perhaps long after it was sent. */
export interface AppendMessage {
  readonly batch: DiagnosedBatch;
  /** Subscribers may still overwrite a value in place or remove an entry; the record must not grow any more. */
  readonly headers: HeaderEntry[];
}

/** A batch has succeeded or failed, whatever number of requests it took. */
export interface BatchEndMessage {
  readonly batch: DiagnosedBatch;
  readonly recordsCount: number;
  /** On the wire; before compression if it was never sent. */
  readonly bytes: number;
  /** Requests with it that were refused or got lost. */
  readonly failedAttempts: number;
  readonly outcome: 'acknowledged' | 'failed' | 'divided';
  /** With outcome `acknowledged`; -1n where the broker did not say it. */
  readonly baseOffset?: bigint;
  /** With outcome `failed`. */
  readonly error?: KafkaError;
}

/** `poll` or an iteration got records of one partition. */
export interface ReceiveMessage extends TopicPartition {
  readonly clientId: string;
  /** Empty without a group. */
  readonly groupId: string;
  readonly records: readonly ConsumerRecord<unknown, unknown>[];
  /** When the application began to wait, in milliseconds since the epoch. */
  readonly sinceMs: number;
}

/** A commit of offsets has ended. */
export interface CommitMessage {
  readonly clientId: string;
  readonly groupId: string;
  readonly offsets: readonly OffsetToCommit[];
  /** When it was asked for, in milliseconds since the epoch. */
  readonly sinceMs: number;
  /** Undefined: the offsets are committed. */
  readonly error: unknown;
}

/** A group has given a consumer partitions or taken some. */
export interface AssignmentMessage {
  readonly clientId: string;
  readonly groupId: string;
  /** All that it has now. */
  readonly partitions: readonly TopicPartition[];
  readonly why: 'assigned' | 'revoked' | 'lost';
}

/** A record could not be deserialized. */
export interface UndecodableMessage {
  readonly clientId: string;
  /** Empty without a group. */
  readonly groupId: string;
  /** With topic, partition, offset and the record's bytes. */
  readonly error: RecordDeserializationError;
  /** What became of it; `fail`: at each poll anew, until the application seeks past it. */
  readonly policy: 'fail' | 'skip' | 'raw';
}

/** The channels of `node:diagnostics_channel` by name, with what is published there. Nothing is made or published while nobody listens. */
export interface DiagnosticsChannels {
  'naru:producer:send': SendMessage;
  'naru:producer:append': AppendMessage;
  'naru:producer:batch:end': BatchEndMessage;
  'naru:consumer:receive': ReceiveMessage;
  'naru:consumer:commit': CommitMessage;
  'naru:consumer:assignment': AssignmentMessage;
  'naru:consumer:undecodable': UndecodableMessage;
}

/** One of Node's channels that takes this kind of message only. */
interface ChannelOf<Message> {
  readonly hasSubscribers: boolean;
  publish(message: Message): void;
}

function open<Name extends keyof DiagnosticsChannels>(name: Name): ChannelOf<DiagnosticsChannels[Name]> {
  return channel(name);
}

/** Ask `hasSubscribers` before making a message. */
export const channels = {
  send: open('naru:producer:send'),
  append: open('naru:producer:append'),
  batchEnd: open('naru:producer:batch:end'),
  receive: open('naru:consumer:receive'),
  commit: open('naru:consumer:commit'),
  assignment: open('naru:consumer:assignment'),
  undecodable: open('naru:consumer:undecodable'),
};
