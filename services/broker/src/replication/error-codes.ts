import { errorCodes } from '@naru/kafka-protocol';
import type { InvalidBatchReason } from '@naru/record';
import type { AckOutcome } from './waiters.ts';

/**
 * The one place where what happened inside becomes a number on a wire. Whether a code may be retried, and whether a write that got it may be in the
 * log, stands with the code in `@naru/kafka-protocol` (row 55).
 */
export type Outcome =
  | 'not-leader'
  | 'fenced-leader-epoch'
  | 'unknown-leader-epoch'
  | 'storage-failed'
  | 'not-enough-replicas'
  | 'unknown-topic-or-partition'
  | 'unknown-topic-id'
  | 'out-of-range'
  | 'stale-broker-epoch'
  | 'offset-not-available'
  | 'invalid-required-acks'
  | 'invalid-record'
  | 'out-of-order-sequence'
  | 'invalid-producer-epoch'
  | 'unknown-producer-id'
  | 'invalid-producer-fields'
  | 'duplicate-sequence'
  | 'timed-out';

export const codeOf: { readonly [Name in Outcome]: number } = {
  'not-leader': errorCodes.NOT_LEADER_OR_FOLLOWER,
  'fenced-leader-epoch': errorCodes.FENCED_LEADER_EPOCH,
  'unknown-leader-epoch': errorCodes.UNKNOWN_LEADER_EPOCH,
  'storage-failed': errorCodes.KAFKA_STORAGE_ERROR,
  'not-enough-replicas': errorCodes.NOT_ENOUGH_REPLICAS,
  'unknown-topic-or-partition': errorCodes.UNKNOWN_TOPIC_OR_PARTITION,
  'unknown-topic-id': errorCodes.UNKNOWN_TOPIC_ID,
  'out-of-range': errorCodes.OFFSET_OUT_OF_RANGE,
  'stale-broker-epoch': errorCodes.STALE_BROKER_EPOCH,
  'offset-not-available': errorCodes.OFFSET_NOT_AVAILABLE,
  'invalid-required-acks': errorCodes.INVALID_REQUIRED_ACKS,
  'invalid-record': errorCodes.INVALID_RECORD,
  'out-of-order-sequence': errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER,
  'invalid-producer-epoch': errorCodes.INVALID_PRODUCER_EPOCH,
  'unknown-producer-id': errorCodes.UNKNOWN_PRODUCER_ID,
  'invalid-producer-fields': errorCodes.INVALID_RECORD,
  // A success: it is in the log, but where is no longer known (row 42).
  'duplicate-sequence': errorCodes.DUPLICATE_SEQUENCE_NUMBER,
  'timed-out': errorCodes.REQUEST_TIMED_OUT,
};

/** After the append: what was there before the answer is in the log, whatever becomes of it. */
export const ackCodeOf: { readonly [Name in AckOutcome]: number } = {
  replicated: errorCodes.NONE,
  'not-enough-replicas': errorCodes.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
  // Kafka's choice: the client asks the new leader, and takes the outcome as unknown.
  'leadership-lost': errorCodes.NOT_LEADER_OR_FOLLOWER,
  'storage-failed': errorCodes.KAFKA_STORAGE_ERROR,
};

/** Why a producer's batch was not taken. */
export const invalidBatchCodeOf: { readonly [Reason in InvalidBatchReason]: number } = {
  truncated: errorCodes.CORRUPT_MESSAGE,
  'bad-length': errorCodes.CORRUPT_MESSAGE,
  'too-large': errorCodes.MESSAGE_TOO_LARGE,
  'unsupported-magic': errorCodes.UNSUPPORTED_FOR_MESSAGE_FORMAT,
  'bad-magic': errorCodes.CORRUPT_MESSAGE,
  'bad-crc': errorCodes.CORRUPT_MESSAGE,
  'bad-compression': errorCodes.UNSUPPORTED_COMPRESSION_TYPE,
  'bad-count': errorCodes.INVALID_RECORD,
  'bad-last-offset-delta': errorCodes.INVALID_RECORD,
  'bad-number': errorCodes.INVALID_RECORD,
  'control-batch': errorCodes.INVALID_RECORD,
};
