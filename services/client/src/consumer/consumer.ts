import type { Timer } from '@naru/runtime';
import type { Cluster } from '../cluster/cluster.ts';
import type { PartitionInfo } from '../cluster/metadata.ts';
import { type ConsumerConfig, parseResetPolicy } from '../config.ts';
import { IllegalStateError, type KafkaError, TimeoutError, WakeupError } from '../errors.ts';
import { partitionKey, type TopicPartition } from '../topic-partition.ts';
import type { ConsumerBatch, ConsumerRecord, Deserializers } from './consumer-record.ts';
import { Fetcher } from './fetcher.ts';
import { earliestTimestamp, type FoundOffset, latestTimestamp, lookupOffsets } from './offset-lookup.ts';
import { PartitionState } from './partition-state.ts';
import { RecordIterator } from './record-iterator.ts';

export interface PollOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface BatchesOptions extends PollOptions {
  /** Records in one batch at most; default `max.poll.records`. */
  readonly maxRecords?: number | undefined;
}

export interface PartitionOffset extends TopicPartition {
  readonly offset: bigint;
}

/** The first record at or after a time; `offset` undefined when there is none. */
export interface OffsetAtTime extends TopicPartition {
  readonly offset: bigint | undefined;
  readonly timestamp: number | undefined;
  readonly leaderEpoch: number | undefined;
}

export interface PartitionLag extends TopicPartition {
  /** Records between the position and the end; undefined until an answer has told the end. */
  readonly lag: bigint | undefined;
}

/** How long iteration waits in one poll; only a matter of how often an idle loop turns. */
const iterationPollMs = 60_000;

/**
 * Reads assigned partitions. Connects at the first call that needs it. Not for calls from several places at once: a second `poll` while
 * one is waiting is refused.
 *
 * One record's path: a `Fetcher` keeps fetches open at the leaders; an answer's bytes wait in the partition's buffer; `poll` decodes them batch
 * by batch into records and moves the position.
 */
export class Consumer<K = Buffer, V = Buffer> {
  readonly #cluster: Cluster;
  readonly #config: ConsumerConfig;
  readonly #fetcher: Fetcher<K, V>;
  #partitions = new Map<string, PartitionState<K, V>>();
  /** Whose turn it is: partitions take turns, so that a busy one does not starve the others. */
  #turn = 0;
  #isPolling = false;
  #isWakeupPending = false;
  #isClosed = false;
  #wakePoll: (() => void) | undefined;
  #iterator: RecordIterator<K, V> | undefined;

