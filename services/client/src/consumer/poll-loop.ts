import type { Timer } from '@naru/runtime';
import type { Cluster } from '../cluster/cluster.ts';
import { announceReceived } from '../diagnostics/consumer-messages.ts';
import { IllegalStateError, WakeupError } from '../errors.ts';
import type { AssignedPartitions } from './assigned-partitions.ts';
import type { BufferedRecords } from './buffered-records.ts';
import type { ConsumerRecord } from './consumer-record.ts';
import type { Fetcher } from './fetcher.ts';
import type { ConsumerGroup } from './groups/consumer-group.ts';

/** How long iteration waits in one poll; only a matter of how often an idle loop turns. */
export const iterationPollMs = 60_000;
/** A runner that has enough to do looks this often whether the group wants something; it is woken, too. */
export const busyPollMs = 1_000;

export interface PollLoopParts<K, V> {
  readonly cluster: Cluster;
  /** For those who watch it. */
  readonly name: { readonly clientId: string; readonly groupId: string };
  readonly group: () => ConsumerGroup | undefined;
  readonly partitions: AssignedPartitions<K, V>;
  readonly buffered: BufferedRecords<K, V>;
  readonly fetcher: Fetcher<K, V>;
  /** Throws when the consumer is closed. */
  readonly checkOpen: () => void;
}

export interface PollRequest {
  readonly timeoutMs: number;
  readonly max: number;
  readonly signal: AbortSignal | undefined;
  readonly partitionsMax?: number;
  /** There is something else to come back for. */
  readonly isEnough?: () => boolean;
}

/** How a consumer waits: for records, for its group, for somebody who wakes it. One at a time. */
export class PollLoop<K, V> {
  readonly #parts: PollLoopParts<K, V>;
  #isPolling = false;
  #isWakeupPending = false;
  #wake: (() => void) | undefined;

  constructor(parts: PollLoopParts<K, V>) {
    this.#parts = parts;
  }

  /** Something has changed that a waiting poll is to look at. */
  wake(): void {
    this.#wake?.();
  }

  /** The waiting poll, or the next one, fails with `WakeupError`. */
  interrupt(): void {
    this.#isWakeupPending = true;
    this.#wake?.();
  }

  async poll(request: PollRequest): Promise<ConsumerRecord<K, V>[]> {
    const { max, signal, isEnough, partitionsMax = Number.POSITIVE_INFINITY } = request;
    const { cluster, name, buffered } = this.#parts;
    const group = this.#enter();
    try {
      const beganMs = cluster.nowMs();
      const deadlineMs = beganMs + request.timeoutMs;
      for (;;) {
        // A listener runs: poll waits for it, whatever happens.
        if (!group?.isBusy) {
          this.#checkBeforeRead(signal);
          const mayRead = group?.mayRead() ?? true;
          const records = mayRead ? this.#collect(max, partitionsMax) : [];
          if (records.length > 0 || isEnough?.() || cluster.nowMs() >= deadlineMs) {
            announceReceived(name, records, beganMs, cluster.runtime.clock);
            return records;
          }
          const commitAtMs = group?.commitIfDue() ?? Number.POSITIVE_INFINITY;
          const isMore = mayRead && buffered.isInterrupted;
          await this.arrival(isMore ? 0 : Math.min(deadlineMs, commitAtMs), signal);
        } else {
          await this.arrival(cluster.nowMs() + busyPollMs, undefined);
        }
      }
    } finally {
      group?.leavePoll();
      this.#isPolling = false;
    }
  }

  #enter(): ConsumerGroup | undefined {
    const { checkOpen, partitions } = this.#parts;
    const group = this.#parts.group();
    checkOpen();
    if (this.#isPolling) throw new IllegalStateError('another poll is waiting');
    if (partitions.size === 0 && !group?.isSubscribed) {
      throw new IllegalStateError('no partition is assigned and nothing is subscribed to');
    }
    this.#isPolling = true;
    partitions.markProcessed();
    group?.enterPoll();
    return group;
  }

  #checkBeforeRead(signal: AbortSignal | undefined): void {
    this.#parts.checkOpen();
    signal?.throwIfAborted();
    if (this.#isWakeupPending) {
      this.#isWakeupPending = false;
      throw new WakeupError('wakeup() was called');
    }
    const failure = this.#parts.group()?.takeFailure();
    if (failure !== undefined) throw failure;
  }

  /** Between two records of an iteration: a sign of life, and a rebalance that waits need not wait until all records were handed out. */
  pulse(): Promise<void> | undefined {
    const group = this.#parts.group();
    if (group === undefined) return undefined;
    group.onActive();
    return group.wantsPoll ? this.serveGroup(group) : undefined;
  }

  /** A poll that hands out nothing. */
  async serveGroup(group: ConsumerGroup): Promise<void> {
    await this.poll({ timeoutMs: iterationPollMs, max: 0, signal: undefined, isEnough: () => !group.wantsPoll });
  }

  #collect(max: number, partitionsMax: number): ConsumerRecord<K, V>[] {
    try {
      return this.#parts.buffered.take(max, partitionsMax);
    } finally {
      this.#parts.fetcher.wake();
    }
  }

  /** Resolves when something came in, was asked for, or at the deadline. */
  arrival(deadlineMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { cluster } = this.#parts;
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        signal?.removeEventListener('abort', done);
        if (this.#wake === done) this.#wake = undefined;
        resolve();
      };
      const delayMs = Math.max(0, deadlineMs - cluster.nowMs());
      const timer: Timer = cluster.runtime.timers.after(delayMs, done);
      signal?.addEventListener('abort', done, { once: true });
      this.#wake = done;
    });
  }
}
