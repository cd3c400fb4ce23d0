import { assert, unreachable } from '@naru/runtime';
import type { ConfigurationChange } from './configuration-change.ts';
import { RaftCore } from './core.ts';
import {
  campaign,
  handleVoteRequest,
  handleVoteResponse,
  mayCampaign,
  ownVoteDurable,
  refusesByLease,
  tickElection,
} from './election.ts';
import { handleAppend, handleHeartbeat, handleSnapshot } from './follower.ts';
import { RaftLog } from './log.ts';
import { appendChange } from './membership.ts';
import { addRead, confirmReads } from './reads.ts';
import {
  appendOwn,
  broadcastHeartbeat,
  continueTransfer,
  handleAppendResponse,
  handleHeartbeatResponse,
  ownEntriesDurable,
  replicate,
  replicationDue,
  tickLeader,
} from './replication.ts';
import type { Proposal, RaftOptions, RaftStatus, ReadRequest } from './requests.ts';
import {
  type Configuration,
  defaultRaftLimits,
  type LogIndex,
  type Message,
  type NodeId,
  type Ready,
  type Role,
  type SnapshotMeta,
  type Term,
} from './types.ts';

/**
 * One node of a Raft cluster as a pure state machine: events in (`step`, `tick`, `propose` …), effects out (`ready`). It
 * knows no time, no disk and no network; the order in which the driver must do the effects stands at `Ready`.
 */
export class Raft {
  readonly #core: RaftCore;
  /** What the disk holds or is about to. */
  #writtenTerm: Term;
  #writtenVote: NodeId;
  /** The round whose write is under way. */
  #writing: Ready | undefined;

