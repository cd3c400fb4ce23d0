import type { Change, Zxid } from './command.ts';

/** Everything that one zxid changed. */
export interface HistoryEntry {
  readonly zxid: Zxid;
  readonly changes: readonly Change[];
}

export interface HistoryBounds {
  readonly entriesMax: number;
  readonly bytesMax: number;
}

export const defaultHistoryBounds: HistoryBounds = { entriesMax: 65_536, bytesMax: 16_777_216 };

/**
 * The recent changes, so that a watch can go on where it was. Every node feeds its own from what it applies, which is what lets a
 * watch resume on another node. Bounded by count and by bytes; the oldest go first.
 */
export class History {
  readonly #bounds: HistoryBounds;
  /** A queue: the entries before `#first` are gone. */
  #entries: (HistoryEntry & { readonly bytes: number })[] = [];
  #first = 0;
  #bytes = 0;
  /** Every change after this zxid is here. */
  #floor: Zxid = 0;

  constructor(bounds: HistoryBounds = defaultHistoryBounds) {
    this.#bounds = bounds;
  }

  push(zxid: Zxid, changes: readonly Change[]): void {
    if (changes.length === 0) return;
    const bytes = changes.reduce((sum, change) => sum + costOf(change), 0);
    this.#entries.push({ zxid, changes, bytes });
    this.#bytes += bytes;
    while (this.#entries.length - this.#first > this.#bounds.entriesMax || this.#bytes > this.#bounds.bytesMax)
      this.#drop();
    if (this.#first > 1024 && this.#first * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
  }

  /** Everything after `zxid` in order, or undefined when part of it is gone. */
  since(zxid: Zxid): readonly HistoryEntry[] | undefined {
    if (zxid < this.#floor) return undefined;
    let low = this.#first;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#entries[middle] as HistoryEntry).zxid <= zxid) low = middle + 1;
      else high = middle;
    }
    return this.#entries.slice(low);
  }

  /** The state was replaced by a snapshot at `zxid`: what happened before is unknown. */
  restartAt(zxid: Zxid): void {
    this.#entries = [];
    this.#first = 0;
    this.#bytes = 0;
    this.#floor = zxid;
  }

  #drop(): void {
    const oldest = this.#entries[this.#first] as HistoryEntry & { readonly bytes: number };
    this.#first += 1;
    this.#bytes -= oldest.bytes;
    this.#floor = oldest.zxid;
  }
}

function costOf(change: Change): number {
  return 200 + change.path.length + (change.kind === 'deleted' ? 0 : change.data.length);
}
