import type { Random } from '@naru/runtime';

/** What a partitioner may look at. `key` is as it will be written; null without one. */
export interface PartitionRequest {
  readonly topic: string;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly partitionsCount: number;
  /** Partitions that have a leader at the moment, ascending. */
  readonly available: readonly number[];
}

/** Chooses a partition from 0 to `partitionsCount` - 1 for a record that names none. */
export type PartitionFunction = (request: PartitionRequest) => number;

/** Each topic's partitions in turn, those without a leader left out. */
export function roundRobin(): PartitionFunction {
  const nextByTopic = new Map<string, number>();
  return ({ topic, partitionsCount, available }) => {
    const turn = nextByTopic.get(topic) ?? 0;
    nextByTopic.set(topic, turn + 1);
    return available.length === 0 ? turn % partitionsCount : (available[turn % available.length] as number);
  };
}

/** What the sticky choice needs to know of a topic. */
export interface TopicLoad {
  readonly partitionsCount: number;
  isAvailable(partition: number): boolean;
  /** Batches that wait for this partition. */
  waitingBatches(partition: number): number;
}

/**
 * Records without a key stay with one partition until `switchBytes` went there, so that batches fill up; then another one is
 * drawn, one with a shorter queue more often, so that a slow broker does not collect the backlog (KIP-480, KIP-794).
 */
export class StickyChoice {
  readonly #switchBytes: number;
  readonly #random: Random;
  #partition = -1;
  #bytes = 0;

  constructor(switchBytes: number, random: Random) {
    this.#switchBytes = Math.max(1, switchBytes);
    this.#random = random;
  }

  /** The partition for the next record. */
  current(load: TopicLoad): number {
    if (this.#partition < 0 || this.#partition >= load.partitionsCount) this.#switch(load);
    return this.#partition;
  }

  /** A record of this size went to the current partition. */
  add(bytes: number): void {
    this.#bytes += bytes;
  }

  /**
   * The current partition's batch is full: the moment to move on, for a switch in the middle of a batch would leave it
   * half empty. True when the partition may have changed.
   */
  onBatchFull(load: TopicLoad): boolean {
    if (this.#bytes < this.#switchBytes) return false;
    this.#switch(load);
    return true;
  }

  #switch(load: TopicLoad): void {
    this.#bytes = 0;
    this.#partition = drawPartition(load, this.#random);
  }
}

function drawPartition(load: TopicLoad, random: Random): number {
  const candidates: number[] = [];
  let longest = 0;
  for (let partition = 0; partition < load.partitionsCount; partition++) {
    if (!load.isAvailable(partition)) continue;
    candidates.push(partition);
    longest = Math.max(longest, load.waitingBatches(partition));
  }
  if (candidates.length === 0) return random.nextInt(load.partitionsCount);
  const weights = candidates.map((partition) => longest + 1 - load.waitingBatches(partition));
  let ticket = random.nextInt(weights.reduce((sum, weight) => sum + weight, 0));
  for (const [i, weight] of weights.entries()) {
    ticket -= weight;
    if (ticket < 0) return candidates[i] as number;
  }
  return candidates[candidates.length - 1] as number;
}
