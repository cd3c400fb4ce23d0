/** The vocabulary of Raft (Ongaro's thesis). Plain values; the shell turns them into bytes. */

/** A member; 0 stands for "none". */
export type NodeId = number;
export type Term = number;
/** Position in the log; the first entry has index 1. */
export type LogIndex = number;

export type EntryKind = 'command' | 'configuration' | 'noop';

export interface Entry {
  readonly index: LogIndex;
  readonly term: Term;
  readonly kind: EntryKind;
  readonly data: Uint8Array;
}

/** What must be durable before any message that depends on it leaves (Raft §5.1, figure 2: persistent state). */
export interface HardState {
  readonly term: Term;
  /** 0: no vote in this term. */
  readonly vote: NodeId;
  /** A hint only: how far commitment was known. */
  readonly commit: LogIndex;
}

/** Where a member is found: opaque to Raft, carried so that every node knows every member it must talk to. */
export interface MemberAddress {
  readonly peer: string;
  readonly client: string;
}

/** Who votes. `outgoing` is the old configuration while a change is under way (joint consensus), else empty. */
export interface Configuration {
  readonly voters: readonly NodeId[];
  readonly outgoing: readonly NodeId[];
  readonly learners: readonly NodeId[];
  readonly addresses?: Readonly<Record<NodeId, MemberAddress>>;
}

export interface SnapshotMeta {
  readonly index: LogIndex;
  readonly term: Term;
  readonly configuration: Configuration;
}

export type Role = 'follower' | 'pre-candidate' | 'candidate' | 'leader';

interface Addressed {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly term: Term;
}

/** A pre-vote carries the term that the sender would campaign in; nobody's term changes by it (thesis §9.6). */
export interface VoteRequest extends Addressed {
  readonly kind: 'pre-vote' | 'vote';
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
  /** The leader asked for this election: the receiver must not wait for its lease to run out (thesis §4.2.3). */
  readonly transfer: boolean;
}

export interface VoteResponse extends Addressed {
  readonly kind: 'pre-vote-response' | 'vote-response';
  readonly reject: boolean;
}

export interface AppendRequest extends Addressed {
  readonly kind: 'append';
  readonly previousIndex: LogIndex;
  readonly previousTerm: Term;
  readonly entries: readonly Entry[];
  readonly commit: LogIndex;
}

/**
 * Accepted: everything up to `index` is durable here and equal to the leader's log. Rejected: `index` is the refused `previousIndex`, and the
 * hint is the last entry that may agree (thesis §5.3, fast backtracking).
 */
export interface AppendResponse extends Addressed {
  readonly kind: 'append-response';
  readonly index: LogIndex;
  readonly reject: boolean;
  readonly rejectHintIndex: LogIndex;
  readonly rejectHintTerm: Term;
}

export interface Heartbeat extends Addressed {
  readonly kind: 'heartbeat';
  readonly commit: LogIndex;
  readonly readContext: number;
}

export interface HeartbeatResponse extends Addressed {
  readonly kind: 'heartbeat-response';
  readonly readContext: number;
}

/** The bytes travel by the shell; a node steps this message only when it holds all of them. */
export interface InstallSnapshot extends Addressed {
  readonly kind: 'snapshot';
  readonly snapshot: SnapshotMeta;
}

export interface TimeoutNow extends Addressed {
  readonly kind: 'timeout-now';
}

export type Message =
  | VoteRequest
  | VoteResponse
  | AppendRequest
  | AppendResponse
  | Heartbeat
  | HeartbeatResponse
  | InstallSnapshot
  | TimeoutNow;

/** Leadership was confirmed by a quorum after the read arrived; serve it once `index` is applied (thesis §6.4). */
export interface ReadState {
  readonly context: number;
  readonly index: LogIndex;
}

/**
 * One round of effects, etcd's Ready. The driver
 * 1. sends `messages` at once (they promise nothing about the disk of this node);
 * 2. applies `committedEntries` in order, serves `readStates` when their index is applied;
 * 3. with `mustSync`: installs `snapshot` (its bytes came by another way), then writes `entries` and `hardState` durably in one step, removing
 *    every stored entry after the last one written;
 * 4. only then sends `messagesAfterSync` and calls `advance(ready)`.
 *
 * While step 3 is under way the driver may take further rounds: they hold messages and committed entries only, because one
 * write at a time is under way. Committed entries are durable on a majority, be this node among them or not.
 */
export interface Ready {
  readonly hardState: HardState | undefined;
  readonly entries: readonly Entry[];
  readonly snapshot: SnapshotMeta | undefined;
  readonly messages: readonly Message[];
  readonly messagesAfterSync: readonly Message[];
  readonly committedEntries: readonly Entry[];
  readonly readStates: readonly ReadState[];
  readonly role: Role;
  readonly leader: NodeId;
  readonly mustSync: boolean;
}

/** A limit on everything; what each bounds is said where it is used. */
export interface RaftLimits {
  /** Bytes of entry data in one append; a single larger entry still travels alone. */
  readonly appendBytesMax: number;
  /** Appends under way to one follower. */
  readonly inflightAppendsMax: number;
  /** Entries handed out for applying in one round. */
  readonly applyEntriesMax: number;
  /** Bytes of proposals that are not committed yet; beyond it the leader refuses. */
  readonly uncommittedBytesMax: number;
  /** Reads that wait for their confirmation. */
  readonly pendingReadsMax: number;
}

export const defaultRaftLimits: RaftLimits = {
  appendBytesMax: 1_048_576,
  inflightAppendsMax: 256,
  applyEntriesMax: 4_096,
  uncommittedBytesMax: 67_108_864,
  pendingReadsMax: 65_536,
};
