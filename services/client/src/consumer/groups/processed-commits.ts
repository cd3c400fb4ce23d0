import { sleep } from '@naru/runtime';
import type { Cluster } from '../../cluster/cluster.ts';
import type { ConsumerConfig } from '../../config.ts';
import type { TopicPartition } from '../../topic-partition.ts';
import type { GroupHost } from './group-host.ts';
import type { OffsetToCommit } from './offset-commits.ts';

export interface ProcessedCommitsParts {
  readonly host: Pick<GroupHost, 'assignment' | 'processed' | 'drain'>;
  readonly commit: (offsets: readonly OffsetToCommit[], deadlineMs: number) => Promise<void>;
  /** Somebody who may commit: a member, or a consumer without a subscription. */
  readonly mayCommit: () => boolean;
  readonly signal: AbortSignal;
}

/** A poll that waits asks at most this often whether a commit is due. */
const commitCheckMs = 100;

/** Commits of what the application has processed, without its being asked: every `auto.commit.interval.ms`, and before partitions are given up. */
export class ProcessedCommits {
  readonly #cluster: Cluster;
  readonly #config: ConsumerConfig;
  readonly #parts: ProcessedCommitsParts;
  #nextAtMs: number;
  #isCommitting = false;

  constructor(cluster: Cluster, config: ConsumerConfig, parts: ProcessedCommitsParts) {
    this.#cluster = cluster;
    this.#config = config;
    this.#parts = parts;
    this.#nextAtMs = cluster.nowMs() + config['auto.commit.interval.ms'];
  }

  get isDue(): boolean {
    return this.#config['enable.auto.commit'] && !this.#isCommitting && this.#cluster.nowMs() >= this.#nextAtMs;
  }

  /** Returns when to ask again (monotonic). */
  commitIfDue(): number {
    if (this.isDue) void this.#commit();
    if (!this.#config['enable.auto.commit']) return Number.POSITIVE_INFINITY;
    return Math.max(this.#nextAtMs, this.#cluster.nowMs() + commitCheckMs);
  }

  /** A failure means that the new owner does some of the work again; it must not stop the rebalance. */
  async beforeRevoke(partitions: readonly TopicPartition[], deadlineMs: number): Promise<void> {
    await until(this.#cluster, this.#parts.host.drain(partitions), deadlineMs);
    if (!this.#config['enable.auto.commit']) return;
    const offsets = this.#parts.host.processed(partitions);
    if (offsets.length === 0) return;
    await this.#parts.commit(offsets, deadlineMs).catch((error: unknown) => {
      this.#warn(error, 'the last commit of partitions failed');
    });
  }

  /** What cannot be committed now is part of the next commit. */
  async #commit(): Promise<void> {
    const { host, commit, mayCommit, signal } = this.#parts;
    this.#nextAtMs = this.#cluster.nowMs() + this.#config['auto.commit.interval.ms'];
    const offsets = host.processed(host.assignment());
    if (offsets.length === 0 || !mayCommit()) return;
    this.#isCommitting = true;
    try {
      await commit(offsets, this.#cluster.nowMs() + this.#config['default.api.timeout.ms']);
    } catch (error) {
      if (!signal.aborted) this.#warn(error, 'an automatic commit failed');
    } finally {
      this.#isCommitting = false;
    }
  }

  #warn(error: unknown, what: string): void {
    this.#cluster.logger.warn({ err: error, group: this.#config['group.id'] }, what);
  }
}

/** Waits for it, whatever becomes of it, but not longer than until `deadlineMs`. */
export async function until(cluster: Cluster, promise: Promise<unknown>, deadlineMs: number): Promise<void> {
  const stop = new AbortController();
  const limitMs = Math.max(0, deadlineMs - cluster.nowMs());
  const late = sleep(cluster.runtime.timers, limitMs, stop.signal).catch(() => undefined);
  await Promise.race([promise.catch(() => undefined), late]);
  stop.abort();
}
