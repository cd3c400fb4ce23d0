import type { Logger } from '@naru/observability';
import { batchLayout, readInt64 } from '@naru/record';
import { assert, type Disk, type Timer, type Timers } from '@naru/runtime';
import type { CompactionMark } from './compaction-mark.ts';
import { type LogConfig, relativeOffsetMax, segmentAgeMaxMs } from './log-config.ts';
import { Segment } from './segment.ts';

export interface SegmentListOptions {
  readonly disk: Disk;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly directory: string;
  readonly mark: CompactionMark;
}

/** The segments of a log in order of their offsets, never empty outside a change; the last one is appended to. */
export class SegmentList {
  readonly #options: SegmentListOptions;
  readonly #segments: Segment[];
  /** Names in the directory changed since its last sync. */
  #isDirectoryDirty = true;
  /** Deleted segments whose files are still there for readers. */
  readonly #removals = new Map<Segment, Timer>();

  constructor(options: SegmentListOptions, segments: readonly Segment[]) {
    this.#options = options;
    this.#segments = [...segments];
  }

  get count(): number {
    return this.#segments.length;
  }

  get sizeBytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.sizeBytes, 0);
  }

  get active(): Segment {
    return this.#segments.at(-1) as Segment;
  }

  /** As they are now: changes to the list do not show. */
  snapshot(): readonly Segment[] {
    return [...this.#segments];
  }

  /** The segment that holds `offset`, which must not be below the first one's. */
  holding(offset: number): Segment {
    let low = 0;
    let high = this.#segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#segments[middle] as Segment).baseOffset <= offset) low = middle + 1;
      else high = middle;
    }
    return this.#segments[low - 1] as Segment;
  }

  /** Begins a new segment at `baseOffset`; the last one is sealed with the next sync. Throws `DiskError`. */
  add(baseOffset: number, config: LogConfig, nowMs: number): void {
    const { disk, directory, mark } = this.#options;
    const place = { disk, directory, mark, baseOffset, indexIntervalBytes: config['index.interval.bytes'] };
    const segment = Segment.createNow(place, nowMs);
    const last = this.#segments.at(-1);
    if (last !== undefined) last.needsSeal = true;
    this.#segments.push(segment);
    this.#isDirectoryDirty = true;
  }

  /** Makes every batch and every name durable: older segments first, so that what is on disk has no holes. */
  async sync(): Promise<void> {
    for (const segment of this.#unsynced()) await segment.sync();
    if (!this.#isDirectoryDirty) return;
    this.#isDirectoryDirty = false;
    await this.#syncDirectory();
  }

  /** From the last to the first, each durable before the next: a crash in between must leave no hole. */
  async removeFrom(index: number): Promise<void> {
    for (const segment of this.#segments.splice(index).reverse()) {
      await segment.remove();
      await this.#syncDirectory();
    }
  }

  removeAfter(segment: Segment): Promise<void> {
    return this.removeFrom(this.#segments.indexOf(segment) + 1);
  }

  /** Takes segments that end at or below `offset` out, never the last one; their files go after `delayMs`. */
  async deleteBelow(offset: number, delayMs: number): Promise<void> {
    const last = this.#segments.length - 1;
    const kept = this.#segments.findIndex((segment, i) => i === last || segment.nextOffset > offset);
    for (const segment of this.#segments.splice(0, kept)) await this.#removeLater(segment, delayMs);
  }

  /** Before the last one. */
  sealed(): readonly Segment[] {
    return this.#segments.slice(0, -1);
  }

  /** Puts a cleaned segment into the place of those that it was made from; the files are in place already. */
  replace(old: readonly Segment[], cleaned: Segment, delayMs: number): void {
    const at = this.#segments.indexOf(old[0] as Segment);
    assert(
      at >= 0 && old.every((segment, i) => this.#segments[at + i] === segment),
      'the segments of a swap follow each other',
    );
    this.#segments.splice(at, old.length, cleaned);
    for (const segment of old) this.#removeFilesLater(segment, delayMs);
  }

  async releaseIdle(): Promise<void> {
    for (const segment of this.#segments.slice(0, -1)) await segment.releaseIfIdle();
  }

  async close(): Promise<void> {
    for (const [segment, timer] of this.#removals) {
      timer.cancel();
      await segment.close();
    }
    this.#removals.clear();
    for (const segment of this.#segments) await segment.close();
  }

  async #removeLater(segment: Segment, delayMs: number): Promise<void> {
    await segment.renameToDeleted();
    this.#isDirectoryDirty = true;
    this.#removeFilesLater(segment, delayMs);
  }

  #removeFilesLater(segment: Segment, delayMs: number): void {
    const { timers, logger, directory } = this.#options;
    const timer = timers.after(delayMs, () => {
      this.#removals.delete(segment);
      segment.removeDeleted().catch((error) => logger.warn({ error, directory }, 'deleted segment stays'));
    });
    this.#removals.set(segment, timer);
  }

  /** They are the last ones: what is sealed and synced does not change. */
  #unsynced(): Segment[] {
    let first = this.#segments.length - 1;
    while (first > 0 && isUnsynced(this.#segments[first - 1] as Segment)) first--;
    return this.#segments.slice(first).filter(isUnsynced);
  }

  #syncDirectory(): Promise<void> {
    return this.#options.disk.syncDirectory(this.#options.directory);
  }
}

/** Whether the batches up to `nextOffset` must begin a new segment; Kafka's conditions (LogSegment.shouldRoll). */
export function mustRoll(
  active: Segment,
  records: Uint8Array,
  nextOffset: number,
  config: LogConfig,
  nowMs: () => number,
): boolean {
  if (nextOffset - active.baseOffset > relativeOffsetMax) return true;
  if (active.isEmpty) return false;
  if (active.sizeBytes + records.length > config['segment.bytes']) return true;
  const content = active.active;
  if (!content.hasIndexRoom(config['segment.index.bytes'])) return true;
  const firstMs = content.firstTimestampMs;
  const ageMs = firstMs >= 0 ? readInt64(records, batchLayout.maxTimestamp) - firstMs : nowMs() - active.createdMs;
  return ageMs > segmentAgeMaxMs(config);
}

function isUnsynced(segment: Segment): boolean {
  return segment.isDirty || segment.needsSeal;
}