  constructor(cluster: Cluster, config: ConsumerConfig, deserializers: Deserializers<K, V>) {
    this.#cluster = cluster;
    this.#config = config;
    this.#fetcher = new Fetcher(cluster, config, {
      deserializers,
      partitions: () => this.#partitions.values(),
      onArrival: () => this.#wakePoll?.(),
    });
  }

  /** Replaces the assignment. Partitions that stay keep their position; new ones begin by `auto.offset.reset` unless `seek` comes first. */
  assign(partitions: readonly TopicPartition[]): void {
    this.#checkOpen();
    const next = new Map<string, PartitionState<K, V>>();
    for (const { topic, partition } of partitions) {
      if (!Number.isInteger(partition) || partition < 0)
        throw new IllegalStateError(`${partition} is not a partition`, { topic });
      const key = partitionKey(topic, partition);
      const known = this.#partitions.get(key);
      const state = known ?? new PartitionState<K, V>(topic, partition);
      if (known === undefined) this.#fetcher.begin(state);
      next.set(key, state);
      this.#cluster.track(topic);
    }
    for (const [key, state] of this.#partitions) {
      if (next.has(key)) continue;
      // Whatever is under way for it no longer counts.
      state.generation++;
      this.#iterator?.drop(state.topic, state.partition);
    }
    const topics = new Set([...next.values()].map((state) => state.topic));
    for (const { topic } of this.#partitions.values()) if (!topics.has(topic)) this.#cluster.untrack(topic);
    this.#partitions = next;
    this.#cluster.requestRefresh();
    this.#fetcher.wake();
  }

  /** The assigned partitions. */
  assignment(): TopicPartition[] {
    return [...this.#partitions.values()].map(({ topic, partition }) => ({ topic, partition }));
  }

  /** The next record to be read is the one at `offset` (or the first after it). What was fetched ahead is dropped. */
  seek(partition: TopicPartition, offset: bigint | number): void {
    const target = Number(offset);
    if (!Number.isSafeInteger(target) || target < 0)
      throw new IllegalStateError(`${offset} is not an offset`, partition);
    this.#state(partition).seek(target);
    this.#iterator?.drop(partition.topic, partition.partition);
    this.#fetcher.wake();
  }

  /** Without a list: all assigned partitions. The offset is looked up when it is needed. */
  seekToBeginning(partitions: readonly TopicPartition[] = this.assignment()): void {
    this.#reset(partitions, 'earliest');
  }

  seekToEnd(partitions: readonly TopicPartition[] = this.assignment()): void {
    this.#reset(partitions, 'latest');
  }

  /** Offset of the next record that `poll` or iteration will give. Waits for a lookup up to `default.api.timeout.ms`. */
  async position(partition: TopicPartition, options: PollOptions = {}): Promise<bigint> {
    const deadlineMs = this.#apiDeadline();
    for (;;) {
      const state = this.#state(partition);
      if (state.reset === undefined) {
        return this.#iterator?.firstUndelivered(partition.topic, partition.partition) ?? BigInt(state.position);
      }
      if (state.failure !== undefined) throw state.failure;
      if (this.#cluster.nowMs() >= deadlineMs) {
        throw new TimeoutError('the position could not be looked up within default.api.timeout.ms', partition);
      }
      await this.#arrival(Math.min(deadlineMs, this.#cluster.nowMs() + 50), options.signal);
    }
  }

  /** Stops reading these partitions; what was fetched already waits. */
  pause(partitions: readonly TopicPartition[] = this.assignment()): void {
    for (const partition of partitions) this.#state(partition).isPaused = true;
  }

  resume(partitions: readonly TopicPartition[] = this.assignment()): void {
    for (const partition of partitions) this.#state(partition).isPaused = false;
    this.#fetcher.wake();
    this.#wakePoll?.();
  }

  paused(): TopicPartition[] {
    const paused = [...this.#partitions.values()].filter((state) => state.isPaused);
    return paused.map(({ topic, partition }) => ({ topic, partition }));
  }

  /**
   * Up to `max.poll.records` records, in order within each partition; waits up to `timeoutMs` for the first, then returns an empty
   * array. Fails with what a partition met (`OffsetOutOfRangeError`, `NoOffsetForPartitionError`, `RecordDeserializationError`, …) after the records before it were returned,
   * with `WakeupError`, or with the signal's reason.
   */
  async poll(timeoutMs: number, options: PollOptions = {}): Promise<ConsumerRecord<K, V>[]> {
    const undelivered = this.#iterator?.takeUndelivered();
    if (undelivered !== undefined && undelivered.length > 0) return undelivered;
    return this.#poll(timeoutMs, this.#config['max.poll.records'], options.signal);
  }

  /** Records one by one, for ever. Leaving the loop loses nothing: the next iteration or poll goes on with the next record. */
  [Symbol.asyncIterator](): AsyncIterableIterator<ConsumerRecord<K, V>> {
    return this.records();
  }

  records(options: PollOptions = {}): AsyncIterableIterator<ConsumerRecord<K, V>> {
    const left = this.#iterator?.takeUndelivered() ?? [];
    const poll = (): Promise<ConsumerRecord<K, V>[]> =>
      this.#poll(iterationPollMs, this.#config['max.poll.records'], options.signal);
    this.#iterator = new RecordIterator(poll, left);
    return this.#iterator;
  }

  /** Records of one partition at a time, for ever. */
  async *batches(options: BatchesOptions = {}): AsyncGenerator<ConsumerBatch<K, V>, void, undefined> {
    const max = options.maxRecords ?? this.#config['max.poll.records'];
    for (;;) {
      const records = await this.#poll(iterationPollMs, max, options.signal, 1);
      const [first] = records;
      if (first === undefined) continue;
      const { topic, partition } = first;
      const highWatermark = this.#partitions.get(partitionKey(topic, partition))?.highWatermark ?? -1;
      yield { topic, partition, records, highWatermark: BigInt(highWatermark) };
    }
  }

  /** Interrupts a waiting `poll`, or the next one, with `WakeupError`. May be called from anywhere. */
  wakeup(): void {
    this.#isWakeupPending = true;
    this.#wakePoll?.();
  }

  /** First offsets that the logs still hold, in the order asked for. */
  async beginningOffsets(partitions: readonly TopicPartition[]): Promise<PartitionOffset[]> {
    return (await this.#lookup(partitions.map((p) => ({ ...p, timestamp: earliestTimestamp })))).map(withOffset);
  }

  /** Offsets after the last readable record. */
  async endOffsets(partitions: readonly TopicPartition[]): Promise<PartitionOffset[]> {
    return (await this.#lookup(partitions.map((p) => ({ ...p, timestamp: latestTimestamp })))).map(withOffset);
  }

  /** For each partition the first record whose timestamp (ms) is at or after the given one. */
  async offsetsForTimes(
    queries: readonly (TopicPartition & { readonly timestamp: number })[],
  ): Promise<OffsetAtTime[]> {
    for (const { timestamp, topic, partition } of queries) {
      if (timestamp < 0) throw new IllegalStateError(`${timestamp} is not a time`, { topic, partition });
    }
    return (await this.#lookup(queries)).map(({ topic, partition, offset, timestamp, leaderEpoch }) =>
      offset < 0
        ? { topic, partition, offset: undefined, timestamp: undefined, leaderEpoch: undefined }
        : { topic, partition, offset: BigInt(offset), timestamp, leaderEpoch },
    );
  }

  /** How far each assigned partition is behind, as of its last answer. Asks nobody. */
  lag(): PartitionLag[] {
    return [...this.#partitions.values()].map((state) => {
      const { topic, partition, highWatermark, reset, position } = state;
      const end = this.#fetcher.isolationLevel === 1 ? state.lastStableOffset : highWatermark;
      const from = this.#iterator?.firstUndelivered(topic, partition) ?? BigInt(position);
      const isKnown = end >= 0 && reset === undefined;
      return { topic, partition, lag: isKnown ? BigInt(Math.max(0, end - Number(from))) : undefined };
    });
  }

  async partitionsFor(topic: string): Promise<readonly PartitionInfo[]> {
    return (await this.#cluster.topic(topic, this.#apiDeadline())).partitions;
  }

  /** Ends a waiting poll and closes the connections. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#fetcher.close();
    this.#wakePoll?.();
    await this.#cluster.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #poll(
    timeoutMs: number,
    max: number,
    signal: AbortSignal | undefined,
    partitionsMax = Number.POSITIVE_INFINITY,
  ): Promise<ConsumerRecord<K, V>[]> {
    if (this.#isPolling) throw new IllegalStateError('another poll is waiting');
    if (this.#partitions.size === 0) throw new IllegalStateError('no partition is assigned');
    this.#isPolling = true;
    try {
      const deadlineMs = this.#cluster.nowMs() + timeoutMs;
      for (;;) {
        this.#checkOpen();
        signal?.throwIfAborted();
        if (this.#isWakeupPending) {
          this.#isWakeupPending = false;
          throw new WakeupError('wakeup() was called');
        }
        const records = this.#collect(max, partitionsMax);
        if (records.length > 0 || this.#cluster.nowMs() >= deadlineMs) return records;
        await this.#arrival(deadlineMs, signal);
      }
    } finally {
      this.#isPolling = false;
    }
  }

  /** What is buffered, from each partition in turn. Throws the failure of a partition when nothing could be read. */
  #collect(max: number, partitionsMax: number): ConsumerRecord<K, V>[] {
    const records: ConsumerRecord<K, V>[] = [];
    const states = [...this.#partitions.values()];
    let failure: KafkaError | undefined;
    let readPartitions = 0;
    for (let i = 0; i < states.length && records.length < max && readPartitions < partitionsMax; i++) {
      const state = states[(this.#turn + i) % states.length] as PartitionState<K, V>;
      const before = records.length;
      if (!state.isPaused) this.#read(state, records, max - records.length);
      if (records.length > before) readPartitions++;
      if (state.failure !== undefined && failure === undefined && records.length === 0) {
        failure = state.failure;
        // A reset policy of none and what the broker refused for good stay until the application seeks; all else is tried again.
        if (state.reset === undefined) state.failure = undefined;
      }
    }
    this.#turn = (this.#turn + 1) % Math.max(1, states.length);
    this.#fetcher.wake();
    if (records.length === 0 && failure !== undefined) throw failure;
    return records;
  }

  #read(state: PartitionState<K, V>, into: ConsumerRecord<K, V>[], max: number): void {
    const end = into.length + max;
    while (into.length < end && state.failure === undefined) {
      const data = state.buffered[0];
      if (data === undefined) return;
      const outcome = data.read(into, end - into.length);
      if (outcome === 'more') return;
      if (outcome === 'done') {
        state.buffered.shift();
        continue;
      }
      state.seek(state.position, state.positionEpoch);
      state.failure = outcome;
    }
  }

  /** Resolves when something came in, was asked for, or at the deadline. */
  #arrival(deadlineMs: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        signal?.removeEventListener('abort', done);
        if (this.#wakePoll === done) this.#wakePoll = undefined;
        resolve();
      };
      const delayMs = Math.max(0, deadlineMs - this.#cluster.nowMs());
      const timer: Timer = this.#cluster.runtime.timers.after(delayMs, done);
      signal?.addEventListener('abort', done, { once: true });
      this.#wakePoll = done;
    });
  }

  #reset(partitions: readonly TopicPartition[], policy: 'earliest' | 'latest'): void {
    for (const partition of partitions) {
      this.#state(partition).needReset(parseResetPolicy(policy));
      this.#iterator?.drop(partition.topic, partition.partition);
    }
    this.#fetcher.wake();
  }

  #lookup(queries: readonly (TopicPartition & { readonly timestamp: number })[]): Promise<FoundOffset[]> {
    this.#checkOpen();
    const options = { isolationLevel: this.#fetcher.isolationLevel, deadlineMs: this.#apiDeadline() };
    return lookupOffsets(this.#cluster, queries, options);
  }

  #state({ topic, partition }: TopicPartition): PartitionState<K, V> {
    this.#checkOpen();
    const state = this.#partitions.get(partitionKey(topic, partition));
    if (state === undefined) throw new IllegalStateError(`${topic}-${partition} is not assigned`, { topic, partition });
    return state;
  }

  #apiDeadline(): number {
    return this.#cluster.nowMs() + this.#config['default.api.timeout.ms'];
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new IllegalStateError('the consumer is closed');
  }
}

function withOffset({ topic, partition, offset }: FoundOffset): PartitionOffset {
  return { topic, partition, offset: BigInt(offset) };
}
