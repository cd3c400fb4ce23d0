import type { Compression, HeaderEntry } from '@naru/record';
import { assert } from '@naru/runtime';
import { partitionKey } from '../topic-partition.ts';
import { PartitionSequence } from './partition-sequence.ts';
import { ProducerBatch } from './producer-batch.ts';
import type { SendCallback } from './producer-record.ts';

export interface AccumulatorSettings {
  readonly batchBytes: number;
  readonly lingerMs: number;
  readonly bufferBytes: number;
  readonly deliveryTimeoutMs: number;
  readonly compression: Compression;
  readonly compressionLevel: number | undefined;
  /** Batches get sequence numbers. */
  readonly isIdempotent: boolean;
  /** The producer's name, for those who watch it. */
  readonly clientId: string;
}

/** What the sender must know; both are called often and must only take note. */
export interface AccumulatorEvents {
  /** Something may be sent now. */
  onReady(): void;
  /** Something may be sent at this moment of the monotonic clock. */
  onReadyAt(atMs: number): void;
  /** Memory was released. */
  onReleased(): void;
}

/**
 * The batches of one partition, oldest first; the last may still be open. At most one request per partition is under way,
 * which is what keeps the order under retries without idempotence: nothing can overtake a batch that must be sent again. It carries
 * all that is ready, so that more requests at once would gain little with idempotence either.
 */
export class PartitionQueue {
  readonly topic: string;
  readonly partition: number;
  readonly batches: ProducerBatch[] = [];
  isInFlight = false;
  /** Not before this moment, after a failure. */
  retryAtMs = 0;
  lastBatchBytes = 0;
  /** Of an idempotent producer. */
  readonly sequence: PartitionSequence | undefined;

  constructor(topic: string, partition: number, sequence?: PartitionSequence) {
    this.topic = topic;
    this.partition = partition;
    this.sequence = sequence;
  }

  /** The batch that takes records, if there is one. */
  get open(): ProducerBatch | undefined {
    const last = this.batches[this.batches.length - 1];
    return last === undefined || last.isClosed ? undefined : last;
  }
}

/** Where records wait for the sender: batches by partition, within `buffer.memory`. */
export class Accumulator {
  readonly #settings: AccumulatorSettings;
  readonly #events: AccumulatorEvents;
  readonly #nowMs: () => number;
  readonly #queues = new Map<string, PartitionQueue>();
  /** Queues that hold batches. */
  readonly active = new Set<PartitionQueue>();
  /** Batches whose records are not settled yet. */
  readonly incomplete = new Set<ProducerBatch>();
  /** Flushes under way. While there is one, no batch waits for more records. */
  flushes = 0;
  /** Sends wait for memory: no batch waits for more records either. */
  isStarved = false;
  #freeBytes: number;
  #lastSequence = 0;

  constructor(settings: AccumulatorSettings, events: AccumulatorEvents, nowMs: () => number) {
    this.#settings = settings;
    this.#events = events;
    this.#nowMs = nowMs;
    this.#freeBytes = settings.bufferBytes;
  }

  get freeBytes(): number {
    return this.#freeBytes;
  }

