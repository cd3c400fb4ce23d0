import type { KafkaErrorName } from '@naru/kafka-protocol';
import type { GroupMetadataValue } from '../records/group-metadata-value.ts';

/** Kafka's names, as tools show them. */
export type GroupState = 'Empty' | 'PreparingRebalance' | 'CompletingRebalance' | 'Stable' | 'Dead';

/** What a group answers instead of what was asked. */
export type GroupError = Extract<
  KafkaErrorName,
  | 'COORDINATOR_NOT_AVAILABLE'
  | 'NOT_COORDINATOR'
  | 'ILLEGAL_GENERATION'
  | 'INCONSISTENT_GROUP_PROTOCOL'
  | 'UNKNOWN_MEMBER_ID'
  | 'INVALID_SESSION_TIMEOUT'
  | 'REBALANCE_IN_PROGRESS'
  | 'MEMBER_ID_REQUIRED'
  | 'GROUP_MAX_SIZE_REACHED'
  | 'FENCED_INSTANCE_ID'
  | 'MESSAGE_TOO_LARGE'
>;

export interface GroupSettings {
  /** `group.initial.rebalance.delay.ms`. */
  readonly initialRebalanceDelayMs: number;
  /** `group.min.session.timeout.ms`, `group.max.session.timeout.ms`. */
  readonly sessionTimeoutMsMin: number;
  readonly sessionTimeoutMsMax: number;
  /** `group.max.size`. */
  readonly membersMax: number;
}

export interface GroupSurroundings {
  readonly settings: GroupSettings;
  /** An id nobody has had, which begins with `prefix`. */
  readonly newMemberId: (prefix: string) => string;
  /** Milliseconds since the epoch, for the record alone. */
  readonly wallMs: () => number;
}

export interface GroupProtocol {
  readonly name: string;
  readonly metadata: Uint8Array;
}

export interface JoinRequest {
  /** Empty: it has none yet. */
  readonly memberId: string;
  /** Empty: not a static member. */
  readonly instanceId: string;
  readonly clientId: string;
  readonly clientHost: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly protocolType: string;
  readonly protocols: readonly GroupProtocol[];
  /** Without the handshake of KIP-394. */
  readonly admitWithoutMemberId: boolean;
}

/** Who speaks, as it believes. */
export interface Claim {
  readonly memberId: string;
  readonly instanceId: string;
  readonly generation: number;
}

export interface SyncRequest extends Claim {
  /** Empty: not checked. */
  readonly protocolType: string;
  readonly protocol: string;
  /** By member id. */
  readonly assignments: ReadonlyMap<string, Uint8Array>;
}

export interface Failed {
  readonly ok: false;
  readonly error: GroupError;
  /** With MEMBER_ID_REQUIRED: the id to join with. */
  readonly memberId?: string;
}

export interface JoinedMember {
  readonly memberId: string;
  readonly instanceId: string;
  readonly metadata: Uint8Array;
}

export interface Joined {
  readonly ok: true;
  readonly memberId: string;
  readonly generation: number;
  readonly protocolType: string;
  readonly protocol: string;
  readonly leader: string;
  readonly skipAssignment: boolean;
  /** Only for the leader. */
  readonly members: readonly JoinedMember[];
}

export interface Synced {
  readonly ok: true;
  readonly protocolType: string;
  readonly protocol: string;
  readonly assignment: Uint8Array;
}

/** Names a request that waits for its answer; each gets exactly one. */
export type Token = number;

export type GroupEffect =
  | { readonly kind: 'join-answered'; readonly token: Token; readonly answer: Joined | Failed }
  | { readonly kind: 'sync-answered'; readonly token: Token; readonly answer: Synced | Failed }
  /** Append it; `written(ticket)` tells what became of it. */
  | { readonly kind: 'write'; readonly ticket: number; readonly value: GroupMetadataValue };

/** What became of a write: replicated; not known to be; larger than the log takes. */
export type Written = 'committed' | 'unknown' | 'too-large';
