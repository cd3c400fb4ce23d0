import { type BatchHeader, batchHeaderBytes, batchSizeAt, readBatchHeader, validateBatch } from '@naru/record';
import type { DiskFile } from '@naru/runtime';

/** What a scan reads at once. */
const chunkBytes = 1024 * 1024;
/** No stored batch is larger: a length beyond it is damage, not a reason to reserve memory. */
export const storedBatchBytesMax = 512 * 1024 * 1024;
/** How far a batch's offset may lie beyond the expected one to be believed when damage is searched past. */
const offsetWindow = 0x7fffffff;

export interface BadBatch {
  readonly position: number;
  /** The offset that the batch should have had. */
  readonly offset: number;
  readonly reason: string;
}

export interface ScanResult {
  /** Position and offset after the last good batch. */
  readonly position: number;
  readonly nextOffset: number;
  /** Where the scan had to stop before the end of the file. */
  readonly bad: BadBatch | undefined;
}

/** A window on a file that moves forward: whole batches are seen without reading them one by one. */
class FileWindow {
  readonly #file: DiskFile;
  readonly end: number;
  #bytes: Uint8Array = new Uint8Array(0);
  #start = 0;

  constructor(file: DiskFile, end: number) {
    this.#file = file;
    this.end = end;
  }

  /** `length` bytes at `position`, fewer at the end of the file. */
  async at(position: number, length: number): Promise<Uint8Array> {
    const wanted = Math.max(0, Math.min(length, this.end - position));
    if (position < this.#start || position + wanted > this.#start + this.#bytes.length) {
      this.#bytes = await this.#file.read(position, Math.min(Math.max(wanted, chunkBytes), this.end - position));
      this.#start = position;
    }
    return this.#bytes.subarray(position - this.#start, position - this.#start + wanted);
  }
}

/**
 * Walks the batches of a file from `position`, where no batch below `offset` may begin, and checks each in full: length, CRC,
 * and that offsets continue, without a hole unless compaction may have made some (L1, L4). Stops at the first that is not right.
 */
export async function scanBatches(
  file: DiskFile,
  from: {
    readonly position: number;
    readonly offset: number;
    readonly end?: number;
    readonly mayHaveHoles: boolean;
  },
  visit: (header: BatchHeader, position: number) => string | undefined,
): Promise<ScanResult> {
  const window = new FileWindow(file, from.end ?? file.size);
  let { position, offset } = from;
  while (position < window.end) {
    const stop = (reason: string): ScanResult => ({ position, nextOffset: offset, bad: { position, offset, reason } });
    const size = batchSizeAt(await window.at(position, batchHeaderBytes), 0) ?? 0;
    if (size > storedBatchBytesMax) return stop(`a batch of ${size} bytes is larger than any`);
    const validation = validateBatch(await window.at(position, Math.max(size, batchHeaderBytes)), 0, anyStoredBatch);
    if (validation.kind === 'invalid') return stop(validation.message);
    const { header } = validation;
    const gap = discontinuity(header.baseOffset, offset, from.mayHaveHoles);
    if (gap !== undefined) return stop(gap);
    const objection = visit(header, position);
    if (objection !== undefined) return stop(objection);
    position += header.sizeBytes;
    offset = header.lastOffset + 1;
  }
  return { position, nextOffset: offset, bad: undefined };
}

/** What is wrong with a batch of `baseOffset` where the last one ended before `expected` (L1), if anything. */
export function discontinuity(baseOffset: number, expected: number, mayHaveHoles: boolean): string | undefined {
  if (baseOffset === expected || (mayHaveHoles && baseOffset > expected)) return undefined;
  return `the batch has offset ${baseOffset} instead of ${expected}`;
}

const anyStoredBatch = { maxBatchBytes: storedBatchBytesMax, source: 'log' } as const;

/**
 * Looks for a valid batch of an offset not below `offset` anywhere from `position` on. With one, bad bytes before it are damage
 * in the middle of the log; without one they are a torn tail (row 57). Every position is tried, because a damaged length says
 * nothing about where the next batch begins.
 */
export async function hasValidBatchAfter(file: DiskFile, position: number, offset: number): Promise<boolean> {
  const window = new FileWindow(file, file.size);
  for (let at = position; at + batchHeaderBytes <= window.end; ) {
    const bytes = await window.at(at, chunkBytes);
    const last = bytes.length - batchHeaderBytes;
    for (let i = 0; i <= last; i++) {
      // Cheap first: the magic, and the upper bytes of a plausible length.
      if (bytes[i + 16] !== 2 || (bytes[i + 8] as number) >= 0x20) continue;
      if (!looksLikeBatch(bytes, i, offset, window.end - at - i)) continue;
      const size = batchSizeAt(bytes, i) as number;
      const batch = await file.read(at + i, size);
      if (validateBatch(batch, 0, anyStoredBatch).kind === 'valid') return true;
    }
    at += last + 1;
  }
  return false;
}

function looksLikeBatch(bytes: Uint8Array, at: number, offset: number, left: number): boolean {
  const size = batchSizeAt(bytes, at) as number;
  if (size < batchHeaderBytes || size > left) return false;
  // A codec number that does not exist would make the header unreadable; it is no batch of ours.
  if (((bytes[at + 22] as number) & 0x07) > 4) return false;
  const { baseOffset } = readBatchHeader(bytes, at);
  return baseOffset >= offset && baseOffset <= offset + offsetWindow;
}
