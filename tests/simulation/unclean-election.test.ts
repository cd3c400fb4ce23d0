import { Client, type Consumer, type ConsumerOptions, type ConsumerRecord, LogTruncationError } from '@naru/client';
import { describe, expect, test } from 'vitest';
import { SimulatedCluster } from './simulated-cluster.ts';

const topic = 'events';
const partitions = [{ topic, partition: 0 }];
const common = ['a0', 'a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'a7', 'a8', 'a9'];
const gone = ['b0', 'b1', 'b2', 'b3', 'b4'];
const anew = ['c0', 'c1', 'c2'];

/**
 * 1. Both replicas have `common`. The follower dies, the ISR shrinks to the leader, which takes `gone`.
 * 2. The reader reads all of it.
 * 3. The leader dies, the former follower comes back and is elected although it lacks `gone`: somebody has allowed that.
 * 4. `anew` is written where `gone` was, and more behind it.
 */
class Story {
  readonly cluster: SimulatedCluster;
  readonly client: Client;
  #lagging = -1;

  private constructor(cluster: SimulatedCluster) {
    this.cluster = cluster;
    const bootstrapServers = cluster.brokerIds.map((id) => `b${id}:9092`).join(',');
    this.client = new Client({ bootstrapServers, runtime: cluster.sim.addNode('reader').runtime });
  }

  static async begin(seed: number): Promise<Story> {
    const brokerConfig = { 'replica.lag.time.max.ms': 3_000 };
    const story = new Story(await SimulatedCluster.start({ seed, brokerConfig }));
    const configs = { 'min.insync.replicas': '1', 'unclean.leader.election.enable': 'true' };
    await story.cluster.createTopic(topic, 1, 2, configs);
    await story.write(common);
    return story;
  }

  /** Each time another producer: the one before would notice that its records are gone. */
  async write(values: readonly string[]): Promise<void> {
    const producer = this.client.producer();
    await this.cluster.sim.complete(producer.sendMany(values.map((value) => ({ topic, value }))));
    await this.cluster.sim.complete(producer.close());
  }

  async onlyTheLeaderHas(values: readonly string[]): Promise<void> {
    const { cluster } = this;
    const leader = cluster.leaderOf(topic, 0);
    const follower = cluster.isrOf(topic, 0).find((id) => id !== leader) as number;
    cluster.crashBroker(follower);
    await cluster.sim.runUntil(() => cluster.isrOf(topic, 0).length === 1);
    await this.write(values);
    this.#lagging = follower;
  }

  async electTheOther(): Promise<void> {
    const { cluster } = this;
    cluster.crashBroker(cluster.leaderOf(topic, 0) as number);
    await cluster.restartBroker(this.#lagging);
    await cluster.sim.runUntil(() => cluster.leaderOf(topic, 0) === this.#lagging);
  }

  reader(options: ConsumerOptions<Buffer, Buffer>): Consumer {
    return this.client.consumer({ enableAutoCommit: false, ...options });
  }

  async read(consumer: Consumer, count: number): Promise<string[]> {
    const records: ConsumerRecord[] = [];
    while (records.length < count) records.push(...(await this.cluster.sim.complete(consumer.poll(2_000))));
    return records.map((record) => `${record.value}@${record.offset}`);
  }

  failure(consumer: Consumer): Promise<unknown> {
    return this.cluster.sim.complete(consumer.poll(20_000).catch((error: unknown) => error));
  }
}

const at = (values: readonly string[], offset: number): string[] => values.map((value, i) => `${value}@${offset + i}`);

describe('row 22: an unclean election, seen by those who have read what it took', () => {
  test.each(['earliest', 'latest', 'none'])('by a consumer that goes on, auto.offset.reset=%s', async (policy) => {
    const story = await Story.begin(1);
    const consumer = story.reader({ autoOffsetReset: policy });
    consumer.assign(partitions);
    consumer.seek({ topic, partition: 0 }, 0n);
    await story.onlyTheLeaderHas(gone);
    expect(await story.read(consumer, 15)).toEqual([...at(common, 0), ...at(gone, 10)]);
    await story.electTheOther();
    // Beyond what the consumer has read: by offsets alone nobody would notice.
    await story.write([...anew, ...anew, ...anew]);
    if (policy === 'none') {
      const failure = await story.failure(consumer);
      expect(failure).toBeInstanceOf(LogTruncationError);
      expect(failure).toMatchObject({ topic, partition: 0, offset: 15n, divergentOffset: 10n });
      consumer.seek({ topic, partition: 0 }, 10n);
    }
    expect(await story.read(consumer, 9)).toEqual(at([...anew, ...anew, ...anew], 10));
  });

  test.each(['earliest', 'latest', 'none'])('row 54: from a committed offset, auto.offset.reset=%s', async (policy) => {
    const story = await Story.begin(2);
    await story.onlyTheLeaderHas(gone);
    const before = story.reader({ groupId: 'g', autoOffsetReset: 'earliest' });
    before.subscribe([topic]);
    await story.read(before, 15);
    await story.cluster.sim.complete(before.commitSync());
    await story.cluster.sim.complete(before.close());
    await story.electTheOther();
    await story.write(anew);
    const after = story.reader({ groupId: 'g', autoOffsetReset: policy });
    after.subscribe([topic]);
    if (policy === 'none') {
      const failure = await story.failure(after);
      expect(failure).toMatchObject({ name: 'LogTruncationError', offset: 15n, divergentOffset: 10n });
      after.seek({ topic, partition: 0 }, 10n);
    }
    expect(await story.read(after, 3)).toEqual(at(anew, 10));
  });
});
