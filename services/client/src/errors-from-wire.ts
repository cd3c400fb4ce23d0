// The only place where numbers and statuses from the wire become errors of the SDK.
import { type KafkaErrorName, kafkaError } from '@naru/kafka-protocol';
import { RpcError } from '@naru/rpc';
import { isNetworkFailure } from './cluster/network-failure.ts';
import * as errors from './errors.ts';

const { ApiError } = errors;

/** The class for each of Kafka's names. Complete by its type: a new code does not compile until it is placed here. */
export const errorClassByName: Readonly<Record<Exclude<KafkaErrorName, 'NONE'>, errors.KafkaErrorClass>> = {
  UNKNOWN_SERVER_ERROR: ApiError,
  OFFSET_OUT_OF_RANGE: errors.OffsetOutOfRangeError,
  CORRUPT_MESSAGE: errors.CorruptRecordError,
  UNKNOWN_TOPIC_OR_PARTITION: errors.UnknownTopicOrPartitionError,
  INVALID_FETCH_SIZE: ApiError,
  LEADER_NOT_AVAILABLE: errors.LeaderNotAvailableError,
  NOT_LEADER_OR_FOLLOWER: errors.NotLeaderOrFollowerError,
  REQUEST_TIMED_OUT: errors.TimeoutError,
  BROKER_NOT_AVAILABLE: ApiError,
  REPLICA_NOT_AVAILABLE: errors.ReplicaNotAvailableError,
  MESSAGE_TOO_LARGE: errors.RecordTooLargeError,
  STALE_CONTROLLER_EPOCH: ApiError,
  OFFSET_METADATA_TOO_LARGE: errors.OffsetMetadataTooLargeError,
  NETWORK_EXCEPTION: errors.NetworkError,
  COORDINATOR_LOAD_IN_PROGRESS: errors.CoordinatorLoadInProgressError,
  COORDINATOR_NOT_AVAILABLE: errors.CoordinatorNotAvailableError,
  NOT_COORDINATOR: errors.NotCoordinatorError,
  INVALID_TOPIC_EXCEPTION: errors.InvalidTopicError,
  RECORD_LIST_TOO_LARGE: errors.RecordBatchTooLargeError,
  NOT_ENOUGH_REPLICAS: errors.NotEnoughReplicasError,
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: errors.NotEnoughReplicasAfterAppendError,
  INVALID_REQUIRED_ACKS: ApiError,
  ILLEGAL_GENERATION: errors.IllegalGenerationError,
  INCONSISTENT_GROUP_PROTOCOL: errors.InconsistentGroupProtocolError,
  INVALID_GROUP_ID: errors.InvalidGroupIdError,
  UNKNOWN_MEMBER_ID: errors.UnknownMemberIdError,
  INVALID_SESSION_TIMEOUT: errors.InvalidSessionTimeoutError,
  REBALANCE_IN_PROGRESS: errors.RebalanceInProgressError,
  INVALID_COMMIT_OFFSET_SIZE: ApiError,
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
  INVALID_REQUEST: ApiError,
  UNSUPPORTED_FOR_MESSAGE_FORMAT: errors.UnsupportedVersionError,
  POLICY_VIOLATION: errors.PolicyViolationError,
  OUT_OF_ORDER_SEQUENCE_NUMBER: errors.OutOfOrderSequenceError,
  DUPLICATE_SEQUENCE_NUMBER: ApiError,
  INVALID_PRODUCER_EPOCH: errors.InvalidProducerEpochError,
  INVALID_TXN_STATE: errors.InvalidTransactionStateError,
  INVALID_PRODUCER_ID_MAPPING: errors.InvalidTransactionStateError,
  INVALID_TRANSACTION_TIMEOUT: ApiError,
  CONCURRENT_TRANSACTIONS: errors.ConcurrentTransactionsError,
  TRANSACTION_COORDINATOR_FENCED: errors.ProducerFencedError,
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: errors.TransactionalIdAuthorizationError,
  SECURITY_DISABLED: ApiError,
  OPERATION_NOT_ATTEMPTED: ApiError,
  KAFKA_STORAGE_ERROR: errors.KafkaStorageError,
  LOG_DIR_NOT_FOUND: ApiError,
  SASL_AUTHENTICATION_FAILED: errors.AuthenticationError,
  UNKNOWN_PRODUCER_ID: errors.UnknownProducerIdError,
  REASSIGNMENT_IN_PROGRESS: ApiError,
  FETCH_SESSION_ID_NOT_FOUND: errors.RetriableError,
  INVALID_FETCH_SESSION_EPOCH: errors.RetriableError,
  LISTENER_NOT_FOUND: errors.ListenerNotFoundError,
  TOPIC_DELETION_DISABLED: ApiError,
  FENCED_LEADER_EPOCH: errors.FencedLeaderEpochError,
  UNKNOWN_LEADER_EPOCH: errors.UnknownLeaderEpochError,
  UNSUPPORTED_COMPRESSION_TYPE: errors.UnsupportedCompressionTypeError,
  STALE_BROKER_EPOCH: ApiError,
  OFFSET_NOT_AVAILABLE: errors.OffsetNotAvailableError,
  MEMBER_ID_REQUIRED: errors.MemberIdRequiredError,
  PREFERRED_LEADER_NOT_AVAILABLE: errors.PreferredLeaderNotAvailableError,
  NON_EMPTY_GROUP: ApiError,
  GROUP_ID_NOT_FOUND: ApiError,
  GROUP_MAX_SIZE_REACHED: ApiError,
  FENCED_INSTANCE_ID: errors.FencedInstanceIdError,
  ELIGIBLE_LEADERS_NOT_AVAILABLE: errors.EligibleLeadersNotAvailableError,
  ELECTION_NOT_NEEDED: errors.ElectionNotNeededError,
  NO_REASSIGNMENT_IN_PROGRESS: ApiError,
  GROUP_SUBSCRIBED_TO_TOPIC: ApiError,
  INVALID_RECORD: errors.InvalidRecordError,
  UNSTABLE_OFFSET_COMMIT: errors.UnstableOffsetCommitError,
  THROTTLING_QUOTA_EXCEEDED: errors.ThrottlingQuotaExceededError,
  PRODUCER_FENCED: errors.ProducerFencedError,
  RESOURCE_NOT_FOUND: ApiError,
  DUPLICATE_RESOURCE: ApiError,
  UNACCEPTABLE_CREDENTIAL: ApiError,
  INCONSISTENT_TOPIC_ID: errors.InconsistentTopicIdError,
  INCONSISTENT_CLUSTER_ID: ApiError,
  UNKNOWN_TOPIC_ID: errors.UnknownTopicIdError,
  INELIGIBLE_REPLICA: ApiError,
  NEW_LEADER_ELECTED: ApiError,
};

/** The error for a code other than 0. A code that this version does not know becomes an `ApiError` with its number. */
export function errorFromCode(code: number, message: string, context: errors.ErrorOptions = {}): errors.KafkaError {
  const info = kafkaError(code);
  const errorClass = info.name === 'NONE' ? ApiError : errorClassByName[info.name];
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
