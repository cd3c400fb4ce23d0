import {
  attributeBits,
  type BatchHeader,
  batchHeaderBytes,
  batchLayout,
  batchLengthPrefixBytes,
  compress,
  computeBatchCrc,
  decompress,
  RecordError,
  readInt16,
  sizeOfVarint,
  sizeOfVarlong,
  VarintReader,
  varintBytesMax,
  varlongBytesMax,
  writeInt16,
  writeInt32,
  writeInt64,
  writeVarint,
  writeVarlong,
} from '@naru/record';

/** Where a record of a batch lies in its (decompressed) records. */
interface RecordSpan {
  readonly start: number;
  /** After the length. */
  readonly bodyStart: number;
  /** After attributes, timestamp and offset: key, value, headers. */
  readonly restStart: number;
  readonly end: number;
  readonly timestampMs: number;
  readonly offsetDelta: number;
  readonly key: Uint8Array | null;
  readonly isTombstone: boolean;
}

/** What decides which records stay. */
export interface CleaningRules {
  /** The last offset of the key up to `latestOffset`; -1 when it is not there or not known. */
  readonly lastOffsetOf: (key: Uint8Array) => number;
  /** What was looked at ends here: records beyond it stay. */
  readonly latestOffset: number;
  readonly nowMs: number;
  readonly deleteRetentionMs: number;
}

/** Calls `visit` with every keyed record until it says false. Throws `RecordError`. */
export function visitKeys(
  batch: Uint8Array,
  header: BatchHeader,
  visit: (key: Uint8Array, offset: number) => boolean,
): boolean {
  if (header.isControl || header.recordsCount === 0) return true;
  for (const { key, offsetDelta } of spansOf(recordsOf(batch, header), header)) {
    if (key !== null && !visit(key, header.baseOffset + offsetDelta)) return false;
  }
  return true;
}

/**
 * What is left of a batch: the batch itself when nothing changes; undefined when nothing is left, unless `mustStay`, then a batch without records. Offsets,
 * epoch and the producer's fields stay as they are (L9); the codec, too. Rules of Kafka's Cleaner.shouldRetainRecord:
 *
 * - a record that a later one of its key replaces goes;
 * - a record without key goes: it came before the topic was compacted, and nobody could ever say that it is outdated;
 * - a tombstone stays until its delete horizon, which its batch gets when it is first cleaned (bit 6 of the attributes; the base timestamp then
 *   is the horizon, KIP-534): everyone who reads from the start has that long to see that the key is gone;
 * - control batches stay whole: they have no keys of users, and what they decide may still be there (row 48).
 *
 * Throws `RecordError`.
 */
export function filterBatch(
  batch: Uint8Array,
  header: BatchHeader,
  rules: CleaningRules,
  mustStay: boolean,
): Uint8Array | undefined {
  if (header.isControl) return batch;
  if (header.recordsCount === 0) return mustStay ? batch : undefined;
  const records = recordsOf(batch, header);
  const hasHorizon = (header.attributes & attributeBits.deleteHorizon) !== 0;
  const keepsTombstones = !hasHorizon || rules.nowMs < header.baseTimestampMs;
  const kept: RecordSpan[] = [];
  let hasTombstones = false;
  for (const span of spansOf(records, header)) {
    if (!isKept(span, header.baseOffset + span.offsetDelta, rules, keepsTombstones)) continue;
    hasTombstones ||= span.isTombstone;
    kept.push(span);
  }
  if (kept.length === 0) return mustStay ? emptyBatch(batch, header) : undefined;
  // A tombstone beyond what was looked at was not cleaned: older records of its key may still be there.
  const needsHorizon = hasTombstones && !hasHorizon && header.lastOffset <= rules.latestOffset;
  if (kept.length === header.recordsCount && !needsHorizon) return batch;
  return rewrite(batch, header, records, kept, needsHorizon ? rules.nowMs + rules.deleteRetentionMs : undefined);
}

function isKept(span: RecordSpan, offset: number, rules: CleaningRules, keepsTombstones: boolean): boolean {
  if (offset > rules.latestOffset) return true;
  if (span.key === null || offset < rules.lastOffsetOf(span.key)) return false;
  return !span.isTombstone || keepsTombstones;
}

function recordsOf(batch: Uint8Array, header: BatchHeader): Uint8Array {
  return decompress(header.compression, batch.subarray(batchHeaderBytes, header.sizeBytes));
}

function* spansOf(records: Uint8Array, header: BatchHeader): Generator<RecordSpan, void, undefined> {
  const reader = new VarintReader(records);
  let lastDelta = -1;
  for (let left = header.recordsCount; left > 0; left--) {
    const span = readSpan(reader, header);
    if (span.offsetDelta <= lastDelta || span.offsetDelta > header.lastOffsetDelta) {
      throw new RecordError('corrupt', `offset delta ${span.offsetDelta} after ${lastDelta}`);
    }
    lastDelta = span.offsetDelta;
    yield span;
  }
  if (reader.position !== reader.end) throw new RecordError('corrupt', 'bytes are left after the last record');
}

