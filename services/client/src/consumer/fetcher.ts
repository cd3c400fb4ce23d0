import type { broker } from '@naru/rpc';
import type { Cluster } from '../cluster/cluster.ts';
import { Doubt } from '../cluster/doubt.ts';
import { Passes } from '../cluster/passes.ts';
import { type ConsumerConfig, parseResetPolicy, type ResetPolicy } from '../config.ts';
import {
  InvalidMetadataError,
  type KafkaError,
  LogTruncationError,
  NoOffsetForPartitionError,
  OffsetOutOfRangeError,
} from '../errors.ts';
import { errorFromCode } from '../errors-from-wire.ts';
import type { Deserializers } from './consumer-record.ts';
import { FetchLane, type FetchTerms } from './fetch-lane.ts';
import { FetchedData, lastBatch } from './fetched-data.ts';
import type { PartitionState } from './partition-state.ts';
import { isolationLevelOf, PositionLookup } from './position-lookup.ts';

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
 * Each leader has a session, its stream (`FetchLane`): a partition is named when it moves, and answered when there is something. What crosses a seek is
 * told by its offset: an answer to another position than the partition's is dropped, whatever it says.
 *
 * Each fetch says of which leader epoch the record before the position was (KIP-320): a log that has another one there was cut. So every position is
 * checked by whoever leads now, also one that was committed by somebody else.
 */
export class Fetcher<K, V> {
  readonly #cluster: Cluster;
  readonly #config: ConsumerConfig;
  readonly #parts: FetcherParts<K, V>;
  readonly #resetPolicy: ResetPolicy;
  readonly #isolationLevel: number;
  readonly #positions: PositionLookup<K, V>;
  readonly #lanes = new Map<number, FetchLane<K, V>>();
  readonly #stopListening: () => void;
  readonly #passes: Passes;

