import type { broker } from '@naru/rpc';
import type { Address } from '@naru/runtime';

export interface BrokerInfo extends Address {
  readonly id: number;
  readonly rack: string | undefined;
}

/** A partition as of the last metadata: broker ids; -1 where there is no leader. */
export interface PartitionInfo {
  readonly topic: string;
  readonly partition: number;
  /** -1: the partition has none at the moment. */
  readonly leaderId: number;
  readonly leaderEpoch: number;
  readonly replicas: readonly number[];
  readonly isr: readonly number[];
  readonly offlineReplicas: readonly number[];
}

/** A topic as of the last metadata. */
export interface TopicInfo {
  readonly name: string;
  readonly topicId: string;
  readonly internal: boolean;
  /** By number, without holes. */
  readonly partitions: readonly PartitionInfo[];
}

/** What one client knows of the cluster; replaced, never changed. */
export interface MetadataImage {
  readonly clusterId: string;
  readonly controllerId: number;
  readonly brokers: ReadonlyMap<number, BrokerInfo>;
  readonly topics: ReadonlyMap<string, TopicInfo>;
  /** Kafka's codes of topics that were asked for and cannot be had. */
  readonly topicErrors: ReadonlyMap<string, number>;
}

export const emptyImage: MetadataImage = {
  clusterId: '',
  controllerId: -1,
  brokers: new Map(),
  topics: new Map(),
  topicErrors: new Map(),
};

/**
 * The image after an answer. A partition never goes back to an older leader epoch: brokers learn of an election at different
 * times, and the answer may come from one that is behind (KIP-320). Another topic id is another topic and starts anew (row 18).
 */
export function applyMetadata(image: MetadataImage, answer: broker.MetadataResponse): MetadataImage {
  const topics = new Map(image.topics);
  const topicErrors = new Map(image.topicErrors);
  for (const topic of answer.topics) {
    if (topic.errorCode !== 0) {
      topics.delete(topic.name);
      topicErrors.set(topic.name, topic.errorCode);
      continue;
    }
    topicErrors.delete(topic.name);
    topics.set(topic.name, mergeTopic(image.topics.get(topic.name), topic));
  }
  return {
    clusterId: answer.clusterId,
    controllerId: answer.controllerId,
    brokers: new Map(
      answer.brokers.map((b) => [b.id, { id: b.id, host: b.host, port: b.port, rack: b.rack || undefined }]),
    ),
    topics,
    topicErrors,
  };
}

/** The image after a broker named the leader in an error answer (KIP-951); the same image when it says nothing newer. */
export function applyLeaderHint(
  image: MetadataImage,
  hint: { readonly topic: string; readonly partition: number; readonly leaderId: number; readonly leaderEpoch: number },
): MetadataImage {
  const topic = image.topics.get(hint.topic);
  const partition = topic?.partitions[hint.partition];
  if (topic === undefined || partition === undefined) return image;
  if (hint.leaderId < 0 || hint.leaderEpoch <= partition.leaderEpoch || !image.brokers.has(hint.leaderId)) return image;
  const partitions = [...topic.partitions];
  partitions[hint.partition] = { ...partition, leaderId: hint.leaderId, leaderEpoch: hint.leaderEpoch };
  return { ...image, topics: new Map(image.topics).set(topic.name, { ...topic, partitions }) };
}

function mergeTopic(known: TopicInfo | undefined, answer: broker.TopicMetadata): TopicInfo {
  const before = known?.topicId === answer.topicId ? known : undefined;
  const partitions: PartitionInfo[] = [];
  for (const partition of [...answer.partitions].sort((a, b) => a.partition - b.partition)) {
    const old = before?.partitions[partition.partition];
    partitions.push(
      old !== undefined && old.leaderEpoch > partition.leaderEpoch ? old : partitionInfo(answer.name, partition),
    );
  }
  // A broker that is behind may not have heard of added partitions; counts never shrink.
  for (const old of before?.partitions.slice(partitions.length) ?? []) partitions.push(old);
  return { name: answer.name, topicId: answer.topicId, internal: answer.internal, partitions };
}

function partitionInfo(topic: string, answer: broker.PartitionMetadata): PartitionInfo {
  const { partition, leaderId, leaderEpoch, replicas, isr, offlineReplicas } = answer;
  return { topic, partition, leaderId, leaderEpoch, replicas, isr, offlineReplicas };
}
