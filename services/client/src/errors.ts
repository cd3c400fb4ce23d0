import { errorCodes, type KafkaErrorName, kafkaError } from '@naru/kafka-protocol';
import type { ConsumerRecord } from './consumer/consumer-record.ts';
import type { RecordMetadata } from './producer/producer-record.ts';

/**
 * What an error to a write says about that write (row 55): `definite` - it is not in the log and never will be; `indefinite` - it may
 * be. Sending an indefinite record again may write it twice.
 */
export type Outcome = 'definite' | 'indefinite';

/** Where it happened, and what differs from the class's defaults. */
export interface ErrorOptions {
  readonly code?: number | undefined;
  readonly outcome?: Outcome | undefined;
  readonly topic?: string | undefined;
  readonly partition?: number | undefined;
  /** Broker id, or the address where no id is known yet. */
  readonly broker?: number | string | undefined;
  readonly cause?: unknown;
}

interface Traits {
  readonly code: number;
  readonly retriable: boolean;
  readonly fatal: boolean;
  readonly abortable: boolean;
  readonly outcome: Outcome;
}

function traits(
  name: KafkaErrorName,
  extra: { fatal?: boolean; abortable?: boolean; retriable?: boolean } = {},
): Traits {
  const info = kafkaError(errorCodes[name]);
  return {
    code: info.code,
    retriable: extra.retriable ?? info.retriable,
    fatal: extra.fatal ?? false,
    abortable: extra.abortable ?? false,
    outcome: info.outcome,
  };
}

/**
 * Every error of the SDK. `code` is Kafka's number (-1 where Kafka has none), `retriable`: the same call may succeed later; `fatal`: this
 * producer or consumer is of no more use, close it; `abortable`: abort the transaction and begin again.
 */
export class KafkaError extends Error {
  static readonly traits: Traits = traits('UNKNOWN_SERVER_ERROR');

  readonly code: number;
  readonly retriable: boolean;
  readonly fatal: boolean;
  readonly abortable: boolean;
  readonly outcome: Outcome;
  readonly topic: string | undefined;
  readonly partition: number | undefined;
  readonly broker: number | string | undefined;

  constructor(message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    const defaults = new.target.traits;
    this.name = new.target.name;
    this.code = options.code ?? defaults.code;
    this.retriable = defaults.retriable;
    this.fatal = defaults.fatal;
    this.abortable = defaults.abortable;
    this.outcome = options.outcome ?? defaults.outcome;
    this.topic = options.topic;
    this.partition = options.partition;
    this.broker = options.broker;
  }
}

/** A class of errors of the SDK. */
export type KafkaErrorClass = typeof KafkaError;

/** An answer of the broker that no narrower class stands for; `kafkaName` is its name in Kafka's table. */
export class ApiError extends KafkaError {
  readonly kafkaName: KafkaErrorName;

  constructor(message: string, options: ErrorOptions = {}) {
    super(message, options);
    this.kafkaName = kafkaError(this.code).name;
  }
}

// ---- of the client itself

/** A configuration key or value that cannot be used; the message says what would be right. */
export class ConfigError extends KafkaError {
  static override readonly traits = traits('INVALID_CONFIG');
}
/** A call that the state of the object does not allow: after close, two polls at once, a partition that is not assigned. */
export class IllegalStateError extends KafkaError {
  static override readonly traits: Traits = { ...traits('INVALID_REQUEST'), code: -1 };
}
/** `wakeup()` interrupted a poll. */
export class WakeupError extends KafkaError {
  static override readonly traits: Traits = { ...traits('INVALID_REQUEST'), code: -1, retriable: true };
}
/** Some records of a `sendMany` failed. `produced` has the metadata by position, undefined where the record failed. */
export class SendManyError extends KafkaError {
  readonly produced: readonly (RecordMetadata | undefined)[];
  readonly failures: readonly { readonly index: number; readonly error: KafkaError }[];

