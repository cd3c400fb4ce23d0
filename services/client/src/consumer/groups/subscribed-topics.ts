import { errorCodes } from '@naru/kafka-protocol';
import { sleep, type Timer } from '@naru/runtime';
import type { Cluster } from '../../cluster/cluster.ts';
import type { KafkaError } from '../../errors.ts';
import { errorFromRpc } from '../../errors-from-wire.ts';
import type { PartitionCounts } from './assignors/assignor.ts';

/** A topic that somebody subscribed to and that does not exist yet is looked for this often. */
const missingTopicMs = 1_000;

export interface SubscribedTopicsOptions {
  readonly signal: AbortSignal;
  readonly excludeInternal: boolean;
  readonly maxAgeMs: number;
  /** The topics or their partitions changed: the group must share them out anew. */
  readonly onChange: (reason: string) => void;
}

/** Which topics a subscription stands for, and, at the leader, how many partitions the group's topics have. Notices when either changes. */
export class SubscribedTopics {
  readonly #cluster: Cluster;
  readonly #options: SubscribedTopicsOptions;
  readonly #stopListening: () => void;
  #pattern: RegExp | undefined;
  #topics: readonly string[] = [];
  /** What the leader has shared out; undefined at other members. */
  #watched: PartitionCounts | undefined;
  #timer: Timer | undefined;
  #patternTimer: Timer | undefined;

  constructor(cluster: Cluster, options: SubscribedTopicsOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.#stopListening = cluster.onRefresh(() => this.#compare());
  }

  get topics(): readonly string[] {
    return this.#topics;
  }

  set(subscription: readonly string[] | RegExp): void {
    this.#watched = undefined;
    if (subscription instanceof RegExp) {
      // The flags g and y make `test` remember where it stopped.
      this.#pattern = new RegExp(subscription.source, subscription.flags.replace(/[gy]/g, ''));
      this.#topics = [];
    } else {
      this.#pattern = undefined;
      this.#topics = [...new Set(subscription)];
    }
  }

  /** Finds what the pattern matches now. Tries for ever. */
  async resolve(): Promise<void> {
    if (this.#pattern === undefined) return;
    this.#topics = await this.#matching(this.#pattern);
    this.#patternTimer?.cancel();
    this.#patternTimer = this.#cluster.runtime.timers.after(this.#options.maxAgeMs, () => void this.#matchAgain());
  }

  /** Partitions of those of the topics that exist; watched from now on. For the leader. Tries for ever. */
  async count(topics: readonly string[]): Promise<PartitionCounts> {
    await this.#forEver(() => this.#cluster.fetchMetadata({ topics: [...topics], allTopics: false }));
    const counts = new Map<string, number>();
    for (const topic of topics) {
      const count = this.#partitionsOf(topic);
      if (count > 0) counts.set(topic, count);
    }
    this.#watched = new Map(topics.map((topic) => [topic, counts.get(topic) ?? 0]));
    return counts;
  }

  /** The assignment is made: the leader keeps an eye on all topics of the group. */
  watch(isLeader: boolean): void {
    if (!isLeader) this.#watched = undefined;
    for (const topic of this.#watched?.keys() ?? []) this.#cluster.track(topic);
    if (this.#watched !== undefined) this.#lookForMissing();
  }

  close(): void {
    this.#timer?.cancel();
    this.#patternTimer?.cancel();
    this.#stopListening();
  }

  #partitionsOf(topic: string): number {
    return this.#cluster.image.topics.get(topic)?.partitions.length ?? 0;
  }

  #compare(): void {
    if (this.#watched === undefined) return;
    for (const [topic, count] of this.#watched) {
      const now = this.#partitionsOf(topic);
      if (now === count) continue;
      this.#watched = undefined;
      this.#options.onChange(`topic ${topic} has ${now} partitions instead of ${count}`);
      return;
    }
    this.#lookForMissing();
  }

  #lookForMissing(): void {
    const isMissing = [...(this.#watched?.values() ?? [])].includes(0);
    if (!isMissing || this.#options.signal.aborted) return;
    this.#timer?.cancel();
    this.#timer = this.#cluster.runtime.timers.after(missingTopicMs, () => this.#cluster.requestRefresh());
  }

  async #matchAgain(): Promise<void> {
    const pattern = this.#pattern;
    if (pattern === undefined || this.#options.signal.aborted) return;
    try {
      const found = await this.#matching(pattern);
      if (pattern !== this.#pattern) return;
      const isSame = found.length === this.#topics.length && found.every((topic) => this.#topics.includes(topic));
      if (!isSame) this.#options.onChange('other topics match the pattern');
      else await this.resolve();
    } catch (error) {
      if (!this.#options.signal.aborted)
        this.#cluster.logger.warn({ err: error }, 'the pattern could not be looked up');
    }
  }

  async #matching(pattern: RegExp): Promise<string[]> {
    const answer = await this.#forEver(() => this.#cluster.fetchMetadata({ topics: [], allTopics: true }));
    return answer.topics
      .filter(({ errorCode }) => errorCode === errorCodes.NONE)
      .filter(({ internal, name }) => !(internal && this.#options.excludeInternal) && pattern.test(name))
      .map(({ name }) => name)
      .sort();
  }

  async #forEver<T>(ask: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await ask();
      } catch (cause) {
        const error: KafkaError = errorFromRpc(cause);
        this.#options.signal.throwIfAborted();
        if (!error.retriable) throw error;
        await sleep(this.#cluster.runtime.timers, this.#cluster.retryPauseMs(attempt), this.#options.signal);
      }
    }
  }
}
