import type { TopicPartition } from '../topic-partition.ts';
import type { Cluster } from './cluster.ts';

/**
 * An answer that is this late makes the client ask others whether the broker still leads: one that is frozen or cut off says nothing, and
 * waiting for `request.timeout.ms` would cost half a minute.
 */
const doubtAfterMs = 2_000;
const doubtAgainMs = 500;

/** How sure one is that an open request will be answered. */
export class Doubt {
  #nextMs: number;
  #isDoubted = false;

  /** `dueMs`: when an answer is normal at the latest; monotonic. */
  constructor(dueMs: number) {
    this.#nextMs = dueMs + doubtAfterMs;
  }

  /** When to look again. */
  get nextMs(): number {
    return this.#nextMs;
  }

  /**
   * True when every partition of the request has another leader by now: the answer is worth no more waiting. Asks for fresh metadata
   * when it is time to.
   */
  isLost(cluster: Cluster, brokerId: number, partitions: readonly TopicPartition[]): boolean {
    if (cluster.nowMs() >= this.#nextMs) {
      this.#nextMs = cluster.nowMs() + doubtAgainMs;
      this.#isDoubted = true;
      cluster.suspect(brokerId);
    }
    if (!this.#isDoubted) return false;
    return partitions.every(({ topic, partition }) => {
      const leaderId = cluster.partition(topic, partition)?.leaderId ?? -1;
      return leaderId >= 0 && leaderId !== brokerId;
    });
  }
}
