import type { Logger } from '@naru/observability';
import { assert, type Clock, type Disk, type DiskError, isDiskError, type Timers } from '@naru/runtime';
import { checkSuccessors, stampBatches } from './appended-batches.ts';
import type { CompactionMark } from './compaction-mark.ts';
import { GroupCommit } from './group-commit.ts';
import type { LeaderEpochs } from './leader-epochs.ts';
import type { LogBounds } from './log-bounds.ts';
import { type LogConfig, segmentAgeMaxMs } from './log-config.ts';
import { StorageError } from './log-errors.ts';
import { LogHealth } from './log-health.ts';
import { LogReader } from './log-reader.ts';
import { LogTail, type TailBudget } from './log-tail.ts';
import { LogTruncation } from './log-truncation.ts';
import type {
  FetchedBatches,
  FollowerAppend,
  LeaderAppend,
  LogDamage,
  LogState,
  ReadResult,
  TimestampOffset,
} from './log-types.ts';
import type { ProducerState } from './producer-state.ts';
import type { ProducerStateStore } from './producer-state-store.ts';
import { type RecoveredState, recoverState } from './recovered-state.ts';
import type { Segment } from './segment.ts';
import { mustRoll, SegmentList } from './segment-list.ts';
import type { CleanedSegment } from './segment-swap.ts';

export interface PartitionLogOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  /** Exists already. */
  readonly directory: string;
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly config: LogConfig;
  /** From the checkpoints of the data directory; 0 for a new log. */
  readonly recoveryPoint: number;
  /** See `RecoveryOptions`. */
  readonly isRecoveryPointLost?: boolean;
  readonly logStartOffset: number;
  readonly wasCleanShutdown: boolean;
  readonly tailBudget: TailBudget;
  readonly checkpoints: LogCheckpoints;
  /** Called once, when a sync or write failed for good (row 56). */
  readonly onFailure?: (error: StorageError) => void;
  /** Called when a read meets a batch that fails its CRC (row 21). */
  readonly onDamage?: (damage: LogDamage) => void;
}

/** What a log needs its data directory to write down before it changes files. Durable when the promise resolves. */
export interface LogCheckpoints {
  /** No recovery point above `offset` may be on disk while the log is cut to `offset`: recovery would miss the rest. */
  recoveryPointLowered(log: PartitionLog, offset: number): Promise<void>;
  /** Deleted segments that a crash brings back must be known as deleted. */
  logStartMoved(log: PartitionLog, offset: number): Promise<void>;
}

/**
 * The log of one partition: segments of batches, the newest of them also in memory.
 *
 * Appends are synchronous and go into the page cache; `flush` makes them durable for everyone who asked meanwhile. Offsets:
 * logStartOffset ≤ flushedOffset ≤ logEndOffset (L3). One owner appends; reads run at any time. Cuts (`truncateTo` and the
 * like) are awaited before the next append.
 */
export class PartitionLog {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly directory: string;
  readonly leaderEpochs: LeaderEpochs;

  readonly #options: PartitionLogOptions;
  readonly #tail: LogTail;
  readonly #commit: GroupCommit;
  #config: LogConfig;
  readonly #segments: SegmentList;
  readonly #mark: CompactionMark;
  readonly #health: LogHealth;
  readonly #producers: ProducerStateStore;
  readonly #bounds: LogBounds;
  readonly #reader: LogReader;
  readonly #truncation: LogTruncation;
  #isCutting = false;

