import {
  type BatchHeader,
  batchHeaderBytes,
  batchLayout,
  batchSizeAt,
  RecordError,
  readBatchHeader,
  readInt32,
  readInt64,
} from '@naru/record';
import { assert, type Disk, type DiskFile } from '@naru/runtime';
import { type BadBatch, discontinuity, scanBatches } from './batch-scan.ts';
import { readIfThere } from './checkpoint-file.ts';
import type { CompactionMark } from './compaction-mark.ts';
import { OffsetIndex } from './offset-index.ts';
import { SegmentContent } from './segment-content.ts';
import { TimeIndex } from './time-index.ts';

export const logSuffix = '.log';
export const indexSuffix = '.index';
export const timeIndexSuffix = '.timeindex';
export const deletedSuffix = '.deleted';
export const segmentSuffixes = [logSuffix, indexSuffix, timeIndexSuffix] as const;

const offsetDigits = 20;

/** `00000000000000000042`: Kafka's name of the segment that begins at 42, without a suffix. */
export function segmentName(baseOffset: number): string {
  return String(baseOffset).padStart(offsetDigits, '0');
}

/** The base offset in the name of a `.log` file, or undefined. */
export function baseOffsetOf(fileName: string): number | undefined {
  const match = /^(\d{20})\.log$/.exec(fileName);
  const offset = match === null ? undefined : Number(match[1]);
  return offset !== undefined && Number.isSafeInteger(offset) ? offset : undefined;
}

export interface SegmentPlace {
  readonly disk: Disk;
  readonly directory: string;
  readonly baseOffset: number;
  readonly indexIntervalBytes: number;
  readonly mark: CompactionMark;
}

/** Says why a batch must not be where it was found, or undefined. */
export type BatchVisitor = (header: BatchHeader) => string | undefined;

export interface SegmentCut {
  readonly content: SegmentContent;
  readonly position: number;
  /** Offset of the batch that begins there. */
  readonly offset: number;
  /** A bad batch stopped the look at what was to be kept. */
  readonly bad: BadBatch | undefined;
}

/** Why a cut's scan stops where it should. */
const cutHere = 'the cut falls here';

/** What `rewriteFrom` holds in memory. */
const rewriteBytes = 1024 * 1024;

const acceptAll: BatchVisitor = () => undefined;

/**
 * One file of batches with its two indexes. Only the last segment of a log is appended to; the others are sealed: their bytes
 * never change, their indexes are on disk, and in memory only while someone reads.
 */
export class Segment {
  readonly baseOffset: number;
  /** Wall time of creation, for `segment.ms` while no record is there. */
  readonly createdMs: number;
  /** Appended to since the last sync. */
  isDirty = false;
  /** Its indexes must reach the disk with the next flush. */
  needsSeal = false;
  /** Deleted or cut away: a read that meets a closed file looks again. */
  isGone = false;

  readonly place: SegmentPlace;
  #file: DiskFile | undefined;
  #opening: Promise<DiskFile> | undefined;
  #content: SegmentContent | undefined;
  #loading: Promise<SegmentContent> | undefined;
  #sizeBytes: number;
  #nextOffset: number;
  #readers = 0;
  #wasUsed = true;

  /** A segment that is on disk; its files are opened when they are needed. */
  constructor(
    place: SegmentPlace,
    state: { readonly nextOffset: number; readonly sizeBytes: number; readonly createdMs: number },
  ) {
    this.place = place;
    this.baseOffset = place.baseOffset;
    this.createdMs = state.createdMs;
    this.#sizeBytes = state.sizeBytes;
    this.#nextOffset = state.nextOffset;
  }

