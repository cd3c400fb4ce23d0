import type { Disk } from '@naru/runtime';
import { assert } from '@naru/runtime';
import { formatCheckpoint, parseCheckpoint, parseWhole, readIfThere } from './checkpoint-file.ts';
import type { EpochEndOffset } from './log-types.ts';

export const leaderEpochFile = 'leader-epoch-checkpoint';

/** A leader epoch and the offset of its first record. */
export interface EpochStart {
  readonly epoch: number;
  readonly startOffset: number;
}

const unknownEpoch: EpochEndOffset = { epoch: -1, endOffset: -1 };

/**
 * The epoch vector of a log (KIP-101): which leader epoch began at which offset. By it replicas find where they diverge;
 * epochs and their starts strictly increase (L2).
 *
 * On disk in Kafka's `leader-epoch-checkpoint`. What a leader assigns is durable before its first append (row 62); what a follower learns from
 * batches is durable no later than those batches (the log writes it in the same flush); cuts may lag, because everything in
 * the file can be told again from the batches' headers.
 */
export class LeaderEpochs {
  readonly #disk: Disk;
  readonly #path: string;
  #entries: EpochStart[];
  /** Counts changes in memory; the file holds those up to `#written`. */
  #changes = 0;
  #written = 0;
  #writing: Promise<void> | undefined;

  private constructor(disk: Disk, path: string, entries: EpochStart[]) {
    this.#disk = disk;
    this.#path = path;
    this.#entries = entries;
  }

  /** `found` is false when the file is missing or not readable: the log then builds the vector from its batches. */
  static async load(
    disk: Disk,
    directory: string,
  ): Promise<{ readonly epochs: LeaderEpochs; readonly found: boolean }> {
    const path = `${directory}/${leaderEpochFile}`;
    const bytes = await readIfThere(disk, path);
    const entries = bytes === undefined ? undefined : parseEpochs(bytes);
    return { epochs: new LeaderEpochs(disk, path, entries ?? []), found: entries !== undefined };
  }

  get entries(): readonly EpochStart[] {
    return this.#entries;
  }

  /** -1 when there is none. */
  get latest(): number {
    return this.#entries.at(-1)?.epoch ?? -1;
  }

  get isDirty(): boolean {
    return this.#changes !== this.#written;
  }

  /** Epoch of the record at `offset`, -1 when no entry covers it. */
  epochOf(offset: number): number {
    for (let i = this.#entries.length - 1; i >= 0; i--) {
      const entry = this.#entries[i] as EpochStart;
      if (entry.startOffset <= offset) return entry.epoch;
    }
    return -1;
  }

  /**
   * The largest epoch not above `epoch` and the offset where it ends (KIP-279, row 3). -1 and -1 for an epoch beyond the latest:
   * this log knows nothing of it. For one before the first entry the epoch itself and the first entry's start, as Kafka answers.
   */
  endOffsetFor(epoch: number, logEndOffset: number): EpochEndOffset {
    if (epoch < 0 || this.#entries.length === 0 || epoch > this.latest) return unknownEpoch;
    if (epoch === this.latest) return { epoch, endOffset: logEndOffset };
    const above = this.#entries.findIndex((entry) => entry.epoch > epoch);
    const next = this.#entries[above] as EpochStart;
    const own = this.#entries[above - 1];
    return { epoch: own?.epoch ?? epoch, endOffset: next.startOffset };
  }

  /** A new leader's first act; durable when it resolves. Assigning the latest epoch again changes nothing. */
  async assign(epoch: number, startOffset: number): Promise<void> {
    this.learn(epoch, startOffset);
    await this.persist();
  }

  /** As `assign`, in memory: for epochs met in appended batches. */
  learn(epoch: number, startOffset: number): void {
    if (epoch === this.latest) return;
    assert(epoch > this.latest, `leader epoch ${epoch} after ${this.latest} (L2)`);
    // An epoch that began here and wrote nothing says nothing any more: the vector's starts strictly increase.
    while ((this.#entries.at(-1)?.startOffset ?? -1) >= startOffset) this.#entries.pop();
    this.#entries.push({ epoch, startOffset });
    this.#changes++;
  }

  /** Every cut of the log cuts the vector, also a cut of no data (row 17, KAFKA-10706). */
  truncateFromEnd(endOffset: number): void {
    const kept = this.#entries.filter((entry) => entry.startOffset < endOffset);
    this.#set(kept);
  }

  /** The epoch that covers the new log start begins there now. */
  truncateFromStart(startOffset: number): void {
    const firstKept = this.#entries.findLastIndex((entry) => entry.startOffset <= startOffset);
    if (firstKept < 0 || this.#entries[0]?.startOffset === startOffset) return;
    const covering = this.#entries[firstKept] as EpochStart;
    this.#set([{ epoch: covering.epoch, startOffset }, ...this.#entries.slice(firstKept + 1)]);
  }

  clear(): void {
    this.#set([]);
  }

  /** Replaces the vector by what the batches say. */
  replace(entries: readonly EpochStart[]): void {
    this.#entries = [...entries];
    this.#changes++;
  }

  /** Writes what is in memory now; durable when it resolves. */
  async persist(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing.catch(() => {});
    if (!this.isDirty) return;
    const changes = this.#changes;
    const content = formatCheckpoint(this.#entries.map((entry) => [entry.epoch, entry.startOffset]));
    this.#writing = this.#disk.replaceFile(this.#path, content).then(() => {
      this.#written = Math.max(this.#written, changes);
    });
    try {
      await this.#writing;
    } finally {
      this.#writing = undefined;
    }
  }

  #set(entries: EpochStart[]): void {
    if (entries.length === this.#entries.length && entries[0]?.startOffset === this.#entries[0]?.startOffset) return;
    this.#entries = entries;
    this.#changes++;
  }
}

function parseEpochs(bytes: Uint8Array): EpochStart[] | undefined {
  const lines = parseCheckpoint(bytes, 2);
  if (lines === undefined) return undefined;
  const entries: EpochStart[] = [];
  for (const [epochText, startText] of lines) {
    const epoch = parseWhole(epochText);
    const startOffset = parseWhole(startText);
    const last = entries.at(-1);
    if (epoch === undefined || startOffset === undefined || epoch < 0 || startOffset < 0) return undefined;
    if (last !== undefined && (epoch <= last.epoch || startOffset <= last.startOffset)) return undefined;
    entries.push({ epoch, startOffset });
  }
  return entries;
}
