import type { Cluster } from '../cluster/cluster.ts';
import { IllegalStateError } from '../errors.ts';
import { partitionKey, type TopicPartition } from '../topic-partition.ts';
import type { CommittedOffset, OffsetToCommit } from './groups/offset-commits.ts';
import { PartitionState } from './partition-state.ts';

/** The first record of a partition that the application has not dealt with, of those that were polled. */
export interface OpenRecord {
  readonly offset: bigint;
  readonly leaderEpoch: number;
}

export interface AssignedPartitionsParts<K, V> {
  /** Gives a partition without a committed offset its beginning. */
  readonly begin: (state: PartitionState<K, V>) => void;
  readonly firstOpen: (topic: string, partition: number) => OpenRecord | undefined;
  /** Records of it that wait to be handed out no longer count. */
  readonly drop: (topic: string, partition: number) => void;
  /** The set or a position changed: there may be something to fetch. */
  readonly onChange: () => void;
}

/** The partitions that a consumer reads, with where it stands in each. */
export class AssignedPartitions<K, V> {
  readonly #cluster: Cluster;
  readonly #parts: AssignedPartitionsParts<K, V>;
  #states = new Map<string, PartitionState<K, V>>();
  /** Paused partitions that a rebalance took away: when it brings them back, they are still paused. */
  #pausedBefore: ReadonlySet<string> = new Set();

  constructor(cluster: Cluster, parts: AssignedPartitionsParts<K, V>) {
    this.#cluster = cluster;
    this.#parts = parts;
  }

  get size(): number {
    return this.#states.size;
  }

  values(): IterableIterator<PartitionState<K, V>> {
    return this.#states.values();
  }

  find(topic: string, partition: number): PartitionState<K, V> | undefined {
    return this.#states.get(partitionKey(topic, partition));
  }

  /** Throws `IllegalStateError` for a partition that is not assigned. */
  get({ topic, partition }: TopicPartition): PartitionState<K, V> {
    const state = this.find(topic, partition);
    if (state === undefined) throw new IllegalStateError(`${topic}-${partition} is not assigned`, { topic, partition });
    return state;
  }

  list(): TopicPartition[] {
    return [...this.#states.values()].map(({ topic, partition }) => ({ topic, partition }));
  }

  /** Those that stay keep their state. New ones begin at the group's committed offset (`awaitCommitted`), or where `begin` says. */
  replace(partitions: readonly TopicPartition[], awaitCommitted: boolean): void {
    const next = new Map<string, PartitionState<K, V>>();
    for (const { topic, partition } of partitions) {
      if (!Number.isInteger(partition) || partition < 0)
        throw new IllegalStateError(`${partition} is not a partition`, { topic });
      const key = partitionKey(topic, partition);
      next.set(key, this.#states.get(key) ?? this.#added(topic, partition, awaitCommitted));
      this.#cluster.track(topic);
    }
    for (const [key, state] of this.#states) {
      if (next.has(key)) continue;
      state.leave();
      this.#parts.drop(state.topic, state.partition);
    }
    const topics = new Set([...next.values()].map((state) => state.topic));
    for (const { topic } of this.#states.values()) if (!topics.has(topic)) this.#cluster.untrack(topic);
    this.#states = next;
    this.#cluster.requestRefresh();
    this.#parts.onChange();
  }

  /** The next assignment finds them paused, the one after does not. */
  rememberPaused(): void {
    this.#pausedBefore = new Set([...this.#states].filter(([, state]) => state.isPaused).map(([key]) => key));
  }

  forgetPaused(): void {
    this.#pausedBefore = new Set();
  }

  /** Everything that was handed out until now has been dealt with, but for what `firstOpen` names. */
  markProcessed(firstOpen = this.#parts.firstOpen): void {
    for (const state of this.#states.values()) {
      if (!state.isPlaced) continue;
      const open = firstOpen(state.topic, state.partition);
      state.processed = open === undefined ? state.position : Number(open.offset);
      state.processedEpoch = open === undefined ? state.positionEpoch : open.leaderEpoch;
    }
  }

  /** Of these partitions, where the application stands if the group does not know it yet. */
  processed(partitions: readonly TopicPartition[]): OffsetToCommit[] {
    const offsets: OffsetToCommit[] = [];
    for (const { topic, partition } of partitions) {
      const state = this.find(topic, partition);
      if (state === undefined || !state.isPlaced || state.processed < 0) continue;
      if (state.processed === state.committed) continue;
      offsets.push({ topic, partition, offset: state.processed, leaderEpoch: state.processedEpoch });
    }
    return offsets;
  }

  /** After everything that was handed out so far, of all partitions. */
  positions(): OffsetToCommit[] {
    const offsets: OffsetToCommit[] = [];
    for (const { topic, partition, isPlaced, position, positionEpoch } of this.#states.values()) {
      if (!isPlaced) continue;
      const open = this.#parts.firstOpen(topic, partition);
      if (open === undefined) offsets.push({ topic, partition, offset: position, leaderEpoch: positionEpoch });
      else offsets.push({ topic, partition, offset: open.offset, leaderEpoch: open.leaderEpoch });
    }
    return offsets;
  }

  onCommitted(offsets: readonly OffsetToCommit[]): void {
    for (const { topic, partition, offset, leaderEpoch } of offsets) {
      const state = this.find(topic, partition);
      if (state === undefined) continue;
      state.committed = Number(offset);
      // Who commits an offset says that it is done with what comes before: an automatic commit must not go back behind it.
      if (state.committed <= state.processed) continue;
      state.processed = state.committed;
      state.processedEpoch = leaderEpoch ?? -1;
    }
  }

  /** Those that wait for the group's committed offset. */
  unplaced(): TopicPartition[] {
    return [...this.#states.values()]
      .filter((state) => state.isAwaitingCommitted)
      .map(({ topic, partition }) => ({ topic, partition }));
  }

  /** A position that was set meanwhile stays. */
  place(offsets: readonly CommittedOffset[]): void {
    for (const { topic, partition, offset, leaderEpoch } of offsets) {
      const state = this.find(topic, partition);
      if (!state?.isAwaitingCommitted) continue;
      if (offset === undefined) {
        this.#parts.begin(state);
      } else {
        state.seek(Number(offset), leaderEpoch);
        state.committed = Number(offset);
        state.processed = state.committed;
        state.processedEpoch = leaderEpoch ?? -1;
      }
    }
    this.#parts.onChange();
  }

  #added(topic: string, partition: number, awaitCommitted: boolean): PartitionState<K, V> {
    const state = new PartitionState<K, V>(topic, partition);
    if (awaitCommitted) state.isAwaitingCommitted = true;
    else this.#parts.begin(state);
    state.isPaused = this.#pausedBefore.has(partitionKey(topic, partition));
    return state;
  }
}
