import { type BatchHeader, batchSizeAt, readBatchHeader, validateBatch } from '@naru/record';
import { storedBatchBytesMax } from './batch-scan.ts';
import { type CleaningRules, filterBatch, visitKeys } from './cleaner-batch.ts';
import type { Dirt } from './cleaner-dirt.ts';
import { OffsetMap } from './cleaner-offset-map.ts';
import { type LogConfig, relativeOffsetMax } from './log-config.ts';
import type { LogDamage } from './log-types.ts';
import type { PartitionLog } from './partition-log.ts';
import { logSuffix, type Segment } from './segment.ts';
import { CleanedSegment } from './segment-swap.ts';

/** Read at once. */
const readBytesMin = 1024 * 1024;
/** Records (or bytes, so many to a record) that are worked on without letting others run: one or two milliseconds. */
const turnRecords = 1_500;
const bytesPerRecord = 256;

export interface PassOptions {
  /** `log.cleaner.dedupe.buffer.size`. */
  readonly mapBytesMax: number;
  readonly nowMs: number;
  /** Called after every short piece of work: lets others run, throws to give up. */
  readonly turn: () => Promise<void>;
  /** Called after every read: keeps to the I/O limit, throws to give up. */
  readonly throttle: (readBytes: number) => Promise<void>;
}

export type PassResult =
  | {
      readonly kind: 'cleaned';
      readonly endOffset: number;
      readonly readBytes: number;
      readonly bytesBefore: number;
      readonly bytesAfter: number;
    }
  /** The log was cut, deleted from or closed meanwhile; what was swapped is good, the rest is as it was. */
  | { readonly kind: 'overtaken' }
  /** A batch is not what was written: nothing of it may be judged or copied (row 21). */
  | { readonly kind: 'damaged'; readonly damage: LogDamage };

/**
 * Cleans a log once, from its start to where the map of offsets is full or the dirt ends:
 *
 *   1. The map learns the last offset of every key in the dirty part. What is before it holds a key once at most (but for what the
 *      last passes left in the part that they did not reach).
 *   2. Groups of segments that fit into one are rewritten without what the map knows a later record of, and swapped in one after the
 *      other, lowest first: a tombstone must not go before all it deletes.
 *
 * A batch whose records cannot be read here throws `RecordError`: the log cannot be cleaned.
 */
export class CleaningPass {
  readonly #dirt: Dirt;
  readonly #log: PartitionLog;
  readonly #options: PassOptions;
  readonly #cuts: number;
  readonly #lastOfProducer: ReadonlyMap<number, { readonly epoch: number; readonly lastOffset: number }>;
  /** Segments that are read now. */
  #inWork: readonly Segment[] = [];
  #lastEpoch = -1;
  /** In records, since others could run. */
  #work = 0;
  #readBytes = 0;
  #bytesBefore = 0;
  #bytesAfter = 0;

  constructor(dirt: Dirt, options: PassOptions) {
    this.#dirt = dirt;
    this.#log = dirt.log;
    this.#options = options;
    this.#cuts = dirt.log.cutsCount;
    this.#lastOfProducer = lastOffsetsOf(dirt.log);
  }

