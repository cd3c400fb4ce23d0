import { errorCodes } from '@naru/kafka-protocol';
import type { broker } from '@naru/rpc';
import { sleep } from '@naru/runtime';
import type { Cluster } from '../cluster/cluster.ts';
import { Doubt } from '../cluster/doubt.ts';
import { Passes } from '../cluster/passes.ts';
import {
  InvalidMetadataError,
  InvalidProducerEpochError,
  type KafkaError,
  OutOfOrderSequenceError,
  RecordBatchTooLargeError,
  RecordTooLargeError,
  TimeoutError,
  UnknownProducerIdError,
} from '../errors.ts';
import { errorFromCode } from '../errors-from-wire.ts';
import type { Accumulator, PartitionQueue } from './accumulator.ts';
import { isBehind } from './partition-sequence.ts';
import { type OpenRequest, ProduceLane, type RequestPart } from './produce-lane.ts';
import type { ProducerBatch } from './producer-batch.ts';
import { ProducerIdSource } from './producer-id-source.ts';

export interface SenderSettings {
  /** 0, 1 or -1. */
  readonly acks: number;
  readonly requestBytesMax: number;
  readonly openRequestsMax: number;
  readonly requestTimeoutMs: number;
  readonly retriesMax: number;
  readonly isIdempotent: boolean;
}

/** What the application can see of the sender's work. */
export interface SenderCounters {
  requests: number;
  bytes: number;
  retries: number;
  failedBatches: number;
}

/**
 * Takes ready batches to the leaders. One pass (`#pump`) looks at every partition that has batches and fills requests; passes are
 * asked for by events (a full batch, an answer, a timer, fresh metadata), and many events in one turn make one pass.
 *
 * Order (C5): a partition has at most one request under way. It carries every ready batch of the partition; what comes back to be sent
 * again goes in front of what is younger. Requests over different partitions overlap freely.
 *
 * With `enable.idempotence` every batch has sequence numbers from its first attempt on (C4): brokers answer a batch that comes again with where it
 * is. A batch that is given up leaves its numbers to what follows, or ends the epoch (`PartitionSequence`).
 */
export class Sender {
  readonly counters: SenderCounters = { requests: 0, bytes: 0, retries: 0, failedBatches: 0 };
  readonly #cluster: Cluster;
  readonly #accumulator: Accumulator;
  readonly #settings: SenderSettings;
  readonly #onSettled: () => void;
  readonly #lanes = new Map<number, ProduceLane>();
  readonly #stopListening: () => void;
  readonly #passes: Passes;
  readonly #ids: ProducerIdSource | undefined;
  #fatalError: KafkaError | undefined;
  #nextCorrelationId = 1;

  /** `onSettled` is called after records succeeded or failed. */
  constructor(cluster: Cluster, accumulator: Accumulator, settings: SenderSettings, onSettled: () => void) {
    this.#cluster = cluster;
    this.#accumulator = accumulator;
    this.#settings = settings;
    this.#onSettled = onSettled;
    this.#passes = new Passes(cluster.runtime, () => this.#pump());
    this.#stopListening = cluster.onRefresh(() => this.wake());
    const onRefused = (error: KafkaError): void => this.#failForGood(error);
    this.#ids = settings.isIdempotent ? new ProducerIdSource(cluster, () => this.wake(), onRefused) : undefined;
  }

  /** After it nothing can be sent any more. */
  get fatalError(): KafkaError | undefined {
    return this.#fatalError;
  }

  /** Looks for work after the current turn's code has run. */
  wake(): void {
    this.#passes.wake();
  }

  /** Looks for work at this moment of the monotonic clock. */
  wakeAt(atMs: number): void {
    this.#passes.wakeAt(atMs);
  }

