import type { Cluster } from '../../cluster/cluster.ts';
import type { ConsumerConfig } from '../../config.ts';
import type { KafkaError } from '../../errors.ts';
import { errorFromRpc } from '../../errors-from-wire.ts';
import type { TopicPartition } from '../../topic-partition.ts';
import { keyOf } from './assignors/assignor.ts';
import type { GroupHost, GroupMembership, RebalanceListener } from './group-host.ts';
import type { PollGate } from './poll-gate.ts';
import type { ProcessedCommits } from './processed-commits.ts';

export interface HandoverParts {
  readonly host: GroupHost;
  readonly gate: PollGate;
  readonly commits: ProcessedCommits;
  readonly signal: AbortSignal;
  readonly membership: () => GroupMembership;
  readonly listener: () => RebalanceListener;
  /** Partitions were taken: they wait for their committed offsets. */
  readonly onTaken: () => void;
  /** What the listener threw. */
  readonly onFailure: (error: KafkaError) => void;
}

/**
 * Partitions given up and taken. Touches the assignment and calls the listener only while the application is in `poll` (`PollGate`), so that a slow handler
 * never meets a rebalance in the middle of a record.
 */
export class Handover {
  readonly #cluster: Cluster;
  readonly #config: ConsumerConfig;
  readonly #parts: HandoverParts;
  /** Of these nothing is handed out: what was processed is being committed, to give them up. */
  #held: ReadonlySet<string> | undefined;

  constructor(cluster: Cluster, config: ConsumerConfig, parts: HandoverParts) {
    this.#cluster = cluster;
    this.#config = config;
    this.#parts = parts;
  }

  get isHolding(): boolean {
    return this.#held !== undefined;
  }

  isHeld(partition: TopicPartition): boolean {
    return this.#held?.has(keyOf(partition)) ?? false;
  }

  /** Waits for the application to poll. Fails when the subscription ended meanwhile. */
  async enter(): Promise<void> {
    const { gate, signal } = this.#parts;
    await gate.enter();
    if (!signal.aborted) return;
    gate.leave();
    throw signal.reason;
  }

  leave(): void {
    this.#parts.gate.leave();
  }

  /**
   * Commits what was processed, tells the listener, takes the partitions away. The membership may end during the commit: then they are lost, and the next
   * round says so.
   */
  async giveUp(partitions: readonly TopicPartition[]): Promise<void> {
    if (partitions.length === 0) return;
    const { host, commits, signal } = this.#parts;
    await this.enter();
    // Records that are handed out from here on would not be in the commit.
    this.#held = new Set(partitions.map(keyOf));
    this.leave();
    const limitMs = Math.min(this.#config['default.api.timeout.ms'], this.#config['max.poll.interval.ms']);
    await commits.beforeRevoke(partitions, this.#cluster.nowMs() + limitMs);
    if (signal.aborted) return;
    await this.enter();
    try {
      if (this.#parts.membership().isLost) return;
      await this.tell('revoked', partitions);
      host.replaceAssignment(without(host.assignment(), partitions), 'revoked');
    } finally {
      this.#held = undefined;
      this.leave();
    }
  }

  async giveUpLost(): Promise<void> {
    const { host } = this.#parts;
    await this.enter();
    try {
      this.#held = undefined;
      const held = host.assignment();
      if (held.length > 0) await this.tell('lost', held);
      host.replaceAssignment([], 'lost');
      this.#parts.membership().forgetLoss();
    } finally {
      this.leave();
    }
  }

  /** `assigned` is asked when the application is there; undefined: nothing is to be taken any more. */
  async take(assigned: () => readonly TopicPartition[] | undefined): Promise<void> {
    const { host } = this.#parts;
    await this.enter();
    try {
      const partitions = this.#parts.membership().isLost ? undefined : assigned();
      if (partitions === undefined) return;
      const added = without(partitions, host.assignment());
      host.replaceAssignment(partitions, 'assigned');
      this.#parts.onTaken();
      await this.tell('assigned', added);
    } finally {
      this.leave();
    }
  }

  async tell(what: 'assigned' | 'revoked' | 'lost', partitions: readonly TopicPartition[]): Promise<void> {
    const listener = this.#parts.listener();
    try {
      if (what === 'assigned') await listener.onPartitionsAssigned?.(partitions);
      else if (what === 'lost' && listener.onPartitionsLost !== undefined) await listener.onPartitionsLost(partitions);
      else await listener.onPartitionsRevoked?.(partitions);
    } catch (cause) {
      this.#parts.onFailure(errorFromRpc(cause));
    }
  }
}

export function without(partitions: readonly TopicPartition[], removed: readonly TopicPartition[]): TopicPartition[] {
  const keys = new Set(removed.map(keyOf));
  return partitions.filter((partition) => !keys.has(keyOf(partition)));
}
