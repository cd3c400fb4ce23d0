import {
  attributeBits,
  type BatchHeader,
  batchHeaderBytes,
  batchLayout,
  batchLengthPrefixBytes,
  computeBatchCrc,
  currentMagic,
  none,
  readBatchHeader,
  readInt16,
  readInt32,
} from './batch-header.ts';
import { compressions } from './compression.ts';

export type InvalidBatchReason =
  /** The bytes end before the batch does. */
  | 'truncated'
  /** A length that no batch can have. */
  | 'bad-length'
  | 'too-large'
  /** Message formats 0 and 1, which Kafka 4 no longer takes either (KIP-724). */
  | 'unsupported-magic'
  | 'bad-magic'
  | 'bad-crc'
  | 'bad-compression'
  | 'bad-count'
  | 'bad-last-offset-delta'
  /** An offset, timestamp or producer id outside the safe integers, or negative where it must not be. */
  | 'bad-number'
  /** Only a broker writes control batches. */
  | 'control-batch';

export type BatchValidation =
  | { readonly kind: 'valid'; readonly header: BatchHeader; readonly end: number }
  | { readonly kind: 'invalid'; readonly reason: InvalidBatchReason; readonly message: string };

export interface BatchLimits {
  /** `max.message.bytes`: largest batch. */
  readonly maxBatchBytes: number;
  /**
   * `producer`: offsets must be dense and control batches are refused. `log`: what a broker stored; compaction may have
   * taken records away.
   */
  readonly source: 'producer' | 'log';
}

/**
 * Checks the batch at `position` as a broker does before it appends or serves it: length, magic, CRC and header, in the cost
 * of one CRC. The records are not looked at; nothing is copied.
 */
export function validateBatch(bytes: Uint8Array, position: number, limits: BatchLimits): BatchValidation {
  const left = bytes.length - position;
  if (left < batchLengthPrefixBytes) return invalid('truncated', `${left} bytes are no batch`);
  const size = batchLengthPrefixBytes + readInt32(bytes, position + batchLayout.batchLength);
  // The magic comes before the length is judged: message sets of formats 0 and 1 have it in the same place but are shorter.
  if (left > batchLayout.magic) {
    const magic = bytes[position + batchLayout.magic] as number;
    if (magic < currentMagic) return invalid('unsupported-magic', `message format ${magic} is not supported, only 2`);
    if (magic > currentMagic) return invalid('bad-magic', `unknown message format ${magic}`);
  }
  if (size < batchHeaderBytes) return invalid('bad-length', `a batch of ${size} bytes is shorter than its header`);
  if (size > limits.maxBatchBytes) {
    return invalid('too-large', `a batch of ${size} bytes is larger than ${limits.maxBatchBytes}`);
  }
  if (size > left) return invalid('truncated', `a batch of ${size} bytes, but ${left} are there`);
  const crc = computeBatchCrc(bytes, position, size);
  const stored = readInt32(bytes, position + batchLayout.crc) >>> 0;
  if (crc !== stored) return invalid('bad-crc', `CRC is ${hex(crc)}, the batch says ${hex(stored)}`);
  return validateHeader(bytes, position, limits.source);
}

function validateHeader(bytes: Uint8Array, position: number, source: BatchLimits['source']): BatchValidation {
  const codec = readInt16(bytes, position + batchLayout.attributes) & attributeBits.compression;
  if (codec >= compressions.length) return invalid('bad-compression', `unknown compression type ${codec}`);
  const header = readBatchHeader(bytes, position);
  const { recordsCount, lastOffsetDelta, baseOffset } = header;
  if (recordsCount < 0) return invalid('bad-count', `${recordsCount} records`);
  if (lastOffsetDelta < 0) return invalid('bad-last-offset-delta', `last offset delta ${lastOffsetDelta}`);
  if (source === 'producer') {
    if (recordsCount === 0) return invalid('bad-count', 'a batch without records');
    if (lastOffsetDelta !== recordsCount - 1) {
      return invalid('bad-last-offset-delta', `last offset delta ${lastOffsetDelta} with ${recordsCount} records`);
    }
    if (header.isControl) return invalid('control-batch', 'clients must not write control batches');
  }
  const isInRange =
    baseOffset >= 0 &&
    Number.isSafeInteger(header.lastOffset) &&
    isTimestamp(header.baseTimestampMs) &&
    isTimestamp(header.maxTimestampMs) &&
    header.producerId >= none &&
    Number.isSafeInteger(header.producerId);
  if (!isInRange) return invalid('bad-number', 'offset, timestamp or producer id out of range');
  return { kind: 'valid', header, end: position + header.sizeBytes };
}

function isTimestamp(timestampMs: number): boolean {
  return timestampMs >= none && Number.isSafeInteger(timestampMs);
}

function invalid(reason: InvalidBatchReason, message: string): BatchValidation {
  return { kind: 'invalid', reason, message };
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}
