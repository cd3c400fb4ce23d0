import type { Logger } from '@naru/observability';
import { batchesOf } from '@naru/record';
import { assert, type Clock, unreachable } from '@naru/runtime';
import type { PartitionState } from '../cluster/partition-state.ts';
import type { IsrWriter } from '../cluster/partition-state-writer.ts';
import { StorageError } from '../log/log-errors.ts';
import type { FetchedBatches, ReadResult } from '../log/log-types.ts';
import type { PartitionLog } from '../log/partition-log.ts';
import type { ProducerVerdict } from '../log/producer-state.ts';
import type { IsrProposal } from './core/in-sync-replicas.ts';
import type { LeaderTerm, Registrations, ReplicationRules } from './core/leader-state.ts';
import {
  type EpochEnd,
  type FollowerLogEnd,
  type Reconciliation,
  reconcile,
  truncationPoint,
} from './core/log-reconciliation.ts';
import { type Effect, type FollowerTerm, PartitionStateMachine } from './core/partition-state-machine.ts';
import { FollowerLogStarts } from './follower-log-starts.ts';
import { changeIsr } from './isr-change.ts';
import { LogSync } from './log-sync.ts';
import type { AppendOutcome, FollowerRequest, LeaderCheck, ReplicateOutcome } from './partition-outcomes.ts';
import type { TurnEnd } from './turn-end.ts';
import { AckQueue, type AckWaiter, Watchers } from './waiters.ts';

export interface PartitionOptions {
  readonly log: PartitionLog;
  /** As checkpointed; 0 when nothing is known. */
  readonly highWatermark: number;
  readonly rules: ReplicationRules;
  readonly registrations: Registrations;
  readonly clock: Clock;
  readonly turnEnd: TurnEnd;
  readonly isrWriter: IsrWriter;
  readonly logger: Logger;
  /** More of this replica's log is durable, or its log start moved. Called while it follows. */
  readonly onFollowerMoved: (partition: Partition) => void;
}

const noOffsets: readonly number[] = [];

/**
 * One replica on this broker: the pure state machine, its log, and those who wait. Everything on the way of a record is synchronous; what has to
 * wait (a sync, the coordinator, a truncation) comes back as another event. Changes of role are ordered by `HostedPartition`.
 */
export class Partition {
  readonly log: PartitionLog;
  readonly topic: string;
  readonly topicId: string;
  readonly index: number;
  /** Told when consumers can read more, or can no longer read here. */
  readonly highWatermarkWatchers = new Watchers();
  /** Told when followers can fetch more, or can no longer fetch here. */
  readonly logEndWatchers = new Watchers();
  /** While it leads. */
  readonly followerLogStarts = new FollowerLogStarts();
  readonly #machine: PartitionStateMachine;
  readonly #acks = new AckQueue();
  readonly #options: PartitionOptions;
  #rules: ReplicationRules;
  /** Of the newest state seen: an ISR change must not write an older one back (Z13). */
  #controllerEpoch = 0;
  readonly #sync: LogSync;
  /** A truncation or other change that the log needs time for; nothing else may change the log until then. */
  #mutation: Promise<void> | undefined;