  private constructor(options: PartitionLogOptions, { recovered, producers }: RecoveredState) {
    this.#options = options;
    this.topic = options.topic;
    this.topicId = options.topicId;
    this.partition = options.partition;
    this.directory = options.directory;
    this.#config = options.config;
    this.leaderEpochs = recovered.epochs;
    this.#mark = recovered.mark;
    this.#segments = new SegmentList({ ...options, mark: recovered.mark }, recovered.segments);
    this.#health = new LogHealth(options, recovered.damage);
    this.#producers = producers;
    const { logStartOffset, logEndOffset } = recovered;
    this.#bounds = { logStartOffset, logEndOffset, flushedOffset: 0, cuts: 0 };
    this.#tail = new LogTail(options.tailBudget);
    this.#commit = new GroupCommit(() => this.#syncNow());
    const parts = {
      bounds: this.#bounds,
      segments: this.#segments,
      tail: this.#tail,
      health: this.#health,
      leaderEpochs: this.leaderEpochs,
    };
    this.#reader = new LogReader({ ...parts, fail: (cause) => this.#fail(cause) });
    this.#truncation = new LogTruncation({
      ...parts,
      clock: options.clock,
      producers,
      checkpoints: {
        recoveryPointLowered: (offset) => options.checkpoints.recoveryPointLowered(this, offset),
        logStartMoved: (offset) => options.checkpoints.logStartMoved(this, offset),
      },
      addSegment: (baseOffset) => this.#addSegment(baseOffset),
    });
    if (this.#segments.count === 0) this.#addSegment(recovered.logEndOffset);
  }

  /**
   * Recovers what the last stop left and makes it durable. Throws `StorageError` when the disk fails; damage is no error, see
   * `damage`.
   */
  static async open(options: PartitionLogOptions): Promise<PartitionLog> {
    try {
      const log = new PartitionLog(options, await recoverState(options));
      await log.#makeRecoveredDurable();
      return log;
    } catch (error) {
      if (!isDiskError(error)) throw error;
      throw new StorageError('failed', `${options.directory} cannot be opened: ${error.message}`, { cause: error });
    }
  }

  get config(): LogConfig {
    return this.#config;
  }

  get state(): LogState {
    return this.#health.state;
  }

  get damage(): LogDamage | undefined {
    return this.#health.damage;
  }

  get logStartOffset(): number {
    return this.#bounds.logStartOffset;
  }

  get logEndOffset(): number {
    return this.#bounds.logEndOffset;
  }

  /** Everything below is durable. */
  get flushedOffset(): number {
    return this.#bounds.flushedOffset;
  }

  /** What a checkpoint may say now; undefined while a cut changes it, and of a log that is not in order. */
  get recoveryPoint(): number | undefined {
    return this.state.kind === 'open' && !this.#isCutting ? this.#bounds.flushedOffset : undefined;
  }

  get sizeBytes(): number {
    return this.#segments.sizeBytes;
  }

  /** Before the one that is appended to. */
  get sealedSegments(): readonly Segment[] {
    return this.#segments.sealed();
  }

  /** How often the log was cut: what was read of it before may not be in it any more. */
  get cutsCount(): number {
    return this.#bounds.cuts;
  }

  get segmentsCount(): number {
    return this.#segments.count;
  }

  /** What idempotent producers have written; a leader asks it before it appends. */
  get producers(): ProducerState {
    return this.#producers.state;
  }

  /** Epoch of the last batch or the last one assigned; -1 when there is none. */
  get latestEpoch(): number {
    return this.leaderEpochs.latest;
  }

  /**
   * Gives the batches their offsets and the leader epoch, in place, and appends them. They were validated with `validateBatch` as from
   * a producer, `producers` took them for new, the epoch was assigned. The log keeps the bytes: nobody may change them afterwards.
   * Throws `StorageError`; `full` leaves everything as it was.
   */
  appendAsLeader(records: Uint8Array, leaderEpoch: number, nowMs: number): LeaderAppend {
    assert(leaderEpoch === this.latestEpoch, `append of leader epoch ${leaderEpoch}, assigned is ${this.latestEpoch}`);
    const baseOffset = this.#bounds.logEndOffset;
    const isLogAppendTime = this.#config['message.timestamp.type'] === 'LogAppendTime';
    const logAppendTimeMs = isLogAppendTime ? nowMs : undefined;
    const nextOffset = stampBatches(records, { baseOffset, leaderEpoch, logAppendTimeMs });
    assert(nextOffset > baseOffset, 'an append has records');
    this.#append(records, nextOffset);
    return { baseOffset, lastOffset: nextOffset - 1, logAppendTimeMs: isLogAppendTime ? nowMs : -1 };
  }

  /**
   * A new leader's first act: its epoch begins at `startOffset`, durably (row 62). Throws `StorageError`: without the epoch on disk nothing may be
   * led, and a log whose epochs cannot be written cannot go on.
   */
  async assignEpoch(epoch: number, startOffset: number): Promise<void> {
    this.#health.assertWritable();
    try {
      await this.leaderEpochs.assign(epoch, startOffset);
    } catch (error) {
      throw this.#fail(error);
    }
  }

  /**
   * Appends what a leader sent, as it is, after checking each batch in full (row 21). All or nothing. Epochs of the batches enter
   * the epoch vector. `fetchOffset`: what the leader was asked for, when this is its answer. Nothing lies in its log between that offset
   * and the first batch, nor between two batches: what is missing there was compacted away. Throws `StorageError`.
   */
  appendAsFollower(
    records: Uint8Array,
    { fetchOffset, epochMax }: { readonly fetchOffset?: number; readonly epochMax?: number } = {},
  ): FollowerAppend {
    const firstOffset = this.#bounds.logEndOffset;
    const mayHaveHoles = fetchOffset === firstOffset;
    const found = checkSuccessors(records, { logEndOffset: firstOffset, latestEpoch: this.latestEpoch, mayHaveHoles });
    if (found.kind !== 'successors') return found;
    // No leader has batches of epochs after its own; the CRC does not cover the epoch, and a wrong one would be learned for ever (row 21).
    const beyond = found.newEpochs.find(
      (header) => header.partitionLeaderEpoch > (epochMax ?? Number.POSITIVE_INFINITY),
    );
    if (beyond !== undefined) {
      return { kind: 'unexpected-epoch', latest: this.latestEpoch, found: beyond.partitionLeaderEpoch };
    }
    assert(found.nextOffset > firstOffset, 'an append has records');
    if (found.hasHoles) this.#markCompacted();
    this.#append(records, found.nextOffset);
    for (const header of found.newEpochs) this.leaderEpochs.learn(header.partitionLeaderEpoch, header.baseOffset);
    return { kind: 'appended', firstOffset, lastOffset: found.nextOffset - 1 };
  }

  /** Served from memory, without a copy; undefined when that cannot be: then `read`. */
  readNow(offset: number, maxBytes: number, upTo: number): FetchedBatches | undefined {
    return this.#reader.readNow(offset, maxBytes, upTo);
  }

  /**
   * Whole batches from the one that holds `offset` on, or the next one where compaction removed it: as many as fit into `maxBytes`, at least one (KIP-74), all of them below `upTo` (the
   * high watermark for consumers, the log end for followers). Throws `StorageError`.
   */
  read(offset: number, maxBytes: number, upTo: number): Promise<ReadResult> {
    return this.#reader.read(offset, maxBytes, upTo);
  }

  /** The first record whose timestamp is at least `timestampMs`; undefined when there is none. */
  offsetForTimestamp(timestampMs: number): Promise<TimestampOffset | undefined> {
    return this.#reader.offsetForTimestamp(timestampMs);
  }

  /** The first of the records with the largest timestamp (KIP-734). */
  maxTimestampOffset(): Promise<TimestampOffset | undefined> {
    return this.#reader.maxTimestampOffset();
  }

  /** Resolves when everything appended before the call is durable. Rejects with `StorageError`, for ever after a failure. */
  flush(): Promise<void> {
    return this.#commit.flush();
  }

  /**
   * Cuts the log so that it ends at `offset`, or before it when that lies inside a batch. A cut at or beyond the end cuts no data
   * but the epochs (row 17). Damage that it meets below the cut is reported, and nothing is cut: `StorageError` `damaged`. Clears damage beyond the cut: what is damaged is thereby given up, so only a follower of a
   * leader that has everything may call it then.
   */
  truncateTo(offset: number): Promise<void> {
    return this.#cut(async () => {
      if (offset < this.#bounds.logStartOffset) return this.#truncation.startOver(offset);
      this.leaderEpochs.truncateFromEnd(offset);
      if (offset < this.#bounds.logEndOffset || this.state.kind === 'damaged')
        await this.#truncation.truncateData(offset);
    });
  }

  /** Drops everything; the log then starts and ends at `offset`. Clears damage. */
  truncateFullyAndStartAt(offset: number): Promise<void> {
    return this.#cut(() => this.#truncation.startOver(offset));
  }

  /** Moves the log start forward, to the log end at most, and deletes segments below it. */
  deleteRecordsBefore(offset: number): Promise<void> {
    return this.#exclusive(async () => {
      this.#health.assertReadable();
      const target = Math.min(offset, this.#bounds.logEndOffset);
      if (target <= this.#bounds.logStartOffset) return;
      await this.#options.checkpoints.logStartMoved(this, target);
      this.#bounds.logStartOffset = target;
      this.leaderEpochs.truncateFromStart(target);
      // What the deleted batches said of their producers must be on disk before they go (row 41).
      await this.#producers.persist();
      await this.#segments.deleteBelow(target, this.#config['file.delete.delay.ms']);
      await this.#producers.removeBelow(this.#segments.holding(target).baseOffset);
    });
  }

  /** Deletes old segments by `retention.ms` and `retention.bytes`, none at or above the high watermark. Returns how many. */
  async applyRetention(nowMs: number, highWatermark: number): Promise<number> {
    if (this.state.kind !== 'open' || this.#isCutting || !this.#config['cleanup.policy'].includes('delete')) return 0;
    const end = await this.#reader.expiredEnd(nowMs, highWatermark, this.#config);
    if (end === this.#bounds.logStartOffset || this.#isCutting || this.state.kind !== 'open') return 0;
    // The last segment goes, too, when all of it is old: a new one takes its place.
    if (end === this.#bounds.logEndOffset && !this.#segments.active.isEmpty) this.#addSegment(end);
    const before = this.#segments.count;
    await this.deleteRecordsBefore(end);
    return before - this.#segments.count;
  }

  /** Forgets producers that were silent for `producer.id.expiration.ms`. By time alone, whatever became of their records (row 41). */
  expireProducers(nowMs: number, expirationMs: number): void {
    this.producers.expire(nowMs, expirationMs);
  }

  /** Begins a new segment when the last one is old although nothing is appended: only closed ones can be cleaned. Throws `StorageError`. */
  rollWhenOld(nowMs: number): boolean {
    const { active } = this.#segments;
    if (this.state.kind !== 'open' || this.#isCutting || active.isEmpty) return false;
    if (nowMs - active.createdMs <= segmentAgeMaxMs(this.#config)) return false;
    try {
      this.#addSegment(this.#bounds.logEndOffset);
    } catch (error) {
      throw this.#health.appendFailed(error);
    }
    return true;
  }

  /**
   * Puts a cleaned segment into the place of those that it was made from. Readers that have one of these in hand go on with it. False when the log was
   * cut (`cutsCount` is no longer what it was), deleted from or closed meanwhile: nothing happened. Throws `StorageError`.
   */
  async replaceSegments(old: readonly Segment[], cleaned: CleanedSegment, cutsCount: number): Promise<boolean> {
    let isReplaced = false;
    await this.#exclusive(async () => {
      if (this.state.kind !== 'open' || this.#bounds.cuts !== cutsCount || old.some((segment) => segment.isGone))
        return;
      this.#mark.setNow();
      await this.#mark.persist();
      const segment = await cleaned.takePlaceOf(old);
      this.#segments.replace(old, segment, this.#config['file.delete.delay.ms']);
      await this.#producers.removeBetween(segment.baseOffset, segment.nextOffset);
      isReplaced = true;
    });
    return isReplaced;
  }

  /** The cleaner met a batch that is not what was written (row 21). */
  reportDamage(damage: LogDamage): void {
    this.#health.noteDamage(damage);
  }

  /** A read or write of the cleaner failed: the disk cannot be trusted (row 56). */
  cleaningFailed(error: DiskError): void {
    this.#fail(error);
  }

  updateConfig(config: LogConfig): void {
    this.#config = config;
  }

  /** Gives back memory and file handles of old segments that nobody has read since the last call. */
  async releaseIdle(): Promise<void> {
    await this.#exclusive(() => this.#segments.releaseIdle());
  }

  /** Flushes (unless the disk failed) and closes. The log is of no use afterwards. */
  async close(): Promise<void> {
    if (this.state.kind === 'closed') return;
    try {
      if (this.state.kind === 'open') {
        await this.flush();
        await this.#commit.exclusive(() => this.#writeCleanStop());
      }
    } finally {
      await this.abandon();
    }
  }

  /** Closes the files without a flush: the topic is deleted, or the disk failed. */
  async abandon(): Promise<void> {
    this.#health.closed();
    this.#tail.clear();
    await this.#commit.exclusive(() => this.#segments.close());
  }

  #append(records: Uint8Array, nextOffset: number): void {
    assert(!this.#isCutting, 'no append during a cut');
    this.#health.assertWritable();
    const baseOffset = this.#bounds.logEndOffset;
    try {
      const nowMs = (): number => this.#options.clock.wallMs();
      if (mustRoll(this.#segments.active, records, nextOffset, this.#config, nowMs)) this.#addSegment(baseOffset);
      this.#segments.active.write(records);
    } catch (error) {
      throw this.#health.appendFailed(error);
    }
    const { active } = this.#segments;
    active.addBatches(records);
    assert(active.nextOffset === nextOffset, `the segment ends at ${active.nextOffset}, not ${nextOffset} (L1)`);
    this.#bounds.logEndOffset = nextOffset;
    this.#tail.push(baseOffset, nextOffset, records);
    this.producers.appended(records, this.#options.clock.wallMs());
  }

  /** Before the first hole is written. */
  #markCompacted(): void {
    try {
      this.#mark.setNow();
    } catch (error) {
      throw this.#health.appendFailed(error);
    }
  }

  /** So that the next start need not read the last segment. */
  async #writeCleanStop(): Promise<void> {
    await this.#segments.active.writeIndexes();
    if (!this.#segments.active.isEmpty) this.#producers.take(this.#bounds.logEndOffset);
    await this.#producers.persist();
  }

  #addSegment(baseOffset: number): void {
    if (this.#segments.count > 0) this.#producers.take(baseOffset);
    this.#segments.add(baseOffset, this.#config, this.#options.clock.wallMs());
  }

  /** One round of group commit: older segments first, then the names, then the epochs; only then does anyone count on it. */
  async #syncNow(): Promise<void> {
    this.#health.assertReadable();
    const target = this.#bounds.logEndOffset;
    try {
      if (this.#mark.isDirty) await this.#mark.persist();
      await this.#segments.sync();
      if (this.leaderEpochs.isDirty) await this.leaderEpochs.persist();
      await this.#producers.persist();
    } catch (error) {
      throw this.#fail(error);
    }
    assert(target <= this.#bounds.logEndOffset && target >= this.#bounds.flushedOffset, 'flushed ≤ log end (L3)');
    this.#bounds.flushedOffset = target;
  }

  /** After a crash the batches were read from the page cache: that says nothing about the disk (rows 56, 60). */
  async #makeRecoveredDurable(): Promise<void> {
    this.#bounds.flushedOffset = Math.min(this.#options.recoveryPoint, this.#bounds.logEndOffset);
    for (const segment of this.#segments.snapshot()) {
      const { recoveryPoint, wasCleanShutdown } = this.#options;
      if (segment.nextOffset > recoveryPoint && !wasCleanShutdown) await segment.rewriteFrom(recoveryPoint);
    }
    // The active segment is open from now on: appends are synchronous.
    await this.#segments.active.file();
    await this.#syncNow();
  }

  /** Runs a cut while nothing syncs; appends wait for it by contract. */
  async #cut(work: () => Promise<void>): Promise<void> {
    this.#health.assertReadable();
    assert(!this.#isCutting, 'one cut at a time');
    this.#isCutting = true;
    try {
      await this.#exclusive(work);
    } finally {
      this.#isCutting = false;
    }
  }

  /** One change of the segments at a time, and none of them during a sync. */
  async #exclusive(work: () => Promise<void>): Promise<void> {
    try {
      await this.#commit.exclusive(work);
    } catch (error) {
      throw this.#fail(error);
    }
  }

  #fail(cause: unknown): Error {
    const error = this.#health.failed(cause);
    if (this.state.kind === 'failed') this.#tail.clear();
    return error;
  }
}
