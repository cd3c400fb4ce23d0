import { batchHeaderBytes, type HeaderEntry, recordBytesMax } from '@naru/record';
import { sleep } from '@naru/runtime';
import { abortable } from '../abortable.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { PartitionInfo } from '../cluster/metadata.ts';
import { compressionLevel, type ProducerConfig } from '../config.ts';
import { channels } from '../diagnostics/channels.ts';
import {
  BufferExhaustedError,
  IllegalStateError,
  KafkaError,
  RecordTooLargeError,
  SerializationError,
  UnknownTopicOrPartitionError,
} from '../errors.ts';
import { errorFromRpc } from '../errors-from-wire.ts';
import type { Serializer } from '../serialization/serde.ts';
import { Accumulator } from './accumulator.ts';
import type { PartitionFunction } from './partitioner.ts';
import type { ProducerRecord, RecordMetadata, SendCallback } from './producer-record.ts';
import { RecordEncoder } from './record-encoder.ts';
import { sendMany } from './send-many.ts';
import { Sender, type SenderCounters } from './sender.ts';
import { TopicRouter } from './topic-router.ts';
import { type WaitingSend, WaitingSends } from './waiting-sends.ts';

/** Sends that may wait for metadata or buffer space at once; beyond it, send fails at once. */
export const waitingSendsMax = 1_000_000;

export interface ProducerParts<K, V> {
  readonly keySerializer: Serializer<K> | undefined;
  readonly valueSerializer: Serializer<V> | undefined;
  readonly partitioner: PartitionFunction | undefined;
}

/** How long closing may take. */
export interface CloseOptions {
  /** Milliseconds to wait for what is under way; afterwards it fails. Left out: until `delivery.timeout.ms` has ended everything. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Sends records to topics. Connects at the first send. Records of one partition are written in the order of the calls, also
 * when some must be sent again.
 *
 * One record's path: `send` encodes it, finds its partition and copies it into that partition's open batch (`Accumulator`); when the batch is
 * full or `linger.ms` old, the `Sender` puts it into a request to the leader; the answer settles every record of the batch.
 */
export class Producer<K = Uint8Array | string, V = Uint8Array | string> {
  readonly #cluster: Cluster;
  readonly #config: ProducerConfig;
  readonly #encoder: RecordEncoder<K, V>;
  readonly #accumulator: Accumulator;
  readonly #sender: Sender;
  readonly #router: TopicRouter;
  /** Waiting for buffer space, in order. */
  readonly #waiting: WaitingSends;
  /** Waiting for metadata, in order: of a topic (by its name), or of a partition that the topic does not have (`topic/7`), which holds up no other. */
  readonly #waitingForMetadata = new Map<string, WaitingSends>();
  readonly #recordBytesLimit: number;
  #progress: (() => void)[] = [];
  #isClosing = false;
  #closed: Promise<void> | undefined;