  async run(): Promise<PassResult> {
    try {
      const { map, endOffset } = await this.#buildMap();
      const rules: CleaningRules = {
        lastOffsetOf: (key) => map.get(key),
        latestOffset: endOffset - 1,
        nowMs: this.#options.nowMs,
        deleteRetentionMs: this.#log.config['delete.retention.ms'],
      };
      const reached = this.#dirt.segments.filter((segment) => segment.baseOffset < endOffset);
      for (const group of await groupsOf(reached, this.#log.config)) {
        this.#inWork = group;
        if (!(await pinned(group, () => this.#cleanGroup(group, rules)))) return { kind: 'overtaken' };
        this.#inWork = [];
      }
      const counts = { readBytes: this.#readBytes, bytesBefore: this.#bytesBefore, bytesAfter: this.#bytesAfter };
      return { kind: 'cleaned', endOffset, ...counts };
    } catch (error) {
      if (error instanceof FoundDamage) return { kind: 'damaged', damage: error.damage };
      if (this.#isOvertaken) return { kind: 'overtaken' };
      throw error;
    }
  }

  get #isOvertaken(): boolean {
    if (this.#log.state.kind === 'closed' || this.#log.cutsCount !== this.#cuts) return true;
    return this.#inWork.some((segment) => segment.isGone);
  }

  async #buildMap(): Promise<{ map: OffsetMap; endOffset: number }> {
    const { firstDirtyOffset, segments } = this.#dirt;
    const dirty = segments.filter((segment) => segment.nextOffset > firstDirtyOffset);
    const lastOffset = (dirty.at(-1) as Segment).nextOffset;
    // There are at most as many keys as offsets.
    const map = new OffsetMap(this.#options.mapBytesMax, lastOffset - firstDirtyOffset);
    for (const segment of dirty) {
      this.#inWork = [segment];
      const fullAt = await pinned([segment], () => this.#mapSegment(segment, map));
      if (fullAt !== undefined) return { map, endOffset: fullAt };
    }
    return { map, endOffset: lastOffset };
  }

  /** The offset of the first record that found the map full. */
  async #mapSegment(segment: Segment, map: OffsetMap): Promise<number | undefined> {
    const { firstDirtyOffset } = this.#dirt;
    const { offsets } = await segment.content();
    let fullAt: number | undefined;
    const put = (key: Uint8Array, offset: number): boolean => {
      if (offset < firstDirtyOffset || map.put(key, offset)) return true;
      fullAt = offset;
      return false;
    };
    await this.#visitBatches(segment, offsets.positionFor(firstDirtyOffset), (batch, header) => {
      return header.lastOffset < firstDirtyOffset || visitKeys(batch, header, put);
    });
    return fullAt;
  }

  /** False when the log changed meanwhile. */
  async #cleanGroup(group: readonly Segment[], rules: CleaningRules): Promise<boolean> {
    if (this.#isOvertaken) return false;
    const first = group[0] as Segment;
    // Readers that have one of them in hand go on with it after the swap: its file and indexes must be open by then.
    for (const segment of group) {
      await segment.file();
      await segment.content();
    }
    const cleaned = await CleanedSegment.create(first.place);
    try {
      let isChanged = group.length > 1;
      for (const segment of group) isChanged = (await this.#cleanSegment(segment, group, cleaned, rules)) || isChanged;
      this.#bytesBefore += group.reduce((sum, segment) => sum + segment.sizeBytes, 0);
      this.#bytesAfter += cleaned.sizeBytes;
      if (!isChanged) {
        await cleaned.discard();
        return true;
      }
      await cleaned.finish();
      if (await this.#log.replaceSegments(group, cleaned, this.#cuts)) return true;
      await cleaned.discard();
      return false;
    } catch (error) {
      // After a failed swap the log is failed: nothing is removed then, the next start finds out.
      if (this.#log.state.kind === 'open') await cleaned.discard();
      throw error;
    }
  }

  async #cleanSegment(
    segment: Segment,
    group: readonly Segment[],
    cleaned: CleanedSegment,
    rules: CleaningRules,
  ): Promise<boolean> {
    let isChanged = false;
    const end = segment === group.at(-1) ? segment.sizeBytes : -1;
    await this.#visitBatches(segment, 0, (batch, header, position) => {
      const mustStay = this.#mustStay(header) || position + header.sizeBytes === end;
      const kept = filterBatch(batch, header, rules, mustStay);
      isChanged ||= kept !== batch;
      if (kept === undefined) return true;
      cleaned.append(kept, kept === batch ? header : readBatchHeader(kept));
      return true;
    });
    return isChanged;
  }

  /**
   * Batches that stay even without records: the first of every leader epoch, so that the epoch vector can still be built from the batches (L2, row 62), and
   * every producer's last one, so that its sequence numbers can (row 39).
   */
  #mustStay(header: BatchHeader): boolean {
    const isFirstOfEpoch = header.partitionLeaderEpoch > this.#lastEpoch;
    this.#lastEpoch = header.partitionLeaderEpoch;
    if (isFirstOfEpoch) return true;
    const last = this.#lastOfProducer.get(header.producerId);
    return last !== undefined && last.epoch === header.producerEpoch && last.lastOffset === header.lastOffset;
  }

  /** Whole batches in order, checked, until `visit` says false. */
  async #visitBatches(
    segment: Segment,
    start: number,
    visit: (batch: Uint8Array, header: BatchHeader, position: number) => boolean,
  ): Promise<void> {
    const file = await segment.file();
    const end = segment.sizeBytes;
    let neededBytes = readBytesMin;
    for (let position = start; position < end; ) {
      if (this.#isOvertaken) throw new Error('the log changed while it was cleaned');
      const bytes = await file.read(position, Math.min(neededBytes, end - position));
      let at = 0;
      while (at < bytes.length) {
        const size = batchSizeAt(bytes, at);
        const isLast = position + bytes.length >= end;
        if (!isLast && (size === undefined || (size <= storedBatchBytesMax && at + size > bytes.length))) break;
        const validation = validateBatch(bytes, at, { maxBatchBytes: storedBatchBytesMax, source: 'log' });
        if (validation.kind === 'invalid') throw new FoundDamage(segment, position + at, validation.message);
        if (!visit(bytes.subarray(at, validation.end), validation.header, position + at)) return;
        at = validation.end;
        this.#work += validation.header.recordsCount + validation.header.sizeBytes / bytesPerRecord;
        if (this.#work < turnRecords) continue;
        this.#work = 0;
        await this.#options.turn();
      }
      // A batch that does not fit is read alone.
      neededBytes = at > 0 ? readBytesMin : Math.max(readBytesMin, batchSizeAt(bytes, 0) as number);
      position += at;
      this.#readBytes += at;
      await this.#options.throttle(bytes.length);
    }
  }
}

class FoundDamage extends Error {
  readonly damage: LogDamage;

  constructor(segment: Segment, position: number, reason: string) {
    super(reason);
    this.damage = { offset: segment.baseOffset, file: segment.path(logSuffix), position, reason };
  }
}

/** Keeps files and indexes of the segments open while `work` runs. */
async function pinned<T>(segments: readonly Segment[], work: () => Promise<T>): Promise<T> {
  const [first, ...others] = segments;
  return first === undefined ? work() : first.use(() => pinned(others, work));
}

function lastOffsetsOf(log: PartitionLog): Map<number, { readonly epoch: number; readonly lastOffset: number }> {
  const lasts = new Map<number, { readonly epoch: number; readonly lastOffset: number }>();
  for (const { producerId, epoch, runs } of log.producers.entries()) {
    const run = runs.at(-1);
    if (run !== undefined) lasts.set(producerId, { epoch, lastOffset: run.baseOffset + run.recordsCount - 1 });
  }
  return lasts;
}

/** Neighbours that fit into one segment whatever stays of them (Cleaner.groupSegmentsBySize): else small segments would pile up. */
async function groupsOf(segments: readonly Segment[], config: LogConfig): Promise<Segment[][]> {
  const groups: { segments: Segment[]; bytes: number; indexBytes: number }[] = [];
  for (const segment of segments) {
    const { offsets, times } = await segment.use(() => segment.content());
    const indexBytes = Math.max(offsets.sizeBytes, times.sizeBytes);
    const group = groups.at(-1);
    const fits =
      group !== undefined &&
      group.bytes + segment.sizeBytes <= config['segment.bytes'] &&
      group.indexBytes + indexBytes <= config['segment.index.bytes'] &&
      segment.nextOffset - (group.segments[0] as Segment).baseOffset <= relativeOffsetMax;
    if (!fits) groups.push({ segments: [segment], bytes: segment.sizeBytes, indexBytes });
    else {
      group.segments.push(segment);
      group.bytes += segment.sizeBytes;
      group.indexBytes += indexBytes;
    }
  }
  return groups.map((group) => group.segments);
}
