// The only place where numbers and statuses from the wire become errors of the SDK.
import { type KafkaErrorInfo, type KafkaErrorName, kafkaError } from '@naru/kafka-protocol';
import { RpcError } from '@naru/rpc';
import { isNetworkFailure } from './cluster/network-failure.ts';
import * as errors from './errors.ts';

const { ApiError } = errors;

/** Names with a class of their own; all others are `RetriableError` or `ApiError`, as Kafka's table says. */
const errorClassByName: Readonly<Partial<Record<KafkaErrorName, errors.KafkaErrorClass>>> = {
  OFFSET_OUT_OF_RANGE: errors.OffsetOutOfRangeError,
  CORRUPT_MESSAGE: errors.CorruptRecordError,
  UNKNOWN_TOPIC_OR_PARTITION: errors.UnknownTopicOrPartitionError,
  LEADER_NOT_AVAILABLE: errors.LeaderNotAvailableError,
  NOT_LEADER_OR_FOLLOWER: errors.NotLeaderOrFollowerError,
  REQUEST_TIMED_OUT: errors.TimeoutError,
  REPLICA_NOT_AVAILABLE: errors.ReplicaNotAvailableError,
  MESSAGE_TOO_LARGE: errors.RecordTooLargeError,
  OFFSET_METADATA_TOO_LARGE: errors.OffsetMetadataTooLargeError,
  NETWORK_EXCEPTION: errors.NetworkError,
  COORDINATOR_LOAD_IN_PROGRESS: errors.CoordinatorLoadInProgressError,
  COORDINATOR_NOT_AVAILABLE: errors.CoordinatorNotAvailableError,
  NOT_COORDINATOR: errors.NotCoordinatorError,
  INVALID_TOPIC_EXCEPTION: errors.InvalidTopicError,
  RECORD_LIST_TOO_LARGE: errors.RecordBatchTooLargeError,
  NOT_ENOUGH_REPLICAS: errors.NotEnoughReplicasError,
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: errors.NotEnoughReplicasAfterAppendError,
  ILLEGAL_GENERATION: errors.IllegalGenerationError,
  INCONSISTENT_GROUP_PROTOCOL: errors.InconsistentGroupProtocolError,
  INVALID_GROUP_ID: errors.InvalidGroupIdError,
  UNKNOWN_MEMBER_ID: errors.UnknownMemberIdError,
  INVALID_SESSION_TIMEOUT: errors.InvalidSessionTimeoutError,
  REBALANCE_IN_PROGRESS: errors.RebalanceInProgressError,
  TOPIC_AUTHORIZATION_FAILED: errors.TopicAuthorizationError,
  GROUP_AUTHORIZATION_FAILED: errors.GroupAuthorizationError,
  CLUSTER_AUTHORIZATION_FAILED: errors.ClusterAuthorizationError,
  INVALID_TIMESTAMP: errors.InvalidRecordError,
  UNSUPPORTED_SASL_MECHANISM: errors.AuthenticationError,
  ILLEGAL_SASL_STATE: errors.AuthenticationError,
  UNSUPPORTED_VERSION: errors.UnsupportedVersionError,
  TOPIC_ALREADY_EXISTS: errors.TopicExistsError,
  INVALID_PARTITIONS: errors.InvalidPartitionsError,
  INVALID_REPLICATION_FACTOR: errors.InvalidReplicationFactorError,
  INVALID_REPLICA_ASSIGNMENT: errors.InvalidReplicaAssignmentError,
  INVALID_CONFIG: errors.InvalidConfigError,
  NOT_CONTROLLER: errors.NotControllerError,
  UNSUPPORTED_FOR_MESSAGE_FORMAT: errors.UnsupportedVersionError,
  POLICY_VIOLATION: errors.PolicyViolationError,
  OUT_OF_ORDER_SEQUENCE_NUMBER: errors.OutOfOrderSequenceError,
  INVALID_PRODUCER_EPOCH: errors.InvalidProducerEpochError,
  INVALID_TXN_STATE: errors.InvalidTransactionStateError,
  INVALID_PRODUCER_ID_MAPPING: errors.InvalidTransactionStateError,
  CONCURRENT_TRANSACTIONS: errors.ConcurrentTransactionsError,
  TRANSACTION_COORDINATOR_FENCED: errors.ProducerFencedError,
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: errors.TransactionalIdAuthorizationError,
  KAFKA_STORAGE_ERROR: errors.KafkaStorageError,
  SASL_AUTHENTICATION_FAILED: errors.AuthenticationError,
  UNKNOWN_PRODUCER_ID: errors.UnknownProducerIdError,
  LISTENER_NOT_FOUND: errors.ListenerNotFoundError,
  FENCED_LEADER_EPOCH: errors.FencedLeaderEpochError,
  UNKNOWN_LEADER_EPOCH: errors.UnknownLeaderEpochError,
  UNSUPPORTED_COMPRESSION_TYPE: errors.UnsupportedCompressionTypeError,
  OFFSET_NOT_AVAILABLE: errors.OffsetNotAvailableError,
  MEMBER_ID_REQUIRED: errors.MemberIdRequiredError,
  PREFERRED_LEADER_NOT_AVAILABLE: errors.PreferredLeaderNotAvailableError,
  FENCED_INSTANCE_ID: errors.FencedInstanceIdError,
  ELIGIBLE_LEADERS_NOT_AVAILABLE: errors.EligibleLeadersNotAvailableError,
  ELECTION_NOT_NEEDED: errors.ElectionNotNeededError,
  INVALID_RECORD: errors.InvalidRecordError,
  UNSTABLE_OFFSET_COMMIT: errors.UnstableOffsetCommitError,
  THROTTLING_QUOTA_EXCEEDED: errors.ThrottlingQuotaExceededError,
  PRODUCER_FENCED: errors.ProducerFencedError,
  INCONSISTENT_TOPIC_ID: errors.InconsistentTopicIdError,
  UNKNOWN_TOPIC_ID: errors.UnknownTopicIdError,
  FENCED_MEMBER_EPOCH: errors.FencedMemberEpochError,
  UNRELEASED_INSTANCE_ID: errors.UnreleasedInstanceIdError,
  UNSUPPORTED_ASSIGNOR: errors.UnsupportedAssignorError,
  STALE_MEMBER_EPOCH: errors.StaleMemberEpochError,
  INVALID_REGULAR_EXPRESSION: errors.InvalidRegularExpressionError,
};

