import type { Logger } from '@naru/observability';
import type { BatchHeader } from '@naru/record';
import type { Clock, Disk } from '@naru/runtime';
import { scanBatches } from './batch-scan.ts';
import { readIfThere } from './checkpoint-file.ts';
import type { LogDamage } from './log-types.ts';
import { decodeProducerSnapshot, encodeProducerSnapshot } from './producer-snapshot.ts';
import { ProducerState } from './producer-state.ts';
import { logSuffix, type Segment, segmentName } from './segment.ts';

export const producerSnapshotSuffix = '.snapshot';

export interface ProducerStateStoreOptions {
  readonly disk: Disk;
  readonly logger: Logger;
  readonly directory: string;
}

/**
 * A log's producer state with its files: `<offset>.snapshot` is the state before the batch at `offset`. One is made whenever a segment begins and at
 * a clean stop, so that opening reads the batches after the newest one only.
 *
 * A snapshot must never tell of batches that are not in the log, else their successors at the same offsets would be refused or, worse,
 * taken for duplicates. So a cut of the log first removes, durably, every snapshot beyond it; what a crash leaves beyond the log's
 * end is removed before anything is appended. The other way round nothing can happen: without a snapshot the batches are read.
 */
export class ProducerStateStore {
  readonly state = new ProducerState();
  readonly #options: ProducerStateStoreOptions;
  /** Offsets of the files, ascending. */
  #offsets: number[] = [];
  /** While the log is recovered: the state is the one before the batch at this offset. */
  #position = 0;
  /** Taken and not written yet. */
  #pending: { readonly offset: number; readonly content: Uint8Array }[] = [];

  constructor(options: ProducerStateStoreOptions) {
    this.#options = options;
  }

  /** Finds the files that the last stop left and reads the newest. Before the log is recovered. Throws `DiskError`, `StorageError`. */
  async load(): Promise<void> {
    const names = await this.#options.disk.list(this.#options.directory);
    this.#offsets = names.map(offsetOf).filter((offset) => offset !== undefined);
    this.#position = await this.#loadNewest();
  }

  /** Recovery reads a batch, in any order and perhaps twice: the next one after what is known is learned, so that few are read again. */
  observe(header: BatchHeader, clock: Clock): void {
    if (header.baseOffset !== this.#position) return;
    this.state.learn(header, clock.wallMs());
    this.#position = header.lastOffset + 1;
  }

  /** After the log was recovered: removes files beyond its end, and rebuilds unless recovery has shown every batch up to the end. */
  async open(segments: readonly Segment[], logEndOffset: number, clock: Clock): Promise<LogDamage | undefined> {
    await this.removeAbove(logEndOffset);
    if (this.#position === logEndOffset) return undefined;
    return this.rebuild(segments, logEndOffset, clock);
  }

  /** Takes the state before the batch at `offset`; written with the next `persist`. */
  take(offset: number): void {
    const newest = this.#pending.at(-1)?.offset ?? this.#offsets.at(-1) ?? -1;
    if (offset <= newest) return;
    this.#pending.push({ offset, content: encodeProducerSnapshot(this.state.entries()) });
  }

  /** Writes what was taken. Throws `DiskError`. */
  async persist(): Promise<void> {
    for (let next = this.#pending[0]; next !== undefined; next = this.#pending[0]) {
      await this.#options.disk.replaceFile(this.#path(next.offset), next.content);
      this.#offsets.push(next.offset);
      this.#pending.shift();
    }
  }

  /** Before the log is cut to `offset`. Durable when it resolves. */
  async removeAbove(offset: number): Promise<void> {
    this.#pending = this.#pending.filter((snapshot) => snapshot.offset <= offset);
    const removed = this.#offsets.filter((each) => each > offset);
    for (const each of removed) await this.#options.disk.remove(this.#path(each));
    if (removed.length > 0) await this.#options.disk.syncDirectory(this.#options.directory);
    this.#offsets = this.#offsets.filter((each) => each <= offset);
  }

  /** Before the log starts over with nothing. Durable when it resolves. */
  async clear(): Promise<void> {
    await this.removeAbove(-1);
    this.state.clear();
  }

  /** Snapshots of segments that are gone. The newest stays whatever was deleted: the state outlives the records (row 41). */
  async removeBelow(offset: number): Promise<void> {
    const kept = this.#offsets.filter((each, i) => each >= offset || i === this.#offsets.length - 1);
    for (const each of this.#offsets) {
      if (!kept.includes(each)) await this.#options.disk.remove(this.#path(each));
    }
    this.#offsets = kept;
  }

  /** Snapshots inside a segment that was made from several; its begin is enough, and the newest stays. */
  async removeBetween(after: number, before: number): Promise<void> {
    const newest = this.#offsets.at(-1);
    const removed = this.#offsets.filter((each) => each > after && each < before && each !== newest);
    for (const each of removed) await this.#options.disk.remove(this.#path(each));
    this.#offsets = this.#offsets.filter((each) => !removed.includes(each));
  }

  /**
   * The state at the log's end: from the newest snapshot that can be read and the batches after it. Damage ends it early; the log
   * must not be led then.
   */
  async rebuild(segments: readonly Segment[], logEndOffset: number, clock: Clock): Promise<LogDamage | undefined> {
    const from = await this.#loadNewest();
    for (const segment of segments) {
      if (segment.nextOffset <= from || segment.isEmpty) continue;
      const { baseOffset: offset, sizeBytes: end, mayHaveHoles } = segment;
      const start = { position: 0, offset, end, mayHaveHoles };
      const { bad } = await scanBatches(await segment.file(), start, (header) => {
        if (header.baseOffset >= from && header.lastOffset < logEndOffset) this.state.learn(header, clock.wallMs());
        return undefined;
      });
      if (bad !== undefined) return { ...bad, file: segment.path(logSuffix) };
    }
    return undefined;
  }

  /** Returns the offset that the state stands for. */
  async #loadNewest(): Promise<number> {
    for (const offset of this.#offsets.toReversed()) {
      const path = this.#path(offset);
      const bytes = await readIfThere(this.#options.disk, path);
      const entries = bytes === undefined ? undefined : decodeProducerSnapshot(bytes);
      if (entries !== undefined) {
        this.state.load(entries);
        return offset;
      }
      this.#options.logger.warn({ path }, 'producer snapshot is unreadable, reading the batches instead');
      await this.#options.disk.remove(path);
      this.#offsets = this.#offsets.filter((each) => each !== offset);
    }
    this.state.clear();
    return 0;
  }

  #path(offset: number): string {
    return `${this.#options.directory}/${segmentName(offset)}${producerSnapshotSuffix}`;
  }
}

function offsetOf(fileName: string): number | undefined {
  const match = /^(\d{20})\.snapshot$/.exec(fileName);
  const offset = match === null ? undefined : Number(match[1]);
  return offset !== undefined && Number.isSafeInteger(offset) ? offset : undefined;
}
