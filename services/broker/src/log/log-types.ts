import type { InvalidBatchReason } from '@naru/record';

/** Whole batches as they are stored; views of memory that nobody may change. */
export interface FetchedBatches {
  readonly kind: 'batches';
  /** One after the other they are the answer; empty when there is nothing to read yet. */
  readonly records: readonly Uint8Array[];
  readonly sizeBytes: number;
  /** Base offset of the first batch: it may lie before the offset that was asked for, or after it where compaction removed batches. The asked offset when empty. */
  readonly firstOffset: number;
  /** The offset after the last batch. */
  readonly nextOffset: number;
}

export interface OffsetOutOfRange {
  readonly kind: 'out-of-range';
  readonly logStartOffset: number;
  readonly logEndOffset: number;
}

/** A stored batch fails its CRC: nothing of it is served (L4), the leader gives up leadership and repairs (row 21). */
export interface DamagedBatch {
  readonly kind: 'damaged';
  readonly damage: LogDamage;
}

export type ReadResult = FetchedBatches | OffsetOutOfRange | DamagedBatch;

/** Where a log stops to be what was written to it. Everything below `offset` is intact as far as it was looked at. */
export interface LogDamage {
  readonly offset: number;
  readonly file: string;
  readonly position: number;
  /** One line for people. */
  readonly reason: string;
  /**
   * A start met it at or beyond the recovery point: it may be nothing but writes that no sync had covered when the power went, of which a later one
   * reached the disk and an earlier one did not. Left out: a part that was synced is lost.
   */
  readonly beyondRecoveryPoint?: true;
}

/** What a damaged log still is, as far as others have to know. */
export interface IntactPart {
  readonly endOffset: number;
  /** Of its last batch; -1 when it has none. */
  readonly leaderEpoch: number;
  /** See `LogDamage`. */
  readonly beyondRecoveryPoint: boolean;
}

export interface LeaderAppend {
  readonly baseOffset: number;
  readonly lastOffset: number;
  /** -1 with CreateTime. */
  readonly logAppendTimeMs: number;
}

export type FollowerAppend =
  | { readonly kind: 'appended'; readonly firstOffset: number; readonly lastOffset: number }
  /** The first batch does not continue the log, or the batches do not continue each other: nothing was appended. */
  | { readonly kind: 'unexpected-offset'; readonly expected: number; readonly found: number }
  /** A batch of an epoch below one that the log already holds (L2), or beyond the leader's own: nothing was appended. */
  | { readonly kind: 'unexpected-epoch'; readonly latest: number; readonly found: number }
  /** Row 21: nothing was appended. */
  | { readonly kind: 'invalid-batch'; readonly reason: InvalidBatchReason; readonly message: string };

/** A record found by its timestamp. */
export interface TimestampOffset {
  readonly offset: number;
  readonly timestampMs: number;
  readonly leaderEpoch: number;
}

/** Kafka's (leaderEpoch, endOffset) pair; -1 and -1 when the epoch says nothing to this log. */
export interface EpochEndOffset {
  readonly epoch: number;
  readonly endOffset: number;
}

/** `damaged` can be read below the damage; `failed` and `closed` only answer with errors. */
export type LogState =
  | { readonly kind: 'open' }
  | { readonly kind: 'damaged'; readonly damage: LogDamage }
  | { readonly kind: 'failed'; readonly error: Error }
  | { readonly kind: 'closed' };
