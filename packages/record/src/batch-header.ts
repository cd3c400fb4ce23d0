import { type Compression, compressionOf } from './compression.ts';
import { crc32c } from './crc32c.ts';
import { RecordError } from './errors.ts';

/**
 * Layout of a record batch v2 (Kafka: DefaultRecordBatch). Numbers are big endian:
 *
 *   0 baseOffset i64 · 8 batchLength i32 · 12 partitionLeaderEpoch i32 · 16 magic i8 · 17 crc u32 · 21 attributes i16 ·
 *   23 lastOffsetDelta i32 · 27 baseTimestamp i64 · 35 maxTimestamp i64 · 43 producerId i64 · 51 producerEpoch i16 ·
 *   53 baseSequence i32 · 57 recordsCount i32 · 61 records
 *
 * `batchLength` counts what follows it. The CRC covers everything from `attributes` on, so that a broker can set base offset
 * and leader epoch without computing it anew.
 */
export const batchLayout = {
  baseOffset: 0,
  batchLength: 8,
  partitionLeaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  recordsCount: 57,
  records: 61,
} as const;

/** Bytes before the records. */
export const batchHeaderBytes = batchLayout.records;
/** Base offset and length: what must be there to know how long a batch is. */
export const batchLengthPrefixBytes = 12;

export const attributeBits = {
  compression: 0x07,
  logAppendTime: 0x08,
  transactional: 0x10,
  control: 0x20,
  deleteHorizon: 0x40,
} as const;

export const currentMagic = 2;
/** No producer id, epoch or sequence; no known leader epoch; no timestamp. */
export const none = -1;

export interface BatchHeader {
  readonly baseOffset: number;
  readonly lastOffset: number;
  /** Whole batch, header included. */
  readonly sizeBytes: number;
  readonly partitionLeaderEpoch: number;
  readonly magic: number;
  readonly crc: number;
  readonly attributes: number;
  readonly compression: Compression;
  readonly timestampType: 'CreateTime' | 'LogAppendTime';
  readonly isTransactional: boolean;
  readonly isControl: boolean;
  readonly lastOffsetDelta: number;
  readonly baseTimestampMs: number;
  readonly maxTimestampMs: number;
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly recordsCount: number;
}

/** A batch inside a larger run of bytes. */
export interface BatchView {
  readonly header: BatchHeader;
  /** Where it starts in the bytes that were iterated. */
  readonly position: number;
  /** The whole batch: a view, not a copy. */
  readonly bytes: Uint8Array;
}

export function readInt32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)
  );
}

export function readInt16(bytes: Uint8Array, at: number): number {
  return (((bytes[at] as number) << 24) >> 16) | (bytes[at + 1] as number);
}

/** A number: exact within the safe integers, which is where every offset, timestamp and id lives. */
export function readInt64(bytes: Uint8Array, at: number): number {
  return readInt32(bytes, at) * 0x100000000 + (readInt32(bytes, at + 4) >>> 0);
}

export function writeInt16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

export function writeInt32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

export function writeInt64(bytes: Uint8Array, at: number, value: number): void {
  writeInt32(bytes, at, Math.floor(value / 0x100000000));
  writeInt32(bytes, at + 4, value >>> 0);
}

/** Size of the batch at `position`, or undefined when fewer than twelve bytes are there. May be nonsense on corrupt bytes. */
export function batchSizeAt(bytes: Uint8Array, position: number): number | undefined {
  if (position + batchLengthPrefixBytes > bytes.length) return undefined;
  return batchLengthPrefixBytes + readInt32(bytes, position + batchLayout.batchLength);
}