  constructor(message: string, options: ErrorOptions & Pick<SendManyError, 'produced' | 'failures'>) {
    super(message, options);
    this.produced = options.produced;
    this.failures = options.failures;
  }
}
/** A key, value or header cannot be written; nothing was sent. */
export class SerializationError extends KafkaError {
  static override readonly traits = traits('INVALID_RECORD');
}
/** A record that cannot be decoded; `seek` to `offset` + 1 to go past it. */
export class RecordDeserializationError extends SerializationError {
  readonly offset: bigint;
  /** What the deserializer failed at; undefined: the record could not even be read. */
  readonly origin: 'key' | 'value' | undefined;
  /** The record with its bytes, when it could be read. */
  readonly record: ConsumerRecord | undefined;

  constructor(
    message: string,
    options: ErrorOptions & Pick<RecordDeserializationError, 'offset'> & Partial<RecordDeserializationError>,
  ) {
    super(message, options);
    this.offset = options.offset;
    this.origin = options.origin;
    this.record = options.record;
  }
}
/** `auto.offset.reset` is `none` and the partition has no position. */
export class NoOffsetForPartitionError extends KafkaError {
  static override readonly traits: Traits = { ...traits('OFFSET_OUT_OF_RANGE'), code: -1 };
}
/**
 * The log no longer holds what was read before (KIP-320): an unclean election or a lost disk cut it. With `auto.offset.reset=none`; any other policy goes on at
 * `divergentOffset` by itself.
 */
export class LogTruncationError extends KafkaError {
  static override readonly traits: Traits = { ...traits('OFFSET_OUT_OF_RANGE'), code: -1 };
  /** The position that the log no longer backs. */
  readonly offset: bigint;
  /** The first offset whose record is another than it was: `seek` there to read on without a gap. */
  readonly divergentOffset: bigint;

  constructor(message: string, options: ErrorOptions & Pick<LogTruncationError, 'offset' | 'divergentOffset'>) {
    super(message, options);
    this.offset = options.offset;
    this.divergentOffset = options.divergentOffset;
  }
}

// ---- retriable

/** It may pass; the SDK has tried again for as long as the settings say. */
export class RetriableError extends ApiError {
  static override readonly traits: Traits = { ...traits('REQUEST_TIMED_OUT'), outcome: 'definite' };
}
/** The time that a setting or a call allows is over; `outcome` says what that means for a record. */
export class TimeoutError extends RetriableError {
  static override readonly traits = traits('REQUEST_TIMED_OUT');
}
/** `buffer.memory` stayed full for `max.block.ms`; the record was never sent. */
export class BufferExhaustedError extends TimeoutError {
  static override readonly traits: Traits = { ...traits('REQUEST_TIMED_OUT'), outcome: 'definite' };
}
/** The connection broke while the request was under way. */
export class DisconnectError extends RetriableError {
  static override readonly traits = traits('NETWORK_EXCEPTION');
}
/** The broker that was asked is not the controller (any more). */
export class NotControllerError extends RetriableError {
  static override readonly traits = traits('NOT_CONTROLLER');
}
/** The broker that was asked does not coordinate this group (any more). */
export class NotCoordinatorError extends RetriableError {
  static override readonly traits = traits('NOT_COORDINATOR');
}
/** Nobody coordinates the group at the moment: its partition of `__consumer_offsets` has no leader. */
export class CoordinatorNotAvailableError extends RetriableError {
  static override readonly traits = traits('COORDINATOR_NOT_AVAILABLE');
}
/** The coordinator has just taken the group over and still reads what it must know. */
export class CoordinatorLoadInProgressError extends RetriableError {
  static override readonly traits = traits('COORDINATOR_LOAD_IN_PROGRESS');
}
/** Fewer than `min.insync.replicas` are in sync; nothing was written. */
export class NotEnoughReplicasError extends RetriableError {
  static override readonly traits = traits('NOT_ENOUGH_REPLICAS');
}
/** Fell below `min.insync.replicas` after the leader had written: the record may be there. */
export class NotEnoughReplicasAfterAppendError extends RetriableError {
  static override readonly traits = traits('NOT_ENOUGH_REPLICAS_AFTER_APPEND');
}
/** A batch fails its checksum or cannot be decoded. */
export class CorruptRecordError extends RetriableError {
  static override readonly traits = traits('CORRUPT_MESSAGE');
}
/** Another transaction of the same id is still ending. */
export class ConcurrentTransactionsError extends RetriableError {
  static override readonly traits = traits('CONCURRENT_TRANSACTIONS');
}
/** A new leader does not know yet how far its log may be read. */
export class OffsetNotAvailableError extends RetriableError {
  static override readonly traits = traits('OFFSET_NOT_AVAILABLE');
}
/** The client knows of an election of which the broker has not heard yet. */
export class UnknownLeaderEpochError extends RetriableError {
  static override readonly traits = traits('UNKNOWN_LEADER_EPOCH');
}
/** The offset is part of a transaction that has not ended. */
export class UnstableOffsetCommitError extends RetriableError {
  static override readonly traits = traits('UNSTABLE_OFFSET_COMMIT');
}
/** The client asks more often than its quota allows. */
export class ThrottlingQuotaExceededError extends RetriableError {
  static override readonly traits = traits('THROTTLING_QUOTA_EXCEEDED');
}