  /** A new, empty segment. Its name is durable after a sync of the directory. */
  static createNow(place: SegmentPlace, nowMs: number): Segment {
    const segment = new Segment(place, { nextOffset: place.baseOffset, sizeBytes: 0, createdMs: nowMs });
    segment.#file = place.disk.openNow(segment.path(logSuffix), { create: true });
    assert(segment.#file.size === 0, `${segment.#file.path} has been there already`);
    segment.#content = new SegmentContent(place.baseOffset);
    return segment;
  }

  path(suffix: string): string {
    return `${this.place.directory}/${segmentName(this.baseOffset)}${suffix}`;
  }

  /** Bytes of whole batches. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Offset after the last batch. */
  get nextOffset(): number {
    return this.#nextOffset;
  }

  /** Compaction may have taken batches out between others. */
  get mayHaveHoles(): boolean {
    return this.place.mark.isSet;
  }

  get isEmpty(): boolean {
    return this.#sizeBytes === 0;
  }

  /** Of a segment that can be appended to. */
  get active(): SegmentContent {
    assert(this.#content !== undefined, 'the active segment knows its content');
    return this.#content;
  }

  async file(): Promise<DiskFile> {
    if (this.#file !== undefined) return this.#file;
    this.#opening ??= this.place.disk.open(this.path(logSuffix)).finally(() => {
      this.#opening = undefined;
    });
    const file = await this.#opening;
    this.#file ??= file;
    return this.#file;
  }

  /** Writes whole batches at the end, into the page cache. Throws `DiskError`, having changed nothing. */
  write(bytes: Uint8Array): void {
    const file = this.#file;
    assert(file !== undefined, 'the active segment is open');
    assert(file.size === this.#sizeBytes, `${file.path} is ${file.size} bytes, not ${this.#sizeBytes}`);
    file.append([bytes]);
    this.isDirty = true;
  }

  /** Counts the batches that were written at the end. */
  addBatches(records: Uint8Array): void {
    const content = this.active;
    for (let at = 0; at < records.length; ) {
      const sizeBytes = batchSizeAt(records, at) as number;
      const lastOffset = readInt64(records, at) + readInt32(records, at + batchLayout.lastOffsetDelta);
      const maxTimestampMs = readInt64(records, at + batchLayout.maxTimestamp);
      const recordsCount = readInt32(records, at + batchLayout.recordsCount);
      content.add({ lastOffset, maxTimestampMs, sizeBytes, recordsCount }, this.place.indexIntervalBytes);
      at += sizeBytes;
    }
    this.#sizeBytes = content.sizeBytes;
    this.#nextOffset = content.nextOffset;
  }

  /** Makes the bytes durable, and the indexes of a sealed segment. Throws `DiskError`: final. */
  async sync(): Promise<void> {
    const file = await this.file();
    this.isDirty = false;
    await file.sync();
    if (this.needsSeal) await this.writeIndexes();
  }

  /**
   * Writes what programs see of the batches from `offset` on once more, so that the next sync carries them. After a failed sync the kernel takes
   * pages for clean that are not on the disk (ATC '20, row 56):
   *   1. a sync fails, the process ends, and a new one reads everything from the page cache;
   *   2. it syncs, which succeeds, because nothing is dirty; it counts all of that as durable;
   *   3. the power goes.
   */
  async rewriteFrom(offset: number): Promise<void> {
    const file = await this.file();
    let position = (await this.content()).offsets.positionFor(offset);
    while (position < this.#sizeBytes) {
      const bytes = await file.read(position, Math.min(rewriteBytes, this.#sizeBytes - position));
      if (bytes.length === 0) break;
      file.writeAt(position, bytes);
      position += bytes.length;
    }
    this.isDirty = true;
  }

  /** Writes both index files, durably. */
  async writeIndexes(): Promise<void> {
    const content = await this.content();
    content.finish();
    await this.place.disk.replaceFile(this.path(indexSuffix), content.offsets.encode());
    await this.place.disk.replaceFile(this.path(timeIndexSuffix), content.times.encode());
    this.needsSeal = false;
  }

  /** The indexes: from memory, from their files, or built from the batches when the files are missing or make no sense. */
  content(): Promise<SegmentContent> {
    if (this.#content !== undefined) return Promise.resolve(this.#content);
    this.#loading ??= this.#load().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  /** A read found that the indexes do not fit the batches: they are built anew. */
  async rebuildIndexes(): Promise<void> {
    const { content } = await this.#scan(this.#sizeBytes, acceptAll);
    this.#content = content;
  }

  /** Keeps file and indexes open while `read` runs. */
  async use<T>(read: () => Promise<T>): Promise<T> {
    this.#readers++;
    this.#wasUsed = true;
    try {
      return await read();
    } finally {
      this.#readers--;
    }
  }

  /** Closes the file of a sealed segment and forgets its indexes, when no one has used it since the last call. */
  async releaseIfIdle(): Promise<void> {
    const isIdle = !this.#wasUsed && this.#readers === 0 && !this.isDirty && !this.needsSeal;
    this.#wasUsed = false;
    if (!isIdle) return;
    this.#content = undefined;
    await this.close();
  }

  /** Reads and checks all batches of the file; the segment then ends after the last good one. */
  async rescan(visit: BatchVisitor): Promise<BadBatch | undefined> {
    const { content, bad } = await this.#scan((await this.file()).size, visit);
    this.#become(content);
    return bad;
  }

  /**
   * After a clean stop: goes on from the last indexed batch, so that opening does not read the whole segment. False when
   * indexes and batches do not agree; then `rescan`.
   */
  async resume(visit: BatchVisitor): Promise<boolean> {
    const file = await this.file();
    const loaded = await this.#readIndexFiles();
    if (loaded === undefined) return false;
    const last = loaded.offsets.last;
    const position = last?.position ?? 0;
    const start = await headerAt(file, position);
    const agrees =
      last === undefined
        ? start === undefined || discontinuity(start.baseOffset, this.baseOffset, this.mayHaveHoles) === undefined
        : start?.lastOffset === last.offset;
    if (!agrees) return false;
    const offset = start?.baseOffset ?? this.baseOffset;
    const scan = await scanBatches(file, { position, offset, mayHaveHoles: this.mayHaveHoles }, (header) => {
      loaded.noteTimestamp(header);
      return visit(header);
    });
    if (scan.bad !== undefined) return false;
    loaded.resumeAt({
      sizeBytes: scan.position,
      nextOffset: scan.nextOffset,
      bytesSinceEntry: scan.position - position,
    });
    loaded.firstTimestampMs = (await headerAt(file, 0))?.maxTimestampMs ?? -1;
    this.#become(loaded);
    return true;
  }

  /**
   * Where a cut to `offset` falls: before the batch that holds it, or before the first bad one. What will be left is read anew,
   * because the largest timestamp may go with the cut; cuts are rare.
   */
  async planCut(offset: number): Promise<SegmentCut> {
    const { content, bad } = await this.#scan(this.#sizeBytes, (header) =>
      header.lastOffset >= offset ? cutHere : undefined,
    );
    return {
      content,
      position: content.sizeBytes,
      offset: content.nextOffset,
      bad: bad?.reason === cutHere ? undefined : bad,
    };
  }

  /** Cuts; the segment can be appended to again. The file must be open. Durable after `sync`. */
  applyCut(cut: SegmentCut): void {
    assert(this.#file !== undefined, 'a planned cut has opened the file');
    this.#file.truncate(cut.position);
    this.isDirty = true;
    this.needsSeal = false;
    this.#become(cut.content);
  }

  /** Renames the files to `.deleted`; readers that have the file open go on. Durable after a sync of the directory. */
  async renameToDeleted(): Promise<void> {
    this.isGone = true;
    const { disk } = this.place;
    for (const suffix of segmentSuffixes) {
      const path = this.path(suffix);
      if ((await disk.stat(path)) !== undefined) await disk.rename(path, path + deletedSuffix);
    }
  }

  /** Closes and removes what `renameToDeleted` renamed. */
  async removeDeleted(): Promise<void> {
    await this.close();
    for (const suffix of segmentSuffixes) await this.place.disk.remove(this.path(suffix) + deletedSuffix);
  }

  /** Closes and removes at once. */
  async remove(): Promise<void> {
    this.isGone = true;
    await this.close();
    for (const suffix of segmentSuffixes) await this.place.disk.remove(this.path(suffix));
  }

  async close(): Promise<void> {
    const file = this.#file ?? (await this.#opening?.catch(() => undefined));
    this.#file = undefined;
    await file?.close();
  }

  #become(content: SegmentContent): void {
    this.#content = content;
    this.#sizeBytes = content.sizeBytes;
    this.#nextOffset = content.nextOffset;
  }

  async #load(): Promise<SegmentContent> {
    const loaded = await this.#readIndexFiles();
    // Damage inside a sealed segment stays where it is: reads find it and say so. The segment keeps its end.
    this.#content = loaded ?? (await this.#scan(this.#sizeBytes, acceptAll)).content;
    return this.#content;
  }

  async #readIndexFiles(): Promise<SegmentContent | undefined> {
    const offsetBytes = await readIfThere(this.place.disk, this.path(indexSuffix));
    const timeBytes = await readIfThere(this.place.disk, this.path(timeIndexSuffix));
    if (offsetBytes === undefined || timeBytes === undefined) return undefined;
    const offsets = OffsetIndex.decode(this.baseOffset, offsetBytes, this.#sizeBytes);
    const times = TimeIndex.decode(this.baseOffset, timeBytes);
    return offsets && times && new SegmentContent(this.baseOffset, { offsets, times });
  }

  async #scan(end: number, visit: BatchVisitor): Promise<{ content: SegmentContent; bad: BadBatch | undefined }> {
    const content = new SegmentContent(this.baseOffset);
    const from = { position: 0, offset: this.baseOffset, end, mayHaveHoles: this.mayHaveHoles };
    const { bad } = await scanBatches(await this.file(), from, (header) => {
      const objection = visit(header);
      if (objection === undefined) content.add(header, this.place.indexIntervalBytes);
      return objection;
    });
    return { content, bad };
  }
}

/** The header of what begins at `position`, if it can be one. */
export async function headerAt(file: DiskFile, position: number): Promise<BatchHeader | undefined> {
  const bytes = await file.read(position, batchHeaderBytes);
  if (bytes.length < batchHeaderBytes) return undefined;
  try {
    return readBatchHeader(bytes);
  } catch (error) {
    if (error instanceof RecordError) return undefined;
    throw error;
  }
}
