import type { Logger } from '@naru/observability';
import { assert, type Disk, type DiskFile } from '@naru/runtime';
import { scanBatches } from './batch-scan.ts';
import { writeDamageMark } from './damage-mark.ts';
import {
  baseOffsetOf,
  deletedSuffix,
  indexSuffix,
  logSuffix,
  Segment,
  type SegmentPlace,
  segmentName,
  segmentSuffixes,
  timeIndexSuffix,
} from './segment.ts';
import { type IndexedBatch, SegmentContent } from './segment-content.ts';

/**
 * How a cleaned segment takes the place of those that it was made from, as Kafka does it (UnifiedLog.replaceSegments), with the syncs that make every
 * state on the disk one of these:
 *
 *   1. `N.log.cleaned` (and indexes) is written and synced. A crash leaves the old segments; the file is removed at the next open.
 *   2. It becomes `N.log.swap`; the directory is synced. From here on the new content counts: it is whole, and an open finishes what follows.
 *   3. The old segments become `.deleted`; the directory is synced. Only now may the old `N.log` not come back any more.
 *   4. `N.log.swap` becomes `N.log`, the indexes get their names; the directory is synced.
 *
 * A cleaned segment ends where the next one begins (its last batch stays, if need be without records), so that a missing segment is
 * still found out, in a compacted log, too (row 57).
 */
export const cleanedSuffix = '.cleaned';
export const swapSuffix = '.swap';

/** Bytes that are collected for one write. */
const writeBytes = 1024 * 1024;

/** Writes a `.cleaned` segment, batch by batch. */
export class CleanedSegment {
  readonly #place: SegmentPlace;
  readonly #file: DiskFile;
  readonly #content: SegmentContent;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #isOpen = true;

  private constructor(place: SegmentPlace, file: DiskFile) {
    this.#place = place;
    this.#file = file;
    this.#content = new SegmentContent(place.baseOffset);
  }

  /** Throws `DiskError`. */
  static async create(place: SegmentPlace): Promise<CleanedSegment> {
    const path = pathOf(place, logSuffix + cleanedSuffix);
    await place.disk.remove(path);
    return new CleanedSegment(place, await place.disk.open(path, { create: true }));
  }

  get sizeBytes(): number {
    return this.#content.sizeBytes;
  }

  get nextOffset(): number {
    return this.#content.nextOffset;
  }

