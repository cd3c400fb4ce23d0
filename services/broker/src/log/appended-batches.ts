import {
  type BatchHeader,
  batchLayout,
  batchSizeAt,
  readInt32,
  setBaseOffset,
  setMaxTimestampAndLogAppendTime,
  setPartitionLeaderEpoch,
  validateBatch,
} from '@naru/record';
import { storedBatchBytesMax } from './batch-scan.ts';
import type { FollowerAppend } from './log-types.ts';

/**
 * Gives the batches of a producer their offsets, from `baseOffset` on, and the leader epoch, in place. Returns the offset after the last one.
 * `logAppendTimeMs`: their time, too, for topics that want it.
 */
export function stampBatches(
  records: Uint8Array,
  stamp: { readonly baseOffset: number; readonly leaderEpoch: number; readonly logAppendTimeMs: number | undefined },
): number {
  let nextOffset = stamp.baseOffset;
  for (let at = 0; at < records.length; ) {
    setBaseOffset(records, at, nextOffset);
    setPartitionLeaderEpoch(records, at, stamp.leaderEpoch);
    if (stamp.logAppendTimeMs !== undefined) setMaxTimestampAndLogAppendTime(records, at, stamp.logAppendTimeMs);
    nextOffset += readInt32(records, at + batchLayout.lastOffsetDelta) + 1;
    at += batchSizeAt(records, at) as number;
  }
  return nextOffset;
}

export interface SuccessorBatches {
  readonly kind: 'successors';
  readonly nextOffset: number;
  /** Offsets are missing before or between them. */
  readonly hasHoles: boolean;
  /** The first batch of every epoch that is new. */
  readonly newEpochs: readonly BatchHeader[];
}

/** Whether whole, valid batches (row 21) continue a log that ends at `logEndOffset` with `latestEpoch` (L1, L2). */
export function checkSuccessors(
  records: Uint8Array,
  log: { readonly logEndOffset: number; readonly latestEpoch: number; readonly mayHaveHoles: boolean },
): SuccessorBatches | Exclude<FollowerAppend, { kind: 'appended' }> {
  let expected = log.logEndOffset;
  let latest = log.latestEpoch;
  let hasHoles = false;
  const newEpochs: BatchHeader[] = [];
  for (let at = 0; at < records.length; ) {
    const validation = validateBatch(records, at, { maxBatchBytes: storedBatchBytesMax, source: 'log' });
    if (validation.kind === 'invalid') return { ...validation, kind: 'invalid-batch' };
    const { header } = validation;
    const isHole = header.baseOffset > expected;
    if (header.baseOffset < expected || (isHole && !log.mayHaveHoles)) {
      return { kind: 'unexpected-offset', expected, found: header.baseOffset };
    }
    hasHoles ||= isHole;
    const epoch = header.partitionLeaderEpoch;
    if (epoch < latest) return { kind: 'unexpected-epoch', latest, found: epoch };
    if (epoch > latest) newEpochs.push(header);
    latest = epoch;
    expected = header.lastOffset + 1;
    at = validation.end;
  }
  return { kind: 'successors', nextOffset: expected, hasHoles, newEpochs };
}
