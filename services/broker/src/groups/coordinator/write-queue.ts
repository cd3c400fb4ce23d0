import { BatchBuilder, recordBytesMax } from '@naru/record';
import type { Deadlines, Expiring } from '../../replication/deadlines.ts';
import type { Partition } from '../../replication/partition.ts';
import { encodeRecord, type GroupRecord } from '../records/group-record.ts';

/** How a write ended for the one who waits for it. */
export type WriteOutcome =
  | 'committed'
  /** Not known to be replicated in time, or refused by the partition; with the former it may be applied later. */
  | 'not-available'
  /** Another leader epoch: whatever becomes of the records is that leader's to say (row 50). */
  | 'not-coordinator'
  /** A record, or what had to be one batch, is larger than `max.message.bytes`: nothing was written. */
  | 'too-large';

export interface WriteQueueOptions {
  readonly partition: Partition;
  readonly deadlines: Deadlines;
  /** `offsets.commit.timeout.ms`. */
  readonly timeoutMs: number;
  readonly wallMs: () => number;
  /** Called for each record when it is replicated, in the order of the log. */
  readonly apply: (record: GroupRecord) => void;
}

/**
 * Records on their way into one partition of `__consumer_offsets`, with acks=all. They are applied in the order of the log when the high watermark
 * has passed them, whether or not somebody still waits: the state stays what the log says (G8).
 */
export class WriteQueue {
  readonly #options: WriteQueueOptions;
  readonly #queue: PendingWrite[] = [];

  constructor(options: WriteQueueOptions) {
    this.#options = options;
  }

  /** Written and not yet replicated. */
  *pending(): Iterable<GroupRecord> {
    for (const { records } of this.#queue) yield* records;
  }

  /**
   * `done` is called once, possibly before this returns; `onAppended` before that, in this call, with what the log has taken. Without records: when everything
   * is replicated that was written before. Atomic: in one batch or not at all.
   */
  write(
    records: readonly GroupRecord[],
    done: (outcome: WriteOutcome) => void,
    onAppended?: (records: readonly GroupRecord[]) => void,
    isAtomic = false,
  ): void {
    const last = this.#queue.at(-1);
    if (records.length === 0) {
      if (last === undefined) done('committed');
      else this.#push(last.endOffset, [], done);
      return;
    }
    const batches = this.#encode(records);
    if (batches === undefined || (isAtomic && batches.length > 1)) {
      done('too-large');
      return;
    }
    for (const [i, batch] of batches.entries()) {
      const outcome = this.#options.partition.append(batch.bytes, true);
      if (outcome.kind !== 'appended') {
        done(outcome.kind === 'not-leader' ? 'not-coordinator' : 'not-available');
        return;
      }
      this.#push(outcome.endOffset, batch.records, i === batches.length - 1 ? done : undefined);
      onAppended?.(batch.records);
    }
  }

  #push(endOffset: number, records: readonly GroupRecord[], done: ((outcome: WriteOutcome) => void) | undefined): void {
    const write = new PendingWrite(endOffset, records, done);
    this.#queue.push(write);
    if (done !== undefined) write.expireIn(this.#options.deadlines, this.#options.timeoutMs);
  }

  highWatermarkAdvanced(highWatermark: number): void {
    while (this.#queue.length > 0 && (this.#queue[0] as PendingWrite).endOffset <= highWatermark) {
      const write = this.#queue.shift() as PendingWrite;
      for (const record of write.records) this.#options.apply(record);
      write.finish('committed', this.#options.deadlines);
    }
  }

  /** The leader epoch is over. */
  failAll(): void {
    for (const write of this.#queue.splice(0)) write.finish('not-coordinator', this.#options.deadlines);
  }

  /** As few batches as `max.message.bytes` allows; undefined when one record is too large for any. */
  #encode(records: readonly GroupRecord[]): EncodedBatch[] | undefined {
    const bytesMax = this.#options.partition.log.config['max.message.bytes'];
    const timestampMs = this.#options.wallMs();
    const batches: { builder: BatchBuilder; records: GroupRecord[] }[] = [];
    for (const record of records) {
      const { key, value } = encodeRecord(record);
      const size = recordBytesMax(key, value);
      let last = batches.at(-1);
      if (last === undefined || last.builder.uncompressedBytes + size > bytesMax) {
        last = { builder: new BatchBuilder({ capacityBytes: size + 128 }), records: [] };
        if (last.builder.uncompressedBytes + size > bytesMax) return undefined;
        batches.push(last);
      }
      last.builder.append(key, value, timestampMs);
      last.records.push(record);
    }
    return batches.map((batch) => ({ bytes: batch.builder.close(), records: batch.records }));
  }
}

interface EncodedBatch {
  readonly bytes: Uint8Array;
  readonly records: readonly GroupRecord[];
}

class PendingWrite implements Expiring {
  readonly endOffset: number;
  readonly records: readonly GroupRecord[];
  #done: ((outcome: WriteOutcome) => void) | undefined;
  #slot: number | undefined;

  constructor(endOffset: number, records: readonly GroupRecord[], done: ((outcome: WriteOutcome) => void) | undefined) {
    this.endOffset = endOffset;
    this.records = records;
    this.#done = done;
  }

  expireIn(deadlines: Deadlines, timeoutMs: number): void {
    this.#slot = deadlines.set(this, timeoutMs);
  }

  expired(): void {
    this.#slot = undefined;
    this.#answer('not-available');
  }

  finish(outcome: WriteOutcome, deadlines: Deadlines): void {
    if (this.#slot !== undefined) deadlines.clear(this, this.#slot);
    this.#slot = undefined;
    this.#answer(outcome);
  }

  #answer(outcome: WriteOutcome): void {
    const done = this.#done;
    this.#done = undefined;
    done?.(outcome);
  }
}
