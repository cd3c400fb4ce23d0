import { assert } from '@naru/runtime';
import { includesMember, type Member, type PartitionState } from '../../cluster/partition-state.ts';
import type { IsrProposal, ProposalOutcome } from './in-sync-replicas.ts';
import {
  type FollowerFetch,
  LeaderState,
  type LeaderTerm,
  type LogPosition,
  type Registrations,
  type ReplicationRules,
} from './leader-state.ts';

/** Whom a follower follows. */
export interface FollowerTerm {
  readonly leader: number;
  readonly leaderEpoch: number;
}

/** What the shell has to do. */
export type Effect =
  /** The high watermark moved: answer those who waited for it. */
  | { readonly kind: 'high-watermark-advanced'; readonly highWatermark: number }
  /** Write this to the coordinator, and answer with `proposalAnswered`. */
  | { readonly kind: 'propose-isr'; readonly proposal: IsrProposal; readonly term: LeaderTerm }
  /** The committed ISR is another one. */
  | { readonly kind: 'isr-changed'; readonly isr: readonly Member[] }
  /** A committed state no longer has this incarnation in its ISR, or its registration is gone: stop leading. */
  | { readonly kind: 'leadership-lost' };

const nothing: readonly Effect[] = [];

type Role =
  | { readonly kind: 'idle' }
  | { readonly kind: 'leader'; readonly state: LeaderState }
  | { readonly kind: 'follower'; readonly term: FollowerTerm };

const idle: Role = { kind: 'idle' };

export interface Restored extends LogPosition {
  readonly logStartOffset: number;
  /** As checkpointed; what is known of it, not the truth. */
  readonly highWatermark: number;
}

/**
 * One replica of one partition: who leads, what is replicated, what is committed. Synchronous and without a world: events in, effects out; the shell
 * (partition.ts) owns the log, the clock and the network.
 *
 *            follow(e')              lead(e')
 *   idle ──────────────► follower ──────────────► leader        e' is larger than every epoch before
 *     ▲ ◄── rest() ──────────┴──── rest(), 'leadership-lost' ──────┘
 *
 * Invariants (tests/invariants.ts):
 *   L3  logStart ≤ HW ≤ LEO, flushed ≤ LEO.
 *   R4  a leader's HW never falls, and moves only with every member of the maximal ISR, in this leader epoch.
 *   R5  leader epochs of the roles of one replica strictly grow.
 * A follower's HW is a hint: it follows its leader's answers, and is cut with its log.
 */
export class PartitionStateMachine {
  #role: Role = idle;
  #leaderEpoch = -1;
  #highWatermark: number;
  #logStartOffset: number;
  #logEndOffset: number;
  #flushedOffset: number;
  #rules: ReplicationRules;
  #registrations: Registrations;

  constructor(restored: Restored, rules: ReplicationRules, registrations: Registrations) {
    this.#logStartOffset = restored.logStartOffset;
    this.#logEndOffset = restored.logEndOffset;
    this.#flushedOffset = restored.flushedOffset;
    this.#highWatermark = Math.min(Math.max(restored.highWatermark, restored.logStartOffset), restored.logEndOffset);
    this.#rules = rules;
    this.#registrations = registrations;
    this.#check();
  }

  get role(): Role['kind'] {
    return this.#role.kind;
  }

  /** Of the current or last role; -1 before the first. */
  get leaderEpoch(): number {
    return this.#leaderEpoch;
  }

  get leader(): LeaderState | undefined {
    return this.#role.kind === 'leader' ? this.#role.state : undefined;
  }

  get following(): FollowerTerm | undefined {
    return this.#role.kind === 'follower' ? this.#role.term : undefined;
  }

  get highWatermark(): number {
    return this.#highWatermark;
  }

  get logStartOffset(): number {
    return this.#logStartOffset;
  }

  get logEndOffset(): number {
    return this.#logEndOffset;
  }

  get flushedOffset(): number {
    return this.#flushedOffset;
  }

