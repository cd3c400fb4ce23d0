import { groupBy } from '@naru/runtime';
import type { Cluster } from '../cluster/cluster.ts';
import type { ConsumerConfig, ResetPolicy } from '../config.ts';
import type { KafkaError } from '../errors.ts';
import { errorFromRpc } from '../errors-from-wire.ts';
import { earliestTimestamp, latestTimestamp, lookupOffsets } from './offset-lookup.ts';
import type { PartitionState } from './partition-state.ts';

/** A lookup over several partitions waits this long for the slowest of them. */
const sharedLookupMs = 1_000;

/** One partition in a lookup; what is found counts only while the partition's generation is still this one. */
interface LookupPart<K, V> {
  readonly state: PartitionState<K, V>;
  readonly generation: number;
}

export interface PositionLookupEvents<K, V> {
  readonly isClosed: () => boolean;
  readonly onRetry: (state: PartitionState<K, V>, error: KafkaError) => void;
  readonly onDone: () => void;
}

/** 0 read_uncommitted, 1 read_committed. */
export function isolationLevelOf(config: ConsumerConfig): number {
  return config['isolation.level'] === 'read_committed' ? 1 : 0;
}

/** Finds the beginning of partitions that have no position, as their reset policy says. */
export class PositionLookup<K, V> {
  readonly #cluster: Cluster;
  readonly #config: ConsumerConfig;
  readonly #events: PositionLookupEvents<K, V>;

  constructor(cluster: Cluster, config: ConsumerConfig, events: PositionLookupEvents<K, V>) {
    this.#cluster = cluster;
    this.#config = config;
    this.#events = events;
  }

  /** One lookup for all that begin the same way. */
  lookUp(states: readonly PartitionState<K, V>[]): void {
    const groups = groupBy(states, (state) => state.reset as ResetPolicy);
    for (const [policy, group] of groups) {
      const parts = group.map((state) => ({ state, generation: state.generation }));
      for (const state of group) state.isInLookup = true;
      void this.#resetTo(policy, parts).then(() => this.#events.onDone());
    }
  }

  async #resetTo(policy: ResetPolicy, parts: readonly LookupPart<K, V>[]): Promise<void> {
    const isCurrent = ({ state, generation }: LookupPart<K, V>): boolean =>
      state.generation === generation && !this.#events.isClosed();
    try {
      const offsets = await this.#find(
        parts.map((part) => part.state),
        policy,
      );
      for (const [i, part] of parts.entries()) if (isCurrent(part)) part.state.seek(offsets[i] as number);
    } catch (cause) {
      const error = errorFromRpc(cause);
      if (!this.#events.isClosed())
        this.#cluster.logger.warn({ reason: error.message }, 'positions could not be looked up');
      // One partition without a leader must not hold up the others: next time each is looked up by itself.
      const isShared = parts.length > 1;
      for (const part of parts) {
        if (!isCurrent(part)) continue;
        const { state } = part;
        state.isInLookup = false;
        if (isShared) state.reset = { ...policy };
        else if (error.retriable) this.#events.onRetry(state, error);
        else state.failure = error;
      }
    }
  }

  async #find(states: readonly PartitionState<K, V>[], policy: ResetPolicy): Promise<number[]> {
    const ask = async (asked: readonly PartitionState<K, V>[], timestamp: number): Promise<number[]> => {
      // A shared lookup gives up early, see above.
      const limitMs = asked.length > 1 ? sharedLookupMs : this.#config['default.api.timeout.ms'];
      const options = { isolationLevel: isolationLevelOf(this.#config), deadlineMs: this.#cluster.nowMs() + limitMs };
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
