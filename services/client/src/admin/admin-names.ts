import { groupBy } from '@naru/runtime';
import type { KafkaError } from '../errors.ts';
import type { TopicPartition } from '../topic-partition.ts';
import { type AdminCallOptions, AdminCalls, orThrow } from './admin.ts';
import type { ListedOffset, OffsetSpec, TopicDescription } from './admin-results.ts';
import type {
  GroupDescription,
  GroupListing,
  GroupOffset,
  GroupOffsetChange,
  GroupOffsetOutcome,
  GroupOutcome,
} from './group-results.ts';

/** An offset in a partition of the topic in question. */
export interface PartitionAt {
  readonly partition: number;
  readonly offset: bigint;
}

/** A partition's end and beginning; `offset` is `high`. */
export interface PartitionRange extends PartitionAt {
  readonly high: bigint;
  readonly low: bigint;
}

/** What a group has committed for a topic. */
export interface TopicOffsets {
  readonly topic: string;
  /** -1n where nothing is committed. */
  readonly partitions: readonly (PartitionAt & { readonly metadata: string })[];
}

/** Administration: the calls of `AdminCalls`, and the names that users of Java's Admin and of KafkaJS's admin look for. */
export class Admin extends AdminCalls {
  // ---- Java's names

  /** Groups of consumers, and those that have nothing but offsets. */
  async listConsumerGroups(options: Parameters<AdminCalls['listGroups']>[0] = {}): Promise<GroupListing[]> {
    const groups = await this.listGroups(options);
    return groups.filter(({ protocolType }) => protocolType === 'consumer' || protocolType === '');
  }

  /** `describeGroups` by the name of Java's Admin. */
  describeConsumerGroups(groupIds: readonly string[], options?: AdminCallOptions): Promise<GroupDescription[]> {
    return this.describeGroups(groupIds, options);
  }

  /** `listGroupOffsets` by the name of Java's Admin. */
  listConsumerGroupOffsets(
    groupId: string,
    options?: Parameters<AdminCalls['listGroupOffsets']>[1],
  ): Promise<GroupOffset[]> {
    return this.listGroupOffsets(groupId, options);
  }

  /** `alterGroupOffsets` by the name of Java's Admin. */
  alterConsumerGroupOffsets(
    groupId: string,
    offsets: readonly GroupOffsetChange[],
    options?: AdminCallOptions,
  ): Promise<GroupOffsetOutcome[]> {
    return this.alterGroupOffsets(groupId, offsets, options);
  }

  /** `deleteGroupOffsets` by the name of Java's Admin. */
  deleteConsumerGroupOffsets(
    groupId: string,
    partitions: readonly TopicPartition[],
    options?: AdminCallOptions,
  ): Promise<GroupOffsetOutcome[]> {
    return this.deleteGroupOffsets(groupId, partitions, options);
  }

  /** `deleteGroups` by the name of Java's Admin. */
  deleteConsumerGroups(groupIds: readonly string[], options?: AdminCallOptions): Promise<GroupOutcome[]> {
    return this.deleteGroups(groupIds, options);
  }

  // ---- KafkaJS's names. They throw the first failure, and offsets are bigint.

  /** Topics with their partitions; all of them unless some are named. */
  async fetchTopicMetadata(
    { topics }: { readonly topics?: readonly string[] | undefined } = {},
    options: AdminCallOptions = {},
  ): Promise<{ readonly topics: readonly TopicDescription[] }> {
    const names = topics ?? (await this.listTopics(options)).map(({ name }) => name);
    const described = names.length === 0 ? [] : await this.describeTopics(names, options);
    return { topics: described.map(foundOrThrow) };
  }

  /** Beginning and end of each partition of a topic, as KafkaJS's admin gives them. Fails with `UnknownTopicOrPartitionError`. */
  async fetchTopicOffsets(topic: string, options: AdminCallOptions = {}): Promise<PartitionRange[]> {
    const [ends, beginnings] = [await this.#at(topic, 'latest', options), await this.#at(topic, 'earliest', options)];
    return ends.map(({ partition, offset }, i) => {
      const high = offset ?? 0n;
      return { partition, offset: high, high, low: beginnings[i]?.offset ?? 0n };
    });
  }

  /** The first records at or after the time (ms); where there is none, the end. */
  async fetchTopicOffsetsByTimestamp(
    topic: string,
    timestamp: number,
    options: AdminCallOptions = {},
  ): Promise<PartitionAt[]> {
    const [found, ends] = [await this.#at(topic, { timestamp }, options), await this.#at(topic, 'latest', options)];
    return found.map(({ partition, offset }, i) => ({ partition, offset: offset ?? ends[i]?.offset ?? 0n }));
  }

  /** Committed offsets by topic: of all partitions of the topics that are named, or of those that have one. */
  async fetchOffsets(
    { groupId, topics }: { readonly groupId: string; readonly topics?: readonly string[] | undefined },
    options: AdminCallOptions = {},
  ): Promise<TopicOffsets[]> {
    const partitions = topics === undefined ? undefined : await this.#partitionsOf(topics, options);
    const listed = await this.listGroupOffsets(groupId, { ...options, partitions });
    const byTopic = groupBy(listed, ({ topic }) => topic);
    return [...byTopic].map(([topic, offsets]) => ({
      topic,
      partitions: offsets.map(({ partition, offset, metadata }) => ({ partition, offset: offset ?? -1n, metadata })),
    }));
  }

  /** Of a group without members. */
  async setOffsets(
    request: {
      readonly groupId: string;
      readonly topic: string;
      readonly partitions: readonly { readonly partition: number; readonly offset: bigint | number | string }[];
    },
    options: AdminCallOptions = {},
  ): Promise<void> {
    const { groupId, topic, partitions } = request;
    const changes = partitions.map(({ partition, offset }) => ({ topic, partition, offset: BigInt(offset) }));
    orThrow(await this.alterGroupOffsets(groupId, changes, options));
  }

  /** To the end of the topic, or with `earliest` to its beginning. */
  async resetOffsets(
    request: { readonly groupId: string; readonly topic: string; readonly earliest?: boolean | undefined },
    options: AdminCallOptions = {},
  ): Promise<void> {
    const { groupId, topic, earliest = false } = request;
    const found = await this.#at(topic, earliest ? 'earliest' : 'latest', options);
    const partitions = found.map(({ partition, offset }) => ({ partition, offset: offset ?? 0n }));
    await this.setOffsets({ groupId, topic, partitions }, options);
  }

  async #partitionsOf(topics: readonly string[], options: AdminCallOptions): Promise<TopicPartition[]> {
    const described = (await this.describeTopics(topics, options)).map(foundOrThrow);
    return described.flatMap(({ name, partitions }) => partitions.map(({ partition }) => ({ topic: name, partition })));
  }

  async #at(topic: string, spec: OffsetSpec, options: AdminCallOptions): Promise<ListedOffset[]> {
    const partitions = await this.#partitionsOf([topic], options);
    return this.listOffsets(
      partitions.map((one) => ({ ...one, spec })),
      options,
    );
  }
}

function foundOrThrow(topic: TopicDescription | { readonly error: KafkaError }): TopicDescription {
  if ('error' in topic) throw topic.error;
  return topic;
}
