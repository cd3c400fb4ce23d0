import { assert } from '@naru/runtime';
import type { RaftLog } from './log.ts';
import type { Progress } from './progress.ts';
import { ReadIndex } from './read-index.ts';
import type { LogIndex, Message, NodeId, RaftLimits, ReadState, Role, SnapshotMeta, Term } from './types.ts';

export interface CoreOptions {
  readonly id: NodeId;
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly limits: RaftLimits;
}

/**
 * The state of one node, shared by the files of this package and by nobody else. Who may change what:
 * term, vote, role and leader: this file and election.ts; the log: replication.ts, follower.ts, membership.ts.
 */
export class RaftCore {
  readonly id: NodeId;
  readonly options: CoreOptions;
  readonly limits: RaftLimits;
  readonly log: RaftLog;

  term: Term;
  vote: NodeId;
  role: Role = 'follower';
  leader: NodeId = 0;

  /** Ticks since the leader was heard or a vote was granted; on the leader since the last check of its quorum. */
  electionElapsed = 0;
  heartbeatElapsed = 0;
  /** When a follower campaigns: random in [electionTicks, 2·electionTicks) (Raft §5.2). */
  electionDue: number;

  /** Of this campaign. */
  votes = new Map<NodeId, boolean>();

  // The leader's, empty on the others.
  progress = new Map<NodeId, Progress>();
  /** The empty entry of this term; until it is committed, what earlier terms committed is not known (§8). */
  termStart: LogIndex = 0;
  uncommittedBytes = 0;
  transferee: NodeId = 0;
  reads = new ReadIndex();
  /** Reads that came before the term's first commit (row 28). */
  earlyReads: number[] = [];

  // What the next round hands out.
  messages: Message[] = [];
  messagesAfterSync: Message[] = [];
  readStates: ReadState[] = [];
  pendingSnapshot: SnapshotMeta | undefined;

  constructor(options: CoreOptions, log: RaftLog, term: Term, vote: NodeId) {
    this.id = options.id;
    this.options = options;
    this.limits = options.limits;
    this.log = log;
    this.term = term;
    this.vote = vote;
    // The first wait is shorter: nothing was heard yet, and pre-vote protects a leader that lives.
    this.electionDue = 1 + Math.floor(options.random() * options.electionTicks);
  }

  /** For what promises nothing about this node's disk. */
  send(message: Message): void {
    assert(message.to !== this.id, 'a node sends nothing to itself');
    this.messages.push(message);
  }

  /** For promises (rows 36 and 37): votes, and acknowledgements of entries. */
  sendAfterSync(message: Message): void {
    assert(message.to !== this.id, 'a node sends nothing to itself');
    const last = this.messagesAfterSync.at(-1);
    if (last?.kind === 'append-response' && message.kind === 'append-response' && supersedes(message, last)) {
      this.messagesAfterSync.pop();
    }
    this.messagesAfterSync.push(message);
  }

  becomeFollower(term: Term, leader: NodeId): void {
    this.reset(term);
    this.role = 'follower';
    this.leader = leader;
  }

  /** Forgets everything that belonged to the role before. */
  reset(term: Term): void {
    assert(term >= this.term, 'the term never falls (Z5)');
    if (term !== this.term) {
      this.term = term;
      this.vote = 0;
    }
    this.leader = 0;
    this.electionElapsed = 0;
    this.heartbeatElapsed = 0;
    const { electionTicks, random } = this.options;
    this.electionDue = electionTicks + Math.floor(random() * electionTicks);
    this.votes = new Map();
    this.progress = new Map();
    this.termStart = 0;
    this.uncommittedBytes = 0;
    this.transferee = 0;
    this.reads = new ReadIndex();
    this.earlyReads = [];
  }
}

/** One acknowledgement for all the appends of a round: the later index says everything. */
function supersedes(
  later: Extract<Message, { kind: 'append-response' }>,
  earlier: Extract<Message, { kind: 'append-response' }>,
): boolean {
  return (
    !later.reject &&
    !earlier.reject &&
    later.to === earlier.to &&
    later.term === earlier.term &&
    later.index >= earlier.index
  );
}