  /** With acks=0 all has succeeded that left, but may be on its way still: waits until the brokers have it, for `request.timeout.ms` at most. */
  async handOver(): Promise<void> {
    if (this.#settings.acks !== 0) return;
    const enough = new AbortController();
    const late = sleep(this.#cluster.runtime.timers, this.#settings.requestTimeoutMs, enough.signal).catch(() => {});
    await Promise.race([Promise.all([...this.#lanes.values()].map((lane) => lane.handOver())), late]);
    enough.abort();
  }

  /** Stops, and fails what has not ended with the error that `reason` makes for its outcome. */
  close(reason: (outcome: 'definite' | 'indefinite') => KafkaError): void {
    if (this.#passes.isClosed) return;
    this.#passes.close();
    this.#stopListening();
    const underWay = new Set<ProducerBatch>();
    for (const lane of this.#lanes.values()) {
      for (const request of lane.openRequests)
        for (const part of request.parts) for (const b of part.batches) underWay.add(b);
      lane.reset();
    }
    for (const batch of [...this.#accumulator.incomplete]) {
      this.#fail(batch, reason(underWay.has(batch) || batch.mayBeAppended ? 'indefinite' : 'definite'));
    }
    this.#onSettled();
  }

  #pump(): void {
    const nowMs = this.#cluster.nowMs();
    let nextMs = this.#checkOpenRequests(nowMs);
    const readyByLeader = new Map<number, PartitionQueue[]>();
    for (const queue of this.#accumulator.active) {
      this.#expire(queue, nowMs);
      const head = queue.batches[0];
      if (head === undefined) continue;
      nextMs = Math.min(nextMs, head.settings.deadlineMs);
      if (queue.isInFlight || !this.#isIdentified(queue)) continue;
      const readyAtMs = this.#accumulator.readyAtMs(queue);
      if (readyAtMs > nowMs) {
        nextMs = Math.min(nextMs, readyAtMs);
        continue;
      }
      const leaderId = this.#cluster.partition(queue.topic, queue.partition)?.leaderId ?? -1;
      if (leaderId < 0) this.#cluster.requestRefresh();
      else pushTo(readyByLeader, leaderId, queue);
    }
    for (const [leaderId, queues] of readyByLeader) this.#sendTo(leaderId, queues, nowMs);
    this.wakeAt(nextMs);
  }

  /** A partition's first batch waits for the producer's id. */
  #isIdentified({ sequence }: PartitionQueue): boolean {
    if (sequence === undefined || !sequence.needsIdentity) return true;
    const identity = this.#ids?.identity(sequence.producerId);
    if (identity === undefined) return false;
    sequence.identify(identity);
    return true;
  }

  /** Fails records whose time is up although their request is still open, and drops connections that do not answer. */
  #checkOpenRequests(nowMs: number): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const lane of this.#lanes.values()) {
      for (const request of lane.openRequests) {
        const queues = request.parts.map((part) => part.queue);
        if (request.deadlineMs <= nowMs || request.doubt.isLost(this.#cluster, lane.brokerId, queues)) {
          this.#cluster.logger.warn({ broker: lane.brokerId }, 'a produce request was not answered in time');
          lane.reset();
          break;
        }
        nextMs = Math.min(nextMs, request.deadlineMs, request.doubt.nextMs, this.#expireOpen(request, nowMs));
      }
    }
    return nextMs;
  }

  /** Returns when the next of the request's batches will be too old. */
  #expireOpen(request: OpenRequest, nowMs: number): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { batches } of request.parts) {
      for (const batch of batches) {
        if (batch.isSettled) continue;
        if (batch.settings.deadlineMs <= nowMs) this.#fail(batch, lateError(batch, 'indefinite'));
        else nextMs = Math.min(nextMs, batch.settings.deadlineMs);
      }
    }
    return nextMs;
  }

  #expire(queue: PartitionQueue, nowMs: number): void {
    const expired = this.#accumulator.takeExpired(queue, nowMs);
    for (const batch of expired) {
      this.#fail(batch, lateError(batch, batch.mayBeAppended ? 'indefinite' : 'definite'));
      this.#giveUp(queue, batch, []);
      this.#accumulator.release(batch);
    }
    if (expired.length > 0) this.#onSettled();
  }

  #sendTo(leaderId: number, queues: PartitionQueue[], nowMs: number): void {
    const lane = this.#lane(leaderId);
    if (lane === undefined) {
      this.#cluster.requestRefresh();
      return;
    }
    if (!lane.isWritable) {
      lane.ensureOpen();
      return;
    }
    let at = 0;
    while (at < queues.length && lane.isWritable && lane.openCount < this.#settings.openRequestsMax) {
      at = this.#sendRequest(lane, queues, at, nowMs);
    }
  }

  /** Fills one request from the queues beginning with `from`; returns the first queue that is not in it. */
  #sendRequest(lane: ProduceLane, queues: readonly PartitionQueue[], from: number, nowMs: number): number {
    const parts: RequestPart[] = [];
    const partitions: broker.PartitionRecords[] = [];
    let room = this.#settings.requestBytesMax;
    let at = from;
    for (; at < queues.length && room > 0; at++) {
      const queue = queues[at] as PartitionQueue;
      const batches = this.#accumulator.drain(queue, nowMs, room, parts.length === 0);
      if (batches.length === 0) break;
      const records = joined(batches);
      room -= records.length;
      parts.push({ queue, batches });
      const topicId = this.#cluster.image.topics.get(queue.topic)?.topicId ?? '';
      partitions.push({ topic: queue.topic, topicId, partition: queue.partition, records });
    }
    if (parts.length === 0) return queues.length;
    const { acks, requestTimeoutMs } = this.#settings;
    const correlationId = this.#nextCorrelationId++;
    this.counters.requests++;
    this.counters.bytes += this.#settings.requestBytesMax - room;
    for (const part of parts) part.queue.isInFlight = acks !== 0;
    const open = { correlationId, deadlineMs: nowMs + requestTimeoutMs, doubt: new Doubt(nowMs), parts };
    lane.send({ correlationId, acks, timeoutMs: requestTimeoutMs, partitions }, open);
    if (acks === 0) {
      for (const part of parts) this.#succeed(part, unknownPlace);
      this.#onSettled();
    } else this.wakeAt(open.doubt.nextMs);
    return at;
  }

  #lane(brokerId: number): ProduceLane | undefined {
    const link = this.#cluster.link(brokerId);
    const known = this.#lanes.get(brokerId);
    if (link === undefined || known?.link === link) return link === undefined ? undefined : known;
    // The broker came back on another address; what is open on the old lane ends with its connection.
    if (known !== undefined && known.openCount > 0) return undefined;
    const lane = new ProduceLane(brokerId, link, {
      onAnswer: (_lane, request, answer) => this.#onAnswer(request, answer),
      onWritable: () => this.wake(),
      onBroken: (broken, open, error) => this.#onBroken(broken, open, error),
    });
    this.#lanes.set(brokerId, lane);
    return lane;
  }

  #onAnswer(request: OpenRequest, answer: broker.ProduceResponse): void {
    for (const [i, part] of request.parts.entries()) {
      const { topic, partition } = part.queue;
      const isOfPart = (r: broker.PartitionAppended): boolean => r.topic === topic && r.partition === partition;
      const inPlace = answer.partitions[i];
      const result = inPlace !== undefined && isOfPart(inPlace) ? inPlace : answer.partitions.find(isOfPart);
      if (result !== undefined && isSuccess(result.errorCode)) this.#succeed(part, result);
      else this.#onRefused(part, result);
    }
    this.#onSettled();
    this.wake();
  }

