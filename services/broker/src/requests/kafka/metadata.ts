import { apis, errorCodes, type RequestOf, type ResponseOf, zeroUuid } from '@naru/kafka-protocol';
import type { broker } from '@naru/rpc';
import { createTopics } from '../create-topics.ts';
import { metadata } from '../metadata.ts';
import { clusterOperations, topicOperations } from './authorized-operations.ts';
import { answeredApi, type KafkaApi } from './kafka-api.ts';
import type { KafkaDependencies } from './kafka-dependencies.ts';
import { unexpected } from './unexpected.ts';
import { wireTopicId } from './wire-values.ts';

type Request = RequestOf<typeof apis.metadata>;
type Response = ResponseOf<typeof apis.metadata>;
type Topic = Response['topics'][number];

const costBytes = 65_536;
/** A client asks again; its own time limit may be short. */
const autoCreateTimeoutMs = 5_000;
const brokerDefault = -1;

/** Metadata 0–13. */
export function metadataApi(deps: KafkaDependencies): KafkaApi {
  const options = {
    versions: [0, 13],
    costBytes,
    authorization: 'Describe on Topic; Create on Topic or Cluster when it creates',
    onError: unexpected(deps.logger),
  } as const;
  return answeredApi(apis.metadata, options, (request, version, { listener }) =>
    answer(deps, request, version, listener),
  );
}

type AskedTopic = NonNullable<Request['topics']>[number];

async function answer(deps: KafkaDependencies, request: Request, version: number, listener: string): Promise<Response> {
  const { publisher } = deps.admin;
  const { topics } = request;
  const isAll = topics === null || (version === 0 && topics.length === 0);
  // Java names a topic that it asks for by id '', others null.
  const isById = ({ name, topicId }: AskedTopic): boolean => name === null || topicId !== zeroUuid;
  const byId = (topics ?? []).filter(isById);
  const names = (topics ?? []).flatMap((topic) => (isById(topic) ? [] : (topic.name ?? [])));
  if (deps.autoCreateTopics && request.allowAutoTopicCreation) await createMissing(deps, names);
  const known = byId.flatMap(({ topicId }) => publisher.image.topicNames.get(topicId) ?? []);
  const unknown = byId.filter(({ topicId }) => !publisher.image.topicNames.has(topicId));
  const found = metadata({ publisher }, { topics: [...names, ...known], allTopics: isAll }, listener);
  return {
    brokers: found.brokers.map(({ id, host, port, rack }) => ({ nodeId: id, host, port, rack: rack || null })),
    clusterId: found.clusterId,
    controllerId: controllerOf(found),
    topics: [
      ...found.topics.map((topic) => wireTopic(topic, request.includeTopicAuthorizedOperations)),
      ...unknown.map(({ topicId }) => unknownTopicId(topicId, version)),
    ],
    ...(request.includeClusterAuthorizedOperations ? { clusterAuthorizedOperations: clusterOperations } : {}),
  };
}

/** Clients send changes there, and any broker passes them on: one that is there is better than none (as with KRaft). */
export function controllerOf({ controllerId, brokers }: broker.MetadataResponse): number {
  return controllerId >= 0 ? controllerId : (brokers[0]?.id ?? -1);
}

function wireTopic(topic: broker.TopicMetadata, includeOperations: boolean): Topic {
  return {
    errorCode: topic.errorCode,
    name: topic.name,
    topicId: wireTopicId(topic.topicId),
    isInternal: topic.internal,
    partitions: topic.partitions.map((partition) => ({
      errorCode: partition.errorCode,
      partitionIndex: partition.partition,
      leaderId: partition.leaderId,
      leaderEpoch: partition.leaderEpoch,
      replicaNodes: partition.replicas,
      isrNodes: partition.isr,
      offlineReplicas: partition.offlineReplicas,
    })),
    ...(includeOperations ? { topicAuthorizedOperations: topicOperations } : {}),
  };
}

/** Names may be null only from version 12 on. */
function unknownTopicId(topicId: string, version: number): Topic {
  const errorCode = topicId === zeroUuid ? errorCodes.INVALID_REQUEST : errorCodes.UNKNOWN_TOPIC_ID;
  return { errorCode, name: version >= 12 ? null : '', topicId, partitions: [] };
}

/** `auto.create.topics.enable`. What cannot be created is answered as not there; why stands in the log of the controller's refusals. */
async function createMissing(deps: KafkaDependencies, names: readonly string[]): Promise<void> {
  const { topics } = deps.admin.publisher.image;
  const missing = [...new Set(names)].filter((name) => topics.get(name) === undefined);
  if (missing.length === 0) return;
  const created = await createTopics(deps.admin, {
    topics: missing.map((name) => ({
      name,
      topicId: '',
      numPartitions: brokerDefault,
      replicationFactor: brokerDefault,
      assignments: [],
      configs: {},
    })),
    timeoutMs: autoCreateTimeoutMs,
    validateOnly: false,
  });
  for (const { name, errorCode, errorMessage } of created.topics) {
    if (errorCode === errorCodes.NONE) deps.logger.info({ topic: name }, 'topic created because a client asked for it');
    else
      deps.logger.debug({ topic: name, errorCode, errorMessage }, 'topic not created for a client that asked for it');
  }
}
