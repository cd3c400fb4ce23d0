/** Where a log begins and ends: logStartOffset ≤ flushedOffset ≤ logEndOffset (L3). Only the log itself changes it. */
export interface LogBounds {
  logStartOffset: number;
  logEndOffset: number;
  /** Everything below is durable. */
  flushedOffset: number;
  /** Counts cuts: what was read of the log before may not be in it any more. */
  cuts: number;
}
