import type { Logger } from '@naru/observability';
import { type BatchHeader, readBatchHeader } from '@naru/record';
import { assert, type Disk } from '@naru/runtime';
import { type BadBatch, hasValidBatchAfter } from './batch-scan.ts';
import { CompactionMark } from './compaction-mark.ts';
import type { DamageMark } from './damage-mark.ts';
import { type EpochStart, LeaderEpochs } from './leader-epochs.ts';
import type { LogDamage } from './log-types.ts';
import { baseOffsetOf, deletedSuffix, logSuffix, Segment } from './segment.ts';
import { readBatches } from './segment-reader.ts';
import { finishSwaps } from './segment-swap.ts';

export interface RecoveryOptions {
  readonly disk: Disk;
  readonly logger: Logger;
  readonly directory: string;
  readonly indexIntervalBytes: number;
  /** Everything below was durable when this was written; from here on the last stop may have left anything. */
  readonly recoveryPoint: number;
  /** As checkpointed: segments wholly below it are leftovers of a deletion. */
  readonly logStartOffset: number;
  /** The broker stopped in order and flushed everything: batches are not checked again. */
  readonly wasCleanShutdown: boolean;
  /** With a mark the log was known as damaged: everything is checked, nothing is cut. */
  readonly mark: DamageMark;
  /** The checkpoint could not be read: `recoveryPoint` says nothing, and no damage can be told to lie beyond it. */
  readonly isRecoveryPointLost?: boolean;
  readonly nowMs: number;
  /** Told of every batch that is read and whole, also of those that are cut afterwards. */
  readonly observe?: (header: BatchHeader) => void;
}

export interface RecoveredLog {
  readonly segments: Segment[];
  readonly epochs: LeaderEpochs;
  readonly mark: CompactionMark;
  readonly logStartOffset: number;
  /** Offset after the last good batch; with damage, the first offset that is not good. */
  readonly logEndOffset: number;
  readonly damage: LogDamage | undefined;
  /** Bytes of torn tail that were cut. */
  readonly cutBytes: number;
}

/**
 * Brings a partition's directory back to a log after any stop.
 *
 * What a crash may leave (`DiskFile` says why), and what becomes of it:
 *   - the last batch incomplete, or its bytes missing or zero, nothing valid after it, at or beyond the recovery point:
 *     a torn tail, cut;
 *   - the same below the recovery point, or with a valid batch after it, or a hole between segments: damage. Acknowledged records
 *     may be among what is there, so nothing is cut; the log opens as damaged and is repaired from another replica (row 57). Whether
 *     it lies beyond the recovery point is noted: then it may be nothing but unsynced writes;
 *   - a swap of a cleaned segment that was cut short: finished or taken back (`segment-swap.ts`);
 *   - segments below the log start, `.deleted` and `.tmp` files: leftovers of a deletion or a replacement, removed;
 *   - missing or senseless indexes and epoch vector: built anew from the batches.
 */
export async function recoverLog(asked: RecoveryOptions): Promise<RecoveredLog> {
  const isSwapDamaged = await finishSwaps(asked.disk, asked.directory, asked.logger);
  // A cleaned segment was synced before it took a place.
  const options: RecoveryOptions = isSwapDamaged ? { ...asked, mark: 'synced-part' } : asked;
  const { epochs, found } = await LeaderEpochs.load(options.disk, options.directory);
  const mark = await CompactionMark.load(options.disk, options.directory);
  const segments = await findSegments(options, mark);
  const mustBuildEpochs = !found && segments.some((segment) => !segment.isEmpty);
  const recovered = await new Recovery(options, segments, epochs, mustBuildEpochs).run();
  if (recovered !== 'epochs-disagree') return { ...recovered, mark };
  // Either the checkpoint or a header is wrong, and neither has a checksum. All headers together decide (row 62).
  options.logger.warn(
    { directory: options.directory },
    'epoch checkpoint disagrees with the batches, building it anew',
  );
  for (const segment of segments) await segment.close();
  const rebuilt = await new Recovery(options, await findSegments(options, mark), epochs, true).run();
  assert(rebuilt !== 'epochs-disagree', 'nothing is compared while epochs are built');
  return { ...rebuilt, mark };
}

class Recovery {
  readonly #options: RecoveryOptions;
  readonly #segments: Segment[];
  readonly #epochs: LeaderEpochs;
  /** No usable checkpoint: every batch is looked at to build the vector. */
  readonly #mustBuildEpochs: boolean;
  /** Epochs as the batches say them, in the order of the scan. */
  readonly #seen: EpochStart[] = [];
  #epochsDisagree = false;
  #damage: LogDamage | undefined;
  #cutBytes = 0;

  constructor(options: RecoveryOptions, segments: Segment[], epochs: LeaderEpochs, mustBuildEpochs: boolean) {
    this.#options = options;
    this.#segments = segments;
    this.#epochs = epochs;
    this.#mustBuildEpochs = mustBuildEpochs;
  }

