import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import {
  type BatchHeader,
  batchLengthPrefixBytes,
  batchSizeAt,
  RecordError,
  RecordReader,
  readBatchHeader,
  validateBatch,
} from '@naru/record';

export interface LogDumpOptions {
  /** A line for each record, not only for each batch. */
  readonly records: boolean;
  /** With keys and values, so told. */
  readonly data: RecordText | undefined;
  readonly recordMetadata: boolean;
  /** Of whole batches. */
  readonly bytesMax: number;
}

/** A record's key and value, in parts. */
export type RecordText = (record: Pick<RecordReader, 'offset' | 'key' | 'value'>) => readonly string[];

/** Larger ones are damage: no broker takes them. */
const batchBytesMax = 256 * 1024 * 1024;
const sequenceCount = 2 ** 31;

/** Batches of a file, one after the other, each read by itself. What does not make a batch any more is left out. */
export function* batchesOfFile(
  path: string,
  from = 0,
): Generator<{ readonly position: number; readonly bytes: Buffer }> {
  const file = openSync(path, 'r');
  try {
    const { size: fileBytes } = fstatSync(file);
    const prefix = Buffer.alloc(batchLengthPrefixBytes);
    for (let position = from; position + prefix.length <= fileBytes; ) {
      readSync(file, prefix, 0, prefix.length, position);
      const size = batchSizeAt(prefix, 0) ?? 0;
      if (size <= prefix.length || size > batchBytesMax || position + size > fileBytes) return;
      const bytes = Buffer.alloc(size);
      readSync(file, bytes, 0, size, position);
      yield { position, bytes };
      position += size;
    }
  } finally {
    closeSync(file);
  }
}

/** A segment as Kafka's tool prints it, line by line. */
export function* dumpLog(path: string, fileBytes: number, options: LogDumpOptions): Generator<string> {
  const baseOffset = /(\d{20})\.log$/.exec(path)?.[1];
  yield `Log starting offset: ${Number(baseOffset ?? 0)}`;
  let end = 0;
  for (const { position, bytes } of batchesOfFile(path)) {
    if (position + bytes.length > options.bytesMax) return;
    end = position + bytes.length;
    let header: BatchHeader;
    try {
      header = readBatchHeader(bytes);
    } catch (error) {
      if (!(error instanceof RecordError)) throw error;
      end = position;
      break;
    }
    const isValid = validateBatch(bytes, 0, { maxBatchBytes: batchBytesMax, source: 'log' }).kind === 'valid';
    yield batchLine(header, position, isValid);
    if (options.records && isValid) yield* recordLines(bytes, header, options);
  }
  if (end < fileBytes) yield `Found ${fileBytes - end} invalid bytes at the end of ${path.split('/').at(-1)}`;
}

function batchLine(header: BatchHeader, position: number, isValid: boolean): string {
  const { baseOffset, lastOffset, recordsCount, baseSequence, lastOffsetDelta, producerId, producerEpoch } = header;
  const lastSequence = baseSequence < 0 ? -1 : (baseSequence + lastOffsetDelta) % sequenceCount;
  const hasHorizon = (header.attributes & 0x40) !== 0;
  const horizon = hasHorizon ? `OptionalLong[${header.baseTimestampMs}]` : 'OptionalLong.empty';
  return [
    `baseOffset: ${baseOffset} lastOffset: ${lastOffset} count: ${recordsCount}`,
    `baseSequence: ${baseSequence} lastSequence: ${lastSequence}`,
    `producerId: ${producerId} producerEpoch: ${producerEpoch} partitionLeaderEpoch: ${header.partitionLeaderEpoch}`,
    `isTransactional: ${header.isTransactional} isControl: ${header.isControl} deleteHorizonMs: ${horizon}`,
    `position: ${position} ${header.timestampType}: ${header.maxTimestampMs} size: ${header.sizeBytes}`,
    `magic: ${header.magic} compresscodec: ${header.compression} crc: ${header.crc} isvalid: ${isValid}`,
  ].join(' ');
}

function* recordLines(bytes: Buffer, header: BatchHeader, options: LogDumpOptions): Generator<string> {
  const record = new RecordReader(bytes);
  while (record.next()) {
    const sequence =
      header.baseSequence < 0 ? -1 : (header.baseSequence + record.offset - header.baseOffset) % sequenceCount;
    const sizes = `keySize: ${record.key?.length ?? -1} valueSize: ${record.value?.length ?? -1}`;
    const headerKeys = record.headers.map(([key]) => key).join(',');
    const metadata = `offset: ${record.offset} ${header.timestampType}: ${record.timestampMs} ${sizes} sequence: ${sequence} headerKeys: [${headerKeys}]`;
    const parts = options.recordMetadata ? [metadata] : [];
    if (options.data !== undefined) parts.push(...options.data(record));
    yield `| ${parts.join(' ')}`;
  }
}

/** As UTF-8. */
export function plainText({ key, value }: Parameters<RecordText>[0]): readonly string[] {
  const parts: string[] = [];
  if (key !== null) parts.push(`key: ${Buffer.from(key).toString()}`);
  if (value !== null) parts.push(`payload: ${Buffer.from(value).toString()}`);
  return parts;
}
