import { errorCodes } from '@naru/kafka-protocol';
import type { broker } from '@naru/rpc';
import { addressOf } from '../cluster/endpoint.ts';
import { isAlive, type MetadataImage, type PartitionImage, type TopicImage } from '../cluster/metadata-image.ts';
import type { MetadataPublisher } from '../cluster/metadata-publisher.ts';
import { type Member, noLeader } from '../cluster/partition-state.ts';
import { isInternalTopic, topicNameFault } from '../controller/topic-name.ts';

/**
 * Brokers, topics and leaders as this broker knows them, with the addresses of the listener on which the request came. A broker without that listener is
 * not there for who came by it: its leaderships are answered with LISTENER_NOT_FOUND (KIP-103).
 */
export function metadata(
  deps: { readonly publisher: MetadataPublisher },
  request: broker.MetadataRequest,
  listener: string,
): broker.MetadataResponse {
  const { image } = deps.publisher;
  const names = request.allTopics ? image.topics.keys() : new Set(request.topics);
  const brokers = [...image.brokers.values()].flatMap((broker) => {
    const address = addressOf(broker, listener);
    return address === undefined
      ? []
      : [{ id: broker.id, ...address, rack: broker.rack ?? '', brokerEpoch: broker.epoch }];
  });
  return {
    clusterId: image.clusterId ?? '',
    controllerId: brokers.some(({ id }) => id === image.controllerId) ? image.controllerId : noLeader,
    brokers,
    topics: [...names].map((name) => describeTopic(image, name, listener)),
  };
}

function describeTopic(image: MetadataImage, name: string, listener: string): broker.TopicMetadata {
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
    partitions: topic.partitions.map((_, partition) => describePartition(image, topic, partition, listener)),
  };
}

/** A leader counts only as the incarnation that was elected: after a bounce the broker is there, but leads nothing yet (row 10). */
function describePartition(
  image: MetadataImage,
  topic: TopicImage,
  partition: number,
  listener: string,
): broker.PartitionMetadata {
  const { replicas, state, adding, removing } = topic.partitions[partition] as PartitionImage;
  const leader = state?.isr.find((member) => member.brokerId === state.leader);
  const leading = leader !== undefined && isAlive(image, leader) ? image.brokers.get(leader.brokerId) : undefined;
  const isReachable = leading !== undefined && addressOf(leading, listener) !== undefined;
  const ids = (members: readonly Member[] | undefined): number[] => members?.map((member) => member.brokerId) ?? [];
  return {
    errorCode:
      leading === undefined
        ? errorCodes.LEADER_NOT_AVAILABLE
        : isReachable
          ? errorCodes.NONE
          : errorCodes.LISTENER_NOT_FOUND,
    partition,
    leaderId: isReachable ? leading.id : noLeader,
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
