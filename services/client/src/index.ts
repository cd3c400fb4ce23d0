/**
 * Producer, consumer and admin for Naru. Begin with `Client`.
 *
 * @module @naru/client
 */
export { decodeAssignment, decodeSubscription } from '@naru/kafka-protocol';
export * from './admin/admin.ts';
export * from './admin/admin-names.ts';
export * from './admin/admin-results.ts';
export * from './admin/group-results.ts';
export * from './admin/log-results.ts';
export * from './admin/placement-results.ts';
export { Client, type ClientOptions, type ConsumerOptions, type ProducerOptions } from './client.ts';
export type { PartitionInfo, TopicInfo } from './cluster/metadata.ts';
export {
  type CommonConfigInput,
  type ConsumerConfigInput,
  clientSettings,
  type ProducerConfigInput,
} from './config.ts';
export { Consumer } from './consumer/consumer.ts';
export type {
  BatchesOptions,
  CommitCallback,
  CommitOptions,
  ConsumerCloseOptions,
  OffsetAtTime,
  PartitionLag,
  PartitionOffset,
  PollOptions,
} from './consumer/consumer-options.ts';
export type { ConsumedHeader, ConsumerBatch, ConsumerRecord } from './consumer/consumer-record.ts';
export type {
  DeserializationCounters,
  DeserializationErrorHandler,
  DeserializationPolicy,
} from './consumer/deserialization.ts';
export type {
  Assignor,
  GroupMember,
  OwnState,
  PartitionCounts,
  RebalanceProtocol,
} from './consumer/groups/assignors/assignor.ts';
export type { ConsumerHealth, MemberIdentity, RebalanceListener } from './consumer/groups/group-host.ts';
export type { CommittedOffset, OffsetToCommit } from './consumer/groups/offset-commits.ts';
export type {
  DeadLetterFunction,
  HandlerContext,
  RecordHandler,
  RetryOptions,
  RunOptions,
} from './consumer/record-runner.ts';
export type {
  AppendMessage,
  AssignmentMessage,
  BatchEndMessage,
  CommitMessage,
  DiagnosedBatch,
  DiagnosticsChannels,
  ReceiveMessage,
  SendMessage,
  UndecodableMessage,
} from './diagnostics/channels.ts';
export * from './errors.ts';
export { errorFromCode } from './errors-from-wire.ts';
export type { ClientLogger } from './logger.ts';
export { murmur2, partitionForKey } from './producer/murmur2.ts';
export { type PartitionFunction, type PartitionRequest, roundRobin } from './producer/partitioner.ts';
export { type CloseOptions, Producer } from './producer/producer.ts';
export type { HeadersInput, ProducerRecord, RecordMetadata, SendCallback } from './producer/producer-record.ts';
export type {
  DeserializeContext,
  Deserializer,
  Serde,
  SerializeContext,
  Serializer,
} from './serialization/serde.ts';
export { serdeNamed } from './serialization/serde-names.ts';
export * as serdes from './serialization/serdes.ts';
export type { StandardSchema } from './serialization/standard-schema.ts';
export type { TopicPartition } from './topic-partition.ts';
