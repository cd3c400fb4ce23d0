import { apis, errorCodes, type KafkaErrorName, type RequestOf, type ResponseOf } from '@naru/kafka-protocol';
import type { broker } from '@naru/rpc';
import { topicError } from '../admin-dependencies.ts';
import { createPartitions } from '../create-partitions.ts';
import { createTopics } from '../create-topics.ts';
import { deleteTopics } from '../delete-topics.ts';
import { describeConfigs } from '../describe-configs.ts';
import { answeredApi, type KafkaApi } from './kafka-api.ts';
import type { KafkaDependencies } from './kafka-dependencies.ts';
import { unexpected } from './unexpected.ts';
import { orNull, wireTopicId } from './wire-values.ts';

const costBytes = 65_536;

/** CreateTopics 0–7. */
export function createTopicsApi(deps: KafkaDependencies): KafkaApi {
  const options = {
    versions: [0, 7],
    costBytes,
    authorization: 'Create on Topic or Cluster',
    onError: unexpected(deps.logger),
  } as const;
  return answeredApi(apis.createTopics, options, async (request) => {
    const refusals = new Map(request.topics.map((topic, i) => [i, refusalOf(topic)] as const));
    const accepted = request.topics.filter((_, i) => refusals.get(i) === undefined);
    const created = await createTopics(deps.admin, {
      topics: accepted.map(newTopic),
      timeoutMs: request.timeoutMs,
      validateOnly: request.validateOnly,
    });
    let next = 0;
    const results = request.topics.map((_, i) => refusals.get(i) ?? (created.topics[next++] as broker.TopicResult));
    return { topics: results.map((result) => createdTopic(deps, result, request.validateOnly)) };
  });
}

type NewTopic = RequestOf<typeof apis.createTopics>['topics'][number];

function refusalOf({ name, assignments, configs }: NewTopic): broker.TopicResult | undefined {
  const refuse = (error: KafkaErrorName, message: string) => topicError(name, error, message);
  const partitions = new Set(assignments.map(({ partitionIndex }) => partitionIndex));
  const isDense = assignments.every((_, partition) => partitions.has(partition));
  if (!isDense || partitions.size !== assignments.length) {
    return refuse('INVALID_REPLICA_ASSIGNMENT', 'Assigned partitions are numbered from 0 on without a gap.');
  }
  const valueless = configs.find(({ value }) => value === null);
  if (valueless !== undefined) return refuse('INVALID_CONFIG', `The value of '${valueless.name}' is null.`);
  return undefined;
}

function newTopic({ name, numPartitions, replicationFactor, assignments, configs }: NewTopic): broker.NewTopic {
  const sorted = [...assignments].sort((a, b) => a.partitionIndex - b.partitionIndex);
  return {
    name,
    topicId: '',
    numPartitions,
    replicationFactor,
    assignments: sorted.map(({ brokerIds }) => ({ brokerIds: [...brokerIds] })),
    configs: Object.fromEntries(configs.map(({ name: key, value }) => [key, value ?? ''])),
  };
}

function createdTopic(
  deps: KafkaDependencies,
  result: broker.TopicResult,
  validateOnly: boolean,
): ResponseOf<typeof apis.createTopics>['topics'][number] {
  const { name, errorCode, errorMessage, numPartitions, replicationFactor, topicId } = result;
  const isThere = errorCode === errorCodes.NONE && !validateOnly;
  const [described] = isThere ? describeConfigs(deps.describe, { resources: [{ type: 'topic', name }] }).results : [];
  return {
    name,
    topicId: wireTopicId(isThere ? topicId : ''),
    errorCode,
    errorMessage: orNull(errorMessage),
    numPartitions,
    replicationFactor,
    configs: (described?.entries ?? []).map((entry) => ({
      name: entry.name,
      value: orNull(entry.value),
      readOnly: entry.readOnly,
      configSource: entry.source,
      isSensitive: entry.sensitive,
    })),
  };
}

/** DeleteTopics 0–6, by name or by id. */
export function deleteTopicsApi(deps: KafkaDependencies): KafkaApi {
  const options = {
    versions: [0, 6],
    costBytes,
    authorization: 'Delete on Topic',
    onError: unexpected(deps.logger),
  } as const;
  return answeredApi(apis.deleteTopics, options, async ({ topics, topicNames, timeoutMs }, version) => {
    const { image } = deps.admin.publisher;
    const asked =
      version >= 6
        ? topics.map(({ name, topicId }) => ({ name: name ?? image.topicNames.get(topicId), topicId }))
        : topicNames.map((name) => ({ name, topicId: '' }));
    const names = asked.flatMap(({ name }) => name ?? []);
    const deleted = await deleteTopics(deps.admin, { names, timeoutMs });
    const results = new Map(deleted.topics.map((result) => [result.name, result]));
    return {
      topics: asked.map(({ name, topicId }) => {
        const result = name === undefined ? undefined : results.get(name);
        if (name === undefined || result === undefined) {
          return { name: null, topicId, errorCode: errorCodes.UNKNOWN_TOPIC_ID };
        }
        const { errorCode, errorMessage } = result;
        return { name, topicId: wireTopicId(result.topicId), errorCode, errorMessage: orNull(errorMessage) };
      }),
    };
  });
}

/** CreatePartitions 0–3. */
export function createPartitionsApi(deps: KafkaDependencies): KafkaApi {
  const options = {
    versions: [0, 3],
    costBytes,
    authorization: 'Alter on Topic',
    onError: unexpected(deps.logger),
  } as const;
  return answeredApi(apis.createPartitions, options, async ({ topics, timeoutMs, validateOnly }) => {
    const asked = topics.map(({ name, count, assignments }) => ({
      name,
      count,
      assignments: (assignments ?? []).map(({ brokerIds }) => ({ brokerIds: [...brokerIds] })),
    }));
    const added = await createPartitions(deps.admin, { topics: asked, timeoutMs, validateOnly });
    return {
      results: added.topics.map(({ name, errorCode, errorMessage }) => ({
        name,
        errorCode,
        errorMessage: orNull(errorMessage),
      })),
    };
  });
}
