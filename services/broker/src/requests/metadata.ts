import { errorCodes } from '@naru/kafka-protocol';
import type { broker } from '@naru/rpc';
import { isAlive, type MetadataImage, type PartitionImage, type TopicImage } from '../cluster/metadata-image.ts';
import type { MetadataPublisher } from '../cluster/metadata-publisher.ts';
import { type Member, noLeader } from '../cluster/partition-state.ts';
import { isInternalTopic, topicNameFault } from '../controller/topic-name.ts';

/** Brokers, topics and leaders as this broker knows them. */
export function metadata(
  deps: { readonly publisher: MetadataPublisher },
  request: broker.MetadataRequest,
): broker.MetadataResponse {
  const { image } = deps.publisher;
  const names = request.allTopics ? image.topics.keys() : new Set(request.topics);
  return {
    clusterId: image.clusterId ?? '',
    controllerId: image.brokers.has(image.controllerId) ? image.controllerId : noLeader,
    brokers: [...image.brokers.values()].map(({ id, host, port, rack, epoch }) => ({
      id,
      host,
      port,
      rack: rack ?? '',
      brokerEpoch: epoch,
    })),
    topics: [...names].map((name) => describeTopic(image, name)),
  };
}

function describeTopic(image: MetadataImage, name: string): broker.TopicMetadata {
  const topic = image.topics.get(name);
  if (topic === undefined) {
    const isInvalid = topicNameFault(name) !== undefined;
    const errorCode = isInvalid ? errorCodes.INVALID_TOPIC_EXCEPTION : errorCodes.UNKNOWN_TOPIC_OR_PARTITION;
    return { errorCode, name, topicId: '', internal: false, partitions: [] };
  }
  return {
    errorCode: errorCodes.NONE,
    name,
    topicId: topic.id,
    internal: isInternalTopic(name),
    partitions: topic.partitions.map((_, partition) => describePartition(image, topic, partition)),
  };
}

/** A leader counts only as the incarnation that was elected: after a bounce the broker is there, but leads nothing yet (row 10). */
function describePartition(image: MetadataImage, topic: TopicImage, partition: number): broker.PartitionMetadata {
  const { replicas, state, adding, removing } = topic.partitions[partition] as PartitionImage;
  const leader = state?.isr.find((member) => member.brokerId === state.leader);
  const isLed = leader !== undefined && isAlive(image, leader);
  const ids = (members: readonly Member[] | undefined): number[] => members?.map((member) => member.brokerId) ?? [];
  return {
    errorCode: isLed ? errorCodes.NONE : errorCodes.LEADER_NOT_AVAILABLE,
    partition,
    leaderId: isLed ? leader.brokerId : noLeader,
    leaderEpoch: state?.leaderEpoch ?? -1,
    replicas: [...replicas],
    isr: ids(state?.isr),
    offlineReplicas: replicas.filter((brokerId) => !image.brokers.has(brokerId)),
    elr: ids(state?.elr),
    lastKnownElr: [],
    addingReplicas: [...adding],
    removingReplicas: [...removing],
  };
}
