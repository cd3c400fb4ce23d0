import { batchSizeAt, type Compression, encodeBatch, type HeaderEntry, RecordReader } from '@naru/record';
import type { PartitionLog } from '../partition-log.ts';
import { type LogWorld, readAll, smallConfig } from './log-world.ts';

export const compactConfig = {
  ...smallConfig,
  'cleanup.policy': ['compact'] as const,
  'min.cleanable.dirty.ratio': 0,
  'delete.retention.ms': 1_000,
};

export interface KeyedRecord {
  readonly key: string | null;
  /** Null: a tombstone. */
  readonly value: string | null;
  readonly timestampMs?: number;
  readonly headers?: readonly HeaderEntry[];
}

export interface StoredRecord extends KeyedRecord {
  readonly offset: number;
  readonly timestampMs: number;
  readonly headers: readonly HeaderEntry[];
}

export function keyedBatch(
  records: readonly KeyedRecord[],
  options: { readonly compression?: Compression; readonly producerId?: number; readonly baseSequence?: number } = {},
): Uint8Array {
  const encoded = records.map(({ key, value, timestampMs = 1_000, headers }) => ({
    key: key === null ? null : Buffer.from(key),
    value: value === null ? null : Buffer.from(value),
    timestampMs,
    ...(headers && { headers }),
  }));
  return encodeBatch({ ...options, ...(options.producerId !== undefined && { producerEpoch: 0 }), records: encoded });
}

export function batchesIn(bytes: Uint8Array): Uint8Array[] {
  const batches: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = batchSizeAt(bytes, at) as number;
    batches.push(bytes.subarray(at, at + size));
    at += size;
  }
  return batches;
}

export function recordsIn(bytes: Uint8Array): StoredRecord[] {
  const records: StoredRecord[] = [];
  for (const batch of batchesIn(bytes)) {
    const reader = new RecordReader(batch);
    while (reader.next()) {
      const { offset, timestampMs, headers } = reader;
      const [key, value] = [textOf(reader.key), textOf(reader.value)];
      records.push({
        offset,
        timestampMs,
        key,
        value,
        headers: headers.map(([name, content]) => [name, content && Buffer.from(content)]),
      });
    }
  }
  return records;
}

export async function recordsOf(world: LogWorld, log: PartitionLog): Promise<StoredRecord[]> {
  return recordsIn(await readAll(world, log));
}

/** The value of every key that has one, as a reader from the start of the log sees it. */
export function tableOf(records: readonly StoredRecord[]): Map<string, string> {
  const table = new Map<string, string>();
  for (const { key, value } of records) {
    if (key === null) continue;
    if (value === null) table.delete(key);
    else table.set(key, value);
  }
  return table;
}

function textOf(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes).toString();
}