function readSpan(reader: VarintReader, header: BatchHeader): RecordSpan {
  const start = reader.position;
  const size = reader.readVarint();
  const bodyStart = reader.position;
  const end = bodyStart + size;
  if (size < 0 || end > reader.end) throw new RecordError('corrupt', `a record of ${size} bytes does not fit`);
  reader.position++;
  const timestampMs = header.baseTimestampMs + reader.readVarlong();
  const offsetDelta = reader.readVarint();
  const restStart = reader.position;
  const key = readKey(reader, end);
  const isTombstone = reader.readVarint() === -1;
  if (reader.position > end) throw new RecordError('corrupt', 'a record does not fill its length');
  reader.position = end;
  return { start, bodyStart, restStart, end, timestampMs, offsetDelta, key, isTombstone };
}

function readKey(reader: VarintReader, end: number): Uint8Array | null {
  const length = reader.readVarint();
  if (length === -1) return null;
  const start = reader.position;
  if (length < 0 || start + length > end) throw new RecordError('corrupt', `a key of ${length} bytes does not fit`);
  reader.position = start + length;
  return reader.bytes.subarray(start, start + length);
}

/** Everything but times, offsets and length is copied as it is. */
function rewrite(
  batch: Uint8Array,
  header: BatchHeader,
  records: Uint8Array,
  kept: readonly RecordSpan[],
  horizonMs: number | undefined,
): Uint8Array {
  const baseTimestampMs = horizonMs ?? header.baseTimestampMs;
  const content = packRecords(records, kept, horizonMs);
  const packed = compress(header.compression, content);
  const bytes = Buffer.allocUnsafe(batchHeaderBytes + packed.length);
  bytes.set(batch.subarray(0, batchHeaderBytes));
  bytes.set(packed, batchHeaderBytes);
  if (horizonMs !== undefined) {
    writeInt16(bytes, batchLayout.attributes, readInt16(bytes, batchLayout.attributes) | attributeBits.deleteHorizon);
  }
  writeInt64(bytes, batchLayout.baseTimestamp, baseTimestampMs);
  if (header.timestampType === 'CreateTime') {
    const maxTimestampMs = kept.reduce((max, span) => Math.max(max, span.timestampMs), -1);
    writeInt64(bytes, batchLayout.maxTimestamp, maxTimestampMs);
  }
  return finished(bytes, kept.length);
}

function packRecords(records: Uint8Array, kept: readonly RecordSpan[], horizonMs: number | undefined): Uint8Array {
  const growth = horizonMs === undefined ? 0 : kept.length * (varlongBytesMax + varintBytesMax);
  const bytes = Buffer.allocUnsafe(kept.reduce((sum, { start, end }) => sum + end - start, growth));
  let at = 0;
  for (const span of kept) {
    const { start, bodyStart, restStart, end, offsetDelta } = span;
    if (horizonMs === undefined) {
      bytes.set(records.subarray(start, end), at);
      at += end - start;
      continue;
    }
    const timestampDelta = span.timestampMs - horizonMs;
    at = writeVarint(bytes, at, 1 + sizeOfVarlong(timestampDelta) + sizeOfVarint(offsetDelta) + end - restStart);
    bytes[at++] = records[bodyStart] as number;
    at = writeVarlong(bytes, at, timestampDelta);
    at = writeVarint(bytes, at, offsetDelta);
    bytes.set(records.subarray(restStart, end), at);
    at += end - restStart;
  }
  return bytes.subarray(0, at);
}

/** Kafka's empty batch (DefaultRecordBatch.writeEmptyHeader): it says where offsets, epoch and sequence numbers stood. */
function emptyBatch(batch: Uint8Array, header: BatchHeader): Uint8Array {
  const bytes = Buffer.from(batch.subarray(0, batchHeaderBytes));
  const dropped = attributeBits.compression | attributeBits.deleteHorizon;
  writeInt16(bytes, batchLayout.attributes, header.attributes & ~dropped);
  writeInt64(bytes, batchLayout.baseTimestamp, header.maxTimestampMs);
  return finished(bytes, 0);
}

function finished(bytes: Uint8Array, recordsCount: number): Uint8Array {
  writeInt32(bytes, batchLayout.batchLength, bytes.length - batchLengthPrefixBytes);
  writeInt32(bytes, batchLayout.recordsCount, recordsCount);
  writeInt32(bytes, batchLayout.crc, computeBatchCrc(bytes, 0, bytes.length));
  return bytes;
}
