import type { HeaderEntry } from './batch-builder.ts';
import { type BatchHeader, batchHeaderBytes, readBatchHeader } from './batch-header.ts';
import { decompress, decompressedBytesMax } from './compression.ts';
import { RecordError } from './errors.ts';
import { VarintReader } from './varint.ts';

/** Length 6 and its own byte: attributes, timestamp, offset, null key, null value, no headers. */
const recordBytesMin = 7;

const noHeaders: readonly HeaderEntry[] = [];

/** A record of a batch. Key, value and header values are views into the batch (or its decompressed content), not copies. */
export interface DecodedRecord {
  readonly offset: number;
  readonly timestampMs: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly HeaderEntry[];
}

/**
 * Walks the records of one batch. The fields hold the current record after `next()` returned true; nothing is allocated
 * but the views. Anything that does not fit throws `RecordError` `corrupt`.
 */
export class RecordReader {
  readonly header: BatchHeader;
  offset: number = -1;
  timestampMs: number = -1;
  key: Uint8Array | null = null;
  value: Uint8Array | null = null;
  headers: readonly HeaderEntry[] = noHeaders;

  readonly #reader: VarintReader;
  readonly #isLogAppendTime: boolean;
  #left: number;
  #lastDelta = -1;

  constructor(batch: Uint8Array, maxBytes: number = decompressedBytesMax) {
    this.header = readBatchHeader(batch);
    const { sizeBytes, compression, recordsCount } = this.header;
    if (sizeBytes < batchHeaderBytes || sizeBytes > batch.length)
      throw new RecordError('corrupt', 'the batch is not whole');
    const records = decompress(compression, batch.subarray(batchHeaderBytes, sizeBytes), maxBytes);
    // A count that cannot be: refused here, so that nobody reserves room for two thousand million records.
    if (recordsCount < 0 || recordsCount * recordBytesMin > records.length) {
      throw new RecordError('corrupt', `${recordsCount} records do not fit into ${records.length} bytes`);
    }
    this.#reader = new VarintReader(records);
    this.#isLogAppendTime = this.header.timestampType === 'LogAppendTime';
    this.#left = recordsCount;
  }

  /** Moves to the next record; false after the last. */
  next(): boolean {
    const reader = this.#reader;
    if (this.#left === 0) {
      if (reader.position !== reader.end) throw new RecordError('corrupt', 'bytes are left after the last record');
      return false;
    }
    this.#left--;
    const size = reader.readVarint();
    const end = reader.position + size;
    if (size < 0 || end > reader.end) throw new RecordError('corrupt', `a record of ${size} bytes does not fit`);
    reader.position++;
    const timestampDelta = reader.readVarlong();
    const offsetDelta = reader.readVarint();
    this.#checkOffsetDelta(offsetDelta);
    this.offset = this.header.baseOffset + offsetDelta;
    this.timestampMs = this.#isLogAppendTime
      ? this.header.maxTimestampMs
      : this.header.baseTimestampMs + timestampDelta;
    this.key = this.#readField(end);
    this.value = this.#readField(end);
    this.headers = this.#readHeaders(end);
    if (reader.position !== end) throw new RecordError('corrupt', 'a record does not fill its length');
    return true;
  }

  /** Offsets inside a batch grow, with holes where a record was compacted away (L1). */
  #checkOffsetDelta(delta: number): void {
    if (delta <= this.#lastDelta || delta > this.header.lastOffsetDelta) {
      throw new RecordError('corrupt', `offset delta ${delta} after ${this.#lastDelta}`);
    }
    this.#lastDelta = delta;
  }

  #readField(end: number): Uint8Array | null {
    const reader = this.#reader;
    const length = reader.readVarint();
    if (length === -1) return null;
    const start = reader.position;
    if (length < 0 || start + length > end) throw new RecordError('corrupt', `a field of ${length} bytes does not fit`);
    reader.position = start + length;
    return reader.bytes.subarray(start, start + length);
  }

  #readHeaders(end: number): readonly HeaderEntry[] {
    const count = this.#reader.readVarint();
    if (count === 0) return noHeaders;
    if (count < 0 || count > end - this.#reader.position)
      throw new RecordError('corrupt', `${count} headers do not fit`);
    const headers: HeaderEntry[] = [];
    for (let i = 0; i < count; i++) {
      const name = this.#readField(end);
      if (name === null) throw new RecordError('corrupt', 'a header without a key');
      headers.push([Buffer.from(name.buffer, name.byteOffset, name.length).toString('utf8'), this.#readField(end)]);
    }
    return headers;
  }
}

/** The records of one batch, decoded one at a time. Throws `RecordError` as `RecordReader` does. */
export function* decodeRecords(
  batch: Uint8Array,
  maxBytes: number = decompressedBytesMax,
): Generator<DecodedRecord, void, undefined> {
  const reader = new RecordReader(batch, maxBytes);
  while (reader.next()) {
    yield {
      offset: reader.offset,
      timestampMs: reader.timestampMs,
      key: reader.key,
      value: reader.value,
      headers: reader.headers,
    };
  }
}
