import type { broker } from '@naru/rpc';
import { groupBy, type Timer } from '@naru/runtime';
import type { Cluster } from '../cluster/cluster.ts';
import { Doubt } from '../cluster/doubt.ts';
import { type ConsumerConfig, parseResetPolicy, type ResetPolicy } from '../config.ts';
import {
  InvalidMetadataError,
  type KafkaError,
  LogTruncationError,
  NoOffsetForPartitionError,
  OffsetOutOfRangeError,
} from '../errors.ts';
import { errorFromCode, errorFromRpc } from '../errors-from-wire.ts';
import { partitionKey } from '../topic-partition.ts';
import type { Deserializers } from './consumer-record.ts';
import { FetchLane, type FetchPart, type OpenFetch } from './fetch-lane.ts';
import { FetchedData, offsetAfter } from './fetched-data.ts';
import { earliestTimestamp, latestTimestamp, lookupOffsets } from './offset-lookup.ts';
import type { PartitionState } from './partition-state.ts';

/** Fetches open at once per broker. Partitions that become free while others wait for data go into a fetch of their own. */
export const openFetchesMax = 8;

/** A lookup over several partitions waits this long for the slowest of them. */
const sharedLookupMs = 1_000;

export interface FetcherParts<K, V> {
  readonly deserializers: Deserializers<K, V>;
  /** The assigned partitions. */
  readonly partitions: () => Iterable<PartitionState<K, V>>;
  /** Something for the application came in: records, an error or a position. */
  readonly onArrival: () => void;
}

/**
 * Reads ahead of the application. A partition is fetched again as soon as less than `max.partition.fetch.bytes` of it wait to be read, so that the
 * next answer is on its way while the application works on the last one. What waits is bounded: no fetch leaves while
 * `fetch.max.bytes` are buffered, and the answers under way cannot bring more than about as much again.
 *
 * Races end by generation: a seek raises it, and an answer to an older generation is dropped, whatever it says.
 */
export class Fetcher<K, V> {
  readonly #cluster: Cluster;
  readonly #config: ConsumerConfig;
  readonly #parts: FetcherParts<K, V>;
  readonly #resetPolicy: ResetPolicy;
  readonly #isolationLevel: number;
  readonly #lanes = new Map<number, FetchLane<K, V>>();
  readonly #stopListening: () => void;
  #nextCorrelationId = 1;
  #isPumpPending = false;
  #timer: Timer | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #isClosed = false;

  constructor(cluster: Cluster, config: ConsumerConfig, parts: FetcherParts<K, V>) {
    this.#cluster = cluster;
    this.#config = config;
    this.#parts = parts;
    this.#resetPolicy = parseResetPolicy(config['auto.offset.reset']);
    this.#isolationLevel = config['isolation.level'] === 'read_committed' ? 1 : 0;
    this.#stopListening = cluster.onRefresh(() => this.wake());
  }

  get isolationLevel(): number {
    return this.#isolationLevel;
  }

  /** A partition that nobody has given a position begins where `auto.offset.reset` says. */
  begin(state: PartitionState<K, V>): void {
    const policy = this.#resetPolicy;
    state.needReset(policy);
    if (policy.kind !== 'none') return;
    const { topic, partition } = state;
    const message = `${topic}-${partition} has no position and auto.offset.reset is none; seek first`;
    state.failure = new NoOffsetForPartitionError(message, { topic, partition });
  }

