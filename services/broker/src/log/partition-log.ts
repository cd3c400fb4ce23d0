import type { Logger } from '@naru/observability';
import {
  type BatchHeader,
  batchLayout,
  batchSizeAt,
  readInt32,
  readInt64,
  setBaseOffset,
  setMaxTimestampAndLogAppendTime,
  setPartitionLeaderEpoch,
  validateBatch,
} from '@naru/record';
import { assert, type Clock, type Disk, isDiskError, type Timer, type Timers } from '@naru/runtime';
import { storedBatchBytesMax } from './batch-scan.ts';
import { hasDamageMark, removeDamageMark, writeDamageMark } from './damage-mark.ts';
import { GroupCommit } from './group-commit.ts';
import type { LeaderEpochs } from './leader-epochs.ts';
import type { LogConfig } from './log-config.ts';
import { relativeOffsetMax } from './log-config.ts';
import { StorageError } from './log-errors.ts';
import { LogTail, type TailBudget } from './log-tail.ts';
import type {
  DamagedBatch,
  FetchedBatches,
  FollowerAppend,
  LeaderAppend,
  LogDamage,
  LogState,
  ReadResult,
  TimestampOffset,
} from './log-types.ts';
import { type RecoveredLog, recoverLog } from './recovery.ts';
import { isExpired } from './retention.ts';
import { Segment } from './segment.ts';
import { findTimestamp, readBatches } from './segment-reader.ts';

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
  #state: LogState = { kind: 'open' };
  #segments: Segment[];
  #logStartOffset: number;
  #logEndOffset: number;
  #flushedOffset = 0;
  /** Names in the directory changed since its last sync. */
  #isDirectoryDirty = true;
  #isCutting = false;
  /** Counts cuts: a read of the disk that met one looks again. */
  #cuts = 0;
  readonly #removals = new Map<Segment, Timer>();

  private constructor(options: PartitionLogOptions, recovered: RecoveredLog) {
    this.#options = options;
    this.topic = options.topic;
    this.topicId = options.topicId;
    this.partition = options.partition;
    this.directory = options.directory;
    this.#config = options.config;
    this.leaderEpochs = recovered.epochs;
    this.#segments = recovered.segments;
    this.#logStartOffset = recovered.logStartOffset;
    this.#logEndOffset = recovered.logEndOffset;
    this.#tail = new LogTail(options.tailBudget);
    this.#commit = new GroupCommit(() => this.#syncNow());
    if (this.#segments.length === 0) this.#addSegment(recovered.logEndOffset);
    if (recovered.damage !== undefined) this.#state = { kind: 'damaged', damage: recovered.damage };
  }

  /**
   * Recovers what the last stop left and makes it durable. Throws `StorageError` when the disk fails; damage is no error, see
   * `damage`.
   */
  static async open(options: PartitionLogOptions): Promise<PartitionLog> {
    try {
      const recovered = await recoverLog({
        ...options,
        indexIntervalBytes: options.config['index.interval.bytes'],
        wasDamaged: await hasDamageMark(options.disk, options.directory),
        nowMs: options.clock.wallMs(),
      });
      if (recovered.damage === undefined) await removeDamageMark(options.disk, options.directory);
      else await writeDamageMark(options.disk, options.directory, recovered.damage);
      const log = new PartitionLog(options, recovered);
      if (log.damage !== undefined) options.logger.error({ ...log.damage }, 'log is damaged');
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
    return this.#state;
  }

  get damage(): LogDamage | undefined {
    return this.#state.kind === 'damaged' ? this.#state.damage : undefined;
  }

  get logStartOffset(): number {
    return this.#logStartOffset;
  }

  get logEndOffset(): number {
    return this.#logEndOffset;
  }

  /** Everything below is durable. */
  get flushedOffset(): number {
    return this.#flushedOffset;
  }

  /** What a checkpoint may say now; undefined while a cut changes it, and of a log that is not in order. */
  get recoveryPoint(): number | undefined {
    return this.#state.kind === 'open' && !this.#isCutting ? this.#flushedOffset : undefined;
  }

  get sizeBytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.sizeBytes, 0);
  }

  get segmentsCount(): number {
    return this.#segments.length;
  }

  /** Epoch of the last batch or the last one assigned; -1 when there is none. */
  get latestEpoch(): number {
    return this.leaderEpochs.latest;
  }

  /**
   * Gives the batches their offsets and the leader epoch, in place, and appends them. They were validated with `validateBatch` as from
   * a producer, the epoch was assigned. The log keeps the bytes: nobody may change them afterwards.
   * Throws `StorageError`; `full` leaves everything as it was.
   */
  appendAsLeader(records: Uint8Array, leaderEpoch: number, nowMs: number): LeaderAppend {
    assert(leaderEpoch === this.latestEpoch, `append of leader epoch ${leaderEpoch}, assigned is ${this.latestEpoch}`);
    const baseOffset = this.#logEndOffset;
    const isLogAppendTime = this.#config['message.timestamp.type'] === 'LogAppendTime';
    let nextOffset = baseOffset;
    for (let at = 0; at < records.length; ) {
      setBaseOffset(records, at, nextOffset);
      setPartitionLeaderEpoch(records, at, leaderEpoch);
      if (isLogAppendTime) setMaxTimestampAndLogAppendTime(records, at, nowMs);
      nextOffset += readInt32(records, at + batchLayout.lastOffsetDelta) + 1;
      at += batchSizeAt(records, at) as number;
    }
    assert(nextOffset > baseOffset, 'an append has records');
    this.#append(records, nextOffset);
    return { baseOffset, lastOffset: nextOffset - 1, logAppendTimeMs: isLogAppendTime ? nowMs : -1 };
  }

  /**
   * Appends what a leader sent, as it is, after checking each batch in full (row 21). All or nothing. Epochs of the batches enter
   * the epoch vector. Throws `StorageError`.
   */
  appendAsFollower(records: Uint8Array): FollowerAppend {
    const firstOffset = this.#logEndOffset;
    let expected = firstOffset;
    let latest = this.latestEpoch;
    const newEpochs: BatchHeader[] = [];
    for (let at = 0; at < records.length; ) {
      const validation = validateBatch(records, at, { maxBatchBytes: storedBatchBytesMax, source: 'log' });
      if (validation.kind === 'invalid') return { ...validation, kind: 'invalid-batch' };
      const { header } = validation;
      if (header.baseOffset !== expected) return { kind: 'unexpected-offset', expected, found: header.baseOffset };
      const epoch = header.partitionLeaderEpoch;
      if (epoch < latest) return { kind: 'unexpected-epoch', latest, found: epoch };
      if (epoch > latest) newEpochs.push(header);
      latest = epoch;
      expected = header.lastOffset + 1;
      at = validation.end;
    }
    assert(expected > firstOffset, 'an append has records');
    this.#append(records, expected);
    for (const header of newEpochs) this.leaderEpochs.learn(header.partitionLeaderEpoch, header.baseOffset);
    return { kind: 'appended', firstOffset, lastOffset: expected - 1 };
  }

  /** Served from memory, without a copy; undefined when that cannot be: then `read`. */
  readNow(offset: number, maxBytes: number, upTo: number): FetchedBatches | undefined {
    if (this.#state.kind === 'failed' || this.#state.kind === 'closed') return undefined;
    if (offset < this.#logStartOffset || offset > this.#logEndOffset) return undefined;
    if (offset >= upTo || offset === this.#logEndOffset) return nothingAt(offset);
    return this.#tail.read(offset, maxBytes, upTo);
  }

  /**
   * Whole batches from the one that holds `offset` on: as many as fit into `maxBytes`, at least one (KIP-74), all of them below `upTo` (the
   * high watermark for consumers, the log end for followers). Throws `StorageError`.
   */
  async read(offset: number, maxBytes: number, upTo: number): Promise<ReadResult> {
    for (;;) {
      this.#assertReadable();
      const { logStartOffset, logEndOffset } = this;
      if (offset < logStartOffset || offset > logEndOffset)
        return { kind: 'out-of-range', logStartOffset, logEndOffset };
      const fromTail = this.readNow(offset, maxBytes, upTo);
      if (fromTail !== undefined) return fromTail;
      const segment = this.#segmentOf(offset);
      const cuts = this.#cuts;
      const result = await this.#readDisk(segment, () =>
        readBatches(segment, offset, maxBytes, Math.min(upTo, logEndOffset)),
      );
      // A cut or a deletion came while the disk was read: what was found may be neither the old log nor the new one.
      if (result === undefined || cuts !== this.#cuts) continue;
      if (result.kind === 'damaged') this.#noteDamage(result);
      return result;
    }
  }

  /** Resolves when everything appended before the call is durable. Rejects with `StorageError`, for ever after a failure. */
  flush(): Promise<void> {
    return this.#commit.flush();
  }

  /**
   * Cuts the log so that it ends at `offset`, or before it when that lies inside a batch. A cut at or beyond the end cuts no data
   * but the epochs (row 17). Clears damage beyond the cut: what is damaged is thereby given up, so only a follower of a
   * leader that has everything may call it then.
   */
  truncateTo(offset: number): Promise<void> {
    return this.#cut(async () => {
      if (offset < this.#logStartOffset) return this.#startOver(offset);
      this.leaderEpochs.truncateFromEnd(offset);
      if (offset < this.#logEndOffset || this.#state.kind === 'damaged') await this.#truncateData(offset);
    });
  }

  /** Drops everything; the log then starts and ends at `offset`. Clears damage. */
  truncateFullyAndStartAt(offset: number): Promise<void> {
    return this.#cut(() => this.#startOver(offset));
  }

  /** The first record whose timestamp is at least `timestampMs`; undefined when there is none. */
  async offsetForTimestamp(timestampMs: number): Promise<TimestampOffset | undefined> {
    for (const segment of [...this.#segments]) {
      this.#assertReadable();
      if (segment.nextOffset <= this.#logStartOffset || segment.isEmpty) continue;
      const found = await this.#readDisk(segment, async () => {
        if ((await segment.content()).maxTimestampMs < timestampMs) return undefined;
        return findTimestamp(segment, timestampMs, this.#logStartOffset);
      });
      if (found === undefined) continue;
      if (!('kind' in found)) return found.offset < this.#logEndOffset ? found : undefined;
      this.#noteDamage(found);
      throw new StorageError('damaged', found.damage.reason);
    }
    return undefined;
  }

  /** The first of the records with the largest timestamp (KIP-734). */
  async maxTimestampOffset(): Promise<TimestampOffset | undefined> {
    let largest = -1;
    for (const segment of [...this.#segments]) {
      if (segment.nextOffset <= this.#logStartOffset || segment.isEmpty) continue;
      const content = await this.#readDisk(segment, () => segment.content());
      largest = Math.max(largest, content?.maxTimestampMs ?? -1);
    }
    return largest < 0 ? undefined : this.offsetForTimestamp(largest);
  }

  /** Moves the log start forward, to the log end at most, and deletes segments below it. */
  deleteRecordsBefore(offset: number): Promise<void> {
    return this.#exclusive(async () => {
      this.#assertReadable();
      const target = Math.min(offset, this.#logEndOffset);
      if (target <= this.#logStartOffset) return;
      await this.#options.checkpoints.logStartMoved(this, target);
      this.#logStartOffset = target;
      this.leaderEpochs.truncateFromStart(target);
      const last = this.#segments.length - 1;
      const kept = this.#segments.findIndex((segment, i) => i === last || segment.nextOffset > target);
      for (const segment of this.#segments.splice(0, kept)) await this.#removeLater(segment);
    });
  }

  /** Deletes old segments by `retention.ms` and `retention.bytes`, none at or above the high watermark. Returns how many. */
  async applyRetention(nowMs: number, highWatermark: number): Promise<number> {
    if (this.#state.kind !== 'open' || this.#isCutting) return 0;
    let end = this.#logStartOffset;
    let logBytes = this.sizeBytes;
    for (const segment of [...this.#segments]) {
      // What is not committed is never deleted.
      if (segment.isEmpty || segment.nextOffset > highWatermark) break;
      const content = await this.#readDisk(segment, () => segment.content());
      if (content === undefined) break;
      const { sizeBytes, createdMs } = segment;
      const { maxTimestampMs } = content;
      if (!isExpired({ sizeBytes, createdMs, maxTimestampMs }, logBytes, this.#config, nowMs)) break;
      logBytes -= sizeBytes;
      end = segment.nextOffset;
    }
    if (end === this.#logStartOffset || this.#isCutting || this.state.kind !== 'open') return 0;
    // The last segment goes, too, when all of it is old: a new one takes its place.
    if (end === this.#logEndOffset && !this.#active.isEmpty) this.#roll();
    const before = this.#segments.length;
    await this.deleteRecordsBefore(end);
    return before - this.#segments.length;
  }

  updateConfig(config: LogConfig): void {
    this.#config = config;
  }

  /** Gives back memory and file handles of old segments that nobody has read since the last call. */
  async releaseIdle(): Promise<void> {
    await this.#exclusive(async () => {
      for (const segment of this.#segments.slice(0, -1)) await segment.releaseIfIdle();
    });
  }

  /** Flushes (unless the disk failed) and closes. The log is of no use afterwards. */
  async close(): Promise<void> {
    if (this.#state.kind === 'closed') return;
    try {
      if (this.#state.kind === 'open') {
        await this.flush();
        await this.#commit.exclusive(() => this.#active.writeIndexes());
      }
    } finally {
      await this.abandon();
    }
  }

  /** Closes the files without a flush: the topic is deleted, or the disk failed. */
  async abandon(): Promise<void> {
    this.#state = { kind: 'closed' };
    this.#tail.clear();
    await this.#commit.exclusive(async () => {
      for (const [segment, timer] of this.#removals) {
        timer.cancel();
        await segment.close();
      }
      this.#removals.clear();
      for (const segment of this.#segments) await segment.close();
    });
  }

  get #active(): Segment {
    return this.#segments.at(-1) as Segment;
  }

  #append(records: Uint8Array, nextOffset: number): void {
    this.#assertWritable();
    const baseOffset = this.#logEndOffset;
    try {
      if (this.#shouldRoll(records, nextOffset)) this.#roll();
      this.#active.write(records);
    } catch (error) {
      throw this.#writeFailed(error);
    }
    for (let at = 0; at < records.length; ) {
      const sizeBytes = batchSizeAt(records, at) as number;
      const lastOffset = readInt64(records, at) + readInt32(records, at + batchLayout.lastOffsetDelta);
      const maxTimestampMs = readInt64(records, at + batchLayout.maxTimestamp);
      this.#active.addBatch({ lastOffset, maxTimestampMs, sizeBytes });
      at += sizeBytes;
    }
    assert(
      this.#active.nextOffset === nextOffset,
      `the segment ends at ${this.#active.nextOffset}, not ${nextOffset} (L1)`,
    );
    this.#logEndOffset = nextOffset;
    this.#tail.push(baseOffset, nextOffset, records);
  }

  /** Kafka's conditions (LogSegment.shouldRoll). */
  #shouldRoll(records: Uint8Array, nextOffset: number): boolean {
    const active = this.#active;
    if (nextOffset - active.baseOffset > relativeOffsetMax) return true;
    if (active.isEmpty) return false;
    if (active.sizeBytes + records.length > this.#config['segment.bytes']) return true;
    const content = active.active;
    if (!content.hasIndexRoom(this.#config['segment.index.bytes'])) return true;
    const firstMs = content.firstTimestampMs;
    const ageMs =
      firstMs >= 0
        ? readInt64(records, batchLayout.maxTimestamp) - firstMs
        : this.#options.clock.wallMs() - active.createdMs;
    return ageMs > this.#config['segment.ms'];
  }

  #roll(): void {
    this.#active.needsSeal = true;
    this.#addSegment(this.#logEndOffset);
  }

  #addSegment(baseOffset: number): void {
    const { disk, directory, clock } = this.#options;
    const place = { disk, directory, baseOffset, indexIntervalBytes: this.#config['index.interval.bytes'] };
    this.#segments.push(Segment.createNow(place, clock.wallMs()));
    this.#isDirectoryDirty = true;
  }

  /** One round of group commit: older segments first, then the names, then the epochs; only then does anyone count on it. */
  async #syncNow(): Promise<void> {
    this.#assertReadable();
    const target = this.#logEndOffset;
    try {
      for (const segment of this.#unsynced()) await segment.sync();
      if (this.#isDirectoryDirty) {
        this.#isDirectoryDirty = false;
        await this.#options.disk.syncDirectory(this.directory);
      }
      if (this.leaderEpochs.isDirty) await this.leaderEpochs.persist();
    } catch (error) {
      throw this.#fail(error);
    }
    assert(target <= this.#logEndOffset && target >= this.#flushedOffset, 'flushed ≤ log end (L3)');
    this.#flushedOffset = target;
  }

  /** Dirty segments are the last ones. */
  #unsynced(): Segment[] {
    let first = this.#segments.length - 1;
    while (first > 0 && isUnsynced(this.#segments[first - 1] as Segment)) first--;
    return this.#segments.slice(first).filter(isUnsynced);
  }

  /** After a crash the batches were read from the page cache: that says nothing about the disk (row 60). */
  async #makeRecoveredDurable(): Promise<void> {
    this.#flushedOffset = Math.min(this.#options.recoveryPoint, this.#logEndOffset);
    for (const segment of this.#segments) {
      if (segment.nextOffset > this.#options.recoveryPoint && !this.#options.wasCleanShutdown) segment.isDirty = true;
    }
    // The active segment is open from now on: appends are synchronous.
    await this.#active.file();
    await this.#syncNow();
  }

  #segmentOf(offset: number): Segment {
    let low = 0;
    let high = this.#segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#segments[middle] as Segment).baseOffset <= offset) low = middle + 1;
      else high = middle;
    }
    return this.#segments[low - 1] as Segment;
  }

  /** Undefined when the segment was deleted or cut away meanwhile. */
  async #readDisk<T>(segment: Segment, read: () => Promise<T>): Promise<T | undefined> {
    try {
      return await segment.use(read);
    } catch (error) {
      if (segment.isGone) return undefined;
      this.#assertReadable();
      throw isDiskError(error) ? this.#fail(error) : error;
    }
  }

  /** Runs a cut while nothing syncs; appends wait for it by contract. */
  async #cut(work: () => Promise<void>): Promise<void> {
    this.#assertReadable();
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
      throw isDiskError(error) ? this.#fail(error) : error;
    }
  }

  async #truncateData(offset: number): Promise<void> {
    const { checkpoints, disk } = this.#options;
    const target = Math.min(offset, this.#logEndOffset, this.damage?.offset ?? offset);
    const segment = this.#segmentOf(target);
    const cut = await segment.planCut(target);
    // The batch begins before the log start: of what is left, nothing can be read (L3).
    if (cut.offset < this.#logStartOffset) return this.#startOver(this.#logStartOffset);
    await checkpoints.recoveryPointLowered(this, cut.offset);
    this.#cuts++;
    this.#logEndOffset = cut.offset;
    this.#flushedOffset = Math.min(this.#flushedOffset, cut.offset);
    this.#tail.truncateTo(cut.offset);
    this.leaderEpochs.truncateFromEnd(cut.offset);
    // From the last to the first, each durable before the next: a crash in between must leave no hole.
    for (const gone of this.#segments.splice(this.#segments.indexOf(segment) + 1).reverse()) {
      await gone.remove();
      await disk.syncDirectory(this.directory);
    }
    segment.applyCut(cut);
    await segment.sync();
    await this.#repaired();
  }

  async #startOver(offset: number): Promise<void> {
    const { checkpoints, disk } = this.#options;
    await checkpoints.recoveryPointLowered(this, Math.min(offset, this.#logStartOffset));
    // Forward before the files go, so that files which a crash brings back are known as deleted; backward after it.
    const isForward = offset > this.#logStartOffset;
    if (isForward) await checkpoints.logStartMoved(this, offset);
    this.#tail.clear();
    this.#cuts++;
    this.#logStartOffset = offset;
    this.#logEndOffset = offset;
    this.#flushedOffset = offset;
    this.leaderEpochs.clear();
    for (const gone of this.#segments.splice(0).reverse()) {
      await gone.remove();
      await disk.syncDirectory(this.directory);
    }
    if (!isForward) await checkpoints.logStartMoved(this, offset);
    this.#addSegment(offset);
    await disk.syncDirectory(this.directory);
    await this.leaderEpochs.persist();
    await this.#repaired();
  }

  /** The damaged part is gone for good. */
  async #repaired(): Promise<void> {
    if (this.#state.kind !== 'damaged') return;
    await removeDamageMark(this.#options.disk, this.directory);
    this.#state = { kind: 'open' };
  }

  async #removeLater(segment: Segment): Promise<void> {
    await segment.renameToDeleted();
    this.#isDirectoryDirty = true;
    const { timers, logger } = this.#options;
    const timer = timers.after(this.#config['file.delete.delay.ms'], () => {
      this.#removals.delete(segment);
      segment
        .removeDeleted()
        .catch((error) => logger.warn({ error, directory: this.directory }, 'deleted segment stays'));
    });
    this.#removals.set(segment, timer);
  }

  #noteDamage(found: DamagedBatch): void {
    if (this.#state.kind !== 'open') return;
    this.#state = { kind: 'damaged', damage: found.damage };
    this.#options.logger.error({ ...found.damage }, 'log is damaged');
    // The mark comes with the next turn of the disk: without it the next start would have to meet the damage again by a read.
    writeDamageMark(this.#options.disk, this.directory, found.damage).catch((error) => this.#fail(error));
    this.#options.onDamage?.(found.damage);
  }

  /** A full disk can be waited out, because the failed append left nothing behind; everything else is final (row 56). */
  #writeFailed(error: unknown): Error {
    if (!isDiskError(error, 'full')) return isDiskError(error) ? this.#fail(error) : (error as Error);
    return new StorageError('full', `no room in ${this.directory}`, { cause: error });
  }

  #fail(cause: unknown): Error {
    if (!isDiskError(cause)) return cause as Error;
    if (this.#state.kind === 'failed') return this.#state.error;
    if (this.#state.kind === 'closed') return closedError(this.directory);
    const error = new StorageError('failed', `${this.directory} failed: ${cause.message}`, { cause });
    this.#state = { kind: 'failed', error };
    this.#tail.clear();
    this.#options.logger.error({ error, directory: this.directory }, 'log failed');
    this.#options.onFailure?.(error);
    return error;
  }

  #assertReadable(): void {
    if (this.#state.kind === 'failed') throw this.#state.error;
    if (this.#state.kind === 'closed') throw closedError(this.directory);
  }

  #assertWritable(): void {
    assert(!this.#isCutting, 'no append during a cut');
    if (this.#state.kind === 'damaged') throw new StorageError('damaged', this.#state.damage.reason);
    this.#assertReadable();
  }
}

function isUnsynced(segment: Segment): boolean {
  return segment.isDirty || segment.needsSeal;
}

function nothingAt(offset: number): FetchedBatches {
  return { kind: 'batches', records: [], sizeBytes: 0, firstOffset: offset, nextOffset: offset };
}

function closedError(directory: string): StorageError {
  return new StorageError('closed', `${directory} is closed`);
}
