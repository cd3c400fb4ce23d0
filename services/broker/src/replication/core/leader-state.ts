import { assert } from '@naru/runtime';
import { includesMember, type Member, type PartitionState, sameMember } from '../../cluster/partition-state.ts';
import { FollowerProgress } from './follower-progress.ts';
import { InSyncReplicas, type IsrProposal, type ProposalOutcome } from './in-sync-replicas.ts';

/** Milliseconds before a change of the ISR is tried again whose outcome is unknown. */
export const proposalRetryMs = 200;

/** What a partition promises, from its topic's configuration. */
export interface ReplicationRules {
  /** `min.insync.replicas`. */
  readonly minInSyncReplicas: number;
  /** `replica.lag.time.max.ms`. */
  readonly lagTimeMaxMs: number;
  /** `flush.before.ack`: a replica counts with what is on its disk; else with what it has appended. */
  readonly flushBeforeAck: boolean;
}

/** One leadership, as the controller's election gave it. */
export interface LeaderTerm {
  /** This broker's current incarnation. */
  readonly self: Member;
  readonly replicas: readonly number[];
  readonly state: PartitionState;
  /** Version of the state's znode. */
  readonly version: number;
  /** LESO: the log end offset when this leadership began; everything from here on has its epoch. */
  readonly epochStartOffset: number;
}

/** A fetch or progress report that passed the checks of leader epoch and log reconciliation. */
export interface FollowerFetch {
  readonly brokerId: number;
  readonly brokerEpoch: number;
  readonly fetchOffset: number;
  readonly flushedOffset: number;
}

/** Which incarnation of each broker is registered now: broker id → broker epoch. */
export type Registrations = ReadonlyMap<number, number>;

/** The leader's own log. */
export interface LogPosition {
  readonly logEndOffset: number;
  readonly flushedOffset: number;
}

/**
 * The leader's view of its followers, for one leader epoch. A new epoch gets a new object, so that nothing about a follower's position
 * outlives the epoch in which the follower told it (rows 4, 12; R4).
 */
export class LeaderState {
  readonly term: LeaderTerm;
  #rules: ReplicationRules;
  #replicas: readonly number[];
  #registrations: Registrations;
  readonly #inSync: InSyncReplicas;
  readonly #followers = new Map<number, FollowerProgress>();
  readonly #startedMs: number;
  /** Gone as the coordinator says, and the metadata not yet: not asked for again. */
  #refused: readonly Member[] = [];
  #proposeNotBeforeMs = Number.NEGATIVE_INFINITY;

  constructor(term: LeaderTerm, rules: ReplicationRules, registrations: Registrations, nowMs: number) {
    assert(includesMember(term.state.isr, term.self), 'a leader is in the ISR with its current incarnation');
    this.term = term;
    this.#rules = rules;
    this.#replicas = term.replicas;
    this.#registrations = registrations;
    this.#inSync = new InSyncReplicas(term.state, term.version);
    this.#startedMs = nowMs;
  }

  get inSync(): InSyncReplicas {
    return this.#inSync;
  }

