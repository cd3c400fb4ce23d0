/** The vocabulary of Raft (Ongaro's thesis). Plain values; the shell turns them into bytes. */
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

/** Who votes. `outgoing` is the old configuration while a change is under way (joint consensus), else empty. */
export interface Configuration {
  readonly voters: readonly NodeId[];
  readonly outgoing: readonly NodeId[];
  readonly learners: readonly NodeId[];
}

export interface SnapshotMeta {
  readonly index: LogIndex;
  readonly term: Term;
  readonly configuration: Configuration;
}

export type Role = 'follower' | 'pre-candidate' | 'candidate' | 'leader';

export type Message =
  | { readonly kind: 'pre-vote' | 'vote'; readonly from: NodeId; readonly to: NodeId; readonly term: Term; readonly lastIndex: LogIndex; readonly lastTerm: Term; readonly transfer: boolean }
  | { readonly kind: 'pre-vote-response' | 'vote-response'; readonly from: NodeId; readonly to: NodeId; readonly term: Term; readonly reject: boolean }
  | { readonly kind: 'append'; readonly from: NodeId; readonly to: NodeId; readonly term: Term; readonly previousIndex: LogIndex; readonly previousTerm: Term; readonly entries: readonly Entry[]; readonly commit: LogIndex }
  | { readonly kind: 'append-response'; readonly from: NodeId; readonly to: NodeId; readonly term: Term; readonly index: LogIndex; readonly reject: boolean; readonly rejectHintIndex: LogIndex; readonly rejectHintTerm: Term }
  | { readonly kind: 'heartbeat'; readonly from: NodeId; readonly to: NodeId; readonly term: Term; readonly commit: LogIndex; readonly readContext: number }
  | { readonly kind: 'heartbeat-response'; readonly from: NodeId; readonly to: NodeId; readonly term: Term; readonly readContext: number }
  | { readonly kind: 'snapshot'; readonly from: NodeId; readonly to: NodeId; readonly term: Term; readonly snapshot: SnapshotMeta }
  | { readonly kind: 'timeout-now'; readonly from: NodeId; readonly to: NodeId; readonly term: Term };

/** Leadership was confirmed by a quorum after the read arrived; serve it once `index` is applied (thesis §6.4). */
export interface ReadState {
  readonly context: number;
  readonly index: LogIndex;
}

/**
 * One round of effects, etcd's Ready. The driver
 * 1. sends `messages` at once (they promise nothing about the disk of this node);
 * 2. writes `entries` and `hardState`, or installs `snapshot` (its bytes came by another way), durably in one step when `mustSync`;
 * 3. only then sends `messagesAfterSync`;
 * 4. applies `committedEntries` in order, serves `readStates` when their index is applied;
 * 5. calls `advance(ready)`.
 * Steps 1 and 4 may run while 2 is under way: committed entries are durable on a majority, be this node among them or not.
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
