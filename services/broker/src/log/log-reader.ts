import type { LeaderEpochs } from './leader-epochs.ts';
import type { LogBounds } from './log-bounds.ts';
import type { LogConfig } from './log-config.ts';
import { StorageError } from './log-errors.ts';
import type { LogHealth } from './log-health.ts';
import { type LogTail, nothingAt } from './log-tail.ts';
import type { FetchedBatches, ReadResult, TimestampOffset } from './log-types.ts';
import { isExpired } from './retention.ts';
import type { Segment } from './segment.ts';
import type { SegmentList } from './segment-list.ts';
import { findTimestamp, readBatches } from './segment-reader.ts';

export interface LogReaderParts {
  readonly bounds: Readonly<LogBounds>;
  readonly segments: SegmentList;
  readonly tail: LogTail;
  readonly health: LogHealth;
  readonly leaderEpochs: LeaderEpochs;
  /** A read failed for good; gives what to throw. */
  readonly fail: (cause: unknown) => Error;
}

/** Reads a log, at any time: whoever meets a cut or a deletion looks again. */
export class LogReader {
  readonly #parts: LogReaderParts;

  constructor(parts: LogReaderParts) {
    this.#parts = parts;
  }

  /** Served from memory, without a copy; undefined when that cannot be: then `read`. */
  readNow(offset: number, maxBytes: number, upTo: number): FetchedBatches | undefined {
    const { kind } = this.#parts.health.state;
    if (kind === 'failed' || kind === 'closed') return undefined;
    if (offset < this.#parts.bounds.logStartOffset || offset > this.#parts.bounds.logEndOffset) return undefined;
    if (offset >= upTo || offset === this.#parts.bounds.logEndOffset) return nothingAt(offset);
    return this.#parts.tail.read(offset, maxBytes, upTo);
  }

  /**
   * Whole batches from the one that holds `offset` on, or the next one where compaction removed it: as many as fit into `maxBytes`, at least one (KIP-74), all of them below `upTo` (the
   * high watermark for consumers, the log end for followers). Throws `StorageError`.
   */
  async read(offset: number, maxBytes: number, upTo: number): Promise<ReadResult> {
    const { bounds } = this.#parts;
    for (;;) {
      this.#parts.health.assertReadable();
      const { logStartOffset, logEndOffset, cuts } = bounds;
      if (offset < logStartOffset || offset > logEndOffset)
        return { kind: 'out-of-range', logStartOffset, logEndOffset };
      const fromTail = this.readNow(offset, maxBytes, upTo);
      if (fromTail !== undefined) return fromTail;
      const segment = this.#parts.segments.holding(offset);
      const result = await this.#readDisk(segment, () =>
        readBatches(segment, offset, maxBytes, Math.min(upTo, logEndOffset), (at) =>
          this.#parts.leaderEpochs.epochOf(at),
        ),
      );
      // A cut or a deletion came while the disk was read: what was found may be neither the old log nor the new one.
      if (result === undefined || cuts !== bounds.cuts) continue;
      if (result.kind === 'damaged') this.#parts.health.noteDamage(result.damage);
      return result;
    }
  }

  /** The first record whose timestamp is at least `timestampMs`; undefined when there is none. */
  async offsetForTimestamp(timestampMs: number): Promise<TimestampOffset | undefined> {
    for (const segment of this.#parts.segments.snapshot()) {
      this.#parts.health.assertReadable();
      if (segment.nextOffset <= this.#parts.bounds.logStartOffset || segment.isEmpty) continue;
      const found = await this.#readDisk(segment, async () => {
        if ((await segment.content()).maxTimestampMs < timestampMs) return undefined;
        return findTimestamp(segment, timestampMs, this.#parts.bounds.logStartOffset);
      });
      if (found === undefined) {
        // Not deleted, but replaced by a cleaned one: what was looked for may be there.
        if (segment.isGone && segment.nextOffset > this.#parts.bounds.logStartOffset)
          return this.offsetForTimestamp(timestampMs);
        continue;
      }
      if (!('kind' in found)) return found.offset < this.#parts.bounds.logEndOffset ? found : undefined;
      this.#parts.health.noteDamage(found.damage);
      throw new StorageError('damaged', found.damage.reason);
    }
    return undefined;
  }

  /** The first of the records with the largest timestamp (KIP-734). */
  async maxTimestampOffset(): Promise<TimestampOffset | undefined> {
    let largest = -1;
    for (const segment of this.#parts.segments.snapshot()) {
      if (segment.nextOffset <= this.#parts.bounds.logStartOffset || segment.isEmpty) continue;
      const content = await this.#readDisk(segment, () => segment.content());
      largest = Math.max(largest, content?.maxTimestampMs ?? -1);
    }
    return largest < 0 ? undefined : this.offsetForTimestamp(largest);
  }

  /** Where what retention would delete ends: no batch at or above the high watermark is among it. */
  async expiredEnd(nowMs: number, highWatermark: number, config: LogConfig): Promise<number> {
    let end = this.#parts.bounds.logStartOffset;
    let logBytes = this.#parts.segments.sizeBytes;
    for (const segment of this.#parts.segments.snapshot()) {
      // What is not committed is never deleted.
      if (segment.isEmpty || segment.nextOffset > highWatermark) break;
      const content = await this.#readDisk(segment, () => segment.content());
      if (content === undefined) break;
      const { sizeBytes, createdMs } = segment;
      const { maxTimestampMs } = content;
      if (!isExpired({ sizeBytes, createdMs, maxTimestampMs }, logBytes, config, nowMs)) break;
      logBytes -= sizeBytes;
      end = segment.nextOffset;
    }
    return end;
  }

  /** Undefined when the segment was deleted or cut away meanwhile. */
  async #readDisk<T>(segment: Segment, read: () => Promise<T>): Promise<T | undefined> {
    try {
      return await segment.use(read);
    } catch (error) {
      if (segment.isGone) return undefined;
      this.#parts.health.assertReadable();
      throw this.#parts.fail(error);
    }
  }
}