  /** Looks for work after the current turn's code has run. */
  wake(): void {
    if (this.#isPumpPending || this.#isClosed) return;
    this.#isPumpPending = true;
    queueMicrotask(() => {
      this.#isPumpPending = false;
      if (!this.#isClosed) this.#pump();
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#stopListening();
  }

  #wakeAt(atMs: number): void {
    if (atMs >= this.#timerAtMs || this.#isClosed || atMs === Number.POSITIVE_INFINITY) return;
    this.#timer?.cancel();
    this.#timerAtMs = atMs;
    this.#timer = this.#cluster.runtime.timers.after(Math.max(0, atMs - this.#cluster.nowMs()), () => {
      this.#timerAtMs = Number.POSITIVE_INFINITY;
      this.wake();
    });
  }

  #pump(): void {
    const nowMs = this.#cluster.nowMs();
    let nextMs = this.#dropSilentLanes(nowMs);
    const byLeader = new Map<number, PartitionState<K, V>[]>();
    const toReset: PartitionState<K, V>[] = [];
    let bufferedBytes = 0;
    for (const state of this.#parts.partitions()) {
      const ownBytes = state.bufferedBytes;
      bufferedBytes += ownBytes;
      if (state.isInFlight || state.isPaused || state.isAwaitingCommitted || state.failure !== undefined) continue;
      if (state.retryAtMs > nowMs) nextMs = Math.min(nextMs, state.retryAtMs);
      else if (state.reset !== undefined) toReset.push(state);
      else if (ownBytes < this.#config['max.partition.fetch.bytes']) this.#assignToLeader(state, byLeader);
    }
    if (toReset.length > 0) this.#resetPositions(toReset);
    const roomBytes = this.#config['fetch.max.bytes'] - bufferedBytes;
    if (roomBytes > 0) {
      const share = Math.max(1, Math.floor(roomBytes / Math.max(1, byLeader.size)));
      for (const [leaderId, states] of byLeader) this.#fetchFrom(leaderId, states, share, nowMs);
    }
    this.#wakeAt(nextMs);
  }

  #assignToLeader(state: PartitionState<K, V>, byLeader: Map<number, PartitionState<K, V>[]>): void {
    const leaderId = this.#cluster.partition(state.topic, state.partition)?.leaderId ?? -1;
    if (leaderId < 0) {
      this.#onNoLeader(state);
      return;
    }
    const states = byLeader.get(leaderId);
    if (states === undefined) byLeader.set(leaderId, [state]);
    else states.push(state);
  }

  /** Wait for one, unless the topic can never be read: its name is invalid, or it is not ours to read. */
  #onNoLeader(state: PartitionState<K, V>): void {
    const { topic } = state;
    const code = this.#cluster.image.topicErrors.get(topic);
    const error = code === undefined ? undefined : errorFromCode(code, '', { topic });
    if (error === undefined || error.retriable) {
      this.#cluster.requestRefresh();
    } else {
      state.failure = error;
      this.#parts.onArrival();
    }
  }

