import { batchLayout, readInt32, readInt64 } from '@naru/record';
import type { FetchedBatches } from './log-types.ts';

/** Views smaller than this do not keep a network buffer alive that is more than twice as large: they are copied. */
const copiedBytesMax = 8 * 1024;
/** Runs that are smaller than this on average are joined: each would cost a chunk on the wire, an object at the reader and a write at a follower. */
const joinedBytesMax = 4 * 1024;
const noBytes = new Uint8Array(0);
/** Small copies share memory of this size: a buffer of its own costs more than its bytes. They come and go together. */
const slabBytes = 32 * 1024;
/** What an entry costs besides its bytes. */
const entryOverheadBytes = 120;
/** Dead entries at the front of a queue that are dropped together. */
const sweepMin = 256;

interface TailEntry {
  readonly tail: LogTail;
  readonly baseOffset: number;
  readonly nextOffset: number;
  /** Empty once it is dropped: dead entries wait to be swept, and must not hold their memory until then. */
  bytes: Uint8Array;
  isDropped: boolean;
}

/**
 * The memory that all logs of a broker share for their newest batches: first in, first out over all of them, so that a busy
 * partition has a long tail and a quiet one gives its memory back.
 */
export class TailBudget {
  readonly #bytesMax: number;
  #usedBytes = 0;
  #queue: TailEntry[] = [];
  #head = 0;
  #slab = noBytes;
  #slabUsed = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  copyOf(bytes: Uint8Array): Uint8Array {
    if (this.#slabUsed + bytes.length > this.#slab.length) {
      this.#slab = new Uint8Array(slabBytes);
      this.#slabUsed = 0;
    }
    const copy = this.#slab.subarray(this.#slabUsed, this.#slabUsed + bytes.length);
    this.#slabUsed += bytes.length;
    copy.set(bytes);
    return copy;
  }

  admit(entry: TailEntry): void {
    this.#queue.push(entry);
    this.#usedBytes += entry.bytes.length + entryOverheadBytes;
    while (this.#usedBytes > this.#bytesMax && this.#head < this.#queue.length) {
      const oldest = this.#queue[this.#head++] as TailEntry;
      if (!oldest.isDropped) oldest.tail.dropOldest(oldest);
    }
    this.#sweep();
  }

  /** The entry's tail calls this once for every entry that it lets go. */
  release(entry: TailEntry): void {
    entry.isDropped = true;
    this.#usedBytes -= entry.bytes.length + entryOverheadBytes;
    entry.bytes = noBytes;
  }

  #sweep(): void {
    while (this.#head < this.#queue.length && (this.#queue[this.#head] as TailEntry).isDropped) this.#head++;
    if (this.#head < sweepMin || this.#head * 2 < this.#queue.length) return;
    this.#queue = this.#queue.slice(this.#head);
    this.#head = 0;
  }
}

/**
 * The newest batches of one log, as they were appended: served to followers and to consumers at the end of the log without a
 * read, and without a copy unless they are small. A run without holes that ends at the log end.
 */
export class LogTail {
  readonly #budget: TailBudget;
  #entries: TailEntry[] = [];
  #head = 0;

  constructor(budget: TailBudget) {
    this.#budget = budget;
  }

  /** First offset that can be served, undefined when nothing is held. */
  get startOffset(): number | undefined {
    return this.#entries[this.#head]?.baseOffset;
  }