export function errorClassOf({ name, retriable }: KafkaErrorInfo): errors.KafkaErrorClass {
  return errorClassByName[name] ?? (retriable ? errors.RetriableError : ApiError);
}

/** The error for a code other than 0. A code that this version does not know becomes an `ApiError` with its number. */
export function errorFromCode(code: number, message: string, context: errors.ErrorOptions = {}): errors.KafkaError {
  const info = kafkaError(code);
  const errorClass = errorClassOf(info);
  return new errorClass(message === '' ? describe(info.message, context) : message, { ...context, code });
}

/** What a failed call or stream means. A connection that broke leaves the outcome of a write unknown. */
export function errorFromRpc(cause: unknown, context: errors.ErrorOptions = {}): errors.KafkaError {
  if (cause instanceof errors.KafkaError) return cause;
  const options = { ...context, cause };
  const message = describe(cause instanceof Error ? cause.message : String(cause), context);
  if (isNetworkFailure(cause)) return new errors.DisconnectError(message, options);
  if (cause instanceof RpcError) {
    if (cause.code === 'deadline-exceeded') return new errors.TimeoutError(message, options);
    if (cause.code === 'resource-exhausted') return new errors.RecordTooLargeError(message, options);
    if (cause.code === 'unimplemented') return new errors.UnsupportedVersionError(message, options);
  }
  return new ApiError(message, options);
}

function describe(message: string, { topic, partition, broker }: errors.ErrorOptions): string {
  const where: string[] = [];
  if (topic !== undefined) where.push(partition === undefined ? `topic ${topic}` : `${topic}-${partition}`);
  if (broker !== undefined) where.push(`broker ${broker}`);
  return where.length === 0 ? message : `${message} (${where.join(', ')})`;
}