/** Retriable after the metadata was refreshed. */
export class InvalidMetadataError extends RetriableError {
  static override readonly traits: Traits = traits('LEADER_NOT_AVAILABLE');
}
/** The broker does not lead the partition (any more). */
export class NotLeaderOrFollowerError extends InvalidMetadataError {
  static override readonly traits = traits('NOT_LEADER_OR_FOLLOWER');
}
/** The partition has no leader at the moment. */
export class LeaderNotAvailableError extends InvalidMetadataError {
  static override readonly traits = traits('LEADER_NOT_AVAILABLE');
}
/** The broker does not know the topic or partition: it is not there, or not yet. */
export class UnknownTopicOrPartitionError extends InvalidMetadataError {
  static override readonly traits = traits('UNKNOWN_TOPIC_OR_PARTITION');
}
/** The broker does not know the topic of this id: it was deleted. */
export class UnknownTopicIdError extends InvalidMetadataError {
  static override readonly traits = traits('UNKNOWN_TOPIC_ID');
}
/** The topic was deleted and made anew since the metadata was fetched. */
export class InconsistentTopicIdError extends InvalidMetadataError {
  static override readonly traits = traits('INCONSISTENT_TOPIC_ID');
}
/** The broker knows of an election of which the client has not heard yet. */
export class FencedLeaderEpochError extends InvalidMetadataError {
  static override readonly traits = traits('FENCED_LEADER_EPOCH');
}
/** The broker has no replica of the partition at hand. */
export class ReplicaNotAvailableError extends InvalidMetadataError {
  static override readonly traits = traits('REPLICA_NOT_AVAILABLE');
}
/** No broker could be reached; the message names each address and what was wrong with it. */
export class NetworkError extends InvalidMetadataError {
  static override readonly traits = traits('NETWORK_EXCEPTION');
}
/** The broker cannot use the disk on which the partition is. */
export class KafkaStorageError extends InvalidMetadataError {
  static override readonly traits = traits('KAFKA_STORAGE_ERROR');
}
/** The leader has no listener of the kind that the client used. */
export class ListenerNotFoundError extends InvalidMetadataError {
  static override readonly traits = traits('LISTENER_NOT_FOUND');
}
/** The partition has the leader that was asked for. */
export class ElectionNotNeededError extends InvalidMetadataError {
  static override readonly traits = traits('ELECTION_NOT_NEEDED');
}
/** The first replica of the partition is not alive or not in sync. */
export class PreferredLeaderNotAvailableError extends InvalidMetadataError {
  static override readonly traits = traits('PREFERRED_LEADER_NOT_AVAILABLE');
}
/** No replica may become leader without losing records. */
export class EligibleLeadersNotAvailableError extends InvalidMetadataError {
  static override readonly traits = traits('ELIGIBLE_LEADERS_NOT_AVAILABLE');
}

