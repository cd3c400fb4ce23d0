import { errorCodes } from '@naru/kafka-protocol';
import { batchesOf, RecordReader, setBaseOffset, setPartitionLeaderEpoch } from '@naru/record';

/** A record as a scripted partition holds it. */
export interface StoredRecord {
  readonly offset: number;
  readonly key: string | null;
  readonly value: string | null;
}

/** One partition of the scripted cluster: its log is common to all replicas, its leader moves when the test says so. */
export class ScriptedLog {
  readonly topic: string;
  readonly partition: number;
  leaderId: number;
  leaderEpoch = 0;
  startOffset = 0;
  endOffset = 0;
  maxBatchBytes = 1_048_588;
  /** Of idempotent producers: epoch, next sequence number, offsets of their records. */
  readonly epochs = new Map<number, number>();
  readonly nextSequences = new Map<number, number>();
  readonly offsets = new Map<string, number>();
  #batches: Buffer[] = [];

  constructor(topic: string, partition: number, leaderId: number) {
    this.topic = topic;
    this.partition = partition;
    this.leaderId = leaderId;
  }

  moveTo(leaderId: number): void {
    this.leaderId = leaderId;
    this.leaderEpoch++;
  }

  /**
   * As a broker that remembers everything: batches of an idempotent producer are appended once, in their order, and answered with where
   * they are (KIP-98). Whatever has no producer id is appended.
   */
  appendOnce(records: Uint8Array): { readonly errorCode: number; readonly batchBaseOffsets: number[] } {
    const batchBaseOffsets: number[] = [];
    const news: Uint8Array[] = [];
    const fresh = new Map<string, number>();
    let next: number | undefined;
    let endOffset = this.endOffset;
    for (const { header, bytes } of batchesOf(records)) {
      const { producerId, producerEpoch, baseSequence, recordsCount } = header;
      if (producerId >= 0) {
        const epoch = this.epochs.get(producerId) ?? -1;
        if (producerEpoch < epoch) return { errorCode: errorCodes.INVALID_PRODUCER_EPOCH, batchBaseOffsets: [] };
        next ??= producerEpoch === epoch ? (this.nextSequences.get(producerId) ?? 0) : 0;
        const known = producerEpoch === epoch ? this.offsets.get(`${producerId}/${epoch}/${baseSequence}`) : undefined;
        if (known !== undefined) {
          batchBaseOffsets.push(known);
          continue;
        }
        const isUnknown = epoch < 0 && baseSequence !== 0 && news.length === 0;
        if (isUnknown) return { errorCode: errorCodes.UNKNOWN_PRODUCER_ID, batchBaseOffsets: [] };
        if (baseSequence !== next) return { errorCode: errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER, batchBaseOffsets: [] };
        for (let i = 0; i < recordsCount; i++)
          fresh.set(`${producerId}/${producerEpoch}/${baseSequence + i}`, endOffset + i);
        next = baseSequence + recordsCount;
      }
      batchBaseOffsets.push(endOffset);
      endOffset += recordsCount;
      news.push(bytes);
    }
    const [first] = [...batchesOf(records)];
    if (first !== undefined && first.header.producerId >= 0) {
      this.epochs.set(first.header.producerId, first.header.producerEpoch);
      this.nextSequences.set(first.header.producerId, next ?? 0);
      for (const [key, offset] of fresh) this.offsets.set(key, offset);
    }
    if (news.length > 0) this.append(Buffer.concat(news));
    return { errorCode: 0, batchBaseOffsets };
  }

  /** Copies the batches, as a disk would: the caller's bytes may be sent again. Returns the first offset. */
  append(records: Uint8Array, leaderEpoch = this.leaderEpoch): number {
    const baseOffset = this.endOffset;
    for (const { bytes, header } of batchesOf(Buffer.from(records))) {
      setBaseOffset(bytes, 0, this.endOffset);
      setPartitionLeaderEpoch(bytes, 0, leaderEpoch);
      this.#batches.push(bytes as Buffer);
      this.endOffset += header.lastOffsetDelta + 1;
    }
    return baseOffset;
  }

  /** What a leader says to a position that is not of this log (KIP-320): the largest epoch not above, and where it ends. */
  divergence(fetchOffset: number, lastFetchedEpoch: number): { epoch: number; endOffset: number } | undefined {
    if (lastFetchedEpoch < 0) return undefined;
    const headers = this.#batches.flatMap((batch) => [...batchesOf(batch)].map((view) => view.header));
    const known = headers.filter((header) => header.partitionLeaderEpoch <= lastFetchedEpoch);
    const above = headers.find((header) => header.partitionLeaderEpoch > lastFetchedEpoch);
    const epoch = known.at(-1)?.partitionLeaderEpoch ?? lastFetchedEpoch;
    const endOffset = above?.baseOffset ?? this.endOffset;
    return epoch < lastFetchedEpoch || endOffset < fetchOffset ? { epoch, endOffset } : undefined;
  }

  /** Whole batches from the one that holds `offset`; the first in any case. */
  read(offset: number, maxBytes: number): Buffer {
    const found: Buffer[] = [];
    let size = 0;
    for (const batch of this.#batches) {
      const view = batchesOf(batch).next().value;
      if (view === undefined || view.header.lastOffset < offset) continue;
      if (found.length > 0 && size + batch.length > maxBytes) break;
      found.push(batch);
      size += batch.length;
    }
    return Buffer.concat(found);
  }

  /** Cuts from `offset` on, as an unclean election may. */
  truncate(offset: number): void {
    this.#batches = this.#batches.filter((batch) => (batchesOf(batch).next().value?.header.baseOffset ?? 0) < offset);
    this.endOffset = offset;
  }

  /** As a replica that has none of the producers' batches. */
  forgetProducers(): void {
    this.epochs.clear();
    this.nextSequences.clear();
    this.offsets.clear();
  }

  deleteBefore(offset: number): void {
    this.startOffset = offset;
  }

  /** Flips one bit of the last batch's records. */
  corruptLast(): void {
    const batch = this.#batches[this.#batches.length - 1] as Buffer;
    const at = batch.length - 1;
    batch[at] = (batch[at] as number) ^ 1;
  }

  get records(): StoredRecord[] {
    const records: StoredRecord[] = [];
    for (const batch of this.#batches) {
      const reader = new RecordReader(batch);
      while (reader.next()) {
        records.push({ offset: reader.offset, key: text(reader.key), value: text(reader.value) });
      }
    }
    return records;
  }

  get values(): (string | null)[] {
    return this.records.map((record) => record.value);
  }

  get batchesCount(): number {
    return this.#batches.length;
  }
}

function text(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes).toString();
}