  get #mustHurry(): boolean {
    return this.flushes > 0 || this.isStarved;
  }

  /** The youngest batch. */
  get lastSequence(): number {
    return this.#lastSequence;
  }

  /** Whether every record of the batches up to this one has succeeded or failed. */
  isSettledUpTo(sequence: number): boolean {
    for (const batch of this.incomplete) if (batch.settings.sequence <= sequence) return false;
    return true;
  }

  queue(topic: string, partition: number): PartitionQueue {
    const key = partitionKey(topic, partition);
    let queue = this.#queues.get(key);
    if (queue === undefined) {
      queue = new PartitionQueue(topic, partition, this.#settings.isIdempotent ? new PartitionSequence() : undefined);
      this.#queues.set(key, queue);
    }
    return queue;
  }

  /** Whether a record of this size would begin another batch. */
  beginsBatch(queue: PartitionQueue, recordBytes: number): boolean {
    return queue.open?.hasRoomFor(recordBytes) !== true;
  }

  /** False when there is not memory enough for another batch; nothing has happened then. `recordBytes`: `recordBytesMax`. */
  append(
    queue: PartitionQueue,
    recordBytes: number,
    key: Uint8Array | null,
    value: Uint8Array | null,
    timestampMs: number,
    headers: readonly HeaderEntry[],
    callback: SendCallback | undefined,
  ): boolean {
    let batch = queue.open;
    if (batch === undefined || !batch.hasRoomFor(recordBytes)) {
      const next = this.#openBatch(queue, recordBytes);
      if (next === undefined) return false;
      batch = next;
    }
    batch.append(key, value, timestampMs, headers, callback);
    return true;
  }

  #openBatch(queue: PartitionQueue, recordBytes: number): ProducerBatch | undefined {
    const { batchBytes, bufferBytes, lingerMs, deliveryTimeoutMs } = this.#settings;
    const { compression, compressionLevel, clientId } = this.#settings;
    const largest = Math.max(batchBytes, recordBytes + 64);
    const reservedBytes = Math.min(largest, bufferBytes);
    if (reservedBytes > this.#freeBytes) {
      this.#events.onReady();
      return undefined;
    }
    this.#freeBytes -= reservedBytes;
    const nowMs = this.#nowMs();
    const batch = new ProducerBatch({
      sequence: ++this.#lastSequence,
      topic: queue.topic,
      partition: queue.partition,
      clientId,
      compression,
      compressionLevel,
      expectedBytes: Math.max(queue.lastBatchBytes, recordBytes + 64),
      maxBytes: largest,
      reservedBytes,
      createdMs: nowMs,
      deadlineMs: nowMs + deliveryTimeoutMs,
    });
    queue.batches.push(batch);
    this.active.add(queue);
    this.incomplete.add(batch);
    if (queue.batches.length > 1 || lingerMs === 0 || batchBytes === 0 || this.#mustHurry) this.#events.onReady();
    else this.#events.onReadyAt(nowMs + lingerMs);
    return batch;
  }

  /** When the first batch of the queue may go: 0 for at once. Only for a queue with batches that is not in flight. */
  readyAtMs(queue: PartitionQueue): number {
    const head = queue.batches[0] as ProducerBatch;
    if (queue.retryAtMs > 0) return queue.retryAtMs;
    if (this.#mustHurry || queue.batches.length > 1 || head.isClosed) return 0;
    if (head.sizeBytes >= this.#settings.batchBytes) return 0;
    return head.settings.createdMs + this.#settings.lingerMs;
  }

  /** Takes the batches that may go now, closed, as long as they fit into `roomBytes`; the first comes in any case when `isFirst`. */
  drain(queue: PartitionQueue, nowMs: number, roomBytes: number, isFirst: boolean): ProducerBatch[] {
    const drained: ProducerBatch[] = [];
    let room = roomBytes;
    while (queue.batches.length > 0) {
      const batch = queue.batches[0] as ProducerBatch;
      const isLast = queue.batches.length === 1;
      const waits = isLast && !batch.isClosed && !this.#mustHurry && batch.sizeBytes < this.#settings.batchBytes;
      if (waits && nowMs < batch.settings.createdMs + this.#settings.lingerMs) break;
      const isAlone = drained.length > 0 && (batch.mustGoAlone || (drained[0] as ProducerBatch).mustGoAlone);
      if (isAlone) break;
      const isForced = isFirst && drained.length === 0;
      // An open batch is weighed before compression: it can only become smaller, and closing it is not undone.
      if (!isForced && batch.sizeBytes > room) break;
      if (!takesNumber(queue, batch, drained[0])) break;
      room -= batch.close().length;
      queue.lastBatchBytes = batch.uncompressedBytes;
      drained.push(batch);
      queue.batches.shift();
    }
    if (queue.batches.length === 0) this.active.delete(queue);
    return drained;
  }

  /** Puts batches that must be sent again back where they came from: before everything younger. */
  requeue(queue: PartitionQueue, batches: readonly ProducerBatch[]): void {
    if (batches.length === 0) return;
    for (const batch of batches) {
      assert(batch.isClosed && !batch.isReleased, 'only what was sent and not released can be sent again');
      this.incomplete.add(batch);
    }
    queue.batches.unshift(...batches);
    this.active.add(queue);
  }

  /** Removes the batches of the queue that are too old and are not under way; the caller fails and releases them. */
  takeExpired(queue: PartitionQueue, nowMs: number): ProducerBatch[] {
    const expired: ProducerBatch[] = [];
    while (queue.batches.length > 0 && (queue.batches[0] as ProducerBatch).settings.deadlineMs <= nowMs) {
      expired.push(queue.batches.shift() as ProducerBatch);
    }
    if (queue.batches.length === 0) this.active.delete(queue);
    return expired;
  }

  /** Removes all batches of the queue; the caller fails and releases them. */
  takeAll(queue: PartitionQueue): ProducerBatch[] {
    this.active.delete(queue);
    return queue.batches.splice(0);
  }

  /** Gives the memory back; the batch's bytes must not be on the wire any more. */
  release(batch: ProducerBatch): void {
    assert(!batch.isReleased, 'a batch is released once');
    batch.isReleased = true;
    this.#freeBytes += batch.settings.reservedBytes;
    assert(this.#freeBytes <= this.#settings.bufferBytes, 'more memory was released than reserved');
    this.#events.onReleased();
  }
}

/** Numbers the batch unless it has a number already. False when it cannot be in one request with `first`: that is of another epoch. */
function takesNumber({ sequence }: PartitionQueue, batch: ProducerBatch, first: ProducerBatch | undefined): boolean {
  if (sequence === undefined) return true;
  if (batch.numbering === undefined) {
    if (first?.numbering !== undefined && !sequence.continues(first.numbering)) return false;
    batch.number(sequence.take(batch.recordsCount));
    return true;
  }
  const { producerId, epoch } = first?.numbering ?? batch.numbering;
  return batch.numbering.producerId === producerId && batch.numbering.epoch === epoch;
}
