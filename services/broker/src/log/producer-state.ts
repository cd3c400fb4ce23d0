import { batchLayout, batchSizeAt, readInt16, readInt32, readInt64 } from '@naru/record';

/** Sequence numbers go round within 31 bits: 2147483647 is followed by 0. */
export const sequenceMax = 0x7fff_ffff;
/** Runs of batches that are remembered of one producer. Kafka remembers five batches; every run holds at least one. */
export const runsPerProducerMax = 5;
/** Records of one run. Five full runs stay below half of the sequence numbers, so that older and newer can be told apart. */
const runRecordsMax = 2 ** 27;
/** How far back a sequence number counts as one that was before, not as one that is to come. */
const backDistanceMax = 2 ** 30;
/** Producers of one partition. Beyond it those that were silent longest are forgotten, as if they had never been. */
export const producersMax = 100_000;
/** Of those whose state expired, so many are still known by epoch and last sequence number (row 40). */
export const expiredProducersMax = 1_000;

/** Batches of one producer that follow each other without a gap, in sequence numbers and in offsets. */
export interface SequenceRun {
  readonly firstSequence: number;
  readonly recordsCount: number;
  readonly baseOffset: number;
}

/** What is known of one producer. `runs`, oldest first, is empty when it expired. */
export interface ProducerEntry {
  readonly producerId: number;
  readonly epoch: number;
  readonly lastSequence: number;
  /** Wall time of its last append here: records may carry any time. */
  readonly lastActiveMs: number;
  readonly runs: readonly SequenceRun[];
}

export type ProducerRefusal =
  /** The sequence number is not the next one, nor one that was before: something is missing in between. */
  | 'out-of-order-sequence'
  /** A newer incarnation of the producer has written. */
  | 'invalid-producer-epoch'
  /** The producer goes on where nothing of it is known (row 40). */
  | 'unknown-producer-id'
  /** Sequence or epoch missing, or batches of several producers together. */
  | 'invalid-producer-fields';

export type ProducerVerdict =
  /** Nothing of it is in the log; also what has no producer id. */
  | { readonly kind: 'new' }
  /**
   * Some or all of the batches are in the log already. One offset for each of these: where it is, -1 when that is no longer known
   * (row 42). What begins at `newFrom` is new; nothing when that is the end.
   */
  | {
      readonly kind: 'duplicate';
      readonly baseOffsets: readonly number[];
      readonly endOffset: number;
      readonly newFrom: number;
    }
  | { readonly kind: ProducerRefusal };

const isNew: ProducerVerdict = { kind: 'new' };
const unknownOffset = -1;

interface Producer {
  epoch: number;
  lastSequence: number;
  lastActiveMs: number;
  runs: { firstSequence: number; recordsCount: number; baseOffset: number }[];
}

/**
 * Which sequence numbers each idempotent producer has written to a partition, and to which offsets (KIP-98). Pure.
 *
 * It is a function of the log: leader and follower call `appended` for what they append, recovery for what it reads. Only a leader asks `judge`
 * first. Kept by time, not by the log's content (row 41): records that retention deletes leave it as it is.
 *
 * Where Kafka keeps a producer's last five batches, this keeps the last five runs of adjacent batches: a request here may carry many
 * batches of a partition, and all of them may come again.
 */
export class ProducerState {
  readonly #producers = new Map<number, Producer>();

  get size(): number {
    return this.#producers.size;
  }

  /**
   * Whether validated batches may be appended by the leader: all or none of the new ones. Of one producer, or of none: a
   * request is one producer's.
   */
  judge(records: Uint8Array): ProducerVerdict {
    const producerId = readInt64(records, batchLayout.producerId);
    if (producerId < 0) return judgePlain(records);
    const epoch = readInt16(records, batchLayout.producerEpoch);
    const known = this.#producers.get(producerId);
    if (epoch < 0) return refused('invalid-producer-fields');
    if (known !== undefined && epoch < known.epoch) return refused('invalid-producer-epoch');
    const producer = known?.epoch === epoch ? known : undefined;
    const end = records.length;
    let expected = producer === undefined ? 0 : sequenceAfter(producer.lastSequence, 1);
    let newFrom = end;
    let endOffset = 0;
    let baseOffsets: number[] | undefined;
    for (let at = 0; at < end; at += batchSizeAt(records, at) as number) {
      const sequence = readInt32(records, at + batchLayout.baseSequence);
      const recordsCount = readInt32(records, at + batchLayout.lastOffsetDelta) + 1;
      const isOfProducer =
        readInt64(records, at + batchLayout.producerId) === producerId &&
        readInt16(records, at + batchLayout.producerEpoch) === epoch;
      if (sequence < 0 || !isOfProducer) return refused('invalid-producer-fields');
      if (sequence === expected) {
        if (newFrom === end) newFrom = at;
        expected = sequenceAfter(sequence, recordsCount);
        continue;
      }
      if (newFrom < end || producer === undefined || !isBefore(producer, sequence, recordsCount)) {
        return refused(known === undefined && newFrom === end ? 'unknown-producer-id' : 'out-of-order-sequence');
      }
      const baseOffset = offsetOf(producer, sequence, recordsCount);
      baseOffsets ??= [];
      baseOffsets.push(baseOffset);
      endOffset = Math.max(
        endOffset,
        baseOffset >= 0 ? baseOffset + recordsCount : (producer.runs[0]?.baseOffset ?? 0),
      );
    }
    return baseOffsets === undefined ? isNew : { kind: 'duplicate', baseOffsets, endOffset, newFrom };
  }

