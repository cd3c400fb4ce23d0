import type { LogIndex, NodeId, Role, Term } from '@naru/raft';

/** A committed command. Indexes grow but have gaps: configuration entries and the empty entries of new leaders are not delivered. */
export interface CommittedCommand {
  readonly index: LogIndex;
  readonly term: Term;
  readonly data: Uint8Array;
}

/**
 * What the quorum replicates. Every method is synchronous and deterministic: the same commands in the same order give the
 * same state and the same snapshot on every node (Z4, Z7), whatever the time, the machine or the order of maps.
 */
export interface StateMachine {
  /**
   * Called once for each committed command, in index order, on every node. What it returns goes to the proposer when the
   * proposal was made on this node, and nowhere else. A refused command is a result, too; throwing is a bug and stops the node.
   */
  apply(command: CommittedCommand): unknown;
  /** The whole state as it is now, after the last `apply` (row 32: at one index), whatever is applied while it is written. */
  snapshot(): StateSnapshot;
  /** Replaces the whole state by a snapshot that covers everything up to and including `index`. */
  restore(bytes: Uint8Array, index: LogIndex): void;
}

/** Pieces that are made when they are asked for, each in a turn of its own; one after the other they are what `restore` takes. */
export interface StateSnapshot extends Iterable<Uint8Array> {
  /** Called once, when no more pieces are wanted. */
  release(): void;
}

/**
 * How a proposal ended.
 * - `not-leader`: nothing was written here; `leader` is the node to ask (0: unknown).
 * - `too-large`, `overloaded`: a limit refused it, nothing was written.
 * - `leadership-lost`: the outcome is unknown; a later leader may commit it still.
 * - `closed`: the node stopped; the outcome is unknown.
 */
export type ProposalOutcome =
  | { readonly ok: true; readonly index: LogIndex; readonly term: Term; readonly result: unknown }
  | {
      readonly ok: false;
      readonly reason: 'not-leader' | 'too-large' | 'overloaded' | 'leadership-lost' | 'closed';
      readonly leader: NodeId;
    };

/** How a read barrier ended: with `ok` this node has applied everything that was committed when `read` was called. */
export type ReadOutcome =
  | { readonly ok: true; readonly index: LogIndex }
  | {
      readonly ok: false;
      readonly reason: 'not-leader' | 'overloaded' | 'leadership-lost' | 'closed';
      readonly leader: NodeId;
    };

export interface QuorumMember {
  readonly id: NodeId;
  /** `host:port` for the other coordinators. */
  readonly peerAddress: string;
  /** `host:port` for clients. */
  readonly clientAddress: string;
  readonly voter: boolean;
}

export interface QuorumStatus {
  readonly nodeId: NodeId;
  readonly clusterId: string;
  readonly role: Role | 'learner';
  readonly term: Term;
  /** 0: unknown. */
  readonly leader: NodeId;
  /** The client address of `leader`, empty when it is unknown. */
  readonly leaderAddress: string;
  /**
   * This node leads and has applied the empty entry of its own term, hence everything that any former leader committed:
   * sessions may be served and timers started now, not earlier (rows 27 and 28).
   */
  readonly serving: boolean;
  readonly commitIndex: LogIndex;
  readonly appliedIndex: LogIndex;
  readonly members: readonly QuorumMember[];
  /** Until a change of the members is complete, a majority of those before it is needed, too (joint consensus, thesis §4.3). */
  readonly isChanging: boolean;
}

export type MembershipChange =
  | { readonly kind: 'add-learner'; readonly member: Omit<QuorumMember, 'voter'> }
  | { readonly kind: 'promote'; readonly id: NodeId }
  | { readonly kind: 'remove'; readonly id: NodeId };

export type MembershipOutcome =
  | { readonly ok: true; readonly members: readonly QuorumMember[] }
  | {
      readonly ok: false;
      /**
       * `change-pending`: another change, or the first entry of the term, is not committed yet (row 34). `not-caught-up`: a learner that lacks too much to
       * become a voter; try again when it has the log.
       */
      readonly reason: 'not-leader' | 'change-pending' | 'not-caught-up' | 'invalid' | 'leadership-lost' | 'closed';
      readonly leader: NodeId;
    };

/** The replicated state machine's public face; `Quorum` implements it. */
export type QuorumStanding = Pick<QuorumStatus, 'role' | 'term' | 'commitIndex'>;

export interface ReplicatedLog {
  /** With `term`: only when this node leads in that very term (row 27: a session expires by an entry of the term that saw it silent). */
  propose(data: Uint8Array, options?: { readonly term?: Term }): Promise<ProposalOutcome>;
  /** A barrier for linearizable reads (ReadIndex, thesis §6.4); works on the leader. */
  read(): Promise<ReadOutcome>;
  status(): QuorumStatus;
  /** The part of it that costs nothing to tell. */
  standing(): QuorumStanding;
  /** Called in order on every change of role, term, leader or `serving`; never inside `apply`. */
  onRoleChange(callback: (status: QuorumStatus) => void): void;
  transferLeadership(to: NodeId): Promise<{ readonly ok: boolean; readonly leader: NodeId }>;
  /** Gives the leadership away, if this node has it and somebody can take over soon: before an orderly stop. */
  handOver(): Promise<void>;
  changeMembership(change: MembershipChange): Promise<MembershipOutcome>;
  /** Called once when the node cannot go on (a failed sync, a broken invariant): the process must end. */
  onFailure(callback: (error: Error) => void): void;
  close(): Promise<void>;
}
