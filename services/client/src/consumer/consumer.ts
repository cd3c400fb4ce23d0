import type { Cluster } from '../cluster/cluster.ts';
import type { PartitionInfo } from '../cluster/metadata.ts';
import { type ConsumerConfig, parseResetPolicy } from '../config.ts';
import { announceAssignment } from '../diagnostics/consumer-messages.ts';
import { IllegalStateError, type KafkaError, TimeoutError } from '../errors.ts';
import type { TopicPartition } from '../topic-partition.ts';
import { AssignedPartitions, type OpenRecord } from './assigned-partitions.ts';
import { BufferedRecords } from './buffered-records.ts';
import { checkPollTimeout, checkTopics } from './checked-arguments.ts';
import type {
  BatchesOptions,
  CommitCallback,
  CommitOptions,
  ConsumerCloseOptions,
  ConsumerParts,
  OffsetAtTime,
  PartitionLag,
  PartitionOffset,
  PollOptions,
} from './consumer-options.ts';
import type { ConsumerBatch, ConsumerRecord } from './consumer-record.ts';
import type { DeserializationCounters } from './deserialization.ts';
import { Fetcher } from './fetcher.ts';
import { ConsumerGroup } from './groups/consumer-group.ts';
import type { ConsumerHealth, GroupHost, MemberIdentity, RebalanceListener } from './groups/group-host.ts';
import type { CommittedOffset, OffsetToCommit } from './groups/offset-commits.ts';
import {
  earliestTimestamp,
  type FoundOffset,
  latestTimestamp,
  lookupOffsets,
  offsetAtTime,
  withOffset,
} from './offset-lookup.ts';
import { busyPollMs, iterationPollMs, PollLoop } from './poll-loop.ts';
import { RecordIterator } from './record-iterator.ts';
import { type DeadLetterFunction, type RecordHandler, RecordRunner, type RunOptions } from './record-runner.ts';

const closeTimeoutMs = 30_000;

/**
 * Reads partitions: those that its group gives it (`subscribe`) or that it is told to read (`assign`). Connects at the first call that needs it. Not for
 * calls from several places at once: a second `poll` while one is waiting is refused.
 *
 * One record's path: a `Fetcher` keeps fetches open at the leaders; an answer's bytes wait in the partition's buffer; `poll` decodes them batch
 * by batch into records and moves the position.
 *
 * A record counts as processed when the application asks for more after it got it. Automatic commits never go beyond.
 */
export class Consumer<K = Buffer, V = Buffer> {
  readonly #cluster: Cluster;
  readonly #config: ConsumerConfig;
  /** For those who watch it. */
  readonly #name: { readonly clientId: string; readonly groupId: string };
  readonly #parts: ConsumerParts<K, V>;
  readonly #fetcher: Fetcher<K, V>;
  readonly #partitions: AssignedPartitions<K, V>;
  readonly #polling: PollLoop<K, V>;
  readonly #group: ConsumerGroup | undefined;
  #isClosed = false;
  /** The group has been left. Between closing and this the listener is told, and may commit. */
  #isGone = false;
  #closed: Promise<void> | undefined;
  #iterator: RecordIterator<K, V> | undefined;
  #runner: RecordRunner<K, V> | undefined;