/** Reads the header at `position`, checking nothing but that 61 bytes are there; throws `RecordError` `corrupt` otherwise. */
export function readBatchHeader(bytes: Uint8Array, position = 0): BatchHeader {
  if (position + batchHeaderBytes > bytes.length)
    throw new RecordError('corrupt', 'the bytes end inside a batch header');
  const baseOffset = readInt64(bytes, position);
  const lastOffsetDelta = readInt32(bytes, position + batchLayout.lastOffsetDelta);
  const attributes = readInt16(bytes, position + batchLayout.attributes);
  return {
    baseOffset,
    lastOffset: baseOffset + lastOffsetDelta,
    sizeBytes: batchLengthPrefixBytes + readInt32(bytes, position + batchLayout.batchLength),
    partitionLeaderEpoch: readInt32(bytes, position + batchLayout.partitionLeaderEpoch),
    magic: ((bytes[position + batchLayout.magic] as number) << 24) >> 24,
    crc: readInt32(bytes, position + batchLayout.crc) >>> 0,
    attributes,
    compression: compressionOf(attributes & attributeBits.compression),
    timestampType: attributes & attributeBits.logAppendTime ? 'LogAppendTime' : 'CreateTime',
    isTransactional: (attributes & attributeBits.transactional) !== 0,
    isControl: (attributes & attributeBits.control) !== 0,
    lastOffsetDelta,
    baseTimestampMs: readInt64(bytes, position + batchLayout.baseTimestamp),
    maxTimestampMs: readInt64(bytes, position + batchLayout.maxTimestamp),
    producerId: readInt64(bytes, position + batchLayout.producerId),
    producerEpoch: readInt16(bytes, position + batchLayout.producerEpoch),
    baseSequence: readInt32(bytes, position + batchLayout.baseSequence),
    recordsCount: readInt32(bytes, position + batchLayout.recordsCount),
  };
}

/** CRC32C of the batch of `sizeBytes` at `position`, as it should be. */
export function computeBatchCrc(bytes: Uint8Array, position: number, sizeBytes: number): number {
  return crc32c(bytes.subarray(position + batchLayout.attributes, position + sizeBytes));
}

/** In place; the CRC does not cover it. */
export function setBaseOffset(bytes: Uint8Array, position: number, baseOffset: number): void {
  writeInt64(bytes, position + batchLayout.baseOffset, baseOffset);
}

/** In place; the CRC does not cover it. */
export function setPartitionLeaderEpoch(bytes: Uint8Array, position: number, leaderEpoch: number): void {
  writeInt32(bytes, position + batchLayout.partitionLeaderEpoch, leaderEpoch);
}

/** `message.timestamp.type=LogAppendTime`: sets the type bit and the maximal timestamp in place and computes the CRC anew. */
export function setMaxTimestampAndLogAppendTime(bytes: Uint8Array, position: number, timestampMs: number): void {
  const size = batchSizeAt(bytes, position) as number;
  const attributes = readInt16(bytes, position + batchLayout.attributes);
  writeInt16(bytes, position + batchLayout.attributes, attributes | attributeBits.logAppendTime);
  writeInt64(bytes, position + batchLayout.maxTimestamp, timestampMs);
  writeInt32(bytes, position + batchLayout.crc, computeBatchCrc(bytes, position, size));
}

/** In place, of a closed batch that was never appended: the CRC is computed anew. */
export function setProducer(
  bytes: Uint8Array,
  position: number,
  producerId: number,
  producerEpoch: number,
  baseSequence: number,
): void {
  writeInt64(bytes, position + batchLayout.producerId, producerId);
  writeInt16(bytes, position + batchLayout.producerEpoch, producerEpoch);
  writeInt32(bytes, position + batchLayout.baseSequence, baseSequence);
  const size = batchSizeAt(bytes, position) as number;
  writeInt32(bytes, position + batchLayout.crc, computeBatchCrc(bytes, position, size));
}

/**
 * The whole batches in `bytes`, in order. A partial batch at the end is left out, as consumers must (a fetch may end inside
 * one). A length that no batch can have throws `RecordError` `corrupt`.
 */
export function* batchesOf(bytes: Uint8Array): Generator<BatchView, void, undefined> {
  let position = 0;
  while (position < bytes.length) {
    const size = batchSizeAt(bytes, position);
    if (size === undefined) return;
    if (size < batchHeaderBytes)
      throw new RecordError('corrupt', `a batch of ${size} bytes is shorter than its header`);
    if (position + size > bytes.length) return;
    yield { header: readBatchHeader(bytes, position), position, bytes: bytes.subarray(position, position + size) };
    position += size;
  }
}
