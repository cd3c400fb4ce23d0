import type { Consumer, ConsumerRecord, OffsetToCommit } from '@naru/client';

/** What a group may go on after. A poll may bring more than `--max-messages` lets through (as Kafka's resetUnconsumedOffsets). */
export class ConsumedOffsets {
  readonly #next = new Map<string, OffsetToCommit>();

  add({ topic, partition, offset, leaderEpoch }: ConsumerRecord<unknown, unknown>): void {
    this.#next.set(`${topic}/${partition}`, { topic, partition, offset: offset + 1n, leaderEpoch });
  }

  /** Partitions that were given away meanwhile are committed already, by the rebalance. */
  async commit(consumer: Consumer): Promise<void> {
    const held = new Set(consumer.assignment().map(({ topic, partition }) => `${topic}/${partition}`));
    await consumer.commitSync([...this.#next].filter(([key]) => held.has(key)).map(([, offset]) => offset));
  }
}
