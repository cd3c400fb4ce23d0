import {
  type BatchHeader,
  batchHeaderBytes,
  batchSizeAt,
  decompressedBytesMax,
  RecordError,
  RecordReader,
  validateBatch,
} from '@naru/record';
import { discontinuity, storedBatchBytesMax } from './batch-scan.ts';
import type { DamagedBatch, FetchedBatches, LogDamage, TimestampOffset } from './log-types.ts';
import { logSuffix, type Segment } from './segment.ts';

/** Bytes read beyond what was asked for: from the indexed batch to the wanted one is about one index interval. */
const leadBytes = 8 * 1024;
/** Smallest read; a consumer with tiny limits still skips through whole batches. */
const readBytesMin = 64 * 1024;

/**
 * Reads whole batches from a segment's file, from the one that holds `offset` on (or the next one, where compaction removed it),
 * and checks every CRC before anything is served (L4). The CRC does not cover a batch's leader epoch: with `epochOf`, which asks the epoch vector,
 * that is checked, too, for a follower would learn a wrong one for ever. `offset` must be below the segment's end.
 */
export async function readBatches(
  segment: Segment,
  offset: number,
  maxBytes: number,
  upTo: number,
  epochOf: EpochOf = unknownEpoch,
): Promise<FetchedBatches | DamagedBatch> {
  const { offsets } = await segment.content();
  const found = await readFrom(segment, offsets.positionFor(offset), { offset, maxBytes, upTo, epochOf });
  if (found.kind === 'batches' || offsets.isEmpty) return found;
  // An index that leads astray looks like damage. Only the batches themselves can be damaged: build it anew and look again.
  await segment.rebuildIndexes();
  const { offsets: rebuilt } = await segment.content();
  return readFrom(segment, rebuilt.positionFor(offset), { offset, maxBytes, upTo, epochOf });
}

/** The leader epoch of an offset, -1 when it is not known. */
type EpochOf = (offset: number) => number;

const unknownEpoch: EpochOf = () => -1;

interface Wanted {
  readonly offset: number;
  readonly maxBytes: number;
  readonly upTo: number;
  readonly epochOf: EpochOf;
}

async function readFrom(segment: Segment, start: number, wanted: Wanted): Promise<FetchedBatches | DamagedBatch> {
  const { offset, maxBytes } = wanted;
  const file = await segment.file();
  const end = segment.sizeBytes;
  let position = start;
  let neededBytes = Math.max(maxBytes + leadBytes, readBytesMin);
  for (;;) {
    const bytes = await file.read(position, Math.min(end - position, neededBytes));
    // Where an index entry leads, a batch ends at or below the offset: one beyond it means that the index is wrong.
    const isIndexed = position === start && start > 0;
    const skip = skipTo(bytes, offset, { mayHaveHoles: segment.mayHaveHoles, isIndexed });
    if (skip.kind === 'bad') return damaged(segment, offset, position + skip.at, skip.reason);
    if (skip.kind === 'found') return collect(segment, bytes, { ...wanted, position, at: skip.at });
    position += skip.at;
    if (position + skip.bytes > end)
      return damaged(segment, offset, position, 'a batch goes past the end of the segment');
    // Every turn reads at least what stopped the last one, or goes past it.
    if (skip.isWanted) neededBytes = Math.max(skip.bytes, maxBytes);
    else position += skip.bytes;
  }
}

type Skip =
  /** The batch that holds the offset, or else the next one, is whole in the bytes. */
  | { readonly kind: 'found'; readonly at: number }
  /** The bytes end inside the batch at `at`, or inside its header; `bytes` are needed to see it (or to pass it). */
  | { readonly kind: 'more'; readonly at: number; readonly bytes: number; readonly isWanted: boolean }
  | { readonly kind: 'bad'; readonly at: number; readonly reason: string };

/** Finds the first batch that does not end below `offset`, by headers alone. */
function skipTo(
  bytes: Uint8Array,
  offset: number,
  { mayHaveHoles, isIndexed }: { readonly mayHaveHoles: boolean; readonly isIndexed: boolean },
): Skip {
  let at = 0;
  for (;;) {
    if (at + batchHeaderBytes > bytes.length) return { kind: 'more', at, bytes: batchHeaderBytes, isWanted: true };
    const size = batchSizeAt(bytes, at) as number;
    if (size < batchHeaderBytes || size > storedBatchBytesMax) {
      return { kind: 'bad', at, reason: `no batch has ${size} bytes` };
    }
    const range = offsetsAt(bytes, at);
    if (range === undefined) return { kind: 'bad', at, reason: 'no batch has such a header' };
    if (range.baseOffset > offset && (!mayHaveHoles || (isIndexed && at === 0))) {
      return { kind: 'bad', at, reason: `offset ${offset} is missing before ${range.baseOffset}` };
    }
    const isWanted = range.lastOffset >= offset;
    if (at + size > bytes.length) return { kind: 'more', at, bytes: size, isWanted };
    if (isWanted) return { kind: 'found', at };
    at += size;
  }
}

