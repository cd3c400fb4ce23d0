import {
  attributeBits,
  batchHeaderBytes,
  batchLayout,
  batchLengthPrefixBytes,
  computeBatchCrc,
  currentMagic,
  none,
  writeInt16,
  writeInt32,
  writeInt64,
} from './batch-header.ts';
import { type Compression, compress, compressionNumber } from './compression.ts';
import { RecordError } from './errors.ts';
import { sizeOfVarint, sizeOfVarlong, varintBytesMax, varlongBytesMax, writeVarint, writeVarlong } from './varint.ts';

export type HeaderEntry = readonly [key: string, value: Uint8Array | null];

export interface RecordInput {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly timestampMs: number;
  readonly headers?: readonly HeaderEntry[];
}

export interface BatchBuilderOptions {
  readonly compression?: Compression;
  readonly compressionLevel?: number;
  /** Bytes to reserve at first; `batch.size` avoids every growth. */
  readonly capacityBytes?: number;
  /** Compressed size / size, as seen in earlier batches of the topic; `estimatedBytes` goes by it. */
  readonly expectedRatio?: number;
  readonly baseOffset?: number;
  readonly partitionLeaderEpoch?: number;
  readonly producerId?: number;
  readonly producerEpoch?: number;
  readonly baseSequence?: number;
  readonly isTransactional?: boolean;
  readonly isControl?: boolean;
}

const defaultCapacityBytes = 16 * 1024;
/** Length, attributes, timestamp delta, offset delta, key length, value length, header count at their longest. */
const recordOverheadBytesMax = 5 * varintBytesMax + varlongBytesMax + 1;

/** An upper bound for one more record in any batch, the header of a new batch not counted. */
export function recordBytesMax(
  key: Uint8Array | null,
  value: Uint8Array | null,
  headers?: readonly HeaderEntry[],
): number {
  let size = recordOverheadBytesMax + (key?.length ?? 0) + (value?.length ?? 0);
  if (headers !== undefined) {
    for (const [name, content] of headers)
      size += 2 * varintBytesMax + Buffer.byteLength(name) + (content?.length ?? 0);
  }
  return size;
}

/**
 * Writes records one after the other into the bytes that will be the batch. For the producer's accumulator: a record costs
 * no allocation, only its copy. The buffer belongs to the batch for ever after; it is never reused, because a request that
 * was given up on may still be read from it (row 53, CVE-2026-35554).
 */
export class BatchBuilder {
  readonly #options: BatchBuilderOptions;
  readonly #compression: Compression;
  readonly #ratio: number;
  #bytes: Buffer;
  #end: number = batchHeaderBytes;
  #count = 0;
  #baseTimestampMs: number = none;
  #maxTimestampMs: number = none;
  #isClosed = false;
  #producer: { producerId: number; producerEpoch: number; baseSequence: number } | undefined;

  constructor(options: BatchBuilderOptions = {}) {
    this.#options = options;
    this.#compression = options.compression ?? 'none';
    this.#ratio = this.#compression === 'none' ? 1 : (options.expectedRatio ?? 1);
    this.#bytes = Buffer.allocUnsafe(Math.max(batchHeaderBytes + 256, options.capacityBytes ?? defaultCapacityBytes));
  }

  get recordsCount(): number {
    return this.#count;
  }

  /** Header and records before compression. */
  get uncompressedBytes(): number {
    return this.#end;
  }

