import { crc32c, readInt16, readInt32, readInt64, writeInt16, writeInt32, writeInt64 } from '@naru/record';
import {
  type ProducerEntry,
  runsPerProducerMax,
  type SequenceRun,
  sequenceAfter,
  sequenceMax,
} from './producer-state.ts';

/**
 * Kafka's producer snapshot, version 1 (ProducerStateManager). Numbers are big endian:
 *
 *   version i16 · crc u32 (CRC32C of what follows) · count i32 · entries, each
 *   producerId i64 · producerEpoch i16 · lastSequence i32 · lastOffset i64 · offsetDelta i32 · timestamp i64 ·
 *   coordinatorEpoch i32 · currentTxnFirstOffset i64
 *
 * Kafka writes one entry for a producer: its last batch. Here there is one for each run that is remembered, oldest first, so that the state after a
 * restart is the state before it; a reader that takes the last entry of a producer, as Kafka does, reads what Kafka would have written.
 * An expired producer has one entry with a last offset of -1.
 */
const version = 1;
const crcAt = 2;
const countAt = 6;
const entriesAt = 10;
const entryBytes = 46;
const noOffset = -1;

export function encodeProducerSnapshot(producers: Iterable<ProducerEntry>): Uint8Array {
  const rows: (readonly [ProducerEntry, SequenceRun | undefined])[] = [];
  for (const producer of producers) {
    if (producer.runs.length === 0) rows.push([producer, undefined]);
    for (const run of producer.runs) rows.push([producer, run]);
  }
  const bytes = Buffer.alloc(entriesAt + rows.length * entryBytes);
  writeInt16(bytes, 0, version);
  writeInt32(bytes, countAt, rows.length);
  let at = entriesAt;
  for (const [producer, run] of rows) {
    const delta = (run?.recordsCount ?? 1) - 1;
    writeInt64(bytes, at, producer.producerId);
    writeInt16(bytes, at + 8, producer.epoch);
    writeInt32(bytes, at + 10, run === undefined ? producer.lastSequence : sequenceAfter(run.firstSequence, delta));
    writeInt64(bytes, at + 14, run === undefined ? noOffset : run.baseOffset + delta);
    writeInt32(bytes, at + 22, delta);
    writeInt64(bytes, at + 26, Math.floor(producer.lastActiveMs));
    writeInt32(bytes, at + 34, -1);
    writeInt64(bytes, at + 38, noOffset);
    at += entryBytes;
  }
  writeInt32(bytes, crcAt, crc32c(bytes.subarray(countAt)));
  return bytes;
}

/** Undefined when these bytes are no whole snapshot, or say what cannot be. */
export function decodeProducerSnapshot(bytes: Uint8Array): ProducerEntry[] | undefined {
  if (bytes.length < entriesAt || readInt16(bytes, 0) !== version) return undefined;
  if (readInt32(bytes, crcAt) >>> 0 !== crc32c(bytes.subarray(countAt))) return undefined;
  const count = readInt32(bytes, countAt);
  if (count < 0 || bytes.length !== entriesAt + count * entryBytes) return undefined;
  const producers = new Map<number, ProducerEntry & { readonly runs: SequenceRun[] }>();
  for (let at = entriesAt; at < bytes.length; at += entryBytes) {
    const row = readRow(bytes, at);
    if (row === undefined) return undefined;
    const before = producers.get(row.producerId);
    // A newer epoch begins anew; within one, runs follow each other.
    const runs = before !== undefined && before.epoch === row.epoch ? before.runs : [];
    if (row.run !== undefined) runs.push(row.run);
    if (runs.length > runsPerProducerMax) runs.shift();
    const { producerId, epoch, lastSequence, lastActiveMs } = row;
    producers.set(producerId, { producerId, epoch, lastSequence, lastActiveMs, runs });
  }
  return [...producers.values()];
}

function readRow(
  bytes: Uint8Array,
  at: number,
): (Omit<ProducerEntry, 'runs'> & { readonly run: SequenceRun | undefined }) | undefined {
  const producerId = readInt64(bytes, at);
  const epoch = readInt16(bytes, at + 8);
  const lastSequence = readInt32(bytes, at + 10);
  const lastOffset = readInt64(bytes, at + 14);
  const delta = readInt32(bytes, at + 22);
  const lastActiveMs = readInt64(bytes, at + 26);
  const isSensible =
    producerId >= 0 &&
    Number.isSafeInteger(producerId) &&
    epoch >= 0 &&
    // Kafka: -1 of a producer that has written nothing but the end of a transaction.
    lastSequence >= -1 &&
    lastOffset >= noOffset &&
    Number.isSafeInteger(lastOffset) &&
    delta >= 0 &&
    (lastOffset === noOffset || delta <= lastOffset) &&
    Number.isSafeInteger(lastActiveMs);
  if (!isSensible) return undefined;
  const hasRun = lastOffset >= 0 && lastSequence >= 0;
  const run = {
    firstSequence: (lastSequence - delta) & sequenceMax,
    recordsCount: delta + 1,
    baseOffset: lastOffset - delta,
  };
  return { producerId, epoch, lastSequence, lastActiveMs, run: hasRun ? run : undefined };
}