  /** @internal `Client.producer` makes it. */
  constructor(cluster: Cluster, config: ProducerConfig, parts: ProducerParts<K, V>) {
    this.#cluster = cluster;
    this.#config = config;
    this.#encoder = new RecordEncoder(parts.keySerializer, parts.valueSerializer);
    this.#recordBytesLimit = Math.min(config['max.request.size'], config['buffer.memory']) - batchHeaderBytes;
    const { runtime } = cluster;
    this.#accumulator = new Accumulator(
      {
        batchBytes: Math.min(config['batch.size'], config['max.request.size'], config['buffer.memory']),
        lingerMs: config['linger.ms'],
        bufferBytes: config['buffer.memory'],
        deliveryTimeoutMs: config['delivery.timeout.ms'],
        compression: config['compression.type'],
        compressionLevel: compressionLevel(config),
        isIdempotent: config['enable.idempotence'],
        clientId: config['client.id'],
      },
      {
        onReady: () => this.#sender.wake(),
        onReadyAt: (atMs) => this.#sender.wakeAt(atMs),
        onReleased: () => this.#admitWaiting(),
      },
      () => runtime.clock.monotonicMs(),
    );
    this.#sender = new Sender(
      cluster,
      this.#accumulator,
      {
        acks: config.acks === 'all' ? -1 : Number(config.acks),
        requestBytesMax: config['max.request.size'],
        openRequestsMax: config['max.in.flight.requests.per.connection'],
        requestTimeoutMs: config['request.timeout.ms'],
        retriesMax: config.retries,
        isIdempotent: config['enable.idempotence'],
      },
      () => this.#onProgress(),
    );
    this.#router = new TopicRouter(cluster, this.#accumulator, config, parts.partitioner);
    const late = (send: WaitingSend): KafkaError =>
      new BufferExhaustedError('buffer.memory stayed full for max.block.ms', { topic: send.topic });
    this.#waiting = new WaitingSends(runtime, late, () => this.#onProgress());
  }

  /**
   * With a callback: no promise is made. False says that the record is taken but has to wait for buffer space or the topic's metadata: go on after
   * `ready(record.topic)`. Without: resolves when the record is acknowledged as `acks` asks.
   *
   * Fails with `BufferExhaustedError` after `max.block.ms`, `RecordTooLargeError`, `SerializationError`, `TimeoutError` after `delivery.timeout.ms`, or what the
   * broker said; `error.outcome` tells whether the record may be written all the same.
   */
  send(record: ProducerRecord<K, V>, callback: SendCallback): boolean;
  send(record: ProducerRecord<K, V>, options?: { readonly signal?: AbortSignal }): Promise<RecordMetadata>;
  send(
    record: ProducerRecord<K, V>,
    how?: SendCallback | { readonly signal?: AbortSignal },
  ): boolean | Promise<RecordMetadata> {
    if (typeof how === 'function') {
      return this.#send(record, how) === undefined;
    }
    return new Promise((resolve, reject) => {
      const signal = how?.signal;
      if (signal?.aborted) return reject(signal.reason);
      const waiting = this.#send(record, (error, metadata) =>
        error === null ? resolve(metadata as RecordMetadata) : reject(error),
      );
      if (waiting !== undefined && signal !== undefined) this.#cancelOnAbort(waiting, signal, reject);
    });
  }

  /**
   * Sends all and resolves with their metadata in the same order. An async iterable is read only as fast as buffer space comes free. Fails,
   * after all have ended, with `SendManyError`, which holds what was written and what was not.
   */
  sendMany(records: Iterable<ProducerRecord<K, V>> | AsyncIterable<ProducerRecord<K, V>>): Promise<RecordMetadata[]> {
    return sendMany(this, records);
  }

  /** A writable stream of records, with back-pressure by `buffer.memory`. The first failed record errors it; closing it flushes. */
  stream(): WritableStream<ProducerRecord<K, V>> {
    let failure: KafkaError | undefined;
    const onSettled: SendCallback = (error) => {
      failure ??= error ?? undefined;
    };
    return new WritableStream({
      write: (record) => {
        if (failure !== undefined) throw failure;
        return this.send(record, onSettled) ? undefined : this.ready(record.topic);
      },
      close: async () => {
        await this.flush();
        if (failure !== undefined) throw failure;
      },
    });
  }

  /** Resolves when no send waits for buffer space, nor for the metadata of `topic` (left out: of any). */
  async ready(topic?: string): Promise<void> {
    const topics = this.#waitingForMetadata;
    const isAnyWaiting = (): boolean => [...topics.keys()].some((key) => !key.includes('/'));
    const isTopicWaiting = (): boolean => (topic === undefined ? isAnyWaiting() : topics.has(topic));
    while (this.#waiting.size > 0 || isTopicWaiting()) await this.#nextProgress();
  }

  /** Sends everything at once, without lingering, and resolves when every record sent before the call has succeeded or failed. */
  flush(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    return abortable(this.#flush(), options.signal);
  }

  /** The topic's partitions with their leaders. */
  async partitionsFor(topic: string): Promise<readonly PartitionInfo[]> {
    const deadlineMs = this.#cluster.nowMs() + this.#config['max.block.ms'];
    return (await this.#cluster.topic(topic, deadlineMs)).partitions;
  }

  /** Bytes of `buffer.memory` that are free. */
  get bufferAvailableBytes(): number {
    return this.#accumulator.freeBytes;
  }

  /** Requests, bytes on the wire, batches sent again and batches that failed, since the producer was made. */
  get counters(): Readonly<SenderCounters> {
    return this.#sender.counters;
  }

  /** Sends what is there, then closes. What has not ended when the time is up fails; `error.outcome` tells whether it may be written. */
  close(options: CloseOptions = {}): Promise<void> {
    this.#closed ??= this.#close(options.timeoutMs);
    return this.#closed;
  }

  /** As `close()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(timeoutMs: number | undefined): Promise<void> {
    this.#isClosing = true;
    const flushed = this.flush().then(() => this.#sender.handOver());
    if (timeoutMs === undefined) {
      await flushed;
    } else {
      const enough = new AbortController();
      const late = sleep(this.#cluster.runtime.timers, timeoutMs, enough.signal).catch(() => {});
      await Promise.race([flushed, late]);
      enough.abort();
    }
    const definite = (): KafkaError => new IllegalStateError('the producer was closed before the record was sent');
    this.#failWaiting(definite);
    this.#waitingForMetadata.clear();
    this.#sender.close(
      (outcome) => new IllegalStateError('the producer was closed before the record was acknowledged', { outcome }),
    );
    this.#router.close();
    await this.#cluster.close();
  }

  #failWaiting(error: () => KafkaError): void {
    this.#waiting.failAll(error);
    for (const sends of this.#waitingForMetadata.values()) sends.failAll(error);
  }

  async #flush(): Promise<void> {
    this.#accumulator.flushes++;
    this.#sender.wake();
    try {
      const left = async (all: Iterable<WaitingSends>): Promise<void> => {
        for (const sends of all) {
          const entered = sends.enteredCount;
          while (sends.leftCount < entered) await this.#nextProgress();
        }
      };
      await left([...this.#waitingForMetadata.values()]);
      // Whose topic came without their partition.
      await left([...this.#waitingForMetadata.values(), this.#waiting]);
      const target = this.#accumulator.lastSequence;
      while (!this.#accumulator.isSettledUpTo(target)) await this.#nextProgress();
    } finally {
      this.#accumulator.flushes--;
    }
  }

  /** Returns the entry when the record has to wait. Failures go to the callback, never thrown. */
  #send(record: ProducerRecord<K, V>, callback: SendCallback): WaitingSend | undefined {
    try {
      return this.#sendOrThrow(record, callback);
    } catch (error) {
      const failure = asSendError(error, record?.topic);
      queueMicrotask(() => callback(failure, undefined));
      return undefined;
    }
  }

  #sendOrThrow(record: ProducerRecord<K, V>, callback: SendCallback): WaitingSend | undefined {
    const { topic } = record;
    const { key, value, headers: ownHeaders } = this.#encoder.encode(record);
    const headers = channels.send.hasSubscribers ? this.#announce(topic, key, value, ownHeaders) : ownHeaders;
    const recordBytes = recordBytesMax(key, value, headers);
    this.#check(record, recordBytes);
    const timestampMs = record.timestamp ?? this.#cluster.runtime.clock.wallMs();
    const partition = record.partition ?? -1;
    if (this.#waiting.size === 0 && this.#lane(topic, partition) === undefined) {
      const queue = this.#router.find(topic, partition)?.choose(partition, key, value, recordBytes);
      if (
        queue !== undefined &&
        this.#accumulator.append(queue, recordBytes, key, value, timestampMs, headers, callback)
      ) {
        return undefined;
      }
    }
    const deadlineMs = this.#cluster.nowMs() + this.#config['max.block.ms'];
    const send = { topic, partition, key, value, timestampMs, headers, callback, deadlineMs, isWaiting: true };
    this.#wait(send);
    return send;
  }

  /** Returns the headers with what subscribers added. */
  #announce(
    topic: string,
    key: Uint8Array | null,
    value: Uint8Array | null,
    ownHeaders: readonly HeaderEntry[],
  ): HeaderEntry[] {
    const headers = [...ownHeaders];
    channels.send.publish({ clientId: this.#config['client.id'], topic, key, value, headers });
    return headers;
  }

  #check(record: ProducerRecord<K, V>, recordBytes: number): void {
    const { topic, partition, timestamp } = record;
    if (this.#isClosing) throw new IllegalStateError('the producer is closed', { topic });
    if (this.#sender.fatalError !== undefined) throw this.#sender.fatalError;
    if (typeof topic !== 'string' || topic === '') throw new SerializationError('a record needs a topic');
    if (partition !== undefined && !(Number.isInteger(partition) && partition >= 0)) {
      throw new SerializationError(`${partition} is not a partition`, { topic });
    }
    if (timestamp !== undefined && !(Number.isSafeInteger(timestamp) && timestamp >= 0)) {
      throw new SerializationError(`${timestamp} is not a timestamp in milliseconds`, { topic });
    }
    if (recordBytes > this.#recordBytesLimit) {
      const limit = `max.request.size ${this.#config['max.request.size']} and buffer.memory ${this.#config['buffer.memory']} allow`;
      throw new RecordTooLargeError(`a record of up to ${recordBytes} bytes is larger than ${limit}`, { topic });
    }
  }

  /** The sends that one to this partition has to wait behind. */
  #lane(topic: string, partition: number): WaitingSends | undefined {
    const lanes = this.#waitingForMetadata;
    return lanes.size === 0 ? undefined : (lanes.get(topic) ?? lanes.get(`${topic}/${partition}`));
  }

  #wait(send: WaitingSend): void {
    const lane = this.#lane(send.topic, send.partition);
    if (this.#waiting.size >= waitingSendsMax || (lane?.size ?? 0) >= waitingSendsMax) {
      throw new BufferExhaustedError(`${waitingSendsMax} sends wait already`, { topic: send.topic });
    }
    if (lane !== undefined) lane.push(send);
    else if (this.#router.find(send.topic, send.partition) === undefined) this.#waitForMetadata(send);
    else this.#waitForMemory(send);
  }

  #waitForMemory(send: WaitingSend): void {
    this.#accumulator.isStarved = true;
    this.#waiting.push(send);
    this.#sender.wake();
  }

  #waitForMetadata(first: WaitingSend): void {
    const { topic, partition } = first;
    const key = this.#isTopicKnown(topic) ? `${topic}/${partition}` : topic;
    const late = (): KafkaError => new BufferExhaustedError('the topic was not found within max.block.ms', { topic });
    const sends = new WaitingSends(this.#cluster.runtime, late, () => this.#onProgress());
    sends.push(first);
    this.#waitingForMetadata.set(key, sends);
    void this.#resolve(key, sends);
  }

  #isTopicKnown(topic: string): boolean {
    return this.#router.find(topic, -1) !== undefined;
  }

  /** Sends of one lane leave in order, each when what it waits for is known. */
  async #resolve(key: string, sends: WaitingSends): Promise<void> {
    for (let head = sends.peek(); head !== undefined; head = sends.peek()) {
      const { topic, partition, deadlineMs } = head;
      const isForTopic = key === topic;
      if (this.#router.find(topic, partition) !== undefined) {
        sends.take();
        if (head.callback !== undefined && (this.#waiting.size > 0 || !this.#tryAppend(head))) {
          head.isWaiting = true;
          this.#waitForMemory(head);
        }
      } else if (isForTopic && this.#isTopicKnown(topic)) {
        sends.take();
        head.isWaiting = true;
        const lane = this.#waitingForMetadata.get(`${topic}/${partition}`);
        if (lane === undefined) this.#waitForMetadata(head);
        else lane.push(head);
      } else {
        try {
          // A moment before the entry's own timer, so that the error says what was wrong and not only that time is up.
          await this.#cluster.topic(topic, deadlineMs - 1, { partitionsMin: isForTopic ? 1 : partition + 1 });
        } catch (error) {
          // The head's time is up or the topic can never be had; those behind it may have time left.
          if (sends.peek() === head) sends.take()?.callback?.(asSendError(error, topic), undefined);
        }
      }
    }
    // In the turn in which it was found empty: what is sent a moment later must not wait in a lane that nobody empties.
    this.#waitingForMetadata.delete(key);
    this.#onProgress();
  }

  #tryAppend({ topic, partition, key, value, timestampMs, headers, callback }: WaitingSend): boolean {
    const recordBytes = recordBytesMax(key, value, headers);
    const queue = this.#router.find(topic, partition)?.choose(partition, key, value, recordBytes);
    if (queue !== undefined)
      return this.#accumulator.append(queue, recordBytes, key, value, timestampMs, headers, callback);
    callback?.(new UnknownTopicOrPartitionError('the topic was deleted', { topic, partition }), undefined);
    return true;
  }

  /** Memory was released: those who waited for it come first, in their order. */
  #admitWaiting(): void {
    if (this.#waiting.size === 0) return;
    for (let head = this.#waiting.peek(); head !== undefined; head = this.#waiting.peek()) {
      if (head.callback !== undefined && !this.#tryAppend(head)) return;
      this.#waiting.take();
    }
    this.#onProgress();
  }

  #onProgress(): void {
    const { fatalError } = this.#sender;
    if (fatalError !== undefined) this.#failWaiting(() => fatalError);
    this.#accumulator.isStarved = this.#waiting.size > 0;
    const progress = this.#progress;
    if (progress.length === 0) return;
    this.#progress = [];
    for (const resolve of progress) resolve();
  }

  #nextProgress(): Promise<void> {
    return new Promise((resolve) => this.#progress.push(resolve));
  }

  /** A record that is in a batch already will be sent, and its promise tells how that went. */
  #cancelOnAbort(send: WaitingSend, signal: AbortSignal, reject: (reason: unknown) => void): void {
    const { callback } = send;
    const onAbort = (): void => {
      if (!send.isWaiting) return;
      send.callback = undefined;
      reject(signal.reason);
    };
    send.callback = (error, metadata) => {
      signal.removeEventListener('abort', onAbort);
      callback?.(error, metadata);
    };
    signal.addEventListener('abort', onAbort, { once: true });
  }
}

function asSendError(error: unknown, topic: string): KafkaError {
  if (error instanceof KafkaError) return error;
  if (error instanceof TypeError) return new SerializationError(error.message, { topic, cause: error });
  return errorFromRpc(error, { topic });
}
