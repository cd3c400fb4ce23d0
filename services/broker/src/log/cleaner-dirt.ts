import { isCompacted } from './log-config.ts';
import type { PartitionLog } from './partition-log.ts';
import { headerAt, type Segment } from './segment.ts';

/** What of a log can be cleaned now. */
export interface Dirt {
  readonly log: PartitionLog;
  /** Closed segments that may be rewritten, from the log's first on; all of them end at or below the high watermark. */
  readonly segments: readonly Segment[];
  /** Below it the log was cleaned. */
  readonly firstDirtyOffset: number;
  /** Cleanable bytes that were not cleaned yet / all cleanable bytes. */
  readonly ratio: number;
  /** By the dirty ratio or by `max.compaction.lag.ms`. */
  readonly mustClean: boolean;
}

/**
 * Kafka's LogCleanerManager.cleanableOffsets: nothing at or above the high watermark (it may still be cut; and all that is not committed, L9, row 48), nothing that is not
 * durable here, not the segment that is appended to, nothing younger than `min.compaction.lag.ms`. Undefined when nothing is dirty.
 */
export async function findDirt(
  log: PartitionLog,
  bounds: { readonly highWatermark: number; readonly cleanedTo: number; readonly nowMs: number },
): Promise<Dirt | undefined> {
  if (log.state.kind !== 'open' || !isCompacted(log.config)) return undefined;
  const segments = await cleanableSegments(log, Math.min(bounds.highWatermark, log.flushedOffset), bounds.nowMs);
  const isKnown = bounds.cleanedTo >= log.logStartOffset && bounds.cleanedTo <= log.logEndOffset;
  const firstDirtyOffset = isKnown ? bounds.cleanedTo : log.logStartOffset;
  const dirty = segments.filter((segment) => segment.nextOffset > firstDirtyOffset);
  const [firstDirty] = dirty;
  if (firstDirty === undefined) return undefined;
  const ratio = bytesOf(dirty) / bytesOf(segments);
  const mustClean = ratio > log.config['min.cleanable.dirty.ratio'] || (await isOverdue(log, firstDirty, bounds.nowMs));
  return { log, segments, firstDirtyOffset, ratio, mustClean };
}

async function cleanableSegments(log: PartitionLog, limit: number, nowMs: number): Promise<Segment[]> {
  const lagMs = log.config['min.compaction.lag.ms'];
  const segments: Segment[] = [];
  for (const segment of log.sealedSegments) {
    if (segment.nextOffset > limit || segment.isDirty || segment.needsSeal) break;
    if (lagMs > 0) {
      const { maxTimestampMs } = await segment.use(() => segment.content());
      if ((maxTimestampMs >= 0 ? maxTimestampMs : segment.createdMs) > nowMs - lagMs) break;
    }
    segments.push(segment);
  }
  return segments;
}

async function isOverdue(log: PartitionLog, segment: Segment, nowMs: number): Promise<boolean> {
  const lagMs = log.config['max.compaction.lag.ms'];
  // No clock is so late that the default could matter.
  if (lagMs >= nowMs) return false;
  const first = await segment.use(async () => headerAt(await segment.file(), 0));
  return first !== undefined && first.maxTimestampMs < nowMs - lagMs;
}

function bytesOf(segments: readonly Segment[]): number {
  return segments.reduce((sum, segment) => sum + segment.sizeBytes, 0);
}