// ---- producer identity and transactions

/** Another producer with the same `transactional.id` took over: close this one. */
export class ProducerFencedError extends ApiError {
  static override readonly traits = traits('PRODUCER_FENCED', { fatal: true });
}
/** The producer's epoch is an old one: somebody else writes with its id. Close it. */
export class InvalidProducerEpochError extends ApiError {
  static override readonly traits = traits('INVALID_PRODUCER_EPOCH', { fatal: true });
}
/** Acknowledged records are not in the log any more. The producer ends with it, so that nothing hides the loss. */
export class OutOfOrderSequenceError extends ApiError {
  static override readonly traits = traits('OUT_OF_ORDER_SEQUENCE_NUMBER', { fatal: true });
}
/** The log holds nothing of this producer any more, and the record may or may not be in it. */
export class UnknownProducerIdError extends OutOfOrderSequenceError {
  static override readonly traits = traits('UNKNOWN_PRODUCER_ID', { fatal: true });
}
/** Client and broker have no version of this call in common, or the broker does not serve it. */
export class UnsupportedVersionError extends ApiError {
  static override readonly traits = traits('UNSUPPORTED_VERSION', { fatal: true });
}
/** The call does not fit the state of the transaction. */
export class InvalidTransactionStateError extends ApiError {
  static override readonly traits = traits('INVALID_TXN_STATE', { abortable: true });
}

// ---- groups

/** The group is about to share its partitions anew: poll, then try again. */
export class RebalanceInProgressError extends ApiError {
  static override readonly traits = traits('REBALANCE_IN_PROGRESS');
}
/** The group has rebalanced since; the member joins again. */
export class IllegalGenerationError extends ApiError {
  static override readonly traits = traits('ILLEGAL_GENERATION');
}
/** The group does not know the member (any more); it joins again. */
export class UnknownMemberIdError extends ApiError {
  static override readonly traits = traits('UNKNOWN_MEMBER_ID');
}
/** The coordinator has named the member, which now joins by that name. */
export class MemberIdRequiredError extends ApiError {
  static override readonly traits = traits('MEMBER_ID_REQUIRED');
}
/**
 * The group has given the partitions to others since: the offsets were not committed, and what was processed since the last commit will be
 * processed again by their new owner. The next poll joins the group again.
 */
export class CommitFailedError extends KafkaError {
  static override readonly traits: Traits = { ...traits('UNKNOWN_MEMBER_ID'), outcome: 'definite' };
}
/** The members have no assignor in common. */
export class InconsistentGroupProtocolError extends ApiError {
  static override readonly traits = traits('INCONSISTENT_GROUP_PROTOCOL');
}
/** No name for a group. */
export class InvalidGroupIdError extends ApiError {
  static override readonly traits = traits('INVALID_GROUP_ID');
}
/** `session.timeout.ms` is outside of what the brokers allow. */
export class InvalidSessionTimeoutError extends ApiError {
  static override readonly traits = traits('INVALID_SESSION_TIMEOUT');
}
/** The text beside a committed offset is longer than the brokers allow. */
export class OffsetMetadataTooLargeError extends ApiError {
  static override readonly traits = traits('OFFSET_METADATA_TOO_LARGE');
}
/** Another member took over this `group.instance.id`: this one must not go on. */
export class FencedInstanceIdError extends ApiError {
  static override readonly traits = traits('FENCED_INSTANCE_ID', { fatal: true });
}

/** The group went on without this member (KIP-848): what it held belongs to others, and it joins again. */
export class FencedMemberEpochError extends ApiError {
  static override readonly traits = traits('FENCED_MEMBER_EPOCH');
}
/** The member's epoch has moved on since the request was made. */
export class StaleMemberEpochError extends ApiError {
  static override readonly traits = traits('STALE_MEMBER_EPOCH');
}
/** Another member holds this `group.instance.id` and has not left. */
export class UnreleasedInstanceIdError extends ApiError {
  static override readonly traits = traits('UNRELEASED_INSTANCE_ID');
}
/** The brokers do not have this `group.remote.assignor`. */
export class UnsupportedAssignorError extends ApiError {
  static override readonly traits = traits('UNSUPPORTED_ASSIGNOR');
}
/** The brokers cannot use the pattern that was subscribed to. */
export class InvalidRegularExpressionError extends ApiError {
  static override readonly traits = traits('INVALID_REGULAR_EXPRESSION');
}

