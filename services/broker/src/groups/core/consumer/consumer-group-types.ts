import type { KafkaErrorName } from '@naru/kafka-protocol';
import type { ConsumerGroupRecord } from '../../records/group-record.ts';
import type { PartitionSet } from './partition-set.ts';

/** Kafka's names, as tools show them. */
export type ConsumerGroupStateName = 'Empty' | 'Assigning' | 'Reconciling' | 'Stable';

export type ConsumerGroupError = Extract<
  KafkaErrorName,
  | 'UNKNOWN_MEMBER_ID'
  | 'FENCED_MEMBER_EPOCH'
  | 'STALE_MEMBER_EPOCH'
  | 'FENCED_INSTANCE_ID'
  | 'UNRELEASED_INSTANCE_ID'
  | 'UNSUPPORTED_ASSIGNOR'
  | 'GROUP_MAX_SIZE_REACHED'
  | 'INVALID_REGULAR_EXPRESSION'
  | 'INVALID_REQUEST'
  // To members of the classic protocol.
  | 'ILLEGAL_GENERATION'
  | 'REBALANCE_IN_PROGRESS'
>;

/** `group.consumer.migration.policy`: which kind of group may become one of the other kind while members are in it. */
export const migrationPolicies = ['bidirectional', 'upgrade', 'downgrade', 'disabled'] as const;
export type MigrationPolicy = (typeof migrationPolicies)[number];

export interface ConsumerGroupSettings {
  /** `group.consumer.session.timeout.ms`. */
  readonly sessionTimeoutMs: number;
  /** `group.consumer.heartbeat.interval.ms`. */
  readonly heartbeatIntervalMs: number;
  /** `group.consumer.max.size`. */
  readonly membersMax: number;
  /** `group.consumer.assignors`: names, the default first. */
  readonly assignors: readonly string[];
  readonly migrationPolicy: MigrationPolicy;
}

/** The topics of the cluster as this broker knows them. */
export interface TopicCatalog {
  /** Another one whenever topics or numbers of partitions are others. */
  readonly version: number;
  /** Those that a pattern may match. */
  names(): Iterable<string>;
  find(name: string): { readonly id: string; readonly partitions: number } | undefined;
  nameOf(id: string): string | undefined;
}

/** A member's sign of life. Undefined: as it said before. */
export interface MemberHeartbeat {
  readonly memberId: string;
  /** 0 joins. */
  readonly memberEpoch: number;
  /** Empty: not a static member. */
  readonly instanceId: string;
  readonly rackId: string | undefined;
  readonly rebalanceTimeoutMs: number | undefined;
  readonly topics: readonly string[] | undefined;
  /** RE2, matches whole names; empty: none. */
  readonly topicPattern: string | undefined;
  /** Empty: the group's default. */
  readonly assignor: string | undefined;
  /** What it holds, or was told to take. What it does not name it has given up. */
  readonly owned: PartitionSet | undefined;
  /** Grows with each heartbeat of a member; 0: unknown. */
  readonly sequence: number;
  readonly clientId: string;
  readonly clientHost: string;
}

export interface HeartbeatAnswer {
  readonly memberId: string;
  readonly memberEpoch: number;
  /** Undefined: as the member has it. */
  readonly assignment: PartitionSet | undefined;
}

/** What an event wants written before anybody is answered. The group is as before until `apply` is called with the records. */
export type Decision<Answer> =
  | { readonly ok: true; readonly records: readonly ConsumerGroupRecord[]; readonly answer: Answer }
  | { readonly ok: false; readonly error: ConsumerGroupError };
