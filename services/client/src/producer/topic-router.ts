import type { Cluster } from '../cluster/cluster.ts';
import type { TopicInfo } from '../cluster/metadata.ts';
import type { ProducerConfig } from '../config.ts';
import { IllegalStateError } from '../errors.ts';
import type { Accumulator, PartitionQueue } from './accumulator.ts';
import { partitionForKey } from './murmur2.ts';
import { type PartitionFunction, roundRobin, StickyChoice, type TopicLoad } from './partitioner.ts';

interface RouterSettings {
  readonly partitioner: PartitionFunction | undefined;
  /** Keys do not count: uniform-sticky. */
  readonly ignoresKeys: boolean;
  /** The length of the queues counts. */
  readonly isAdaptive: boolean;
}

/** The partitions of one topic as the producer sees them, and the choice among them. */
export class TopicRoute implements TopicLoad {
  readonly #accumulator: Accumulator;
  readonly #settings: RouterSettings;
  readonly #sticky: StickyChoice;
  #info: TopicInfo;
  #queues: PartitionQueue[] = [];
  #available: number[] = [];

  constructor(info: TopicInfo, accumulator: Accumulator, settings: RouterSettings, sticky: StickyChoice) {
    this.#info = info;
    this.#accumulator = accumulator;
    this.#settings = settings;
    this.#sticky = sticky;
    this.update(info);
  }

  get partitionsCount(): number {
    return this.#queues.length;
  }

  isAvailable(partition: number): boolean {
    return (this.#info.partitions[partition]?.leaderId ?? -1) >= 0;
  }

  waitingBatches(partition: number): number {
    return this.#settings.isAdaptive ? (this.#queues[partition]?.batches.length ?? 0) : 0;
  }

  update(info: TopicInfo): void {
    this.#info = info;
    this.#queues = info.partitions.map((p) => this.#accumulator.queue(info.name, p.partition));
    this.#available = info.partitions.filter((p) => p.leaderId >= 0).map((p) => p.partition);
  }

  /** The queue of the partition that the record names (-1: none), that its key has, or that the partitioner chooses. */
  choose(partition: number, key: Uint8Array | null, value: Uint8Array | null, recordBytes: number): PartitionQueue {
    if (partition >= 0) return this.#queues[partition] as PartitionQueue;
    const { partitioner, ignoresKeys } = this.#settings;
    if (partitioner !== undefined) return this.#chooseBy(partitioner, key, value);
    if (key !== null && !ignoresKeys) return this.#queues[partitionForKey(key, this.#queues.length)] as PartitionQueue;
    const sticky = this.#sticky;
    let queue = this.#queues[sticky.current(this)] as PartitionQueue;
    if (this.#accumulator.beginsBatch(queue, recordBytes) && sticky.onBatchFull(this)) {
      queue = this.#queues[sticky.current(this)] as PartitionQueue;
    }
    sticky.add(recordBytes);
    return queue;
  }

  #chooseBy(partitioner: PartitionFunction, key: Uint8Array | null, value: Uint8Array | null): PartitionQueue {
    const topic = this.#info.name;
    const partitionsCount = this.#queues.length;
    const partition = partitioner({ topic, key, value, partitionsCount, available: this.#available });
    const queue = this.#queues[partition];
    if (queue === undefined) {
      throw new IllegalStateError(`the partitioner chose ${partition} of ${partitionsCount} partitions`, { topic });
    }
    return queue;
  }
}

/** The routes of the topics that this producer has sent to. */
export class TopicRouter {
  readonly #cluster: Cluster;
  readonly #accumulator: Accumulator;
  readonly #settings: RouterSettings;
  readonly #switchBytes: number;
  readonly #routes = new Map<string, TopicRoute>();
  readonly #stopListening: () => void;

  constructor(
    cluster: Cluster,
    accumulator: Accumulator,
    config: ProducerConfig,
    custom: PartitionFunction | undefined,
  ) {
    this.#cluster = cluster;
    this.#accumulator = accumulator;
    const kind = config['partitioner.class'];
    this.#settings = {
      partitioner: custom ?? (kind === 'round-robin' ? roundRobin() : undefined),
      ignoresKeys: kind === 'uniform-sticky' || config['partitioner.ignore.keys'],
      isAdaptive: config['partitioner.adaptive.partitioning.enable'],
    };
    this.#switchBytes = config['batch.size'];
    this.#stopListening = cluster.onRefresh(() => this.#update());
  }

  /** The route, unless the topic or (with `partition` from 0) that partition of it is not known. */
  find(topic: string, partition: number): TopicRoute | undefined {
    const route = this.#routes.get(topic) ?? this.#add(topic);
    return route !== undefined && partition < route.partitionsCount ? route : undefined;
  }

  close(): void {
    this.#stopListening();
  }

  #add(topic: string): TopicRoute | undefined {
    const info = this.#cluster.image.topics.get(topic);
    if (info === undefined || info.partitions.length === 0) return undefined;
    const sticky = new StickyChoice(this.#switchBytes, this.#cluster.runtime.random);
    const route = new TopicRoute(info, this.#accumulator, this.#settings, sticky);
    this.#routes.set(topic, route);
    return route;
  }

  /** A topic that was deleted is forgotten: the next send waits for it to exist again. */
  #update(): void {
    const { topics } = this.#cluster.image;
    for (const [name, route] of this.#routes) {
      const info = topics.get(name);
      if (info === undefined) this.#routes.delete(name);
      else route.update(info);
    }
  }
}