  /** A topic with fewer replicas than `min.insync.replicas` can have no more in sync than it has (KIP-966). */
  get minInSync(): number {
    return Math.min(this.#rules.minInSyncReplicas, this.#replicas.length);
  }

  get isUnderMinInSync(): boolean {
    return this.#inSync.committed.length < this.minInSync;
  }

  progressOf(brokerId: number): FollowerProgress | undefined {
    return this.#followers.get(brokerId);
  }

  setRules(rules: ReplicationRules): void {
    this.#rules = rules;
  }

  setReplicas(replicas: readonly number[]): void {
    this.#replicas = replicas;
    for (const brokerId of this.#followers.keys()) {
      if (!replicas.includes(brokerId)) this.#followers.delete(brokerId);
    }
  }

  setRegistrations(registrations: Registrations): void {
    this.#registrations = registrations;
    this.#refused = this.#refused.filter((m) => registrations.get(m.brokerId) === m.brokerEpoch);
  }

  /** False: the fetch comes from an incarnation that is no replica, or from one that has been replaced; it must not be counted. */
  followerFetched(fetch: FollowerFetch, log: LogPosition, nowMs: number): boolean {
    if (fetch.brokerId === this.term.self.brokerId || !this.#replicas.includes(fetch.brokerId)) return false;
    let progress = this.#followers.get(fetch.brokerId);
    if (progress !== undefined && fetch.brokerEpoch < progress.brokerEpoch) return false;
    if (progress === undefined || fetch.brokerEpoch > progress.brokerEpoch) {
      progress = new FollowerProgress(fetch.brokerEpoch, log.logEndOffset, nowMs);
      this.#followers.set(fetch.brokerId, progress);
    }
    const replicated = this.#rules.flushBeforeAck ? fetch.flushedOffset : fetch.fetchOffset;
    progress.fetched(replicated, log.logEndOffset, nowMs);
    return true;
  }

  /**
   * How far every member of the maximal ISR has the log, or undefined while the high watermark has to stand still:
   * - fewer than `min.insync.replicas` in sync, so that whoever left last stays complete (rows 7, 8; KIP-966);
   * - eligible leaders outside the ISR: they are complete only up to where it stands;
   * - a member has not fetched in this epoch in its current incarnation (rows 4, 9, 10).
   */
  replicatedByAll(log: LogPosition): number | undefined {
    if (this.isUnderMinInSync || this.#inSync.eligible.length > 0) return undefined;
    let replicated = this.#rules.flushBeforeAck ? log.flushedOffset : log.logEndOffset;
    for (const member of this.#inSync.maximal) {
      if (member.brokerId === this.term.self.brokerId) continue;
      const progress = this.#progressOf(member);
      if (progress === undefined) return undefined;
      if (progress.replicatedOffset < replicated) replicated = progress.replicatedOffset;
    }
    return replicated;
  }

  /** The change of ISR or ELR that the followers' positions call for now, if any; it is pending from here on. */
  proposeIsr(log: LogPosition, highWatermark: number, nowMs: number): IsrProposal | undefined {
    if (!this.#inSync.mayPropose || nowMs < this.#proposeNotBeforeMs) return undefined;
    const { committed, eligible, isUncertain } = this.#inSync;
    const kept = committed.filter((member) => !this.#mustLeave(member, log, nowMs));
    const joining = this.#joining(highWatermark);
    // A new incarnation takes the place of its predecessor.
    const isr = [...kept.filter((m) => !joining.some((j) => j.brokerId === m.brokerId)), ...joining];
    const elr = this.#eligibleBeside(isr);
    if (sameMembers(isr, committed) && sameMembers(elr, eligible) && !isUncertain) return undefined;
    for (const { brokerId } of joining) this.#followers.get(brokerId)?.joins(nowMs);
    for (const member of committed) {
      if (!includesMember(isr, member)) this.#progressOf(member)?.leaves();
    }
    return this.#inSync.propose(isr, elr);
  }

  proposalAnswered(proposal: IsrProposal, outcome: ProposalOutcome, nowMs: number): void {
    // Only the one that is gone: whoever was to join with it stays welcome.
    if (outcome.kind === 'refused') this.#refused = [...this.#refused, outcome.member];
    if (outcome.kind === 'unknown') this.#proposeNotBeforeMs = nowMs + proposalRetryMs;
    this.#inSync.answered(proposal.id, outcome);
  }

  #progressOf(member: Member): FollowerProgress | undefined {
    const progress = this.#followers.get(member.brokerId);
    return progress?.brokerEpoch === member.brokerEpoch ? progress : undefined;
  }

  #mustLeave(member: Member, log: LogPosition, nowMs: number): boolean {
    if (sameMember(member, this.term.self)) return false;
    if (!this.#replicas.includes(member.brokerId)) return true;
    const { lagTimeMaxMs } = this.#rules;
    const progress = this.#followers.get(member.brokerId);
    if (progress === undefined) return nowMs - this.#startedMs > lagTimeMaxMs;
    // Its successor fetches: this incarnation does not come back (row 10).
    if (progress.brokerEpoch > member.brokerEpoch) return true;
    return progress.isLagging(log.logEndOffset, this.#startedMs, nowMs, lagTimeMaxMs);
  }

  #joining(highWatermark: number): readonly Member[] {
    const joining: Member[] = [];
    for (const [brokerId, progress] of this.#followers) {
      const member: Member = { brokerId, brokerEpoch: progress.brokerEpoch };
      if (includesMember(this.#inSync.committed, member)) continue;
      if (this.#mayJoin(member, progress, highWatermark)) joining.push(member);
    }
    return joining;
  }

  /**
   * R6: it has fetched in this epoch (else there were no progress), it is the incarnation that is registered, and it has everything below
   * the high watermark and below the start of this epoch. The second bound is for a leader whose own high watermark is still
   * behind the true one (row 11, Vanlightly §6.5.3): all that was ever acknowledged before its epoch lies below the epoch's start.
   */
  #mayJoin(member: Member, progress: FollowerProgress, highWatermark: number): boolean {
    return (
      progress.mayJoin &&
      this.#registrations.get(member.brokerId) === member.brokerEpoch &&
      !includesMember(this.#refused, member) &&
      progress.replicatedOffset >= highWatermark &&
      progress.replicatedOffset >= this.term.epochStartOffset
    );
  }

  /**
   * KIP-966: whoever leaves an ISR that falls below `min.insync.replicas` stays eligible, for the high watermark does not move from then on. At the
   * minimum again, nobody outside the ISR is needed, and nobody outside stays complete.
   */
  #eligibleBeside(isr: readonly Member[]): readonly Member[] {
    if (isr.length >= this.minInSync) return [];
    const candidates = [...this.#inSync.eligible];
    for (const member of this.#inSync.committed) {
      if (!includesMember(candidates, member)) candidates.push(member);
    }
    return candidates.filter((m) => this.#replicas.includes(m.brokerId) && !isr.some((i) => i.brokerId === m.brokerId));
  }
}

function sameMembers(a: readonly Member[], b: readonly Member[]): boolean {
  return a.length === b.length && a.every((member) => includesMember(b, member));
}