  constructor(cluster: Cluster, config: ConsumerConfig, parts: FetcherParts<K, V>) {
    this.#cluster = cluster;
    this.#config = config;
    this.#parts = parts;
    this.#resetPolicy = parseResetPolicy(config['auto.offset.reset']);
    this.#isolationLevel = isolationLevelOf(config);
    this.#passes = new Passes(cluster.runtime, () => this.#pump());
    this.#positions = new PositionLookup(cluster, config, {
      isClosed: () => this.#passes.isClosed,
      onRetry: (state, error) => this.#retry(state, error, false),
      onDone: () => {
        parts.onArrival();
        this.wake();
      },
    });
    this.#stopListening = cluster.onRefresh(() => {
      for (const lane of this.#lanes.values()) this.#dropFormerLeader(lane);
      this.wake();
    });
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
    this.#passes.wake();
  }

  close(): void {
    this.#passes.close();
    this.#stopListening();
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
      if (state.session !== undefined || state.isInLookup || state.isPaused || state.isAwaitingCommitted) continue;
      if (state.failure !== undefined) continue;
      if (state.retryAtMs > nowMs) nextMs = Math.min(nextMs, state.retryAtMs);
      else if (state.reset !== undefined) toReset.push(state);
      else if (ownBytes < this.#config['max.partition.fetch.bytes']) this.#assignToLeader(state, byLeader);
    }
    if (toReset.length > 0) this.#positions.lookUp(toReset);
    const roomBytes = this.#config['fetch.max.bytes'] - bufferedBytes;
    if (roomBytes > 0) for (const [leaderId, states] of byLeader) this.#stand(leaderId, states);
    this.#fetch(roomBytes, nowMs);
    this.#passes.wakeAt(nextMs);
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
      const { openFetch, brokerId } = lane;
      if (openFetch === undefined) continue;
      const { deadlineMs, doubt } = openFetch;
      if (deadlineMs <= nowMs || doubt.isLost(this.#cluster, brokerId, lane.standing)) {
        this.#cluster.logger.warn({ broker: brokerId }, 'a fetch was not answered in time');
        lane.reset();
      } else nextMs = Math.min(nextMs, deadlineMs, doubt.nextMs);
    }
    return nextMs;
  }

  /** A leader that is cut off does not know that it leads no more: whoever has heard of the next one asks there. */
  #dropFormerLeader(lane: FetchLane<K, V>): void {
    for (const state of lane.standing) {
      const leaderId = this.#cluster.partition(state.topic, state.partition)?.leaderId ?? -1;
      if (leaderId >= 0 && leaderId !== lane.brokerId) lane.forget(state);
    }
  }

  #stand(leaderId: number, states: readonly PartitionState<K, V>[]): void {
    const lane = this.#lane(leaderId);
    if (lane === undefined) this.#cluster.requestRefresh();
    else if (!lane.isOpen) lane.ensureOpen();
    else for (const state of states) lane.stand(state);
  }

  /** What is buffered and what may come share the room. */
  #fetch(roomBytes: number, nowMs: number): void {
    const lanes = [...this.#lanes.values()];
    const idle = roomBytes > 0 ? lanes.filter((lane) => lane.isIdle) : [];
    const maxWaitMs = this.#config['fetch.max.wait.ms'];
    const terms: FetchTerms = {
      maxWaitMs,
      minBytes: this.#config['fetch.min.bytes'],
      maxBytes: Math.max(1, Math.floor(roomBytes / Math.max(1, idle.length))),
      isolationLevel: this.#isolationLevel,
    };
    for (const lane of idle) {
      const doubt = new Doubt(nowMs + maxWaitMs);
      const deadlineMs = nowMs + maxWaitMs + this.#config['request.timeout.ms'];
      lane.fetch({ deadlineMs, doubt }, terms, this.#partitionFetch);
      this.#passes.wakeAt(doubt.nextMs);
    }
    for (const lane of lanes) lane.tell(terms, this.#partitionFetch);
  }

  readonly #partitionFetch = (state: PartitionState<K, V>): broker.PartitionFetch => {
    const { topic, partition, fetchOffset, fetchEpoch } = state;
    const info = this.#cluster.image.topics.get(topic);
    return {
      topic,
      topicId: info?.topicId ?? '',
      partition,
      fetchOffset,
      currentLeaderEpoch: info?.partitions[partition]?.leaderEpoch ?? -1,
      lastFetchedEpoch: fetchEpoch,
      maxBytes: this.#config['max.partition.fetch.bytes'],
    };
  };

  #lane(brokerId: number): FetchLane<K, V> | undefined {
    const link = this.#cluster.link(brokerId);
    const known = this.#lanes.get(brokerId);
    if (link === undefined) return undefined;
    if (known?.link === link) return known;
    known?.reset();
    const lane = new FetchLane<K, V>(brokerId, link, {
      onAnswer: (answered, answer) => this.#onAnswer(answered, answer),
      onWritable: () => this.wake(),
      onBroken: (broken, error) => this.#onBroken(broken, error),
    });
    this.#lanes.set(brokerId, lane);
    return lane;
  }

  #onAnswer(lane: FetchLane<K, V>, answer: broker.FetchResponse): void {
    let hasArrived = false;
    for (const result of answer.partitions) {
      const state = lane.find(result.topic, result.partition);
      if (state === undefined || state.fetchOffset !== result.fetchOffset) continue;
      if (this.#take(lane, state, result)) hasArrived = true;
    }
    if (hasArrived) this.#parts.onArrival();
    this.wake();
  }

  /** True when the application has something to see. */
  #take(lane: FetchLane<K, V>, state: PartitionState<K, V>, result: broker.PartitionFetched): boolean {
    if (result.errorCode !== 0) {
      lane.release(state);
      return this.#refuse(state, result);
    }
    state.failedAttempts = 0;
    state.wasOutOfRange = false;
    state.highWatermark = result.highWatermark;
    state.lastStableOffset = result.lastStableOffset;
    state.logStartOffset = result.logStartOffset;
    if (result.diverging !== undefined) {
      lane.release(state);
      return this.#onDiverging(state, result.diverging);
    }
    if (result.records.length === 0) return false;
    lane.release(state);
    const { deserializers } = this.#parts;
    const before = state.fetchOffset;
    for (const bytes of result.records) {
      const last = lastBatch(bytes);
      if (last === undefined || last.lastOffset < state.fetchOffset) continue;
      const data = new FetchedData(state, bytes, { deserializers, checkCrcs: this.#config['check.crcs'] });
      state.fetched(data, last.lastOffset + 1, last.partitionLeaderEpoch);
    }
    return state.fetchOffset > before;
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
   * What was read up to the fetch offset is not what the log has (KIP-320, rows 22, 54): it was cut by an unclean election or with a lost disk. As in Kafka, reading goes
   * on where both part, so that nothing that was written anew is passed over, or ends with an error when nobody has chosen a policy.
   */
  #onDiverging(state: PartitionState<K, V>, end: broker.EpochEnd): boolean {
    const { topic, partition, position, positionEpoch } = state;
    // What the application has not seen yet is read anew. Whether it has seen what is gone shows the next answer.
    if (state.fetchOffset !== position) {
      state.seek(position, positionEpoch);
      return false;
    }
    const message = `${topic}-${partition} was cut: what was read before offset ${position}, of leader epoch ${positionEpoch}, is another log from offset ${end.endOffset} on`;
    if (this.#resetPolicy.kind === 'none') {
      const offsets = { offset: BigInt(position), divergentOffset: BigInt(end.endOffset) };
      state.failure = new LogTruncationError(`${message}; seek to go on`, { topic, partition, ...offsets });
      return true;
    }
    this.#cluster.logger.warn({ topic, partition, offset: position, divergentOffset: end.endOffset }, message);
    state.seek(end.endOffset, end.epoch);
    return false;
  }

  /**
   * The log has lost its beginning to retention; or the position is of nobody knows whom and lies beyond the end, or a leader that is behind answered. The last passes
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

  #onBroken(lane: FetchLane<K, V>, error: KafkaError): void {
    if (this.#passes.isClosed) return;
    this.#cluster.logger.debug({ err: error, broker: lane.brokerId }, 'the fetch stream is broken');
    this.#cluster.requestRefresh();
    this.#passes.wakeAt(this.#cluster.nowMs() + Math.max(1, lane.link.pauseMs));
  }
}