  /** The bytes must not change before the next `append` or `finish` has answered. Throws `DiskError`. */
  append(bytes: Uint8Array, batch: IndexedBatch): void {
    this.#content.add(batch, this.#place.indexIntervalBytes);
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    if (this.#pendingBytes >= writeBytes) this.#write();
  }

  /** Everything is written and durable, under the names of step 1. Throws `DiskError`. */
  async finish(): Promise<void> {
    this.#write();
    await this.#file.sync();
    await this.#file.close();
    this.#isOpen = false;
    this.#content.finish();
    await this.#writeIndex(indexSuffix, this.#content.offsets.encode());
    await this.#writeIndex(timeIndexSuffix, this.#content.times.encode());
  }

  /** Steps 2 to 4. When this fails, only an open can tell which of them happened. Throws `DiskError`. */
  async takePlaceOf(old: readonly Segment[]): Promise<Segment> {
    const { disk, directory, baseOffset } = this.#place;
    const last = old.at(-1) as Segment;
    assert(old[0]?.baseOffset === baseOffset && this.nextOffset === last.nextOffset, 'no offsets get lost in a swap');
    const rename = (from: string, to: string): Promise<void> =>
      disk.rename(pathOf(this.#place, from), pathOf(this.#place, to));
    await rename(logSuffix + cleanedSuffix, logSuffix + swapSuffix);
    await disk.syncDirectory(directory);
    for (const segment of old) await segment.renameToDeleted();
    await disk.syncDirectory(directory);
    await rename(logSuffix + swapSuffix, logSuffix);
    await rename(indexSuffix + cleanedSuffix, indexSuffix);
    await rename(timeIndexSuffix + cleanedSuffix, timeIndexSuffix);
    await disk.syncDirectory(directory);
    const { sizeBytes, nextOffset } = this;
    return new Segment(this.#place, { sizeBytes, nextOffset, createdMs: last.createdMs });
  }

  /** Removes the files of step 1; not after `takePlaceOf` began. */
  async discard(): Promise<void> {
    if (this.#isOpen) await this.#file.close();
    this.#isOpen = false;
    for (const suffix of segmentSuffixes) await this.#place.disk.remove(pathOf(this.#place, suffix + cleanedSuffix));
  }

  #write(): void {
    if (this.#pending.length > 0) this.#file.append(this.#pending);
    this.#pending = [];
    this.#pendingBytes = 0;
  }

  async #writeIndex(suffix: string, bytes: Uint8Array): Promise<void> {
    const path = pathOf(this.#place, suffix + cleanedSuffix);
    await this.#place.disk.remove(path);
    const file = await this.#place.disk.open(path, { create: true });
    try {
      file.append([bytes]);
      await file.sync();
    } finally {
      await file.close();
    }
  }
}

/**
 * At an open, before the segments are looked for: finishes the swaps that a crash cut short, and removes what was being written. May itself be cut
 * short at any point. True when something is lost: then the log has the mark of damage. Throws `DiskError`.
 */
export async function finishSwaps(disk: Disk, directory: string, logger: Logger): Promise<boolean> {
  const names = await disk.list(directory);
  for (const name of names) {
    if (name.endsWith(cleanedSuffix)) await disk.remove(`${directory}/${name}`);
  }
  let isDamaged = false;
  for (const name of names) {
    if (!name.endsWith(logSuffix + swapSuffix)) continue;
    const logName = name.slice(0, -swapSuffix.length);
    const baseOffset = baseOffsetOf(logName);
    if (baseOffset === undefined) continue;
    if (await finishSwap(disk, { directory, name, logName, baseOffset }, logger)) isDamaged = true;
  }
  return isDamaged;
}

interface FoundSwap {
  readonly directory: string;
  readonly name: string;
  readonly logName: string;
  readonly baseOffset: number;
}

async function finishSwap(disk: Disk, swap: FoundSwap, logger: Logger): Promise<boolean> {
  const { directory, name, logName, baseOffset } = swap;
  const endOffset = await endOfWhole(disk, swap);
  const names = await disk.list(directory);
  if (endOffset === undefined) {
    // It was synced before it got this name: the disk damaged it since. The old segments will do while all of them are there.
    const path = `${directory}/${name}`;
    logger.error({ path }, 'cleaned segment is damaged');
    const isLost = !names.includes(logName) || names.some((other) => other.endsWith(logSuffix + deletedSuffix));
    if (isLost) {
      const reason = 'a cleaned segment is damaged and of those that it was made from some are gone';
      await writeDamageMark(disk, directory, { offset: baseOffset, file: path, position: 0, reason });
    }
    if (names.includes(logName)) await disk.remove(path);
    else await disk.rename(path, `${directory}/${logName}`);
    await disk.syncDirectory(directory);
    return isLost;
  }
  // After a killed process the name may be in the page cache alone: the old segments must not go before it is durable.
  await disk.syncDirectory(directory);
  for (const old of names.map(baseOffsetOf)) {
    if (old === undefined || old < baseOffset || old >= endOffset) continue;
    for (const suffix of segmentSuffixes) await disk.remove(`${directory}/${segmentName(old)}${suffix}`);
  }
  // Indexes of step 4, too: without them the batches are read.
  for (const suffix of [indexSuffix, timeIndexSuffix]) {
    await disk.remove(`${directory}/${segmentName(baseOffset)}${suffix}`);
  }
  await disk.syncDirectory(directory);
  await disk.rename(`${directory}/${name}`, `${directory}/${logName}`);
  await disk.syncDirectory(directory);
  logger.info({ directory, baseOffset, endOffset }, 'swap of a cleaned segment finished');
  return false;
}

/** The offset after the last batch, undefined when a batch is not what was written. */
async function endOfWhole(disk: Disk, { directory, name, baseOffset }: FoundSwap): Promise<number | undefined> {
  const file = await disk.open(`${directory}/${name}`);
  try {
    const scan = await scanBatches(file, { position: 0, offset: baseOffset, mayHaveHoles: true }, () => undefined);
    return scan.bad === undefined && scan.position > 0 ? scan.nextOffset : undefined;
  } finally {
    await file.close();
  }
}

function pathOf({ directory, baseOffset }: SegmentPlace, suffix: string): string {
  return `${directory}/${segmentName(baseOffset)}${suffix}`;
}
