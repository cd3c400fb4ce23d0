import type { Broker } from '@naru/broker';
import { batchHeaderBytes, batchLayout, batchSizeAt, readInt32, readInt64 } from '@naru/record';
import { require } from '../swarm/violation.ts';

/** A committed batch. Equal batches have equal bytes but for what the broker writes, which is here, too. */
export interface CommittedBatch {
  readonly baseOffset: number;
  readonly endOffset: number;
  readonly leaderEpoch: number;
  readonly crc: number;
}

/** The same as it lies on a disk. `bytes`: only until the file's next write. */
export interface StoredBatch extends CommittedBatch {
  readonly bytes: Uint8Array;
}

/** Told of each batch when it becomes committed, once. */
export type CommitListener = (batch: StoredBatch, partition: PartitionTruth) => void;

/** What nobody in the cluster can see: the largest high watermark that any leader ever used, and what lies below it. */
export class PartitionTruth {
  readonly name: string;
  /** Batches in order, without holes. */
  readonly committed: CommittedBatch[] = [];
  /** Leader epoch → who led it (R5). */
  readonly leaders = new Map<number, string>();
  readonly #listeners: readonly CommitListener[];

  constructor(name: string, listeners: readonly CommitListener[]) {
    this.name = name;
    this.#listeners = listeners;
  }

  get highWatermark(): number {
    return this.committed.at(-1)?.endOffset ?? 0;
  }

  /** The committed batch that holds `offset`. */
  at(offset: number): CommittedBatch | undefined {
    let [low, high] = [0, this.committed.length - 1];
    while (low <= high) {
      const middle = (low + high) >> 1;
      const batch = this.committed[middle] as CommittedBatch;
      if (offset < batch.baseOffset) high = middle - 1;
      else if (offset >= batch.endOffset) low = middle + 1;
      else return batch;
    }
    return undefined;
  }

  /** A leader says that these are committed, too. What was committed before must be the same. */
  commit(batches: Iterable<StoredBatch>, by: string): void {
    for (const stored of batches) {
      const { bytes: _, ...batch } = stored;
      const known = this.at(batch.baseOffset);
      if (known !== undefined) {
        require(sameBatch(known, batch), 'R1', () =>
          `${by} has ${describe(batch)} where ${describe(known)} was committed on ${this.name}`);
        continue;
      }
      require(batch.baseOffset === this.highWatermark, 'L1', () =>
        `${by} commits ${describe(batch)} on ${this.name}, whose committed part ends at ${this.highWatermark}`);
      require(this.leaders.has(batch.leaderEpoch), 'L6', () =>
        `${by} commits ${describe(batch)} on ${this.name}; nobody ever led that epoch`);
      this.committed.push(batch);
      for (const listener of this.#listeners) listener(stored, this);
    }
  }
}

export function sameBatch(a: CommittedBatch, b: CommittedBatch): boolean {
  return (
    a.baseOffset === b.baseOffset && a.endOffset === b.endOffset && a.leaderEpoch === b.leaderEpoch && a.crc === b.crc
  );
}

export function describe({ baseOffset, endOffset, leaderEpoch, crc }: CommittedBatch): string {
  return `[${baseOffset}, ${endOffset}) of epoch ${leaderEpoch}, crc ${(crc >>> 0).toString(16)}`;
}

export class Truth {
  readonly #byTopicId = new Map<string, PartitionTruth[]>();
  readonly #listeners = new Map<string, CommitListener[]>();

  /** To be called before the topic's first record. */
  watch(topic: string, listener: CommitListener): void {
    this.#listeners.set(topic, [...(this.#listeners.get(topic) ?? []), listener]);
  }

  of(topicId: string, partition: number, topic: string): PartitionTruth {
    let partitions = this.#byTopicId.get(topicId);
    if (partitions === undefined) {
      partitions = [];
      this.#byTopicId.set(topicId, partitions);
    }
    let found = partitions[partition];
    if (found === undefined) {
      found = new PartitionTruth(`${topic}-${partition}`, this.#listeners.get(topic) ?? []);
      partitions[partition] = found;
    }
    return found;
  }

  named(name: string): PartitionTruth | undefined {
    for (const partitions of this.#byTopicId.values()) {
      const found = partitions.find((truth) => truth?.name === name);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

/** The batches in a run of whole batches, read from their headers alone. */
export function* batchesIn(bytes: Uint8Array): Iterable<StoredBatch> {
  for (let at = 0; at < bytes.length; ) {
    const size = batchSizeAt(bytes, at);
    // Less than a header: the run itself has harmed it.
    if (size === undefined || size < batchHeaderBytes) return;
    const baseOffset = readInt64(bytes, at + batchLayout.baseOffset);
    yield {
      baseOffset,
      endOffset: baseOffset + readInt32(bytes, at + batchLayout.lastOffsetDelta) + 1,
      leaderEpoch: readInt32(bytes, at + batchLayout.partitionLeaderEpoch),
      crc: readInt32(bytes, at + batchLayout.crc),
      bytes: bytes.subarray(at, at + size),
    };
    at += size;
  }
}

export type Replica = NonNullable<ReturnType<Broker['replicas']['partitionById']>>;
