import type { Clock } from '@naru/runtime';
import type { LeaderEpochs } from './leader-epochs.ts';
import type { LogBounds } from './log-bounds.ts';
import { StorageError } from './log-errors.ts';
import type { LogHealth } from './log-health.ts';
import type { LogTail } from './log-tail.ts';
import type { ProducerStateStore } from './producer-state-store.ts';
import type { SegmentList } from './segment-list.ts';

export interface LogTruncationParts {
  readonly clock: Clock;
  readonly bounds: LogBounds;
  readonly segments: SegmentList;
  readonly tail: LogTail;
  readonly health: LogHealth;
  readonly leaderEpochs: LeaderEpochs;
  readonly producers: ProducerStateStore;
  readonly checkpoints: {
    recoveryPointLowered(offset: number): Promise<void>;
    logStartMoved(offset: number): Promise<void>;
  };
  readonly addSegment: (baseOffset: number) => void;
}

/** Takes the end of a log away, or all of it, in an order of which a crash can leave any part undone. Runs while nothing appends and nothing syncs. */
export class LogTruncation {
  readonly #parts: LogTruncationParts;

  constructor(parts: LogTruncationParts) {
    this.#parts = parts;
  }

  /** Cuts data; the epochs above `offset` are cut already. */
  async truncateData(offset: number): Promise<void> {
    const { bounds, segments, health, producers, checkpoints } = this.#parts;
    const target = Math.min(offset, bounds.logEndOffset, health.damage?.offset ?? offset);
    const segment = segments.holding(target);
    const cut = await segment.planCut(target);
    if (cut.bad !== undefined && health.state.kind !== 'damaged') {
      // Below the cut nothing was to go: a shorter log without a word would still count for what it has lost (row 57).
      const { offset: damagedAt, position, reason } = cut.bad;
      health.noteDamage({ offset: damagedAt, file: segment.path('.log'), position, reason });
      throw new StorageError('damaged', `cannot cut at ${target}: ${reason}`);
    }
    // The batch begins before the log start: of what is left, nothing can be read (L3).
    if (cut.offset < bounds.logStartOffset) return this.startOver(bounds.logStartOffset);
    await checkpoints.recoveryPointLowered(cut.offset);
    await producers.removeAbove(cut.offset);
    bounds.cuts++;
    bounds.logEndOffset = cut.offset;
    bounds.flushedOffset = Math.min(bounds.flushedOffset, cut.offset);
    this.#parts.tail.truncateTo(cut.offset);
    this.#parts.leaderEpochs.truncateFromEnd(cut.offset);
    await segments.removeAfter(segment);
    segment.applyCut(cut);
    await segment.sync();
    await health.repaired();
    const damage = await producers.rebuild(segments.snapshot(), cut.offset, this.#parts.clock);
    if (damage !== undefined) health.noteDamage(damage);
  }

  async startOver(offset: number): Promise<void> {
    const { bounds, segments, leaderEpochs, producers, checkpoints } = this.#parts;
    await checkpoints.recoveryPointLowered(Math.min(offset, bounds.logStartOffset));
    // Forward before the files go, so that files which a crash brings back are known as deleted; backward after it.
    const isForward = offset > bounds.logStartOffset;
    if (isForward) await checkpoints.logStartMoved(offset);
    this.#parts.tail.clear();
    bounds.cuts++;
    bounds.logStartOffset = offset;
    bounds.logEndOffset = offset;
    bounds.flushedOffset = offset;
    leaderEpochs.clear();
    await producers.clear();
    await segments.removeFrom(0);
    if (!isForward) await checkpoints.logStartMoved(offset);
    this.#parts.addSegment(offset);
    await segments.sync();
    await leaderEpochs.persist();
    await this.#parts.health.repaired();
  }
}