  #dropSilentLanes(nowMs: number): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const lane of this.#lanes.values()) {
      for (const fetch of lane.openFetches) {
        const states = fetch.parts.map((part) => part.state);
        if (fetch.deadlineMs <= nowMs || fetch.doubt.isLost(this.#cluster, lane.brokerId, states)) {
          this.#cluster.logger.warn({ broker: lane.brokerId }, 'a fetch was not answered in time');
          lane.reset();
          break;
        }
        nextMs = Math.min(nextMs, fetch.deadlineMs, fetch.doubt.nextMs);
      }
    }
    return nextMs;
  }

  #fetchFrom(leaderId: number, states: readonly PartitionState<K, V>[], maxBytes: number, nowMs: number): void {
    const lane = this.#lane(leaderId);
    if (lane === undefined) {
      this.#cluster.requestRefresh();
      return;
    }
    if (!lane.isOpen) {
      lane.ensureOpen();
      return;
    }
    if (lane.openCount >= openFetchesMax) return;
    const parts: FetchPart<K, V>[] = [];
    const partitions: broker.PartitionFetch[] = [];
    for (const state of states) {
      state.isInFlight = true;
      parts.push({ state, generation: state.generation });
      partitions.push(this.#partitionFetch(state));
    }
    const maxWaitMs = this.#config['fetch.max.wait.ms'];
    const correlationId = this.#nextCorrelationId++;
    const deadlineMs = nowMs + maxWaitMs + this.#config['request.timeout.ms'];
    const request = {
      correlationId,
      maxWaitMs,
      minBytes: this.#config['fetch.min.bytes'],
      maxBytes,
      isolationLevel: this.#isolationLevel,
      partitions,
    };
    const doubt = new Doubt(nowMs + maxWaitMs);
    lane.send(request, { correlationId, deadlineMs, doubt, parts });
    this.#wakeAt(doubt.nextMs);
  }

  #partitionFetch({ topic, partition, fetchOffset }: PartitionState<K, V>): broker.PartitionFetch {
    const info = this.#cluster.image.topics.get(topic);
    return {
      topic,
      topicId: info?.topicId ?? '',
      partition,
      fetchOffset,
      currentLeaderEpoch: info?.partitions[partition]?.leaderEpoch ?? -1,
      maxBytes: this.#config['max.partition.fetch.bytes'],
    };
  }

  #lane(brokerId: number): FetchLane<K, V> | undefined {
    const link = this.#cluster.link(brokerId);
    const known = this.#lanes.get(brokerId);
    if (link === undefined) return undefined;
    if (known?.link === link) return known;
    const lane = new FetchLane<K, V>(brokerId, link, {
      onAnswer: (_lane, fetch, answer) => this.#onAnswer(fetch, answer),
      onWritable: () => this.wake(),
      onBroken: (broken, open, error) => this.#onBroken(broken, open, error),
    });
    this.#lanes.set(brokerId, lane);
    return lane;
  }

  #onAnswer(fetch: OpenFetch<K, V>, answer: broker.FetchResponse): void {
    const results = new Map(answer.partitions.map((result) => [partitionKey(result.topic, result.partition), result]));
    let hasArrived = false;
    for (const { state, generation } of fetch.parts) {
      if (state.generation !== generation) continue;
      state.isInFlight = false;
      const result = results.get(partitionKey(state.topic, state.partition));
      // A broker may leave out what has nothing to say.
      if (result === undefined) continue;
      hasArrived = (result.errorCode === 0 ? this.#accept(state, result) : this.#refuse(state, result)) || hasArrived;
    }
    if (hasArrived) this.#parts.onArrival();
    this.wake();
  }

  /** True when there are records. */
  #accept(state: PartitionState<K, V>, result: broker.PartitionFetched): boolean {
    state.failedAttempts = 0;
    state.wasOutOfRange = false;
    state.highWatermark = result.highWatermark;
    state.lastStableOffset = result.lastStableOffset;
    state.logStartOffset = result.logStartOffset;
    const next = result.records.length === 0 ? undefined : offsetAfter(result.records);
    if (next === undefined || next <= state.fetchOffset) return false;
    const { deserializers } = this.#parts;
    state.buffered.push(
      new FetchedData(state, result.records, { deserializers, checkCrcs: this.#config['check.crcs'] }),
    );
    state.fetchOffset = next;
    return true;
  }

  /** True when the application must hear of it. */
  #refuse(state: PartitionState<K, V>, result: broker.PartitionFetched): boolean {
    const { topic, partition } = state;
    const error = errorFromCode(result.errorCode, result.errorMessage, { topic, partition });
    if (error instanceof OffsetOutOfRangeError) return this.#onOutOfRange(state, result, error);
    if (!error.retriable) {
      state.failure = error;
      return true;
    }
    this.#retry(state, error, this.#cluster.applyLeaderHint(result));
    return false;
  }

  /**
   * The log may have lost its beginning to retention, or its end to an unclean election; or a leader that is behind answered. The last passes
   * with fresh metadata, so the policy is applied only when the offset is out of range again (row 54).
   */
  #onOutOfRange(state: PartitionState<K, V>, result: broker.PartitionFetched, error: KafkaError): boolean {
    const wasDeleted = state.fetchOffset < result.logStartOffset;
    if (!wasDeleted && !state.wasOutOfRange) {
      this.#retry(state, error, false);
      state.wasOutOfRange = true;
      this.#cluster.requestRefresh();
      return false;
    }
    const { topic, partition, fetchOffset } = state;
    // What came before is still good: the application reads it first.
    if (state.buffered.length > 0) {
      state.retryAtMs = this.#cluster.nowMs() + this.#cluster.retryPauseMs(1);
      return false;
    }
    // The record before this offset was read, or committed as processed: the log ended behind it once. To reset would pass over what is written there anew.
    if (!wasDeleted && state.positionEpoch >= 0) {
      const message = `${topic}-${partition} was cut: it ends before offset ${fetchOffset}, which followed leader epoch ${state.positionEpoch}; seek to go on`;
      state.failure = new LogTruncationError(message, { topic, partition, offset: BigInt(fetchOffset) });
      return true;
    }
    if (this.#resetPolicy.kind === 'none') {
      state.failure = new OffsetOutOfRangeError(`offset ${fetchOffset} of ${topic}-${partition} is out of range`, {
        topic,
        partition,
      });
      return true;
    }
    this.#cluster.logger.warn(
      { topic, partition, offset: fetchOffset, reset: this.#resetPolicy.kind },
      'offset out of range',
    );
    state.needReset(this.#resetPolicy);
    return false;
  }

  #retry(state: PartitionState<K, V>, error: KafkaError, isLeaderKnown: boolean): void {
    state.failedAttempts++;
    if (error instanceof InvalidMetadataError) this.#cluster.requestRefresh();
    const { topic, partition } = state;
    this.#cluster.logger.debug({ err: error, topic, partition }, 'fetch is tried again');
    state.retryAtMs = isLeaderKnown ? 0 : this.#cluster.nowMs() + this.#cluster.retryPauseMs(state.failedAttempts);
  }

  #onBroken(lane: FetchLane<K, V>, open: readonly OpenFetch<K, V>[], error: KafkaError): void {
    if (this.#isClosed) return;
    this.#cluster.logger.debug({ err: error, broker: lane.brokerId }, 'the fetch stream is broken');
    for (const { parts } of open) {
      for (const { state, generation } of parts) if (state.generation === generation) state.isInFlight = false;
    }
    this.#cluster.requestRefresh();
    this.#wakeAt(this.#cluster.nowMs() + Math.max(1, lane.link.pauseMs));
  }

  /** One lookup for all that begin the same way. */
  #resetPositions(states: readonly PartitionState<K, V>[]): void {
    const groups = groupBy(states, (state) => state.reset ?? this.#resetPolicy);
    for (const [policy, group] of groups) {
      const parts = group.map((state) => ({ state, generation: state.generation }));
      for (const state of group) state.isInFlight = true;
      void this.#resetTo(policy, parts).then(() => {
        this.#parts.onArrival();
        this.wake();
      });
    }
  }

  async #resetTo(policy: ResetPolicy, parts: readonly FetchPart<K, V>[]): Promise<void> {
    const isCurrent = ({ state, generation }: FetchPart<K, V>): boolean =>
      state.generation === generation && !this.#isClosed;
    try {
      const offsets = await this.#lookUp(
        parts.map((part) => part.state),
        policy,
      );
      for (const [i, part] of parts.entries()) if (isCurrent(part)) part.state.seek(offsets[i] as number);
    } catch (cause) {
      const error = errorFromRpc(cause);
      if (!this.#isClosed) this.#cluster.logger.warn({ reason: error.message }, 'positions could not be looked up');
      // One partition without a leader must not hold up the others: next time each is looked up by itself.
      const isShared = parts.length > 1;
      for (const part of parts) {
        if (!isCurrent(part)) continue;
        const { state } = part;
        state.isInFlight = false;
        if (isShared) state.reset = { ...policy };
        else if (error.retriable) this.#retry(state, error, false);
        else state.failure = error;
      }
    }
  }

  async #lookUp(states: readonly PartitionState<K, V>[], policy: ResetPolicy): Promise<number[]> {
    const ask = async (asked: readonly PartitionState<K, V>[], timestamp: number): Promise<number[]> => {
      // A shared lookup gives up early, see above.
      const limitMs = asked.length > 1 ? sharedLookupMs : this.#config['default.api.timeout.ms'];
      const options = { isolationLevel: this.#isolationLevel, deadlineMs: this.#cluster.nowMs() + limitMs };
      const queries = asked.map(({ topic, partition }) => ({ topic, partition, timestamp }));
      return (await lookupOffsets(this.#cluster, queries, options)).map((found) => found.offset);
    };
    if (policy.kind !== 'by-duration') {
      return ask(states, policy.kind === 'earliest' ? earliestTimestamp : latestTimestamp);
    }
    const since = await ask(states, Math.max(0, this.#cluster.runtime.clock.wallMs() - policy.durationMs));
    if (since.every((offset) => offset >= 0)) return since;
    // Nothing is that young: begin with what comes next.
    const ends = await ask(states, latestTimestamp);
    return since.map((offset, i) => (offset >= 0 ? offset : (ends[i] as number)));
  }
}
