/**
 * Kafka's error codes (org.apache.kafka.common.protocol.Errors). Both wires carry the number. `retriable` says that the same request may
 * succeed later; `outcome` says what an error to a write means for that write: `definite` - it is not in the log; `indefinite` - it may
 * be (row 55). What is not named retriable is not.
 */
const table = {
  UNKNOWN_SERVER_ERROR: [-1, false, 'indefinite', 'The server met an unexpected error'],
  NONE: [0, false, 'definite', 'Success'],
  OFFSET_OUT_OF_RANGE: [1, false, 'definite', 'The offset is outside the range of offsets that the partition holds'],
  CORRUPT_MESSAGE: [
    2,
    true,
    'definite',
    'The record batch fails its checksum, has an invalid size or is otherwise corrupt',
  ],
  UNKNOWN_TOPIC_OR_PARTITION: [3, true, 'definite', 'This broker does not host the topic or partition'],
  INVALID_FETCH_SIZE: [4, false, 'definite', 'The fetch size is invalid'],
  LEADER_NOT_AVAILABLE: [5, true, 'definite', 'The partition has no leader at the moment'],
  NOT_LEADER_OR_FOLLOWER: [6, true, 'definite', 'This broker is not the leader of the partition'],
  REQUEST_TIMED_OUT: [7, true, 'indefinite', 'The request was not fulfilled in time'],
  BROKER_NOT_AVAILABLE: [8, false, 'definite', 'The broker is not available'],
  REPLICA_NOT_AVAILABLE: [9, true, 'definite', 'The replica is not available on this broker'],
  MESSAGE_TOO_LARGE: [10, false, 'definite', 'The record batch is larger than max.message.bytes of the topic'],
  STALE_CONTROLLER_EPOCH: [11, false, 'definite', 'The controller has moved to another broker'],
  OFFSET_METADATA_TOO_LARGE: [12, false, 'definite', 'The metadata of the committed offset is too large'],
  NETWORK_EXCEPTION: [13, true, 'indefinite', 'The connection broke before a response arrived'],
  COORDINATOR_LOAD_IN_PROGRESS: [14, true, 'definite', 'The group coordinator is loading its state'],
  COORDINATOR_NOT_AVAILABLE: [15, true, 'definite', 'The group coordinator is not available'],
  NOT_COORDINATOR: [16, true, 'definite', 'This broker is not the coordinator of the group'],
  INVALID_TOPIC_EXCEPTION: [17, false, 'definite', 'The topic name is invalid'],
  RECORD_LIST_TOO_LARGE: [18, false, 'definite', 'The request holds a record batch larger than the segment size'],
  NOT_ENOUGH_REPLICAS: [19, true, 'definite', 'Fewer replicas are in sync than min.insync.replicas asks for'],
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: [
    20,
    true,
    'indefinite',
    'The records were appended, but fewer replicas than min.insync.replicas are in sync',
  ],
  INVALID_REQUIRED_ACKS: [21, false, 'definite', 'acks must be 0, 1 or -1 (all)'],
  ILLEGAL_GENERATION: [22, false, 'definite', 'The generation of the group member is not the current one'],
  INCONSISTENT_GROUP_PROTOCOL: [23, false, 'definite', "The member's protocols do not fit those of the group"],
  INVALID_GROUP_ID: [24, false, 'definite', 'The group id is invalid'],
  UNKNOWN_MEMBER_ID: [25, false, 'definite', 'The group does not know this member'],
  INVALID_SESSION_TIMEOUT: [26, false, 'definite', 'The session timeout is outside the range that the broker allows'],
  REBALANCE_IN_PROGRESS: [27, false, 'definite', 'The group is rebalancing'],
  INVALID_COMMIT_OFFSET_SIZE: [28, false, 'definite', 'The commit is too large'],
  TOPIC_AUTHORIZATION_FAILED: [29, false, 'definite', 'Not authorized for the topic'],
  GROUP_AUTHORIZATION_FAILED: [30, false, 'definite', 'Not authorized for the group'],
  CLUSTER_AUTHORIZATION_FAILED: [31, false, 'definite', 'Not authorized for this operation on the cluster'],
  INVALID_TIMESTAMP: [32, false, 'definite', 'The timestamp of a record is outside the allowed range'],
  UNSUPPORTED_SASL_MECHANISM: [33, false, 'definite', 'The SASL mechanism is not supported'],
  ILLEGAL_SASL_STATE: [34, false, 'definite', 'The request is not valid in this state of the SASL exchange'],
  UNSUPPORTED_VERSION: [35, false, 'definite', 'The version of the API is not supported'],
  TOPIC_ALREADY_EXISTS: [36, false, 'definite', 'A topic of that name exists already'],
  INVALID_PARTITIONS: [37, false, 'definite', 'The number of partitions is invalid'],
  INVALID_REPLICATION_FACTOR: [
    38,
    false,
    'definite',
    'The replication factor is below 1 or above the number of live brokers',
  ],
  INVALID_REPLICA_ASSIGNMENT: [39, false, 'definite', 'The replica assignment is invalid'],
  INVALID_CONFIG: [40, false, 'definite', 'The configuration is invalid'],
  NOT_CONTROLLER: [41, true, 'definite', 'This broker is not the controller'],
  INVALID_REQUEST: [42, false, 'definite', 'The request is malformed or not allowed here'],
  UNSUPPORTED_FOR_MESSAGE_FORMAT: [43, false, 'definite', 'The message format does not support the request'],
  POLICY_VIOLATION: [44, false, 'definite', 'The request violates a policy'],
  OUT_OF_ORDER_SEQUENCE_NUMBER: [45, false, 'definite', 'The sequence number of the producer is not the next one'],
  DUPLICATE_SEQUENCE_NUMBER: [46, false, 'definite', 'The sequence number of the producer was seen before'],
  INVALID_PRODUCER_EPOCH: [47, false, 'definite', 'The epoch of the producer is too old'],
  INVALID_TXN_STATE: [48, false, 'definite', 'The transaction is not in a state that allows the operation'],
  INVALID_PRODUCER_ID_MAPPING: [49, false, 'definite', 'The producer id does not belong to this transactional id'],
  INVALID_TRANSACTION_TIMEOUT: [50, false, 'definite', 'The transaction timeout is larger than the broker allows'],
  CONCURRENT_TRANSACTIONS: [51, true, 'definite', 'Another operation on the same transaction is under way'],
  TRANSACTION_COORDINATOR_FENCED: [52, false, 'definite', 'The transaction coordinator is no longer the current one'],
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: [53, false, 'definite', 'Not authorized for the transactional id'],
  SECURITY_DISABLED: [54, false, 'definite', 'Security features are disabled'],
  OPERATION_NOT_ATTEMPTED: [55, false, 'definite', 'The operation was not attempted because another one failed'],
  KAFKA_STORAGE_ERROR: [56, true, 'indefinite', 'The log directory failed'],
  LOG_DIR_NOT_FOUND: [57, false, 'definite', 'The log directory is not known'],
  SASL_AUTHENTICATION_FAILED: [58, false, 'definite', 'SASL authentication failed'],
  UNKNOWN_PRODUCER_ID: [59, false, 'definite', 'The broker holds no state of the producer'],
  REASSIGNMENT_IN_PROGRESS: [60, false, 'definite', 'A partition reassignment is in progress'],
  DELEGATION_TOKEN_AUTH_DISABLED: [61, false, 'definite', 'Delegation tokens are disabled'],
  DELEGATION_TOKEN_NOT_FOUND: [62, false, 'definite', 'The delegation token is not known'],
  DELEGATION_TOKEN_OWNER_MISMATCH: [63, false, 'definite', 'The principal neither owns nor may renew the token'],
  DELEGATION_TOKEN_REQUEST_NOT_ALLOWED: [64, false, 'definite', 'Delegation tokens are not handled on this channel'],
  DELEGATION_TOKEN_AUTHORIZATION_FAILED: [65, false, 'definite', 'Not authorized for the delegation token'],
  DELEGATION_TOKEN_EXPIRED: [66, false, 'definite', 'The delegation token has expired'],
  INVALID_PRINCIPAL_TYPE: [67, false, 'definite', 'The type of the principal is not supported'],
  NON_EMPTY_GROUP: [68, false, 'definite', 'The group has members'],
  GROUP_ID_NOT_FOUND: [69, false, 'definite', 'The group does not exist'],
  FETCH_SESSION_ID_NOT_FOUND: [70, true, 'definite', 'The fetch session is not known'],
  INVALID_FETCH_SESSION_EPOCH: [71, true, 'definite', 'The epoch of the fetch session is invalid'],
  LISTENER_NOT_FOUND: [72, true, 'definite', 'The leader has no listener of that name'],
  TOPIC_DELETION_DISABLED: [73, false, 'definite', 'Topic deletion is disabled'],
  FENCED_LEADER_EPOCH: [74, true, 'definite', 'The leader epoch of the request is older than the one of the broker'],
  UNKNOWN_LEADER_EPOCH: [75, true, 'definite', 'The leader epoch of the request is newer than the one of the broker'],
  UNSUPPORTED_COMPRESSION_TYPE: [76, false, 'definite', 'The compression type is not supported'],
  STALE_BROKER_EPOCH: [
    77,
    false,
    'definite',
    'The broker epoch is not the current one: the broker has registered again',
  ],
  OFFSET_NOT_AVAILABLE: [78, true, 'definite', 'The new leader does not know the high watermark yet'],
  MEMBER_ID_REQUIRED: [79, false, 'definite', 'The member must join again with the id that it was given'],
  PREFERRED_LEADER_NOT_AVAILABLE: [80, true, 'definite', 'The preferred leader is not available'],
  GROUP_MAX_SIZE_REACHED: [81, false, 'definite', 'The group has as many members as it may have'],
  FENCED_INSTANCE_ID: [82, false, 'definite', 'Another member has taken the group instance id'],
  ELIGIBLE_LEADERS_NOT_AVAILABLE: [83, true, 'definite', 'No replica may become leader'],
  ELECTION_NOT_NEEDED: [84, true, 'definite', 'The leader need not change'],
  NO_REASSIGNMENT_IN_PROGRESS: [85, false, 'definite', 'No partition reassignment is in progress'],
  GROUP_SUBSCRIBED_TO_TOPIC: [86, false, 'definite', 'The group is subscribed to the topic'],
  INVALID_RECORD: [87, false, 'definite', 'A record is invalid'],
  UNSTABLE_OFFSET_COMMIT: [88, true, 'definite', 'Offsets are waiting for the end of a transaction'],
  THROTTLING_QUOTA_EXCEEDED: [89, true, 'definite', 'The quota is exceeded'],
  PRODUCER_FENCED: [90, false, 'definite', 'A newer producer with the same transactional id exists'],
  RESOURCE_NOT_FOUND: [91, false, 'definite', 'The resource does not exist'],
  DUPLICATE_RESOURCE: [92, false, 'definite', 'The resource exists already'],
  UNACCEPTABLE_CREDENTIAL: [93, false, 'definite', 'The credential is not acceptable'],
  INCONSISTENT_VOTER_SET: [94, false, 'definite', 'Sender or receiver is not one of the voters'],
  INVALID_UPDATE_VERSION: [95, false, 'definite', 'The version of the update is invalid'],
  FEATURE_UPDATE_FAILED: [96, false, 'indefinite', 'The features could not be updated'],
  PRINCIPAL_DESERIALIZATION_FAILURE: [97, false, 'definite', 'The principal of a forwarded request is unreadable'],
  SNAPSHOT_NOT_FOUND: [98, false, 'definite', 'The snapshot does not exist'],
  POSITION_OUT_OF_RANGE: [99, false, 'definite', 'The position is outside of the snapshot'],
  UNKNOWN_TOPIC_ID: [100, true, 'definite', 'No topic has this id'],
  DUPLICATE_BROKER_REGISTRATION: [101, false, 'definite', 'The broker id is in use'],
  BROKER_ID_NOT_REGISTERED: [102, false, 'definite', 'The broker id is not registered'],
  INCONSISTENT_TOPIC_ID: [103, true, 'definite', 'The topic id of the request is not the one of the log'],
  INCONSISTENT_CLUSTER_ID: [104, false, 'definite', 'The cluster id of the request is not the one of the cluster'],
  TRANSACTIONAL_ID_NOT_FOUND: [105, false, 'definite', 'The transactional id is not known'],
  FETCH_SESSION_TOPIC_ID_ERROR: [106, true, 'definite', 'The fetch session mixes requests with and without topic ids'],
  INELIGIBLE_REPLICA: [107, false, 'definite', 'The new ISR holds a replica that may not be in it'],
  NEW_LEADER_ELECTED: [108, false, 'definite', 'A new leader was elected while the request was handled'],
  OFFSET_MOVED_TO_TIERED_STORAGE: [109, false, 'definite', 'The offset has moved to tiered storage'],
  FENCED_MEMBER_EPOCH: [
    110,
    false,
    'definite',
    'The epoch of the group member is fenced: it must give up its partitions and join again',
  ],
  UNRELEASED_INSTANCE_ID: [111, false, 'definite', 'Another member holds the group instance id and has not left yet'],
  UNSUPPORTED_ASSIGNOR: [112, false, 'definite', 'The group coordinator does not have this assignor'],
  STALE_MEMBER_EPOCH: [
    113,
    false,
    'definite',
    'The epoch of the group member has moved on: try again with the new one',
  ],
  MISMATCHED_ENDPOINT_TYPE: [114, false, 'definite', 'The request was sent to an endpoint of another type'],
  UNSUPPORTED_ENDPOINT_TYPE: [115, false, 'definite', 'The type of the endpoint is not supported'],
  UNKNOWN_CONTROLLER_ID: [116, false, 'definite', 'The controller id is not known'],
  UNKNOWN_SUBSCRIPTION_ID: [117, false, 'definite', 'The subscription id of the telemetry is not the current one'],
  TELEMETRY_TOO_LARGE: [118, false, 'definite', 'The telemetry is larger than the broker accepts'],
  INVALID_REGISTRATION: [119, false, 'definite', 'The registration of the broker is invalid'],
  TRANSACTION_ABORTABLE: [120, false, 'indefinite', 'The transaction met an error and must be aborted'],
  INVALID_RECORD_STATE: [121, false, 'definite', 'The record is not in a state that can be acknowledged'],
  SHARE_SESSION_NOT_FOUND: [122, true, 'definite', 'The share session is not known'],
  INVALID_SHARE_SESSION_EPOCH: [123, true, 'definite', 'The epoch of the share session is invalid'],
  FENCED_STATE_EPOCH: [124, false, 'definite', 'The state epoch of the share group is not the current one'],
  INVALID_VOTER_KEY: [125, false, 'definite', "The voter's key is not the one of the receiver"],
  DUPLICATE_VOTER: [126, false, 'definite', 'The voter is one already'],
  VOTER_NOT_FOUND: [127, false, 'definite', 'The voter is not known'],
  INVALID_REGULAR_EXPRESSION: [128, false, 'definite', 'The regular expression is invalid'],
  REBOOTSTRAP_REQUIRED: [129, false, 'definite', 'The metadata of the client is too old: it should bootstrap again'],
  STREAMS_INVALID_TOPOLOGY: [130, false, 'definite', 'The topology is invalid'],
  STREAMS_INVALID_TOPOLOGY_EPOCH: [131, false, 'definite', 'The epoch of the topology is invalid'],
  STREAMS_TOPOLOGY_FENCED: [132, false, 'definite', 'The epoch of the topology is not the current one'],
  SHARE_SESSION_LIMIT_REACHED: [133, true, 'definite', 'There are as many share sessions as there may be'],
} as const satisfies Record<
  string,
  readonly [code: number, retriable: boolean, outcome: 'definite' | 'indefinite', message: string]
>;

export type KafkaErrorName = keyof typeof table;

export interface KafkaErrorInfo {
  readonly name: KafkaErrorName;
  readonly code: number;
  readonly retriable: boolean;
  readonly outcome: 'definite' | 'indefinite';
  readonly message: string;
}

/** Code by name: `errorCodes.NOT_LEADER_OR_FOLLOWER` is 6. */
export const errorCodes = Object.fromEntries(Object.entries(table).map(([name, [code]]) => [name, code])) as {
  readonly [Name in KafkaErrorName]: (typeof table)[Name][0];
};

export const kafkaErrors: readonly KafkaErrorInfo[] = Object.entries(table).map(
  ([name, [code, retriable, outcome, message]]) => ({
    name: name as KafkaErrorName,
    code,
    retriable,
    outcome,
    message,
  }),
);

const byCode = new Map(kafkaErrors.map((info) => [info.code, info]));

/** What a code means; a code that this version does not know is treated as UNKNOWN_SERVER_ERROR. */
export function kafkaError(code: number): KafkaErrorInfo {
  return byCode.get(code) ?? (byCode.get(-1) as KafkaErrorInfo);
}