  constructor(options: RaftOptions) {
    const { id, electionTicks, heartbeatTicks, random, stored } = options;
    assert(id > 0, 'a node id is positive');
    assert(heartbeatTicks > 0 && electionTicks > heartbeatTicks, 'several heartbeats fit into an election timeout');
    const hardState = stored?.hardState ?? { term: 0, vote: 0, commit: 0 };
    const log = new RaftLog(
      { snapshot: stored?.snapshot, entries: stored?.entries ?? [], commit: hardState.commit },
      options.configuration,
    );
    assert(log.lastTerm <= hardState.term, 'the term on the disk is not behind the log');
    const limits = { ...defaultRaftLimits, ...options.limits };
    this.#core = new RaftCore(
      { id, electionTicks, heartbeatTicks, random, limits },
      log,
      hardState.term,
      hardState.vote,
    );
    this.#writtenTerm = hardState.term;
    this.#writtenVote = hardState.vote;
  }

  get role(): Role {
    return this.#core.role;
  }
  get term(): Term {
    return this.#core.term;
  }
  get leader(): NodeId {
    return this.#core.leader;
  }
  /** On a leader: the empty entry of its term; 0 elsewhere. */
  get termStart(): LogIndex {
    return this.#core.termStart;
  }
  get commitIndex(): LogIndex {
    return this.#core.log.commit;
  }
  /** The end of what was handed out for applying. */
  get appliedIndex(): LogIndex {
    return this.#core.log.applied;
  }
  /** The end of what is durable on this node. */
  get stableIndex(): LogIndex {
    return this.#core.log.stable;
  }
  /** In force now, committed or not; the same object until it changes. */
  get configuration(): Configuration {
    return this.#core.log.configuration;
  }

  /** Of the entry that holds `configuration`. */
  get configurationIndex(): LogIndex {
    return this.#core.log.configurationIndex;
  }

  /** The innards, for this package's own tests: their harness breaks rules on purpose and must be found out. */
  static coreOf(raft: Raft): RaftCore {
    return raft.#core;
  }

  /** The passing of time; the unit is the driver's. */
  tick(): void {
    if (this.#core.role === 'leader') tickLeader(this.#core);
    else tickElection(this.#core);
  }

  /** Campaigns now, when no leader is known: somebody whose vote may decide has come. A real candidate waits for its answers. */
  campaign(): void {
    const core = this.#core;
    if (core.leader === 0 && core.role !== 'candidate' && mayCampaign(core)) campaign(core, 'pre-vote');
  }

  /**
   * There is a reason to think that the leader is gone, such as a broken connection: stops protecting its lease, and campaigns. When the
   * others still hear it, they do not answer, and its next heartbeat is followed again.
   */
  suspectLeader(): void {
    if (this.#core.role !== 'follower') return;
    this.#core.leader = 0;
    this.campaign();
  }

  step(message: Message): void {
    const core = this.#core;
    assert(message.to === core.id && message.from !== core.id, 'a message reaches the node that it names');
    if (message.term < core.term) {
      this.#answerStale(message);
      return;
    }
    if (message.term > core.term && !this.#meetLaterTerm(message)) return;
    this.#dispatch(message);
  }

  /** Appends a command to the leader's log. `ok` promises nothing yet: it is committed when it comes out of `committedEntries`. */
  propose(data: Uint8Array): Proposal {
    const core = this.#core;
    const { leader } = core;
    if (core.role !== 'leader') return { ok: false, reason: 'not-leader', leader };
    if (core.transferee !== 0) return { ok: false, reason: 'transferring', leader };
    const size = core.uncommittedBytes + data.length;
    // One proposal always passes, however large, or it could never be made.
    if (size > core.limits.uncommittedBytesMax && core.uncommittedBytes > 0)
      return { ok: false, reason: 'overloaded', leader };
    return { ok: true, index: appendOwn(core, 'command', data), term: core.term };
  }

  /** Changes the members; through joint consensus when voters change, which the leader leaves by itself. */
  proposeConfiguration(change: ConfigurationChange): Proposal {
    const core = this.#core;
    const { leader } = core;
    if (core.role !== 'leader') return { ok: false, reason: 'not-leader', leader };
    if (core.transferee !== 0) return { ok: false, reason: 'transferring', leader };
    const index = appendChange(core, change);
    return typeof index === 'number' ? { ok: true, index, term: core.term } : { ok: false, reason: index, leader };
  }

  /** Asks for a linearizable read; `context` comes back in `readStates`, or never when leadership is lost. */
  requestRead(context: number): ReadRequest {
    const core = this.#core;
    const { leader } = core;
    if (core.role !== 'leader') return { ok: false, reason: 'not-leader', leader };
    if (core.reads.size + core.earlyReads.length >= core.limits.pendingReadsMax)
      return { ok: false, reason: 'overloaded', leader };
    addRead(core, context);
    return { ok: true };
  }

  /** Starts handing leadership to a voter; proposals are refused meanwhile, and it is given up after one election timeout. */
  transferLeadership(to: NodeId): boolean {
    const core = this.#core;
    if (core.role !== 'leader' || to === core.id || !core.log.configuration.voters.includes(to)) return false;
    core.transferee = to;
    core.electionElapsed = 0;
    continueTransfer(core);
    return true;
  }

  /** The shell gave a message to `to` up: do not believe that the pipelined appends arrived. */
  reportUnreachable(to: NodeId): void {
    const progress = this.#core.progress.get(to);
    if (progress?.state === 'replicate') progress.becomeProbe();
  }

  /** How the sending of a snapshot ended; until this call nothing else is sent to `to`. */
  reportSnapshot(to: NodeId, delivered: boolean): void {
    const progress = this.#core.progress.get(to);
    if (progress?.state !== 'snapshot') return;
    if (!delivered) progress.pendingSnapshot = 0;
    progress.becomeProbe();
    // Its answer is on the way, or it needs time: the next heartbeat's answer lets the probe go.
    progress.probeSent = true;
  }

  hasReady(): boolean {
    const core = this.#core;
    return (
      core.messages.length > 0 ||
      core.readStates.length > 0 ||
      this.#committedAreDue() ||
      replicationDue(core) ||
      core.reads.waiting ||
      (this.#writing === undefined && (this.#mustWrite() || core.messagesAfterSync.length > 0))
    );
  }

  /** Takes the effects that are due; see `Ready` for what to do with them. */
  ready(): Ready {
    const core = this.#core;
    replicate(core);
    this.#beginReads();
    const writes = this.#writing === undefined;
    const mustSync = writes && this.#mustWrite();
    const ready: Ready = {
      hardState: mustSync ? { term: core.term, vote: core.vote, commit: core.log.commit } : undefined,
      entries: mustSync ? core.log.unstable() : [],
      snapshot: mustSync ? core.pendingSnapshot : undefined,
      messages: core.messages,
      messagesAfterSync: writes ? core.messagesAfterSync : [],
      committedEntries: this.#committedAreDue() ? core.log.takeCommitted(core.limits.applyEntriesMax) : [],
      readStates: core.readStates,
      role: core.role,
      leader: core.leader,
      mustSync,
    };
    core.messages = [];
    core.readStates = [];
    if (writes) core.messagesAfterSync = [];
    if (mustSync) {
      this.#writing = ready;
      this.#writtenTerm = core.term;
      this.#writtenVote = core.vote;
    }
    return ready;
  }

  /** What `ready` asked to write is durable. Without `mustSync` there is nothing to tell. */
  advance(ready: Ready): void {
    if (!ready.mustSync) return;
    assert(this.#writing === ready, 'rounds are acknowledged once, in order');
    this.#writing = undefined;
    const core = this.#core;
    if (core.pendingSnapshot !== undefined && core.pendingSnapshot === ready.snapshot) core.pendingSnapshot = undefined;
    const last = ready.entries.at(-1);
    if (last) core.log.stableTo(last.index, last.term);
    ownEntriesDurable(core);
    if (ready.hardState?.term === core.term && ready.hardState.vote === core.id) ownVoteDurable(core);
  }

  /** What a snapshot of the state after `index`, which was applied, must be stored with. */
  snapshotMeta(index: LogIndex): SnapshotMeta {
    return this.#core.log.snapshotAt(index);
  }

  /** Where a tail that ends at `index` begins when it may have so many entries and bytes: for `compact`. */
  tailFrom(index: LogIndex, entriesMax: number, bytesMax: number): LogIndex {
    return this.#core.log.tailFrom(index, entriesMax, bytesMax);
  }

  /** A snapshot is durable on this node: entries before `keepFrom` are forgotten; those after it serve followers that lag. */
  compact(snapshot: SnapshotMeta, keepFrom: LogIndex): void {
    this.#core.log.compact(snapshot, keepFrom);
  }

  status(): RaftStatus {
    const { id, role, term, vote, leader, log, termStart, transferee, progress } = this.#core;
    return {
      id,
      role,
      term,
      vote,
      leader,
      firstIndex: log.firstIndex,
      lastIndex: log.lastIndex,
      stableIndex: log.stable,
      commitIndex: log.commit,
      appliedIndex: log.applied,
      termStart,
      transferee,
      configuration: log.configuration,
      progress: new Map([...progress].map(([node, { state, match, next }]) => [node, { state, match, next }])),
    };
  }

  /** Somebody lives in the past. A leader must hear of the later term, or a node with a higher one could never join it again. */
  #answerStale(message: Message): void {
    const { id: from, term } = this.#core;
    const to = message.from;
    if (message.kind === 'append' || message.kind === 'heartbeat' || message.kind === 'snapshot') {
      const nothing = { index: 0, reject: true, rejectHintIndex: 0, rejectHintTerm: 0 };
      this.#core.send({ kind: 'append-response', from, to, term, ...nothing });
    } else if (message.kind === 'pre-vote') {
      this.#core.send({ kind: 'pre-vote-response', from, to, term, reject: true });
    }
  }

  /** Raft §5.1: a later term makes a follower of anybody. False when the message is refused without a look at its term. */
  #meetLaterTerm(message: Message): boolean {
    const core = this.#core;
    if (message.kind === 'pre-vote' || message.kind === 'vote') {
      if (refusesByLease(core, message)) return false;
      if (message.kind === 'pre-vote') return true;
    }
    // A granted pre-vote speaks of a term that has not begun.
    if (message.kind === 'pre-vote-response' && !message.reject) return true;
    const leads = message.kind === 'append' || message.kind === 'heartbeat' || message.kind === 'snapshot';
    core.becomeFollower(message.term, leads ? message.from : 0);
    return true;
  }

  #dispatch(message: Message): void {
    const core = this.#core;
    const leads = core.role === 'leader';
    switch (message.kind) {
      case 'pre-vote':
      case 'vote':
        handleVoteRequest(core, message);
        break;
      case 'pre-vote-response':
      case 'vote-response':
        handleVoteResponse(core, message);
        break;
      case 'append':
        handleAppend(core, message);
        break;
      case 'append-response':
        if (leads) handleAppendResponse(core, message);
        break;
      case 'heartbeat':
        handleHeartbeat(core, message);
        break;
      case 'heartbeat-response':
        if (leads) handleHeartbeatResponse(core, message);
        break;
      case 'snapshot':
        handleSnapshot(core, message);
        break;
      case 'timeout-now':
        if (mayCampaign(core)) campaign(core, 'vote', true);
        break;
      default:
        unreachable(message);
    }
  }

  #beginReads(): void {
    const core = this.#core;
    if (!core.reads.beginRound()) return;
    broadcastHeartbeat(core);
    // Alone, the leader is its own quorum.
    confirmReads(core);
  }

  #mustWrite(): boolean {
    const core = this.#core;
    return (
      core.term !== this.#writtenTerm ||
      core.vote !== this.#writtenVote ||
      core.log.stable < core.log.lastIndex ||
      core.pendingSnapshot !== undefined
    );
  }

  /** Nothing is applied on top of a snapshot that is not installed yet. */
  #committedAreDue(): boolean {
    return this.#core.pendingSnapshot === undefined && this.#core.log.hasCommitted();
  }
}