  async run(): Promise<Omit<RecoveredLog, 'mark'> | 'epochs-disagree'> {
    let logEndOffset = this.#segments[0]?.baseOffset ?? this.#options.logStartOffset;
    for (let i = 0; i < this.#segments.length && this.#damage === undefined; i++) {
      const segment = this.#segments[i] as Segment;
      if (segment.baseOffset !== logEndOffset) {
        await this.#judgeGap(i, logEndOffset);
        break;
      }
      if (this.#mustScan(i)) await this.#scan(i);
      logEndOffset = segment.nextOffset;
    }
    if (this.#damage === undefined && logEndOffset < this.#options.logStartOffset) {
      // Only deleted records are left: a crash came between moving the log start beyond the end and removing the files.
      await this.#removeFrom(0);
      logEndOffset = this.#options.logStartOffset;
    }
    if (this.#damage !== undefined) logEndOffset = this.#damage.offset;
    else if (logEndOffset < this.#options.recoveryPoint) this.#missBelowRecoveryPoint(logEndOffset);
    if (!this.#mustBuildEpochs && (this.#epochsDisagree || !(await this.#checkpointAgrees(logEndOffset)))) {
      return 'epochs-disagree';
    }
    this.#settleEpochs(logEndOffset);
    const firstOffset = this.#segments[0]?.baseOffset ?? this.#options.logStartOffset;
    return {
      segments: this.#segments,
      epochs: this.#epochs,
      logStartOffset: Math.max(firstOffset, Math.min(this.#options.logStartOffset, logEndOffset)),
      logEndOffset,
      damage: this.#damage,
      cutBytes: this.#cutBytes,
    };
  }

  get #wasDamaged(): boolean {
    return this.#options.mark !== 'none';
  }

  /** The last segment always, because only it has no next one to say where it ends; others when they may not have been durable. */
  #mustScan(i: number): boolean {
    const next = this.#segments[i + 1];
    if (next === undefined || this.#mustBuildEpochs || this.#wasDamaged) return true;
    return !this.#options.wasCleanShutdown && next.baseOffset > this.#options.recoveryPoint;
  }

  async #scan(i: number): Promise<void> {
    const segment = this.#segments[i] as Segment;
    const seenBefore = this.#seen.length;
    if (this.#options.wasCleanShutdown && !this.#mustBuildEpochs && !this.#wasDamaged) {
      if (await segment.resume(this.#visit)) return;
      this.#seen.length = seenBefore;
    }
    const bad = await segment.rescan(this.#visit);
    if (bad !== undefined) await this.#judge(i, bad);
    else if (i < this.#segments.length - 1) segment.needsSeal = true;
  }

  /** L2: epochs do not go back along the log, and below the recovery point they are those of the checkpoint. */
  readonly #visit = (header: BatchHeader): string | undefined => {
    this.#options.observe?.(header);
    const epoch = header.partitionLeaderEpoch;
    const last = this.#seen.at(-1)?.epoch ?? -1;
    if (epoch < last) return `a batch of leader epoch ${epoch} follows one of epoch ${last}`;
    if (header.lastOffset < this.#options.recoveryPoint) {
      const known = this.#epochs.epochOf(header.baseOffset);
      if (known !== epoch && known !== -1) this.#epochsDisagree = true;
    }
    if (epoch > last) this.#seen.push({ epoch, startOffset: header.baseOffset });
    return undefined;
  };

  /** Row 57: what makes bad bytes a torn tail, and what makes them damage. */
  async #judge(i: number, bad: BadBatch): Promise<void> {
    const segment = this.#segments[i] as Segment;
    const { recoveryPoint, logger } = this.#options;
    if (bad.offset < recoveryPoint) {
      this.#damaged(segment, bad, `${bad.reason}, below the recovery point ${recoveryPoint}`);
      return;
    }
    if (this.#wasDamaged) {
      this.#damaged(segment, bad, `${bad.reason}, and the log was known as damaged`);
      return;
    }
    const file = await segment.file();
    if (
      (await hasValidBatchAfter(file, bad.position + 1, bad.offset)) ||
      (await this.#hasValidBatchFrom(i + 1, bad.offset))
    ) {
      this.#damaged(segment, bad, `${bad.reason}, and valid batches follow`);
      return;
    }
    this.#cutBytes = file.size - bad.position;
    logger.warn(
      { file: segment.path(logSuffix), position: bad.position, bytes: this.#cutBytes, reason: bad.reason },
      'torn tail cut',
    );
    await this.#removeFrom(i + 1);
    segment.applyCut(await segment.planCut(bad.offset));
  }

  /** Segment `i` does not begin where the one before it ends: its unsynced end is missing. */
  async #judgeGap(i: number, logEndOffset: number): Promise<void> {
    const before = this.#segments[i - 1] as Segment;
    const position = before.sizeBytes;
    const reason = `offsets ${logEndOffset} to ${(this.#segments[i] as Segment).baseOffset} are missing`;
    const isBelow = logEndOffset < this.#options.recoveryPoint || this.#wasDamaged;
    if (isBelow || (await this.#hasValidBatchFrom(i, logEndOffset))) {
      this.#damaged(before, { offset: logEndOffset, position }, reason);
      return;
    }
    await this.#removeFrom(i);
    before.needsSeal = false;
  }

  #missBelowRecoveryPoint(logEndOffset: number): void {
    const last = this.#segments.at(-1);
    const reason = `the log ends at ${logEndOffset}, below the recovery point ${this.#options.recoveryPoint}`;
    const file = last?.path(logSuffix) ?? this.#options.directory;
    this.#damage = { offset: logEndOffset, file, position: last?.sizeBytes ?? 0, reason };
  }

  #damaged(segment: Segment, at: { readonly offset: number; readonly position: number }, reason: string): void {
    const { recoveryPoint, isRecoveryPointLost = false, mark } = this.#options;
    const isBeyond = at.offset >= recoveryPoint && !isRecoveryPointLost && mark !== 'synced-part';
    const damage = { offset: at.offset, file: segment.path(logSuffix), position: at.position, reason };
    this.#damage = isBeyond ? { ...damage, beyondRecoveryPoint: true } : damage;
  }

  async #hasValidBatchFrom(i: number, offset: number): Promise<boolean> {
    for (const segment of this.#segments.slice(i)) {
      if (await hasValidBatchAfter(await segment.file(), 0, offset)) return true;
    }
    return false;
  }

  /** From the last to the first, each durable before the next, so that a crash in between leaves no hole. */
  async #removeFrom(i: number): Promise<void> {
    for (const segment of this.#segments.splice(i).reverse()) {
      await segment.remove();
      await this.#options.disk.syncDirectory(this.#options.directory);
    }
  }

  /**
   * Whether epochs begin where the checkpoint says, in the part that was not scanned: a wrong start would give a follower a
   * wrong place to cut. The first entry may begin inside a batch, after records were deleted.
   */
  async #checkpointAgrees(logEndOffset: number): Promise<boolean> {
    const scanStart = this.#seen[0]?.startOffset ?? logEndOffset;
    for (const [i, { epoch, startOffset }] of this.#epochs.entries.entries()) {
      const segment = this.#segments.findLast((each) => each.baseOffset <= startOffset);
      if (segment === undefined || startOffset >= Math.min(scanStart, segment.nextOffset)) continue;
      const read = await readBatches(segment, startOffset, 1, Number.MAX_SAFE_INTEGER);
      const [bytes] = read.kind === 'batches' ? read.records : [];
      if (bytes === undefined) continue;
      const header = readBatchHeader(bytes);
      if (header.partitionLeaderEpoch !== epoch || (i > 0 && header.baseOffset !== startOffset)) return false;
    }
    return true;
  }

  /**
   * L2: where batches were looked at, their headers are the truth; before that, the checkpoint. An epoch that was assigned at the
   * log end stays although no batch has it: its leader may have told others (row 62).
   */
  #settleEpochs(logEndOffset: number): void {
    const known = this.#epochs.entries;
    const scanStart = this.#seen[0]?.startOffset ?? logEndOffset;
    const settled = known.filter((entry) => entry.startOffset < scanStart && entry.startOffset < logEndOffset);
    const assigned = known.filter((entry) => entry.startOffset === logEndOffset);
    for (const entry of [...this.#seen, ...assigned]) {
      if (entry.epoch > (settled.at(-1)?.epoch ?? -1)) settled.push(entry);
    }
    if (JSON.stringify(settled) !== JSON.stringify(known)) this.#epochs.replace(settled);
    const first = this.#segments[0]?.baseOffset ?? logEndOffset;
    this.#epochs.truncateFromStart(Math.max(first, Math.min(this.#options.logStartOffset, logEndOffset)));
  }
}

/** The `.log` files in order of their offsets, leftovers removed. */
async function findSegments(options: RecoveryOptions, mark: CompactionMark): Promise<Segment[]> {
  const { disk, directory } = options;
  const names = await disk.list(directory);
  for (const name of names) {
    if (name.endsWith(deletedSuffix) || name.endsWith('.tmp')) await disk.remove(`${directory}/${name}`);
  }
  const baseOffsets = names.map(baseOffsetOf).filter((offset) => offset !== undefined);
  const segments: Segment[] = [];
  for (const [i, baseOffset] of baseOffsets.entries()) {
    const next = baseOffsets[i + 1];
    const place = { disk, directory, mark, baseOffset, indexIntervalBytes: options.indexIntervalBytes };
    const stat = await disk.stat(`${directory}/${names.find((name) => baseOffsetOf(name) === baseOffset)}`);
    const state = {
      nextOffset: next ?? baseOffset,
      sizeBytes: stat?.size ?? 0,
      createdMs: stat?.modifiedMs ?? options.nowMs,
    };
    const segment = new Segment(place, state);
    if (next !== undefined && next <= options.logStartOffset) await segment.remove();
    else segments.push(segment);
  }
  return segments;
}