  constructor(options: PartitionOptions) {
    const { log } = options;
    this.log = log;
    this.topic = log.topic;
    this.topicId = log.topicId;
    this.index = log.partition;
    this.#options = options;
    this.#rules = options.rules;
    const { logStartOffset, logEndOffset, flushedOffset } = log;
    const restored = { logStartOffset, logEndOffset, flushedOffset, highWatermark: options.highWatermark };
    this.#machine = new PartitionStateMachine(restored, options.rules, options.registrations);
    this.#sync = new LogSync({
      log,
      turnEnd: options.turnEnd,
      isWanted: () => this.#rules.flushBeforeAck && log.logEndOffset > this.#machine.flushedOffset,
      onFlushed: () => this.#flushed(),
    });
  }

  /** Read-only for everyone but this class. */
  get state(): Omit<PartitionStateMachine, 'lead' | 'follow' | 'rest'> {
    return this.#machine;
  }

  get highWatermark(): number {
    return this.#machine.highWatermark;
  }

  /** Of the log itself: retention moves it between two events of the machine. */
  get logStartOffset(): number {
    return this.log.logStartOffset;
  }

  get leaderEpoch(): number {
    return this.#machine.leaderEpoch;
  }

  get following(): FollowerTerm | undefined {
    return this.#machine.following;
  }

  get isLeader(): boolean {
    return this.#machine.role === 'leader';
  }

  // For clients.

  checkLeader(clientEpoch: number): LeaderCheck {
    if (clientEpoch >= 0 && clientEpoch < this.#machine.leaderEpoch) return 'fenced-leader-epoch';
    if (clientEpoch > this.#machine.leaderEpoch) return 'unknown-leader-epoch';
    if (this.#machine.role !== 'leader') return this.log.state.kind === 'failed' ? 'storage-failed' : 'not-leader';
    return 'leader';
  }

  /**
   * `records`: batches that passed `validateBatch` as a producer's. The log keeps the bytes. What is in the log already is not appended
   * again (KIP-98); whoever asks for acks=all waits for it as for what is new: it may not be replicated yet.
   */
  append(records: Uint8Array, requiresAll: boolean): AppendOutcome {
    const leader = this.#machine.leader;
    if (leader === undefined) return { kind: 'not-leader' };
    // Before the append: what is refused must not be in the log (C13, row 7).
    if (requiresAll && leader.isUnderMinInSync) return { kind: 'not-enough-replicas' };
    const verdict = this.log.producers.judge(records);
    if (verdict.kind === 'duplicate') return this.#appendRest(records, verdict);
    return verdict.kind === 'new' ? this.#appendNew(records) : verdict;
  }

  #appendNew(records: Uint8Array): AppendOutcome {
    try {
      const appended = this.log.appendAsLeader(records, this.#machine.leaderEpoch, this.#options.clock.wallMs());
      this.#apply(this.#machine.appended(this.log.logEndOffset));
      this.logEndWatchers.wakeAll();
      this.#sync.want();
      return {
        kind: 'appended',
        baseOffset: appended.baseOffset,
        batchBaseOffsets: noOffsets,
        endOffset: appended.lastOffset + 1,
        logAppendTimeMs: appended.logAppendTimeMs,
        logStartOffset: this.log.logStartOffset,
      };
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      return { kind: 'storage-failed', error };
    }
  }

  #appendRest(
    records: Uint8Array,
    { baseOffsets, endOffset, newFrom }: ProducerVerdict & { kind: 'duplicate' },
  ): AppendOutcome {
    const [baseOffset = -1] = baseOffsets;
    const { logStartOffset } = this.log;
    if (newFrom === records.length) {
      return {
        kind: 'appended',
        baseOffset,
        batchBaseOffsets: baseOffsets,
        endOffset,
        logAppendTimeMs: -1,
        logStartOffset,
      };
    }
    const rest = records.subarray(newFrom);
    const outcome = this.#appendNew(rest);
    if (outcome.kind !== 'appended') return outcome;
    const batchBaseOffsets = [...baseOffsets];
    for (const { header } of batchesOf(rest)) batchBaseOffsets.push(header.baseOffset);
    return { ...outcome, baseOffset, batchBaseOffsets };
  }

  /** Tells `waiter` when the high watermark has reached `endOffset`, or why it will not; possibly at once. */
  awaitReplication(endOffset: number, waiter: AckWaiter): void {
    if (this.#machine.highWatermark >= endOffset) waiter.acknowledged('replicated');
    else if (this.#machine.role !== 'leader') waiter.acknowledged('leadership-lost');
    else this.#acks.add(endOffset, waiter);
  }

  /** From memory, up to the high watermark; undefined when the disk has to be asked. */
  readNow(offset: number, maxBytes: number): FetchedBatches | undefined {
    return this.log.readNow(offset, maxBytes, this.#machine.highWatermark);
  }

  read(offset: number, maxBytes: number): Promise<ReadResult> {
    return this.log.read(offset, maxBytes, this.#machine.highWatermark);
  }

  /** Is what a reader has read before `fetchOffset` what this log has there (KIP-320)? By the rule for followers. */
  checkPosition(reader: FollowerLogEnd): Reconciliation {
    return reconcile(reader, this.#logView);
  }

  /** Moves the log start of a leader; below the high watermark, for what is not committed is never deleted. Followers hear of it by their fetches. Throws `StorageError`. */
  async deleteRecordsBefore(offset: number): Promise<void> {
    assert(offset <= this.#machine.highWatermark, 'only committed records are deleted');
    await this.log.deleteRecordsBefore(offset);
    this.#logStartMoved();
    this.followerLogStarts.watchers.wakeAll();
  }

  // For followers.

  /** Counts the fetch when it comes from this epoch and its log is a prefix of this one (rows 3, 4). */
  followerFetched(request: FollowerRequest): Exclude<LeaderCheck, 'leader'> | Reconciliation {
    const check = this.checkLeader(request.leaderEpoch);
    if (check !== 'leader') return check;
    this.followerLogStarts.fetched(request.brokerId, request.brokerEpoch, request.logStartOffset);
    const result = reconcile(request, this.#logView);
    if (result.kind === 'consistent') {
      this.#apply(this.#machine.followerFetched(request, this.#options.clock.monotonicMs()));
    }
    return result;
  }

  readNowForFollower(offset: number, maxBytes: number): FetchedBatches | undefined {
    return this.log.readNow(offset, maxBytes, this.#machine.logEndOffset);
  }

  readForFollower(offset: number, maxBytes: number): Promise<ReadResult> {
    return this.log.read(offset, maxBytes, this.#machine.logEndOffset);
  }

  // As follower.

  /** The leader's answer to a fetch from `fetchOffset` in `term`. */
  replicate(
    term: FollowerTerm,
    fetchOffset: number,
    answer: {
      readonly records: readonly Uint8Array[];
      readonly highWatermark: number;
      readonly logStartOffset: number;
    },
  ): ReplicateOutcome {
    if (!this.#isCurrent(term) || this.log.logEndOffset !== fetchOffset) return 'ignored';
    try {
      for (const records of answer.records) {
        const appended = this.log.appendAsFollower(records, {
          fetchOffset: this.log.logEndOffset,
          epochMax: term.leaderEpoch,
        });
        if (appended.kind !== 'appended') {
          this.#options.logger.error({ ...this.#label, ...appended }, 'a batch of the leader was refused');
          return 'refused';
        }
      }
    } catch (error) {
      if (error instanceof StorageError) return 'storage-failed';
      throw error;
    } finally {
      if (this.log.logEndOffset > fetchOffset) {
        this.#apply(this.#machine.appended(this.log.logEndOffset));
        this.#sync.want();
      }
    }
    this.#apply(this.#machine.leaderAnswered(answer.highWatermark));
    if (answer.logStartOffset > this.log.logStartOffset) this.#deleteBefore(answer.logStartOffset);
    return 'appended';
  }

  /** Cuts to where both logs agree as far as the leader could tell (row 3); then the follower asks again. */
  async truncateAtDivergence(term: FollowerTerm, answered: EpochEnd): Promise<void> {
    await this.#mutate(term, async () => {
      const { logStartOffset, logEndOffset } = this.log;
      const to = truncationPoint(answered, this.#endOf(answered.epoch, logEndOffset), logStartOffset);
      this.#options.logger.info({ ...this.#label, from: logEndOffset, to, answered }, 'cutting the log to its leader');
      if (to < logStartOffset) await this.log.truncateFullyAndStartAt(to);
      else await this.log.truncateTo(to);
    });
  }

  /** The leader no longer has what this replica wants next. */
  async startOverAt(term: FollowerTerm, leaderLogStartOffset: number): Promise<void> {
    await this.#mutate(term, async () => {
      const from = this.log.logEndOffset;
      this.#options.logger.warn(
        { ...this.#label, from, to: leaderLogStartOffset },
        'starting over at the log start of the leader',
      );
      await this.log.truncateFullyAndStartAt(leaderLogStartOffset);
    });
  }

  // Roles; called one at a time.

  /** The epoch is durable before its first append (row 62); by then it may be too late to want it. Fails with `StorageError`. */
  async lead(term: Omit<LeaderTerm, 'epochStartOffset'>, isStillWanted: () => boolean): Promise<void> {
    this.rest();
    await this.#mutation;
    const epochStartOffset = this.log.logEndOffset;
    await this.log.assignEpoch(term.state.leaderEpoch, epochStartOffset);
    if (!isStillWanted()) return;
    assert(epochStartOffset === this.log.logEndOffset, 'nothing is appended between two roles');
    this.#controllerEpoch = Math.max(this.#controllerEpoch, term.state.controllerEpoch);
    this.#apply(this.#machine.lead({ ...term, epochStartOffset }, this.#options.clock.monotonicMs()));
    this.#sync.want();
    this.#options.logger.info({ ...this.#label, leaderEpoch: this.leaderEpoch, epochStartOffset }, 'leading');
  }

  follow(term: FollowerTerm): void {
    this.#failWaiters('leadership-lost');
    this.#machine.follow(term);
    this.#sync.want();
    this.#options.logger.info({ ...this.#label, ...term }, 'following');
  }

  rest(reason: 'leadership-lost' | 'storage-failed' = 'leadership-lost'): void {
    this.#machine.rest();
    this.#failWaiters(reason);
  }

  // What else happens to it.

  stateObserved(state: PartitionState, version: number, replicas: readonly number[]): void {
    const nowMs = this.#options.clock.monotonicMs();
    this.#controllerEpoch = Math.max(this.#controllerEpoch, state.controllerEpoch);
    this.#apply(this.#machine.stateObserved(state, version, nowMs));
    this.#apply(this.#machine.replicasChanged(replicas, nowMs));
  }

  registrationsChanged(registrations: Registrations): void {
    this.#apply(this.#machine.registrationsChanged(registrations, this.#options.clock.monotonicMs()));
  }

  rulesChanged(rules: ReplicationRules): void {
    this.#rules = rules;
    this.#apply(this.#machine.rulesChanged(rules, this.#options.clock.monotonicMs()));
    this.#sync.want();
  }

  tick(): void {
    this.#logStartMoved();
    this.#apply(this.#machine.tick(this.#options.clock.monotonicMs()));
  }

  /** Rests, and waits for what is under way. The log stays open: it belongs to the log manager. */
  async stop(): Promise<void> {
    this.rest();
    await this.#mutation;
  }

  get #label(): { readonly topic: string; readonly partition: number } {
    return { topic: this.topic, partition: this.index };
  }

  #isCurrent(term: FollowerTerm): boolean {
    const following = this.#machine.following;
    return (
      following !== undefined &&
      this.#mutation === undefined &&
      following.leaderEpoch === term.leaderEpoch &&
      following.leader === term.leader
    );
  }

  readonly #logView = {
    partition: this as Partition,
    get logStartOffset(): number {
      return this.partition.log.logStartOffset;
    },
    get logEndOffset(): number {
      return this.partition.#machine.logEndOffset;
    },
    endOf(epoch: number): EpochEnd | undefined {
      return this.partition.#endOf(epoch, this.partition.#machine.logEndOffset);
    },
  };

  /** KIP-279's lookup. An epoch that is younger than all of this log ends where the log ends. */
  #endOf(epoch: number, logEndOffset: number): EpochEnd | undefined {
    const { latestEpoch, leaderEpochs } = this.log;
    if (latestEpoch < 0) return undefined;
    if (epoch > latestEpoch) return { epoch: latestEpoch, endOffset: logEndOffset };
    const end = leaderEpochs.endOffsetFor(epoch, logEndOffset);
    return end.epoch < 0 ? undefined : end;
  }

  /** Runs `change` when `term` still holds, and nothing beside it; then tells the machine what the log is now. */
  async #mutate(term: FollowerTerm, change: () => Promise<void>): Promise<void> {
    if (!this.#isCurrent(term)) return;
    const mutation = change().finally(() => {
      this.#mutation = undefined;
      const { logStartOffset, logEndOffset, flushedOffset } = this.log;
      const cut = this.#machine.truncated({ logStartOffset, logEndOffset, flushedOffset });
      if (cut)
        this.#options.logger.warn({ ...this.#label, logEndOffset }, 'the cut went below the known high watermark');
    });
    // Whoever waits for it only waits for its end.
    this.#mutation = mutation.catch(() => {});
    await mutation;
  }

  #deleteBefore(offset: number): void {
    this.log.deleteRecordsBefore(Math.min(offset, this.#machine.highWatermark)).then(
      () => this.#logStartMoved(),
      (error: unknown) => this.#options.logger.error({ ...this.#label, error }, 'could not move the log start offset'),
    );
  }

  #logStartMoved(): void {
    if (this.log.logStartOffset <= this.#machine.logStartOffset) return;
    this.#apply(this.#machine.logStartMoved(this.log.logStartOffset));
    if (this.#machine.role === 'follower') this.#options.onFollowerMoved(this);
  }

  #flushed(): void {
    this.#apply(this.#machine.flushed(this.log.flushedOffset));
    if (this.#machine.role === 'follower') this.#options.onFollowerMoved(this);
  }

  #apply(effects: readonly Effect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'high-watermark-advanced':
          this.#acks.highWatermarkAdvanced(effect.highWatermark);
          this.highWatermarkWatchers.wakeAll();
          break;
        case 'propose-isr':
          void this.#propose(effect.proposal, effect.term);
          break;
        case 'isr-changed':
          this.#options.logger.info({ ...this.#label, isr: effect.isr.map((m) => m.brokerId) }, 'the ISR changed');
          if (this.#machine.leader?.isUnderMinInSync) this.#acks.failAll('not-enough-replicas');
          break;
        case 'leadership-lost':
          this.#failWaiters('leadership-lost');
          break;
        default:
          unreachable(effect);
      }
    }
  }

  #failWaiters(reason: 'leadership-lost' | 'storage-failed'): void {
    this.#acks.failAll(reason);
    this.highWatermarkWatchers.wakeAll();
    this.logEndWatchers.wakeAll();
    this.followerLogStarts.forget();
  }

  async #propose(proposal: IsrProposal, term: LeaderTerm): Promise<void> {
    const { isr, elr } = proposal;
    this.#options.logger.info(
      { ...this.#label, isr: isr.map((m) => m.brokerId), elr: elr.map((m) => m.brokerId) },
      'proposing a change of the ISR',
    );
    const outcome = await changeIsr(
      this.#options.isrWriter,
      { ...this.#label, topicId: this.topicId, term, proposal, controllerEpoch: this.#controllerEpoch },
      this.#options.logger,
    );
    this.#apply(this.#machine.proposalAnswered(term, proposal, outcome, this.#options.clock.monotonicMs()));
  }
}