  /** @internal `Client.consumer` makes it. */
  constructor(cluster: Cluster, config: ConsumerConfig, parts: ConsumerParts<K, V>) {
    this.#cluster = cluster;
    this.#config = config;
    this.#name = { clientId: config['client.id'], groupId: config['group.id'] };
    this.#parts = parts;
    this.#fetcher = new Fetcher(cluster, config, {
      deserializers: parts.deserializers,
      partitions: () => this.#partitions.values(),
      onArrival: () => this.#polling.wake(),
    });
    this.#partitions = new AssignedPartitions(cluster, {
      begin: (state) => this.#fetcher.begin(state),
      firstOpen: (topic, partition) => this.#firstOpen(topic, partition),
      drop: (topic, partition) => {
        this.#iterator?.drop(topic, partition);
        this.#runner?.forget(topic, partition);
      },
      onChange: () => this.#fetcher.wake(),
    });
    // What is about to be given up is read by its next owner.
    const isHeld = (state: TopicPartition): boolean => this.#group?.isHeld(state) ?? false;
    const buffered = new BufferedRecords(() => [...this.#partitions.values()].filter((state) => !isHeld(state)));
    this.#polling = new PollLoop({
      ...{ cluster, name: this.#name, partitions: this.#partitions, buffered, fetcher: this.#fetcher },
      group: () => this.#group,
      checkOpen: () => this.#checkOpen(),
    });
    if (config['group.id'] !== '') this.#group = new ConsumerGroup(cluster, config, this.#host(), parts.assignors);
  }

  /**
   * Joins the group `group.id` to share the partitions of these topics, or of all topics whose name matches. Replaces an earlier subscription. Takes
   * effect with the next poll or iteration.
   */
  subscribe(topics: readonly string[] | RegExp, listener?: RebalanceListener): void {
    this.#checkOpen();
    const group = this.#needGroup('subscribe');
    if (!group.isSubscribed && this.#partitions.size > 0) {
      throw new IllegalStateError('partitions are assigned by hand; unsubscribe first');
    }
    checkTopics(topics);
    group.subscribe(topics, listener);
  }

  /** Gives all partitions up, of a subscription or assigned by hand, and leaves the group. Processed offsets are committed first, with `enable.auto.commit`. */
  async unsubscribe(): Promise<void> {
    this.#checkOpen();
    if (this.#group?.isSubscribed) await this.#group.unsubscribe(closeTimeoutMs);
    this.#partitions.replace([], false);
  }

  /**
   * Replaces the assignment, without a group's help. Partitions that stay keep their position; new ones begin at the group's committed offset if there is a
   * `group.id`, else by `auto.offset.reset`, unless `seek` comes first.
   */
  assign(partitions: readonly TopicPartition[]): void {
    this.#checkOpen();
    if (this.#group?.isSubscribed) throw new IllegalStateError('the group assigns the partitions; unsubscribe first');
    this.#partitions.replace(partitions, this.#group !== undefined);
  }

  /** The assigned partitions. */
  assignment(): TopicPartition[] {
    return this.#partitions.list();
  }

  /** The topics that were subscribed to, or those that match the pattern at the moment. */
  subscription(): readonly string[] {
    return this.#group?.subscription ?? [];
  }

  /** Who this member is in its group, at the moment. */
  groupMetadata(): MemberIdentity & { readonly groupId: string } {
    return { groupId: this.#config['group.id'], ...this.#needGroup('groupMetadata').identity };
  }

  /** The next record to be read is the one at `offset` (or the first after it). What was fetched ahead is dropped. */
  seek(partition: TopicPartition, offset: bigint | number): void {
    this.#checkOpen();
    const target = Number(offset);
    if (!Number.isSafeInteger(target) || target < 0)
      throw new IllegalStateError(`${offset} is not an offset`, partition);
    this.#partitions.get(partition).seek(target);
    this.#iterator?.drop(partition.topic, partition.partition);
    this.#fetcher.wake();
  }

  /** Without a list: all assigned partitions. The offset is looked up when it is needed. */
  seekToBeginning(partitions: readonly TopicPartition[] = this.assignment()): void {
    this.#reset(partitions, 'earliest');
  }

  /** The next record is one that is written from now on. Without a list: all assigned partitions. */
  seekToEnd(partitions: readonly TopicPartition[] = this.assignment()): void {
    this.#reset(partitions, 'latest');
  }

  /** Offset of the next record that `poll` or iteration will give. Waits for a lookup up to `default.api.timeout.ms`. */
  async position(partition: TopicPartition, options: PollOptions = {}): Promise<bigint> {
    const deadlineMs = this.#apiDeadline();
    for (;;) {
      this.#checkInGroup();
      const state = this.#partitions.get(partition);
      if (state.isPlaced) {
        return this.#firstOpen(partition.topic, partition.partition)?.offset ?? BigInt(state.position);
      }
      if (state.isAwaitingCommitted) this.#group?.loadCommitted();
      if (state.failure !== undefined) throw state.failure;
      if (this.#cluster.nowMs() >= deadlineMs) {
        throw new TimeoutError('the position could not be looked up within default.api.timeout.ms', partition);
      }
      await this.#polling.arrival(Math.min(deadlineMs, this.#cluster.nowMs() + 50), options.signal);
    }
  }

  /** Stops reading these partitions; what was fetched already waits. A rebalance that leaves the partition here changes nothing. */
  pause(partitions: readonly TopicPartition[] = this.assignment()): void {
    this.#checkOpen();
    for (const partition of partitions) this.#partitions.get(partition).isPaused = true;
  }

  /** Reads these partitions again. Without a list: all assigned ones. */
  resume(partitions: readonly TopicPartition[] = this.assignment()): void {
    this.#checkOpen();
    for (const partition of partitions) this.#partitions.get(partition).isPaused = false;
    this.#fetcher.wake();
    this.#polling.wake();
  }

  /** The partitions that were paused. */
  paused(): TopicPartition[] {
    const paused = [...this.#partitions.values()].filter((state) => state.isPaused);
    return paused.map(({ topic, partition }) => ({ topic, partition }));
  }

  /**
   * Commits these offsets, or the positions of all assigned partitions: everything that was handed out so far. Tries again what is retriable. Fails with
   * `CommitFailedError` when the partitions have gone to others, `RebalanceInProgressError` when the group is about to share them out
   * anew (poll, then commit again), `FencedInstanceIdError`, `TimeoutError`.
   */
  async commitSync(offsets?: readonly OffsetToCommit[], options: CommitOptions = {}): Promise<void> {
    this.#checkInGroup();
    const group = this.#needGroup('commitSync');
    const timeoutMs = options.timeoutMs ?? this.#config['default.api.timeout.ms'];
    await group.commit(offsets ?? this.#partitions.positions(), this.#cluster.nowMs() + timeoutMs);
  }

  /** The same without waiting. Commits arrive in the order of the calls. Without a callback a failure is only logged. */
  commitAsync(callback?: CommitCallback): void;
  commitAsync(offsets: readonly OffsetToCommit[], callback?: CommitCallback): void;
  commitAsync(first?: readonly OffsetToCommit[] | CommitCallback, second?: CommitCallback): void {
    this.#checkInGroup();
    const callback = typeof first === 'function' ? first : second;
    const offsets = typeof first === 'function' || first === undefined ? this.#partitions.positions() : first;
    const done = this.#needGroup('commitAsync').commit(offsets, this.#apiDeadline());
    done.then(
      () => callback?.(undefined, offsets),
      (error: KafkaError) => {
        if (callback === undefined) this.#cluster.logger.warn({ err: error }, 'a commit failed');
        else callback(error, offsets);
      },
    );
  }

  /** What the group has for these partitions, in their order. */
  async committed(partitions: readonly TopicPartition[], options: CommitOptions = {}): Promise<CommittedOffset[]> {
    this.#checkInGroup();
    const group = this.#needGroup('committed');
    const timeoutMs = options.timeoutMs ?? this.#config['default.api.timeout.ms'];
    return group.committed(partitions, this.#cluster.nowMs() + timeoutMs);
  }

  /**
   * Up to `max.poll.records` records, in order within each partition; waits up to `timeoutMs` for the first, then returns an empty
   * array. Rebalances happen in here; the listener may make it last longer. Fails with what a partition met (`OffsetOutOfRangeError`,
   * `NoOffsetForPartitionError`, `RecordDeserializationError`, …) after the records before it were returned, with what ends the membership, with `WakeupError`, or
   * with the signal's reason.
   */
  async poll(timeoutMs: number, options: PollOptions = {}): Promise<ConsumerRecord<K, V>[]> {
    checkPollTimeout(timeoutMs);
    if (this.#iterator !== undefined) {
      // An iteration was left in the middle. What it handed out is dealt with; a rebalance may take the rest.
      if (this.#group?.wantsPoll) await this.#polling.serveGroup(this.#group);
      this.#markProcessed();
      const undelivered = this.#iterator.takeUndelivered();
      this.#iterator = undefined;
      if (undelivered.length > 0) {
        this.#group?.onActive();
        return undelivered;
      }
    }
    return this.#polling.poll({ timeoutMs, max: this.#config['max.poll.records'], signal: options.signal });
  }

  /** Records one by one, until the consumer is closed. Leaving the loop loses nothing: the next iteration or poll goes on with the next record. */
  [Symbol.asyncIterator](): AsyncIterableIterator<ConsumerRecord<K, V>> {
    return this.records();
  }

  /** `for await` with an `AbortSignal`; the consumer itself can be iterated without one. */
  records(options: PollOptions = {}): AsyncIterableIterator<ConsumerRecord<K, V>> {
    this.#checkOpen();
    const left = this.#iterator?.takeUndelivered() ?? [];
    const max = this.#config['max.poll.records'];
    const poll = (): Promise<ConsumerRecord<K, V>[]> =>
      this.#polling.poll({ timeoutMs: iterationPollMs, max, signal: options.signal });
    this.#iterator = new RecordIterator(
      { poll, pulse: () => this.#polling.pulse(), isClosed: () => this.#isClosed },
      left,
    );
    return this.#iterator;
  }

  /** Records of one partition at a time, for ever. */
  async *batches(options: BatchesOptions = {}): AsyncGenerator<ConsumerBatch<K, V>, void, undefined> {
    const max = options.maxRecords ?? this.#config['max.poll.records'];
    for (;;) {
      const { signal } = options;
      const records = await this.#polling.poll({ timeoutMs: iterationPollMs, max, signal, partitionsMax: 1 });
      const last = records.at(-1);
      if (last === undefined) continue;
      const { topic, partition, offset, leaderEpoch } = last;
      const highWatermark = this.#partitions.find(topic, partition)?.highWatermark ?? -1;
      const commit = (): Promise<void> => this.commitSync([{ topic, partition, offset: offset + 1n, leaderEpoch }]);
      yield { topic, partition, records, highWatermark: BigInt(highWatermark), commit };
    }
  }

  /**
   * Handles every record, several at once, until the signal aborts. Order is kept within a partition or a key; a record counts as processed when its handler
   * has resolved. With `enable.auto.commit` processed offsets are committed, at the latest when it ends. Fails with what a handler throws
   * when there are no attempts left and no `deadLetter`, and with what `poll` fails with.
   */
  async run(options: RunOptions<K, V>, handler: RecordHandler<K, V>): Promise<void> {
    if (this.#runner !== undefined) throw new IllegalStateError('run is running already');
    const poll = (max: number, isEnough: () => boolean, signal: AbortSignal): Promise<ConsumerRecord<K, V>[]> =>
      this.#polling.poll({ timeoutMs: max === 0 ? busyPollMs : iterationPollMs, max, isEnough, signal });
    const { deadLetter } = options;
    const runner = new RecordRunner<K, V>(this.#cluster, options, handler, {
      poll,
      wakePoll: () => this.#polling.wake(),
      deadLetter: typeof deadLetter === 'string' ? this.#deadLetterTo(deadLetter) : deadLetter,
    });
    this.#runner = runner;
    try {
      await runner.run();
    } finally {
      this.#markProcessed();
      // What was not done is read again by whoever reads on.
      for (const { topic, partition } of this.assignment()) {
        const open = runner.firstOpen(topic, partition);
        if (open !== undefined) this.#partitions.find(topic, partition)?.seek(Number(open.offset), open.leaderEpoch);
      }
      this.#runner = undefined;
      await this.#commitProcessed();
    }
  }

  /** Interrupts a waiting `poll`, or the next one, with `WakeupError`. May be called from anywhere. */
  wakeup(): void {
    this.#polling.interrupt();
  }

  /** Records that could not be deserialized and did not end the poll. */
  get counters(): Readonly<DeserializationCounters> {
    return this.#parts.deserializers.counters;
  }

  /** How the membership stands, for probes. */
  health(): ConsumerHealth {
    if (this.#group !== undefined) return this.#group.health();
    const assignedPartitions = this.#partitions.size;
    const nobody = { memberId: '', generation: -1, coordinator: -1, sinceHeartbeatMs: undefined, error: undefined };
    return { status: this.#isClosed ? 'closed' : 'idle', assignedPartitions, sincePollMs: 0, ...nobody };
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
    return (await this.#lookup(queries)).map(offsetAtTime);
  }

  /** How far each assigned partition is behind, as of its last answer. Asks nobody. */
  lag(): PartitionLag[] {
    const { isolationLevel } = this.#fetcher;
    return [...this.#partitions.values()].map((state) => {
      const { topic, partition } = state;
      return { topic, partition, lag: state.lag(this.#firstOpen(topic, partition)?.offset, isolationLevel) };
    });
  }

  /** The same for one partition, which must be assigned. */
  currentLag({ topic, partition }: TopicPartition): bigint | undefined {
    const state = this.#partitions.get({ topic, partition });
    return state.lag(this.#firstOpen(topic, partition)?.offset, this.#fetcher.isolationLevel);
  }

  /** The topic's partitions with their leaders. Fails with `UnknownTopicOrPartitionError`, `TimeoutError`. */
  async partitionsFor(topic: string): Promise<readonly PartitionInfo[]> {
    return (await this.#cluster.topic(topic, this.#apiDeadline())).partitions;
  }

  /**
   * Ends a waiting poll, commits what was processed (with `enable.auto.commit`), tells the listener, leaves the group and closes the connections. The records
   * of the last poll do not count as processed, since an error may be why it closes: `commitSync()` before says that they are done.
   */
  close(options: ConsumerCloseOptions = {}): Promise<void> {
    this.#closed ??= this.#close(options.timeoutMs ?? closeTimeoutMs);
    return this.#closed;
  }

  /** As `close()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(timeoutMs: number): Promise<void> {
    this.#isClosed = true;
    this.#polling.wake();
    const iterator = this.#iterator;
    // Leaving a loop does not tell whether the body came to its end with the last record.
    if (iterator !== undefined)
      this.#partitions.markProcessed((topic, partition) => iterator.firstOpen(topic, partition));
    try {
      await this.#group?.close(timeoutMs);
    } finally {
      this.#isGone = true;
      this.#fetcher.close();
      await this.#cluster.close();
    }
  }

  #markProcessed(): void {
    this.#partitions.markProcessed();
  }

  /** The first record that was taken from a partition's buffer and is not done with. */
  #firstOpen(topic: string, partition: number): OpenRecord | undefined {
    return this.#iterator?.firstUndelivered(topic, partition) ?? this.#runner?.firstOpen(topic, partition);
  }

  #deadLetterTo(topic: string): DeadLetterFunction<K, V> {
    const { deadLetterTo } = this.#parts;
    if (deadLetterTo === undefined) throw new IllegalStateError('this consumer has no producer for dead letters');
    return deadLetterTo(topic);
  }

  async #commitProcessed(): Promise<void> {
    const group = this.#group;
    if (group === undefined || !this.#config['enable.auto.commit'] || this.#isClosed) return;
    const offsets = this.#partitions.processed(this.assignment());
    await group.commit(offsets, this.#apiDeadline()).catch((error: unknown) => {
      this.#cluster.logger.warn({ err: error }, 'the last commit failed');
    });
  }

  /** What the group sees of this consumer. */
  #host(): GroupHost {
    const partitions = this.#partitions;
    return {
      assignment: () => partitions.list(),
      holding: ({ topic, partition }) => partitions.find(topic, partition),
      replaceAssignment: (next, why) => {
        if (why === 'revoked') partitions.rememberPaused();
        partitions.replace(next, true);
        if (why !== 'revoked') partitions.forgetPaused();
        announceAssignment(this.#name, partitions.list(), why);
      },
      processed: (asked) => {
        // Handlers move on by themselves, not only at polls.
        if (this.#runner !== undefined) this.#markProcessed();
        return partitions.processed(asked);
      },
      onCommitted: (offsets) => partitions.onCommitted(offsets),
      drain: async (asked) => this.#runner?.drain(asked),
      unplaced: () => partitions.unplaced(),
      place: (offsets) => partitions.place(offsets),
      wake: () => this.#polling.wake(),
    };
  }

  #reset(partitions: readonly TopicPartition[], policy: 'earliest' | 'latest'): void {
    this.#checkOpen();
    for (const partition of partitions) {
      this.#partitions.get(partition).needReset(parseResetPolicy(policy));
      this.#iterator?.drop(partition.topic, partition.partition);
    }
    this.#fetcher.wake();
  }

  #lookup(queries: readonly (TopicPartition & { readonly timestamp: number })[]): Promise<FoundOffset[]> {
    this.#checkOpen();
    const options = { isolationLevel: this.#fetcher.isolationLevel, deadlineMs: this.#apiDeadline() };
    return lookupOffsets(this.#cluster, queries, options);
  }

  #needGroup(call: string): ConsumerGroup {
    if (this.#group === undefined) throw new IllegalStateError(`${call} needs a 'group.id'`);
    return this.#group;
  }

  #apiDeadline(): number {
    return this.#cluster.nowMs() + this.#config['default.api.timeout.ms'];
  }

  #checkInGroup(): void {
    if (this.#isGone) this.#checkOpen();
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new IllegalStateError('the consumer is closed');
  }
}