  #succeed({ queue, batches }: RequestPart, place: Place): void {
    queue.isInFlight = false;
    queue.retryAtMs = 0;
    const { baseOffset, batchBaseOffsets, logAppendTimeMs } = place;
    let offset = baseOffset;
    for (const [i, batch] of batches.entries()) {
      const { recordsCount, numbering } = batch;
      if (numbering !== undefined) queue.sequence?.confirm(numbering);
      offset = batchBaseOffsets[i] ?? offset;
      this.#accumulator.incomplete.delete(batch);
      batch.succeed(offset, logAppendTimeMs);
      if (offset >= 0) offset += recordsCount;
      this.#accumulator.release(batch);
    }
  }

  #onRefused(part: RequestPart, result: broker.PartitionAppended | undefined): void {
    const { topic, partition } = part.queue;
    const code = result?.errorCode ?? -1;
    const error = errorFromCode(code, result?.errorMessage ?? 'the broker left the partition out of its answer', {
      topic,
      partition,
      ...(result?.appended ? { outcome: 'indefinite' } : {}),
    });
    const isTooLarge = error instanceof RecordTooLargeError || error instanceof RecordBatchTooLargeError;
    if (isTooLarge && this.#sendSmaller(part)) return;
    const isLeaderKnown = result !== undefined && this.#cluster.applyLeaderHint(result);
    if (error instanceof InvalidMetadataError) this.#cluster.requestRefresh();
    if (isFatal(error, part.queue)) this.#endWith(part, error);
    else this.#retryOrFail(part, error, isLeaderKnown);
  }

  /** Batches that were refused together are tried one by one, and a single one in halves. False when there is nothing left to divide. */
  #sendSmaller({ queue, batches }: RequestPart): boolean {
    const [first] = batches;
    if (first === undefined || (batches.length === 1 && (first.recordsCount < 2 || first.isSettled))) return false;
    queue.isInFlight = false;
    if (batches.length > 1) {
      for (const batch of batches) batch.mustGoAlone = true;
      this.#requeue(queue, batches);
      return true;
    }
    this.#accumulator.incomplete.delete(first);
    const halves = first.split();
    for (const half of halves) half.close();
    this.#accumulator.requeue(queue, halves);
    return true;
  }

  #onBroken(lane: ProduceLane, open: readonly OpenRequest[], error: KafkaError): void {
    if (this.#passes.isClosed) return;
    this.#cluster.logger.debug({ err: error, broker: lane.brokerId }, 'the produce stream is broken');
    for (const request of open) for (const part of request.parts) this.#retryOrFail(part, error, false);
    this.#cluster.requestRefresh();
    this.#onSettled();
    this.wakeAt(this.#cluster.nowMs() + lane.link.pauseMs);
  }

  #retryOrFail({ queue, batches }: RequestPart, error: KafkaError, isLeaderKnown: boolean): void {
    queue.isInFlight = false;
    const isGap = error instanceof OutOfOrderSequenceError;
    const again: ProducerBatch[] = [];
    const failed: ProducerBatch[] = [];
    for (const batch of batches) {
      batch.attempts++;
      if (error.outcome === 'indefinite') batch.mayBeAppended = true;
      // Refused for what was before it, and in no log for certain: it can begin a new epoch.
      const isRetriable = error.retriable || (isGap && !batch.mayBeAppended);
      if (isRetriable && batch.attempts <= this.#settings.retriesMax) again.push(batch);
      else failed.push(batch);
    }
    for (const batch of failed) {
      this.#fail(batch, batch.mayBeAppended ? asIndefinite(batch, error) : error);
      this.#giveUp(queue, batch, again);
      this.#accumulator.release(batch);
    }
    if (isGap) this.#restart(queue, again);
    this.counters.retries += again.length;
    if (again.length > 0) {
      const attempts = (again[0] as ProducerBatch).attempts;
      // The broker itself named the next leader: no reason to wait.
      queue.retryAtMs = isLeaderKnown ? 0 : this.#cluster.nowMs() + this.#cluster.retryPauseMs(attempts);
      if (queue.retryAtMs > 0) this.wakeAt(queue.retryAtMs);
    }
    this.#requeue(queue, again);
  }

  /** What was settled meanwhile, by its delivery timeout, is not sent again. */
  #requeue(queue: PartitionQueue, batches: readonly ProducerBatch[]): void {
    const alive = batches.filter((batch) => !batch.isSettled);
    for (const batch of batches) {
      if (!batch.isSettled) continue;
      this.#giveUp(queue, batch, alive);
      this.#accumulator.release(batch);
    }
    this.#accumulator.requeue(queue, alive);
    this.wake();
  }

  /**
   * A batch will not be sent again: its sequence numbers become free when it is in no log, for those behind it, which are none of them in a log
   * either: brokers take them in order, and they travelled with it or after it.
   */
  #giveUp(queue: PartitionQueue, batch: ProducerBatch, behind: readonly ProducerBatch[]): void {
    const { sequence } = queue;
    const { numbering } = batch;
    if (sequence === undefined || numbering === undefined) return;
    if (batch.mayBeAppended) {
      sequence.leaveInDoubt(numbering);
      return;
    }
    sequence.rewind(numbering);
    for (const other of [...behind, ...queue.batches]) {
      const sequenceOfOther = other.numbering?.firstSequence;
      if (sequenceOfOther !== undefined && isBehind(sequenceOfOther, numbering.firstSequence)) other.forgetNumbering();
    }
  }

  /** The broker does not know what was before: what is in no log for certain begins a new epoch (KIP-360). */
  #restart(queue: PartitionQueue, again: readonly ProducerBatch[]): void {
    queue.sequence?.restart();
    for (const batch of [...again, ...queue.batches]) if (!batch.mayBeAppended) batch.forgetNumbering();
  }

  #endWith(part: RequestPart, error: KafkaError): void {
    part.queue.isInFlight = false;
    for (const batch of part.batches) {
      this.#fail(batch, batch.mayBeAppended ? asIndefinite(batch, error) : error);
      this.#accumulator.release(batch);
    }
    this.#failForGood(error);
  }

  /** Everything that is not acknowledged fails, and nothing can be sent any more. */
  #failForGood(error: KafkaError): void {
    if (this.#fatalError !== undefined || this.#passes.isClosed) return;
    this.#fatalError = error;
    this.#cluster.logger.warn({ err: error }, 'the producer cannot go on');
    const waiting = [...this.#accumulator.active].flatMap((queue) => this.#accumulator.takeAll(queue));
    for (const batch of waiting) {
      this.#fail(batch, batch.mayBeAppended ? asIndefinite(batch, error) : error);
      this.#accumulator.release(batch);
    }
    for (const batch of [...this.#accumulator.incomplete]) this.#fail(batch, asIndefinite(batch, error));
    this.#onSettled();
  }

  #fail(batch: ProducerBatch, error: KafkaError): void {
    if (batch.isSettled) return;
    this.counters.failedBatches++;
    this.#accumulator.incomplete.delete(batch);
    batch.fail(error);
  }
}

/** Where the records of a request went. */
type Place = Pick<broker.PartitionAppended, 'baseOffset' | 'batchBaseOffsets' | 'logAppendTimeMs'>;

const unknownPlace: Place = { baseOffset: -1, batchBaseOffsets: [], logAppendTimeMs: -1 };

/** A duplicate is in the log, also when the broker no longer knows where (row 42). */
function isSuccess(errorCode: number): boolean {
  return errorCode === errorCodes.NONE || errorCode === errorCodes.DUPLICATE_SEQUENCE_NUMBER;
}

/**
 * A gap that no batch of ours explains: what was acknowledged is not in the log any more. And somebody else with our producer id. To go on
 * would hide it.
 */
function isFatal(error: KafkaError, { sequence }: PartitionQueue): boolean {
  if (sequence === undefined) return false;
  if (error instanceof InvalidProducerEpochError) return true;
  return error instanceof OutOfOrderSequenceError && !(error instanceof UnknownProducerIdError) && !sequence.isInDoubt;
}

function asIndefinite(batch: ProducerBatch, cause: KafkaError): KafkaError {
  const { topic, partition } = batch.settings;
  const { message, code, broker } = cause;
  const context = { topic, partition, broker, code, outcome: 'indefinite', cause } as const;
  return new (cause.constructor as typeof KafkaError)(message, context);
}

function lateError(batch: ProducerBatch, outcome: 'definite' | 'indefinite'): KafkaError {
  const { topic, partition } = batch.settings;
  const doubt = outcome === 'definite' ? 'nothing was written' : 'whether they were written is unknown';
  const message = `${batch.recordsCount} records for ${topic}-${partition} were not acknowledged within delivery.timeout.ms; ${doubt}`;
  return new TimeoutError(message, { topic, partition, outcome });
}

function joined(batches: readonly ProducerBatch[]): Uint8Array {
  if (batches.length === 1) return (batches[0] as ProducerBatch).close();
  return Buffer.concat(batches.map((batch) => batch.close()));
}

function pushTo<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
