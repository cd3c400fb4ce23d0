import type { TopicPartitions } from '../../records/consumer-group-values.ts';
import type { TopicCatalog } from './consumer-group-types.ts';

/** Partitions by topic id, so that a topic that was deleted and made anew is another one: `TOPIC_ID/PARTITION`. */
export type PartitionSet = ReadonlySet<string>;

export const noPartitions: PartitionSet = new Set();

export function partitionKey(topicId: string, partition: number): string {
  return `${topicId}/${partition}`;
}

export function partitionSet(topicPartitions: TopicPartitions): PartitionSet {
  const keys = new Set<string>();
  for (const { topicId, partitions } of topicPartitions) {
    for (const partition of partitions) keys.add(partitionKey(topicId, partition));
  }
  return keys;
}

/** Ordered, so that equal sets are equal records. */
export function topicPartitions(keys: PartitionSet): TopicPartitions {
  const byTopic = new Map<string, number[]>();
  for (const key of keys) {
    const at = key.lastIndexOf('/');
    const topicId = key.slice(0, at);
    const partitions = byTopic.get(topicId) ?? [];
    partitions.push(Number(key.slice(at + 1)));
    byTopic.set(topicId, partitions);
  }
  return [...byTopic]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([topicId, partitions]) => ({ topicId, partitions: partitions.sort((a, b) => a - b) }));
}

interface NamedPartition {
  readonly topic: string;
  readonly partition: number;
}

/** Of topics that exist. */
export function partitionsById(named: readonly NamedPartition[], catalog: TopicCatalog): PartitionSet {
  const keys = new Set<string>();
  for (const { topic, partition } of named) {
    const found = catalog.find(topic);
    if (found !== undefined) keys.add(partitionKey(found.id, partition));
  }
  return keys;
}

/** Of topics that exist. */
export function partitionsByName(keys: PartitionSet, catalog: TopicCatalog): readonly NamedPartition[] {
  return topicPartitions(keys).flatMap(({ topicId, partitions }) => {
    const topic = catalog.nameOf(topicId);
    return topic === undefined ? [] : partitions.map((partition) => ({ topic, partition }));
  });
}

export function isSameSet(one: PartitionSet, other: PartitionSet): boolean {
  return one.size === other.size && one.isSubsetOf(other);
}
