import { sleep } from '@naru/runtime';
import type { Cluster } from '../cluster/cluster.ts';
import type { KafkaError } from '../errors.ts';
import { partitionKey, type TopicPartition } from '../topic-partition.ts';
import type { OpenRecord } from './assigned-partitions.ts';
import type { ConsumerRecord } from './consumer-record.ts';

/** What happens to a record whose handler fails. */
export interface RetryOptions {
  /** How often a record is handled at most, the first time included; default 1. */
  readonly attempts?: number | undefined;
  /** Pause before the second attempt; doubles each time. Default: `retry.backoff.ms`, up to `retry.backoff.max.ms`. */
  readonly backoffMs?: number | undefined;
}

/** Takes a record that could not be handled; when it resolves, the record counts as processed. */
export type DeadLetterFunction<K, V> = (record: ConsumerRecord<K, V>, error: unknown) => Promise<unknown>;

/** How `run` handles records. */
export interface RunOptions<K, V> {
  /** Handlers that run at once at most; default 1. */
  readonly concurrency?: number | undefined;
  /** What is handled one after the other: the records of a partition (default), or those of a key; records without a key count as one. */
  readonly orderBy?: 'partition' | 'key' | undefined;
  readonly retry?: RetryOptions | undefined;
  /**
   * Where a record goes when all attempts failed: a topic, or a function. Without it `run` ends with the handler's error, and the record
   * is read again by whoever reads the partition next.
   */
  readonly deadLetter?: string | DeadLetterFunction<K, V> | undefined;
  /** Ends it: running handlers finish, what was processed is committed, `run` resolves. */
  readonly signal?: AbortSignal | undefined;
}

/** What a handler knows besides the record. */
export interface HandlerContext {
  /** 1 is the first. */
  readonly attempt: number;
  /** Aborts when the partition is taken away: what the handler does from then on may be done by another member, too. */
  readonly signal: AbortSignal;
}

/** Handles a record; it is processed when the promise resolves. */
export type RecordHandler<K, V> = (record: ConsumerRecord<K, V>, context: HandlerContext) => unknown;

export interface RunnerParts<K, V> {
  /** Up to `max` records; returns early, with none, when `isEnough` says so. */
  readonly poll: (max: number, isEnough: () => boolean, signal: AbortSignal) => Promise<ConsumerRecord<K, V>[]>;
  readonly wakePoll: () => void;
  readonly deadLetter: DeadLetterFunction<K, V> | undefined;
}

/** Records that wait for a handler, per handler that may run: enough that none is idle, few enough to give up quickly in a rebalance. */
const waitingPerHandler = 16;

interface Entry<K, V> {
  readonly record: ConsumerRecord<K, V>;
  readonly work: PartitionWork<K, V>;
  readonly lane: Lane<K, V>;
  isDone: boolean;
}

/** What is open of one partition, in the order of the offsets. */
interface PartitionWork<K, V> {
  readonly entries: Entry<K, V>[];
  readonly lost: AbortController;
  /** Aborted: no further handler or attempt begins. */
  readonly stopped: AbortController;
  runningCount: number;
  onIdle: (() => void)[];
}

/** Records that must be handled one after the other. */
interface Lane<K, V> {
  readonly key: string;
  readonly waiting: Entry<K, V>[];
  isRunning: boolean;
}

/**
 * Handles records with several handlers at once, in order where order was asked for. A partition's offset moves only over records that are done: with
 * handlers running out of order, up to the first that is not. So what is committed was processed, always.
 */
export class RecordRunner<K, V> {
  readonly #cluster: Cluster;
  readonly #options: RunOptions<K, V>;
  readonly #handler: RecordHandler<K, V>;
  readonly #parts: RunnerParts<K, V>;
  readonly #partitions = new Map<string, PartitionWork<K, V>>();
  readonly #lanes = new Map<string, Lane<K, V>>();
  readonly #ready: Lane<K, V>[] = [];
  readonly #concurrency: number;
  readonly #stop = new AbortController();
  #openCount = 0;
  #runningCount = 0;
  #failure: { readonly error: unknown } | undefined;
  #onIdle: (() => void) | undefined;

  constructor(cluster: Cluster, options: RunOptions<K, V>, handler: RecordHandler<K, V>, parts: RunnerParts<K, V>) {
    this.#cluster = cluster;
    this.#options = options;
    this.#handler = handler;
    this.#parts = parts;
    this.#concurrency = Math.max(1, options.concurrency ?? 1);
  }