  /**
   * Until the high watermark has passed the start of its epoch, a leader may know an older one than clients have seen (row 15):
   * then it must not tell what the latest offset is.
   */
  get knowsLatestOffset(): boolean {
    return this.#role.kind === 'leader' && this.#highWatermark >= this.#role.state.term.epochStartOffset;
  }

  // Roles.

  lead(term: LeaderTerm, nowMs: number): readonly Effect[] {
    assert(term.state.leaderEpoch > this.#leaderEpoch, 'R5: a leader epoch is led once');
    assert(term.epochStartOffset === this.#logEndOffset, 'a leader epoch starts at the end of the log');
    this.#leaderEpoch = term.state.leaderEpoch;
    this.#role = { kind: 'leader', state: new LeaderState(term, this.#rules, this.#registrations, nowMs) };
    return this.#reconsider(nowMs);
  }

  follow(term: FollowerTerm): void {
    assert(term.leaderEpoch >= this.#leaderEpoch, 'R5: leader epochs do not go back');
    assert(
      this.#role.kind !== 'leader' || term.leaderEpoch > this.#leaderEpoch,
      'R5: an epoch that was led is not followed',
    );
    this.#leaderEpoch = term.leaderEpoch;
    this.#role = { kind: 'follower', term };
  }

  /** Neither leads nor follows: no leader is known, the log is damaged, or the session is gone. */
  rest(): void {
    this.#role = idle;
  }

  // The own log.

  appended(logEndOffset: number): readonly Effect[] {
    assert(logEndOffset >= this.#logEndOffset, 'an append does not shorten the log');
    this.#logEndOffset = logEndOffset;
    // With flush.before.ack the leader's own part of the high watermark waits for its disk.
    return this.#rules.flushBeforeAck ? nothing : this.#advance();
  }

  flushed(flushedOffset: number): readonly Effect[] {
    // A sync that began before the log was cut may report more than there is.
    const bounded = Math.min(flushedOffset, this.#logEndOffset);
    if (bounded <= this.#flushedOffset) return nothing;
    this.#flushedOffset = bounded;
    return this.#rules.flushBeforeAck ? this.#advance() : nothing;
  }

  /** Retention, or the leader's log start, removed what was below. */
  logStartMoved(logStartOffset: number): readonly Effect[] {
    assert(logStartOffset <= this.#logEndOffset, 'L3: the log start is within the log');
    this.#logStartOffset = Math.max(this.#logStartOffset, logStartOffset);
    return this.#logStartOffset > this.#highWatermark ? this.#moveHighWatermark(this.#logStartOffset) : nothing;
  }

  /** The follower cut its log, or threw it away and starts at `logStartOffset`. True when that took something below its high watermark. */
  truncated(log: {
    readonly logStartOffset: number;
    readonly logEndOffset: number;
    readonly flushedOffset: number;
  }): boolean {
    assert(this.#role.kind !== 'leader', 'a leader never truncates');
    const committedCut = log.logEndOffset < this.#highWatermark;
    this.#logStartOffset = log.logStartOffset;
    this.#logEndOffset = log.logEndOffset;
    this.#flushedOffset = Math.min(log.flushedOffset, log.logEndOffset);
    this.#highWatermark = Math.min(Math.max(this.#highWatermark, log.logStartOffset), log.logEndOffset);
    this.#check();
    return committedCut;
  }

  // As leader.

  followerFetched(fetch: FollowerFetch, nowMs: number): readonly Effect[] {
    if (this.#role.kind !== 'leader') return nothing;
    const { state } = this.#role;
    if (!state.followerFetched(fetch, this, nowMs)) return nothing;
    const member: Member = { brokerId: fetch.brokerId, brokerEpoch: fetch.brokerEpoch };
    // The hot path: a member reports progress, and nothing can change but the high watermark.
    return includesMember(state.inSync.committed, member) ? this.#advance() : this.#reconsider(nowMs);
  }

  proposalAnswered(
    term: LeaderTerm,
    proposal: IsrProposal,
    outcome: ProposalOutcome,
    nowMs: number,
  ): readonly Effect[] {
    // Of an earlier leadership: whatever came of it is in the state that began this one.
    if (this.#role.kind !== 'leader' || this.#role.state.term !== term) return nothing;
    const before = this.#role.state.inSync.version;
    this.#role.state.proposalAnswered(proposal, outcome, nowMs);
    if (outcome.kind === 'not-registered') {
      this.#role = idle;
      return [{ kind: 'leadership-lost' }];
    }
    return this.#afterIsrChange(before, nowMs);
  }

  /** A newer state of the same leader epoch, from the metadata: another's ISR change, or the own one before its answer. */
  stateObserved(state: PartitionState, version: number, nowMs: number): readonly Effect[] {
    if (this.#role.kind !== 'leader' || state.leaderEpoch !== this.#leaderEpoch) return nothing;
    const leader = this.#role.state;
    if (!includesMember(state.isr, leader.term.self)) {
      this.#role = idle;
      return [{ kind: 'leadership-lost' }];
    }
    const before = leader.inSync.version;
    leader.inSync.observed(state.isr, state.elr, version);
    return this.#afterIsrChange(before, nowMs);
  }

  replicasChanged(replicas: readonly number[], nowMs: number): readonly Effect[] {
    if (this.#role.kind !== 'leader') return nothing;
    this.#role.state.setReplicas(replicas);
    return this.#reconsider(nowMs);
  }

  rulesChanged(rules: ReplicationRules, nowMs: number): readonly Effect[] {
    this.#rules = rules;
    if (this.#role.kind !== 'leader') return nothing;
    this.#role.state.setRules(rules);
    return this.#reconsider(nowMs);
  }

  registrationsChanged(registrations: Registrations, nowMs: number): readonly Effect[] {
    this.#registrations = registrations;
    if (this.#role.kind !== 'leader') return nothing;
    this.#role.state.setRegistrations(registrations);
    return this.#reconsider(nowMs);
  }

  /** Time passed: who lags leaves; what has no known outcome is tried again. */
  tick(nowMs: number): readonly Effect[] {
    return this.#role.kind === 'leader' ? this.#reconsider(nowMs) : nothing;
  }

  // As follower.

  /** The leader's answer carries its high watermark, which may be beyond what this replica has, or older than what it knows. */
  leaderAnswered(leaderHighWatermark: number): readonly Effect[] {
    const known = Math.min(leaderHighWatermark, this.#logEndOffset);
    return known > this.#highWatermark ? this.#moveHighWatermark(known) : nothing;
  }

  #afterIsrChange(versionBefore: number, nowMs: number): readonly Effect[] {
    const leader = this.leader;
    if (leader === undefined || leader.inSync.version === versionBefore) return this.#reconsider(nowMs);
    return [{ kind: 'isr-changed', isr: leader.inSync.committed }, ...this.#reconsider(nowMs)];
  }

  /** The high watermark first: who may join depends on it. */
  #reconsider(nowMs: number): readonly Effect[] {
    const effects = this.#advance();
    const leader = this.leader;
    if (leader === undefined) return effects;
    const proposal = leader.proposeIsr(this, this.#highWatermark, nowMs);
    if (proposal === undefined) return effects;
    return [...effects, { kind: 'propose-isr', proposal, term: leader.term }];
  }

  #advance(): readonly Effect[] {
    if (this.#role.kind !== 'leader') return nothing;
    const replicated = this.#role.state.replicatedByAll(this);
    if (replicated === undefined || replicated <= this.#highWatermark) return nothing;
    return this.#moveHighWatermark(replicated);
  }

  #moveHighWatermark(to: number): readonly Effect[] {
    assert(to > this.#highWatermark, 'R4: the high watermark only grows');
    this.#highWatermark = to;
    this.#check();
    return [{ kind: 'high-watermark-advanced', highWatermark: to }];
  }

  #check(): void {
    const isOrdered =
      this.#logStartOffset <= this.#highWatermark &&
      this.#highWatermark <= this.#logEndOffset &&
      this.#flushedOffset <= this.#logEndOffset;
    if (!isOrdered) assert(false, `L3: ${this.#logStartOffset} ≤ ${this.#highWatermark} ≤ ${this.#logEndOffset}`);
  }
}