  /** Learns from batches that are in the log now, whatever they are: the log is right. They have their offsets. */
  appended(records: Uint8Array, nowMs: number): void {
    for (let at = 0; at < records.length; at += batchSizeAt(records, at) as number) {
      // The sign of the producer id: most logs have none.
      if ((records[at + batchLayout.producerId] as number) & 0x80) continue;
      this.learn(
        {
          producerId: readInt64(records, at + batchLayout.producerId),
          producerEpoch: readInt16(records, at + batchLayout.producerEpoch),
          baseSequence: readInt32(records, at + batchLayout.baseSequence),
          lastOffsetDelta: readInt32(records, at + batchLayout.lastOffsetDelta),
          baseOffset: readInt64(records, at),
        },
        nowMs,
      );
    }
  }

  /** The same for one batch, by its header. */
  learn(
    header: {
      readonly producerId: number;
      readonly producerEpoch: number;
      readonly baseSequence: number;
      readonly lastOffsetDelta: number;
      readonly baseOffset: number;
    },
    nowMs: number,
  ): void {
    const { producerId, producerEpoch: epoch, baseSequence, baseOffset } = header;
    // A control batch carries a producer id and no sequence number.
    if (producerId < 0 || baseSequence < 0) return;
    const recordsCount = header.lastOffsetDelta + 1;
    let producer = this.#producers.get(producerId);
    if (producer === undefined) {
      producer = { epoch, lastSequence: -1, lastActiveMs: nowMs, runs: [] };
      this.#producers.set(producerId, producer);
      if (this.#producers.size > producersMax) this.#forgetSilent();
    }
    if (epoch < producer.epoch) return;
    const follows = epoch === producer.epoch && baseSequence === sequenceAfter(producer.lastSequence, 1);
    const last = producer.runs.at(-1);
    if (!follows) {
      producer.runs = [{ firstSequence: baseSequence, recordsCount, baseOffset }];
    } else if (
      last !== undefined &&
      last.baseOffset + last.recordsCount === baseOffset &&
      last.recordsCount + recordsCount <= runRecordsMax
    ) {
      last.recordsCount += recordsCount;
    } else {
      producer.runs.push({ firstSequence: baseSequence, recordsCount, baseOffset });
      if (producer.runs.length > runsPerProducerMax) producer.runs.shift();
    }
    producer.epoch = epoch;
    producer.lastSequence = sequenceAfter(baseSequence, recordsCount - 1);
    producer.lastActiveMs = nowMs;
  }

  /**
   * Drops what is known of producers that were silent for `expirationMs` (`producer.id.expiration.ms`), but for the last sequence
   * number: one that comes back goes on where it was.
   */
  expire(nowMs: number, expirationMs: number): void {
    const expired: [number, Producer][] = [];
    for (const entry of this.#producers) {
      const producer = entry[1];
      if (nowMs - producer.lastActiveMs < expirationMs) continue;
      producer.runs = [];
      expired.push(entry);
    }
    if (expired.length <= expiredProducersMax) return;
    expired.sort(([, a], [, b]) => a.lastActiveMs - b.lastActiveMs);
    for (const [producerId] of expired.slice(0, expired.length - expiredProducersMax)) {
      this.#producers.delete(producerId);
    }
  }

  /** Everything, as a snapshot takes it. */
  *entries(): Generator<ProducerEntry, void, undefined> {
    for (const [producerId, producer] of this.#producers) yield { producerId, ...producer };
  }

  /** Becomes what a snapshot says. */
  load(entries: Iterable<ProducerEntry>): void {
    this.#producers.clear();
    for (const { producerId, epoch, lastSequence, lastActiveMs, runs } of entries) {
      this.#producers.set(producerId, { epoch, lastSequence, lastActiveMs, runs: runs.map((run) => ({ ...run })) });
    }
    if (this.#producers.size > producersMax) this.#forgetSilent();
  }

  clear(): void {
    this.#producers.clear();
  }

  /** A tenth at once: what it costs is shared by the producers that come next. */
  #forgetSilent(): void {
    const bySilence = [...this.#producers].sort(([, a], [, b]) => a.lastActiveMs - b.lastActiveMs);
    const count = this.#producers.size - Math.floor(producersMax * 0.9);
    for (const [producerId] of bySilence.slice(0, count)) this.#producers.delete(producerId);
  }
}

function judgePlain(records: Uint8Array): ProducerVerdict {
  for (let at = batchSizeAt(records, 0) as number; at < records.length; at += batchSizeAt(records, at) as number) {
    if (((records[at + batchLayout.producerId] as number) & 0x80) === 0) return refused('invalid-producer-fields');
  }
  return isNew;
}

function refused(kind: ProducerRefusal): ProducerVerdict {
  return { kind };
}

export function sequenceAfter(sequence: number, count: number): number {
  return (sequence + count) & sequenceMax;
}

/** Whether all of these were written before: the distance back to the last is what tells, for numbers go round. */
function isBefore(producer: Producer, sequence: number, recordsCount: number): boolean {
  if (producer.lastSequence < 0) return false;
  const fromFirst = (producer.lastSequence - sequence) & sequenceMax;
  return fromFirst < backDistanceMax && fromFirst >= recordsCount - 1;
}

/** Where these records are; -1 when they are older than what is remembered. The newest run that has the first must have all. */
function offsetOf(producer: Producer, sequence: number, recordsCount: number): number {
  for (let i = producer.runs.length - 1; i >= 0; i--) {
    const run = producer.runs[i] as SequenceRun;
    const distance = (sequence - run.firstSequence) & sequenceMax;
    if (distance >= run.recordsCount) continue;
    return distance + recordsCount <= run.recordsCount ? run.baseOffset + distance : unknownOffset;
  }
  return unknownOffset;
}