// ---- data and administration

/** Larger than `max.request.size`, `buffer.memory` or the topic's `max.message.bytes`. */
export class RecordTooLargeError extends ApiError {
  static override readonly traits = traits('MESSAGE_TOO_LARGE');
}
/** The batch is larger than a segment of the topic. */
export class RecordBatchTooLargeError extends ApiError {
  static override readonly traits = traits('RECORD_LIST_TOO_LARGE');
}
/** A batch is compressed by a codec that this process does not have (zstd before Node 22.15), or that the broker refuses. */
export class UnsupportedCompressionTypeError extends ApiError {
  static override readonly traits = traits('UNSUPPORTED_COMPRESSION_TYPE');
}
/** The broker refuses the record: its timestamp, or a missing key in a compacted topic. */
export class InvalidRecordError extends ApiError {
  static override readonly traits = traits('INVALID_RECORD');
}
/** The log does not reach that far back, or not that far; seek to go on. */
export class OffsetOutOfRangeError extends ApiError {
  static override readonly traits = traits('OFFSET_OUT_OF_RANGE');
}
/** No name for a topic, or one that is kept for the brokers' own. */
export class InvalidTopicError extends ApiError {
  static override readonly traits = traits('INVALID_TOPIC_EXCEPTION');
}
/** Less than one replica, or more than there are brokers. */
export class InvalidReplicationFactorError extends ApiError {
  static override readonly traits = traits('INVALID_REPLICATION_FACTOR');
}
/** No number of partitions for this topic: below one, or not more than it has. */
export class InvalidPartitionsError extends ApiError {
  static override readonly traits = traits('INVALID_PARTITIONS');
}
/** The brokers named for the replicas are unknown, too few or twice the same. */
export class InvalidReplicaAssignmentError extends ApiError {
  static override readonly traits = traits('INVALID_REPLICA_ASSIGNMENT');
}
/** The broker refuses a setting; the message says which. */
export class InvalidConfigError extends ApiError {
  static override readonly traits = traits('INVALID_CONFIG');
}
/** There is a topic of that name. */
export class TopicExistsError extends ApiError {
  static override readonly traits = traits('TOPIC_ALREADY_EXISTS');
}
/** The brokers' policy forbids it; the message says why. */
export class PolicyViolationError extends ApiError {
  static override readonly traits = traits('POLICY_VIOLATION');
}

// ---- permissions

/** The broker does not accept who the client says it is. */
export class AuthenticationError extends ApiError {
  static override readonly traits = traits('SASL_AUTHENTICATION_FAILED', { fatal: true });
}
/** The client may not do this. */
export class AuthorizationError extends ApiError {
  static override readonly traits = traits('CLUSTER_AUTHORIZATION_FAILED');
}
/** The client may not do this with the topic. */
export class TopicAuthorizationError extends AuthorizationError {
  static override readonly traits = traits('TOPIC_AUTHORIZATION_FAILED');
}
/** The client may not do this with the group. */
export class GroupAuthorizationError extends AuthorizationError {
  static override readonly traits = traits('GROUP_AUTHORIZATION_FAILED');
}
/** The client may not do this with the cluster. */
export class ClusterAuthorizationError extends AuthorizationError {
  static override readonly traits = traits('CLUSTER_AUTHORIZATION_FAILED');
}
/** The client may not use this `transactional.id`. */
export class TransactionalIdAuthorizationError extends AuthorizationError {
  static override readonly traits = traits('TRANSACTIONAL_ID_AUTHORIZATION_FAILED', { fatal: true });
}