  /** Resolves when the signal aborts; fails with what a handler or a poll could not get over. Nothing runs any more then. */
  async run(): Promise<void> {
    const { signal } = this.#options;
    const onAbort = (): void => this.#stop.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) onAbort();
    try {
      await this.#dispatch();
    } finally {
      signal?.removeEventListener('abort', onAbort);
      this.#stop.abort();
      await this.#idle();
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** The first record of the partition that is not done. */
  firstOpen(topic: string, partition: number): OpenRecord | undefined {
    return this.#partitions.get(partitionKey(topic, partition))?.entries[0]?.record;
  }

  /** Begins no further handler for these partitions; resolves when those that run have ended. */
  async drain(partitions: readonly TopicPartition[]): Promise<void> {
    const waits: Promise<void>[] = [];
    for (const { topic, partition } of partitions) {
      const work = this.#partitions.get(partitionKey(topic, partition));
      if (work === undefined) continue;
      work.stopped.abort();
      if (work.runningCount > 0) waits.push(new Promise((resolve) => work.onIdle.push(resolve)));
    }
    await Promise.all(waits);
  }

  /** The partition is not ours any more; a handler that still runs is told. */
  forget(topic: string, partition: number): void {
    const key = partitionKey(topic, partition);
    const work = this.#partitions.get(key);
    if (work === undefined) return;
    this.#partitions.delete(key);
    work.stopped.abort();
    work.lost.abort(new Error(`${topic}-${partition} was taken away`));
    for (const entry of work.entries) if (!entry.isDone) this.#openCount--;
    work.entries.length = 0;
    this.#parts.wakePoll();
  }

  async #dispatch(): Promise<void> {
    const openMax = this.#concurrency * waitingPerHandler;
    while (!this.#stop.signal.aborted && this.#failure === undefined) {
      const room = Math.max(0, openMax - this.#openCount);
      const isEnough = (): boolean =>
        this.#failure !== undefined || this.#stop.signal.aborted || (room === 0 && this.#openCount <= openMax / 2);
      let records: ConsumerRecord<K, V>[];
      try {
        records = await this.#parts.poll(room, isEnough, this.#stop.signal);
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        throw error;
      }
      for (const record of records) this.#add(record);
      this.#start();
    }
  }

  #add(record: ConsumerRecord<K, V>): void {
    const { topic, partition } = record;
    const key = partitionKey(topic, partition);
    let work = this.#partitions.get(key);
    if (work === undefined) {
      work = { entries: [], lost: new AbortController(), stopped: new AbortController(), runningCount: 0, onIdle: [] };
      this.#partitions.set(key, work);
    }
    const lane = this.#laneOf(this.#options.orderBy === 'key' ? `${key}/${keyText(record.key)}` : key);
    const entry: Entry<K, V> = { record, work, lane, isDone: false };
    work.entries.push(entry);
    lane.waiting.push(entry);
    this.#openCount++;
    if (lane.waiting.length === 1 && !lane.isRunning) this.#ready.push(lane);
  }

  #laneOf(key: string): Lane<K, V> {
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      lane = { key, waiting: [], isRunning: false };
      this.#lanes.set(key, lane);
    }
    return lane;
  }

  #start(): void {
    while (this.#runningCount < this.#concurrency && !this.#stop.signal.aborted && this.#failure === undefined) {
      const lane = this.#ready.shift();
      if (lane === undefined) return;
      const entry = lane.waiting.shift();
      if (entry === undefined) this.#lanes.delete(lane.key);
      else if (entry.work.stopped.signal.aborted) this.#continue(lane);
      else void this.#work(entry);
    }
  }

  /** A lane's turn has ended: at the back of the row if it has more. */
  #continue(lane: Lane<K, V>): void {
    lane.isRunning = false;
    if (lane.waiting.length > 0) this.#ready.push(lane);
    else this.#lanes.delete(lane.key);
  }

  async #work(entry: Entry<K, V>): Promise<void> {
    const { work, lane } = entry;
    lane.isRunning = true;
    work.runningCount++;
    this.#runningCount++;
    try {
      if (await this.#handle(entry)) this.#complete(entry);
    } catch (error) {
      // A handler of a partition that was taken away fails for that reason.
      if (!work.lost.signal.aborted) this.#failure ??= { error };
    }
    work.runningCount--;
    this.#runningCount--;
    if (work.runningCount === 0) for (const resolve of work.onIdle.splice(0)) resolve();
    this.#continue(lane);
    this.#start();
    if (this.#runningCount === 0) this.#onIdle?.();
    this.#parts.wakePoll();
  }

  #complete(entry: Entry<K, V>): void {
    entry.isDone = true;
    const { entries } = entry.work;
    if (entries.length > 0) this.#openCount--;
    while (entries[0]?.isDone) entries.shift();
  }

  /** True when the record is done with; false when it was given up because the run or the partition ends. */
  async #handle({ record, work }: Entry<K, V>): Promise<boolean> {
    const attemptsMax = Math.max(1, this.#options.retry?.attempts ?? 1);
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#handler(record, { attempt, signal: work.lost.signal });
        return true;
      } catch (error) {
        if (work.lost.signal.aborted) return false;
        if (attempt >= attemptsMax) {
          if (this.#parts.deadLetter === undefined) throw error;
          await this.#parts.deadLetter(record, error);
          return true;
        }
        this.#cluster.logger.warn({ err: error, ...placeOf(record), attempt }, 'handling a record is tried again');
        const { backoffMs } = this.#options.retry ?? {};
        const pauseMs = backoffMs === undefined ? this.#cluster.retryPauseMs(attempt) : backoffMs * 2 ** (attempt - 1);
        const isOver = AbortSignal.any([work.stopped.signal, this.#stop.signal]);
        await sleep(this.#cluster.runtime.timers, pauseMs, isOver).catch(() => undefined);
        if (isOver.aborted) return false;
      }
    }
  }

  async #idle(): Promise<void> {
    if (this.#runningCount === 0) return;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
  }
}

function keyText(key: unknown): string {
  if (key === null || key === undefined) return '';
  if (key instanceof Uint8Array) return `k${Buffer.from(key).toString('latin1')}`;
  return typeof key === 'string' ? `k${key}` : `k${JSON.stringify(key)}`;
}

function placeOf({ topic, partition, offset }: { topic: string; partition: number; offset: bigint }): object {
  return { topic, partition, offset: String(offset) };
}

/** An error's name and message for the headers of a dead letter. */
export function describeError(error: unknown): { name: string; message: string } {
  const known = error as Partial<KafkaError> | undefined;
  return { name: known?.name ?? 'Error', message: known?.message ?? String(error) };
}
