import type { BatchHeader } from '@naru/record';
import { OffsetIndex, offsetIndexEntryBytes } from './offset-index.ts';
import { TimeIndex, timeIndexEntryBytes } from './time-index.ts';

/** What a segment must know of a batch to index it. */
export type IndexedBatch = Pick<BatchHeader, 'lastOffset' | 'maxTimestampMs' | 'sizeBytes' | 'recordsCount'>;

/** What is known of the batches of a segment's file: its indexes and what makes the next entries of them. */
export class SegmentContent {
  readonly offsets: OffsetIndex;
  readonly times: TimeIndex;
  /** Bytes of the whole batches that were added. */
  sizeBytes = 0;
  /** Offset after the last batch. */
  nextOffset: number;
  /** Largest timestamp of the first batch, -1 before it. */
  firstTimestampMs = -1;
  maxTimestampMs = -1;
  /** Last offset of the first batch that has it. */
  maxTimestampOffset = -1;
  #bytesSinceEntry = 0;

  constructor(baseOffset: number, loaded?: { readonly offsets: OffsetIndex; readonly times: TimeIndex }) {
    this.offsets = loaded?.offsets ?? new OffsetIndex(baseOffset);
    this.times = loaded?.times ?? new TimeIndex(baseOffset);
    this.nextOffset = baseOffset;
    this.maxTimestampMs = loaded?.times.last?.timestampMs ?? -1;
    this.maxTimestampOffset = loaded?.times.last?.offset ?? -1;
  }

  /** Counts and indexes the next batch, as Kafka does (LogSegment.append). */
  add(batch: IndexedBatch, indexIntervalBytes: number): void {
    this.noteTimestamp(batch);
    if (this.sizeBytes === 0) this.firstTimestampMs = batch.maxTimestampMs;
    if (this.#bytesSinceEntry > indexIntervalBytes) {
      this.offsets.append(batch.lastOffset, this.sizeBytes);
      this.times.maybeAppend(this.maxTimestampMs, this.maxTimestampOffset);
      this.#bytesSinceEntry = 0;
    }
    this.#bytesSinceEntry += batch.sizeBytes;
    this.sizeBytes += batch.sizeBytes;
    this.nextOffset = batch.lastOffset + 1;
  }

  /** For batches that the loaded indexes cover already. */
  noteTimestamp(batch: IndexedBatch): void {
    // Compaction leaves batches without records: nothing in them has that time.
    if (batch.maxTimestampMs <= this.maxTimestampMs || batch.recordsCount === 0) return;
    this.maxTimestampMs = batch.maxTimestampMs;
    this.maxTimestampOffset = batch.lastOffset;
  }

  /** Continues loaded indexes after the batches between their last entry and the end of the file. */
  resumeAt(end: { readonly sizeBytes: number; readonly nextOffset: number; readonly bytesSinceEntry: number }): void {
    this.sizeBytes = end.sizeBytes;
    this.nextOffset = end.nextOffset;
    this.#bytesSinceEntry = end.bytesSinceEntry;
  }

  /** The last entry of a sealed time index is the segment's largest timestamp. */
  finish(): void {
    this.times.maybeAppend(this.maxTimestampMs, this.maxTimestampOffset);
  }

  /** Whether one more entry fits into both indexes. */
  hasIndexRoom(indexBytesMax: number): boolean {
    return (
      this.offsets.sizeBytes + offsetIndexEntryBytes <= indexBytesMax &&
      this.times.sizeBytes + timeIndexEntryBytes <= indexBytesMax
    );
  }
}