  get #nextOffset(): number | undefined {
    return this.#head === this.#entries.length ? undefined : this.#entries.at(-1)?.nextOffset;
  }

  /** Keeps whole batches that were just appended. Nobody may change the bytes afterwards. */
  push(baseOffset: number, nextOffset: number, bytes: Uint8Array): void {
    // A cut drops whole runs, also what it left of one: that is on the disk only, and a reader must not be led past it.
    if (this.#nextOffset !== undefined && this.#nextOffset !== baseOffset) this.clear();
    const isSmallPart = bytes.length < copiedBytesMax && bytes.buffer.byteLength > 2 * bytes.length;
    const kept = isSmallPart ? this.#budget.copyOf(bytes) : bytes;
    const entry: TailEntry = { tail: this, baseOffset, nextOffset, bytes: kept, isDropped: false };
    this.#entries.push(entry);
    this.#budget.admit(entry);
  }

  /** Undefined when `offset` is no longer, or not yet, in memory. */
  read(offset: number, maxBytes: number, upTo: number): FetchedBatches | undefined {
    const first = this.#find(offset);
    if (first === undefined) return undefined;
    const records: Uint8Array[] = [];
    let sizeBytes = 0;
    let firstOffset = offset;
    let nextOffset = offset;
    for (let i = first; i < this.#entries.length; i++) {
      const entry = this.#entries[i] as TailEntry;
      const room = maxBytes - sizeBytes;
      const isWhole = i !== first && entry.nextOffset <= upTo && entry.bytes.length <= room;
      const part = isWhole
        ? { bytes: entry.bytes, nextOffset: entry.nextOffset, firstOffset: entry.baseOffset }
        : batchesBetween(entry.bytes, offset, upTo, room, records.length === 0);
      if (part === undefined) break;
      if (records.length === 0) firstOffset = part.firstOffset;
      records.push(part.bytes);
      sizeBytes += part.bytes.length;
      nextOffset = part.nextOffset;
      if (nextOffset < entry.nextOffset) break;
    }
    const areSmall = records.length > 1 && sizeBytes / records.length < joinedBytesMax;
    return {
      kind: 'batches',
      records: areSmall ? [Buffer.concat(records, sizeBytes)] : records,
      sizeBytes,
      firstOffset,
      nextOffset,
    };
  }

  /** Drops entries that reach to or beyond `offset`. */
  truncateTo(offset: number): void {
    while (this.#entries.length > this.#head && (this.#entries.at(-1) as TailEntry).nextOffset > offset) {
      this.#budget.release(this.#entries.pop() as TailEntry);
    }
  }

  clear(): void {
    for (let i = this.#head; i < this.#entries.length; i++) this.#budget.release(this.#entries[i] as TailEntry);
    this.#entries = [];
    this.#head = 0;
  }

  /** Called by the budget: entries leave every tail in the order in which they came. */
  dropOldest(entry: TailEntry): void {
    if (this.#entries[this.#head] !== entry) return;
    this.#budget.release(entry);
    this.#head++;
    if (this.#head >= sweepMin && this.#head * 2 >= this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Index of the entry that holds `offset`. */
  #find(offset: number): number | undefined {
    let low = this.#head;
    let high = this.#entries.length;
    if (low === high || offset < (this.#entries[low] as TailEntry).baseOffset) return undefined;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#entries[middle] as TailEntry).nextOffset <= offset) low = middle + 1;
      else high = middle;
    }
    return low === this.#entries.length ? undefined : low;
  }
}

interface BatchRun {
  readonly bytes: Uint8Array;
  readonly firstOffset: number;
  readonly nextOffset: number;
}

/**
 * The whole batches of `bytes` that hold offsets from `offset` on, end below `upTo` and fit into `maxBytes`; the first one also
 * when it does not fit, if `isFirst` (KIP-74). Undefined when there is none. The bytes must be valid batches.
 */
export function batchesBetween(
  bytes: Uint8Array,
  offset: number,
  upTo: number,
  maxBytes: number,
  isFirst: boolean,
): BatchRun | undefined {
  let start = -1;
  let position = 0;
  let firstOffset = offset;
  let nextOffset = offset;
  while (position < bytes.length) {
    const baseOffset = readInt64(bytes, position);
    const size = 12 + readInt32(bytes, position + batchLayout.batchLength);
    const lastOffset = baseOffset + readInt32(bytes, position + batchLayout.lastOffsetDelta);
    if (lastOffset >= upTo) break;
    if (start === -1 && lastOffset >= offset) {
      if (size > maxBytes && !isFirst) return undefined;
      start = position;
      firstOffset = baseOffset;
    } else if (start !== -1 && position + size - start > maxBytes) break;
    position += size;
    nextOffset = lastOffset + 1;
  }
  return start === -1 ? undefined : { bytes: bytes.subarray(start, position), firstOffset, nextOffset };
}

/** What a read at the end of what may be read gives. */
export function nothingAt(offset: number): FetchedBatches {
  return { kind: 'batches', records: [], sizeBytes: 0, firstOffset: offset, nextOffset: offset };
}