function offsetsAt(bytes: Uint8Array, at: number): { baseOffset: number; lastOffset: number } | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, batchHeaderBytes);
  const baseOffset = Number(view.getBigInt64(0));
  const delta = view.getInt32(23);
  return delta < 0 || baseOffset < 0 ? undefined : { baseOffset, lastOffset: baseOffset + delta };
}

/** Checks and takes batches from `at` on while they fit; the first one in any case (KIP-74). */
function collect(
  segment: Segment,
  bytes: Uint8Array,
  want: Wanted & { readonly position: number; readonly at: number },
): FetchedBatches | DamagedBatch {
  const start = want.at;
  let { at } = want;
  let firstOffset = want.offset;
  let nextOffset = want.offset;
  while (at < bytes.length) {
    const isFirst = at === start;
    const size = batchSizeAt(bytes, at);
    if (!isFirst && (size === undefined || at + size > bytes.length || at + size - start > want.maxBytes)) break;
    const validation = validateBatch(bytes, at, { maxBatchBytes: storedBatchBytesMax, source: 'log' });
    const reason =
      validation.kind === 'invalid'
        ? validation.message
        : (foreignEpoch(validation.header, want.epochOf) ??
          (isFirst ? undefined : discontinuity(validation.header.baseOffset, nextOffset, segment.mayHaveHoles)));
    if (reason !== undefined) {
      // Good batches before the bad one can be served; the next read meets it first.
      if (!isFirst) break;
      return damaged(segment, want.offset, want.position + at, reason);
    }
    const { header } = validation as { header: BatchHeader };
    if (header.lastOffset >= want.upTo) break;
    if (isFirst) firstOffset = header.baseOffset;
    nextOffset = header.lastOffset + 1;
    at += header.sizeBytes;
  }
  const records = at === start ? [] : [bytes.subarray(start, at)];
  return { kind: 'batches', records, sizeBytes: at - start, firstOffset, nextOffset };
}

function foreignEpoch({ baseOffset, partitionLeaderEpoch }: BatchHeader, epochOf: EpochOf): string | undefined {
  const epoch = epochOf(baseOffset);
  if (epoch < 0 || epoch === partitionLeaderEpoch) return undefined;
  return `the batch has leader epoch ${partitionLeaderEpoch} instead of ${epoch}`;
}

function damaged(segment: Segment, offset: number, position: number, reason: string): DamagedBatch {
  const damage: LogDamage = { offset, file: segment.path(logSuffix), position, reason };
  return { kind: 'damaged', damage };
}

/** The first record of the segment, from `fromOffset` on, whose timestamp is at least `timestampMs`. */
export async function findTimestamp(
  segment: Segment,
  timestampMs: number,
  fromOffset: number,
): Promise<TimestampOffset | DamagedBatch | undefined> {
  const { times } = await segment.content();
  let offset = Math.max(fromOffset, times.offsetFor(timestampMs));
  while (offset < segment.nextOffset) {
    const result = await readBatches(segment, offset, readBytesMin, Number.MAX_SAFE_INTEGER);
    if (result.kind === 'damaged') return result;
    for (const bytes of result.records) {
      const found = findInBatches(bytes, (at) => at.timestampMs >= timestampMs && at.offset >= fromOffset, timestampMs);
      if (found !== undefined) return found;
    }
    if (result.nextOffset <= offset) return undefined;
    offset = result.nextOffset;
  }
  return undefined;
}

function findInBatches(
  bytes: Uint8Array,
  matches: (record: { readonly offset: number; readonly timestampMs: number }) => boolean,
  timestampMs: number,
): TimestampOffset | undefined {
  for (let at = 0; at < bytes.length; ) {
    const size = batchSizeAt(bytes, at) as number;
    const batch = bytes.subarray(at, at + size);
    at += size;
    try {
      const reader = new RecordReader(batch, decompressedBytesMax);
      if (reader.header.maxTimestampMs < timestampMs) continue;
      while (reader.next()) {
        if (matches(reader)) {
          const { offset, timestampMs: found, header } = reader;
          return { offset, timestampMs: found, leaderEpoch: header.partitionLeaderEpoch };
        }
      }
    } catch (error) {
      // Records that a client packed badly, or with a codec that cannot be loaded here: the batch's own header has to do.
      if (!(error instanceof RecordError)) throw error;
      const found = headerMatch(batch, timestampMs);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

function headerMatch(batch: Uint8Array, timestampMs: number): TimestampOffset | undefined {
  const validation = validateBatch(batch, 0, { maxBatchBytes: storedBatchBytesMax, source: 'log' });
  if (validation.kind === 'invalid' || validation.header.maxTimestampMs < timestampMs) return undefined;
  const { baseOffset, maxTimestampMs, partitionLeaderEpoch } = validation.header;
  return { offset: baseOffset, timestampMs: maxTimestampMs, leaderEpoch: partitionLeaderEpoch };
}
