import { silentLogger } from '@naru/observability';
import type { PartitionState } from '../../cluster/partition-state.ts';
import { LogWorld, topicId } from '../../log/testing/log-world.ts';
import type { Registrations } from '../core/leader-state.ts';
import { Deadlines } from '../deadlines.ts';
import { Partition, type PartitionOptions } from '../partition.ts';
import { TurnEnd } from '../turn-end.ts';

/** Broker 1 is the machine of this world; broker 2 is the other replica. Their epochs. */
export const epochOf: Registrations = new Map([
  [1, 101],
  [2, 102],
]);

/** Replicas on one simulated machine, with their logs, and nobody else. */
export class ReplicaWorld extends LogWorld {
  readonly turnEnd = new TurnEnd(this.node.runtime.timers);
  readonly deadlines = new Deadlines(this.node.runtime.clock, this.node.runtime.timers);
  readonly partitions = new Map<number, Partition>();
  flushBeforeAck = true;
  onFollowerMoved: (partition: Partition) => void = () => {};

  async replica(index: number): Promise<Partition> {
    const wanted = { topic: 'topic', topicId, partition: index, config: this.config };
    const partition = new Partition({
      log: await this.complete(this.manager.getOrCreate(wanted)),
      highWatermark: 0,
      ...this.partitionOptions(),
    });
    this.partitions.set(index, partition);
    return partition;
  }

  /** What a partition needs beside its log. */
  partitionOptions(): Omit<PartitionOptions, 'log' | 'highWatermark'> {
    return {
      rules: { minInSyncReplicas: 1, lagTimeMaxMs: 10_000, flushBeforeAck: this.flushBeforeAck },
      registrations: epochOf,
      clock: this.node.runtime.clock,
      turnEnd: this.turnEnd,
      isrWriter: { changeIsr: () => new Promise(() => {}) },
      logger: silentLogger,
      onFollowerMoved: (flushed) => this.onFollowerMoved(flushed),
    };
  }

  /** Makes it the leader of itself and broker 2. */
  async lead(partition: Partition, leaderEpoch: number, isr: readonly number[] = [1, 2]): Promise<void> {
    const members = isr.map((brokerId) => ({ brokerId, brokerEpoch: epochOf.get(brokerId) as number }));
    const state: PartitionState = { leader: 1, leaderEpoch, isr: members, elr: [], controllerEpoch: 1 };
    const self = { brokerId: 1, brokerEpoch: epochOf.get(1) as number };
    await this.complete(partition.lead({ self, replicas: [1, 2], state, version: leaderEpoch }, () => true));
  }

  partitionById(id: string, index: number): Partition | undefined {
    return id === topicId ? this.partitions.get(index) : undefined;
  }
}
