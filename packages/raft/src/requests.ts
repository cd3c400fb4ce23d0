import type { ProgressState } from './progress.ts';
import type {
  Configuration,
  Entry,
  HardState,
  LogIndex,
  NodeId,
  RaftLimits,
  Role,
  SnapshotMeta,
  Term,
} from './types.ts';

/** What the driver gives a `Raft` and gets from it, apart from messages and rounds. */

export interface RaftOptions {
  readonly id: NodeId;
  /** The first configuration of the cluster, the same on every node; what the log or the snapshot says goes before it. */
  readonly configuration: Configuration;
  /** What the disk holds; nothing on the first start. */
  readonly stored?: {
    readonly hardState?: HardState;
    readonly snapshot?: SnapshotMeta;
    readonly entries?: readonly Entry[];
  };
  /** A follower campaigns after this many to twice this many ticks of silence. */
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  /** A number in [0, 1), for the election timeouts. */
  readonly random: () => number;
  readonly limits?: Partial<RaftLimits>;
}

export type Proposal =
  | { readonly ok: true; readonly index: LogIndex; readonly term: Term }
  | {
      readonly ok: false;
      readonly reason: 'not-leader' | 'transferring' | 'overloaded' | 'change-pending' | 'invalid';
      readonly leader: NodeId;
    };

export type ReadRequest =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: 'not-leader' | 'overloaded'; readonly leader: NodeId };

export interface RaftStatus {
  readonly id: NodeId;
  readonly role: Role;
  readonly term: Term;
  readonly vote: NodeId;
  readonly leader: NodeId;
  readonly firstIndex: LogIndex;
  readonly lastIndex: LogIndex;
  readonly stableIndex: LogIndex;
  readonly commitIndex: LogIndex;
  readonly appliedIndex: LogIndex;
  /** On a leader: the empty entry of its term; 0 elsewhere. */
  readonly termStart: LogIndex;
  readonly transferee: NodeId;
  readonly configuration: Configuration;
  /** On a leader: how far each member is. */
  readonly progress: ReadonlyMap<
    NodeId,
    { readonly state: ProgressState; readonly match: LogIndex; readonly next: LogIndex }
  >;
}
