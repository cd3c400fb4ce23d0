import { existsSync, readFileSync } from 'node:fs';
import { readBatchHeader } from '@naru/record';
import { batchesOfFile } from './log-dump.ts';

export interface IndexDumpOptions {
  /** Only what is wrong. */
  readonly verifyOnly: boolean;
}

const offsetEntryBytes = 8;
const timeEntryBytes = 12;

/** The entries of an offset index, each held against the batch in the log at its position; zeros at the end are room that is not used yet. */
export function* dumpOffsetIndex(path: string, { verifyOnly }: IndexDumpOptions): Generator<string> {
  const { base, log, bytes } = openIndex(path);
  const mismatches: string[] = [];
  for (let at = 0; at + offsetEntryBytes <= bytes.length; at += offsetEntryBytes) {
    const offset = base + bytes.readUInt32BE(at);
    const position = bytes.readUInt32BE(at + 4);
    if (offset === base && at > 0) break;
    const { value: batch } = batchesOfFile(log, position).next();
    const lastOffset = batch === undefined ? -1 : readBatchHeader(batch.bytes).lastOffset;
    if (lastOffset !== offset) mismatches.push(`  Index offset: ${offset}, log offset: ${lastOffset}`);
    if (!verifyOnly) yield `offset: ${offset} position: ${position}`;
  }
  if (mismatches.length > 0) yield* [`Mismatches in :${path}`, ...mismatches];
}

/** The entries of a time index, each held against the largest timestamp up to its offset. */
export function* dumpTimeIndex(path: string, { verifyOnly }: IndexDumpOptions): Generator<string> {
  const { base, log, bytes } = openIndex(path);
  const largestUpTo = timestampsOf(log);
  const mismatches: string[] = [];
  let before = -1;
  for (let at = 0; at + timeEntryBytes <= bytes.length; at += timeEntryBytes) {
    const timestamp = Number(bytes.readBigInt64BE(at));
    const offset = base + bytes.readUInt32BE(at + 8);
    if (timestamp === 0 && at > 0) break;
    const found = largestUpTo(offset);
    if (found !== timestamp) mismatches.push(`  Index timestamp: ${timestamp}, log timestamp: ${found}`);
    if (timestamp < before) mismatches.push(`  Index timestamp: ${timestamp} is out of order, after ${before}`);
    before = timestamp;
    if (!verifyOnly) yield `timestamp: ${timestamp} offset: ${offset}`;
  }
  if (mismatches.length > 0) yield* [`Mismatches in :${path}`, ...mismatches];
}

function openIndex(path: string): { readonly base: number; readonly log: string; readonly bytes: Buffer } {
  const base = Number(/(\d{20})\.\w+$/.exec(path)?.[1] ?? Number.NaN);
  if (Number.isNaN(base)) throw new Error(`${path}: an index is named by the first offset of its segment`);
  const log = path.replace(/\.\w+$/, '.log');
  if (!existsSync(log)) throw new Error(`${log} is not there: an index can be read beside its log only`);
  return { base, log, bytes: readFileSync(path) };
}

/** The largest timestamp of all batches that begin at or before an offset; the offsets that are asked for grow. */
function timestampsOf(log: string): (offset: number) => number {
  const batches = batchesOfFile(log);
  let next = batches.next();
  let largest = -1;
  return (offset) => {
    while (next.done !== true) {
      const header = readBatchHeader(next.value.bytes);
      if (header.baseOffset > offset) break;
      largest = Math.max(largest, header.maxTimestampMs);
      next = batches.next();
    }
    return largest;
  };
}