  /** What `close` will give: exact without compression, otherwise by `expectedRatio`. */
  get estimatedBytes(): number {
    if (this.#ratio === 1) return this.#end;
    return batchHeaderBytes + Math.ceil((this.#end - batchHeaderBytes) * this.#ratio);
  }

  get maxTimestampMs(): number {
    return this.#maxTimestampMs;
  }

  /** Adds a record and returns its offset relative to the batch. The bytes are copied. */
  append(
    key: Uint8Array | null,
    value: Uint8Array | null,
    timestampMs: number,
    headers?: readonly HeaderEntry[],
  ): number {
    if (this.#isClosed) throw new RecordError('not-encodable', 'the batch is closed');
    const offsetDelta = this.#count;
    if (offsetDelta === 0) this.#baseTimestampMs = timestampMs;
    const timestampDelta = timestampMs - this.#baseTimestampMs;
    const headersBytes = headers === undefined || headers.length === 0 ? 1 : sizeOfHeaders(headers);
    const bodyBytes =
      1 +
      sizeOfVarlong(timestampDelta) +
      sizeOfVarint(offsetDelta) +
      sizeOfField(key) +
      sizeOfField(value) +
      headersBytes;
    this.#reserve(varintBytesMax + bodyBytes);
    const bytes = this.#bytes;
    let at = writeVarint(bytes, this.#end, bodyBytes);
    bytes[at++] = 0;
    at = writeVarlong(bytes, at, timestampDelta);
    at = writeVarint(bytes, at, offsetDelta);
    at = writeField(bytes, at, key);
    at = writeField(bytes, at, value);
    if (headersBytes === 1) bytes[at++] = 0;
    else at = writeHeaders(bytes, at, headers as readonly HeaderEntry[]);
    this.#end = at;
    this.#count = offsetDelta + 1;
    if (timestampMs > this.#maxTimestampMs || offsetDelta === 0) this.#maxTimestampMs = timestampMs;
    return offsetDelta;
  }

  /** Sets what an idempotent producer only knows when the batch is drained. Before `close`. */
  setProducer(producerId: number, producerEpoch: number, baseSequence: number): void {
    this.#producer = { producerId, producerEpoch, baseSequence };
  }

  /** Compresses, writes the header, computes the CRC. The builder is of no use afterwards. */
  close(): Uint8Array {
    if (this.#isClosed) throw new RecordError('not-encodable', 'the batch is closed');
    this.#isClosed = true;
    const batch = this.#compression === 'none' ? this.#bytes.subarray(0, this.#end) : this.#compressed();
    this.#bytes = batch;
    this.#writeHeader(batch);
    return batch;
  }

  #compressed(): Buffer {
    const records = this.#bytes.subarray(batchHeaderBytes, this.#end);
    const content = compress(this.#compression, records, this.#options.compressionLevel);
    const batch = Buffer.allocUnsafe(batchHeaderBytes + content.length);
    batch.set(content, batchHeaderBytes);
    return batch;
  }

  #writeHeader(batch: Buffer): void {
    const options = this.#options;
    const producer = this.#producer ?? options;
    const attributes =
      compressionNumber(this.#compression) |
      (options.isTransactional ? attributeBits.transactional : 0) |
      (options.isControl ? attributeBits.control : 0);
    writeInt64(batch, batchLayout.baseOffset, options.baseOffset ?? 0);
    writeInt32(batch, batchLayout.batchLength, batch.length - batchLengthPrefixBytes);
    writeInt32(batch, batchLayout.partitionLeaderEpoch, options.partitionLeaderEpoch ?? none);
    batch[batchLayout.magic] = currentMagic;
    writeInt16(batch, batchLayout.attributes, attributes);
    writeInt32(batch, batchLayout.lastOffsetDelta, this.#count - 1);
    writeInt64(batch, batchLayout.baseTimestamp, this.#baseTimestampMs);
    writeInt64(batch, batchLayout.maxTimestamp, this.#maxTimestampMs);
    writeInt64(batch, batchLayout.producerId, producer.producerId ?? none);
    writeInt16(batch, batchLayout.producerEpoch, producer.producerEpoch ?? none);
    writeInt32(batch, batchLayout.baseSequence, producer.baseSequence ?? none);
    writeInt32(batch, batchLayout.recordsCount, this.#count);
    writeInt32(batch, batchLayout.crc, computeBatchCrc(batch, 0, batch.length));
  }

  #reserve(size: number): void {
    const needed = this.#end + size;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.#end));
    this.#bytes = larger;
  }
}

/** One batch of records that are all there already; for tools, tests and internal topics. */
export function encodeBatch(batch: BatchBuilderOptions & { readonly records: readonly RecordInput[] }): Uint8Array {
  const builder = new BatchBuilder(batch);
  for (const record of batch.records) builder.append(record.key, record.value, record.timestampMs, record.headers);
  return builder.close();
}

function sizeOfField(field: Uint8Array | null): number {
  return field === null ? 1 : sizeOfVarint(field.length) + field.length;
}

function writeField(bytes: Buffer, at: number, field: Uint8Array | null): number {
  if (field === null) {
    bytes[at] = 1;
    return at + 1;
  }
  const start = writeVarint(bytes, at, field.length);
  bytes.set(field, start);
  return start + field.length;
}

function sizeOfHeaders(headers: readonly HeaderEntry[]): number {
  let size = sizeOfVarint(headers.length);
  for (const [name, content] of headers) {
    const nameBytes = Buffer.byteLength(name);
    size += sizeOfVarint(nameBytes) + nameBytes + sizeOfField(content);
  }
  return size;
}

function writeHeaders(bytes: Buffer, at: number, headers: readonly HeaderEntry[]): number {
  let position = writeVarint(bytes, at, headers.length);
  for (const [name, content] of headers) {
    const start = writeVarint(bytes, position, Buffer.byteLength(name));
    position = writeField(bytes, start + bytes.write(name, start), content);
  }
  return position;
}
