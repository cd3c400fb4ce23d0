import { apis, errorCodes, type RequestOf, type ResponseOf } from '@naru/kafka-protocol';
import type { broker } from '@naru/rpc';
import { metadata } from '../metadata.ts';
import { topicOperations } from './authorized-operations.ts';
import { answeredApi, type KafkaApi } from './kafka-api.ts';
import type { KafkaDependencies } from './kafka-dependencies.ts';
import { unexpected } from './unexpected.ts';
import { wireTopicId } from './wire-values.ts';

type Request = RequestOf<typeof apis.describeTopicPartitions>;
type Response = ResponseOf<typeof apis.describeTopicPartitions>;
type Topic = Response['topics'][number];

/** Kafka's `max.request.partition.size.limit`. */
const partitionsMax = 2_000;
const costBytes = 65_536;

/** DescribeTopicPartitions 0 (KIP-966): topics in the order of their names, page by page; a page ends where the limit of partitions does, also inside a topic. */
export function describeTopicPartitionsApi(deps: KafkaDependencies): KafkaApi {
  const options = {
    versions: [0, 0],
    costBytes,
    authorization: 'Describe on Topic',
    onError: unexpected(deps.logger),
  } as const;
  return answeredApi(apis.describeTopicPartitions, options, (request, _, { listener }) =>
    page(deps, request, listener),
  );
}

function page(
  deps: KafkaDependencies,
  { topics, responsePartitionLimit, cursor }: Request,
  listener: string,
): Response {
  const { publisher } = deps.admin;
  const asked = topics.length === 0 ? [...publisher.image.topics.keys()] : topics.map(({ name }) => name);
  const names = [...new Set(asked)].filter((name) => cursor === null || name >= cursor.topicName).sort();
  const found: Topic[] = [];
  let left = Math.max(1, Math.min(responsePartitionLimit, partitionsMax));
  for (const name of names) {
    const first = cursor?.topicName === name ? Math.max(0, cursor.partitionIndex) : 0;
    if (left === 0) return { topics: found, nextCursor: { topicName: name, partitionIndex: first } };
    const [topic] = metadata({ publisher }, { topics: [name], allTopics: false }, listener).topics;
    // A topic that a page began with and that is gone meanwhile has nothing more to tell.
    if (topic === undefined || (topic.errorCode !== errorCodes.NONE && cursor?.topicName === name)) continue;
    const partitions = topic.partitions.slice(first, first + left);
    found.push(wireTopic(topic, partitions));
    left -= partitions.length;
    const next = first + partitions.length;
    if (next < topic.partitions.length) return { topics: found, nextCursor: { topicName: name, partitionIndex: next } };
  }
  return { topics: found, nextCursor: null };
}

function wireTopic(topic: broker.TopicMetadata, partitions: readonly broker.PartitionMetadata[]): Topic {
  return {
    errorCode: topic.errorCode,
    name: topic.name,
    topicId: wireTopicId(topic.topicId),
    isInternal: topic.internal,
    partitions: partitions.map((partition) => ({
      errorCode: partition.errorCode,
      partitionIndex: partition.partition,
      leaderId: partition.leaderId,
      leaderEpoch: partition.leaderEpoch,
      replicaNodes: partition.replicas,
      isrNodes: partition.isr,
      eligibleLeaderReplicas: partition.elr,
      lastKnownElr: partition.lastKnownElr,
      offlineReplicas: partition.offlineReplicas,
    })),
    topicAuthorizedOperations: topicOperations,
  };
}
