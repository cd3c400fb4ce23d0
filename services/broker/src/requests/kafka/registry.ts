import { apiVersionsApi } from './api-versions.ts';
import { describeClusterApi } from './cluster.ts';
import { alterConfigsApi, describeConfigsApi, incrementalAlterConfigsApi } from './configs.ts';
import { describeTopicPartitionsApi } from './describe-topic-partitions.ts';
import { fetchApi } from './fetch.ts';
import { groupApis } from './groups.ts';
import { initProducerIdApi } from './init-producer-id.ts';
import type { KafkaApi } from './kafka-api.ts';
import type { KafkaDependencies } from './kafka-dependencies.ts';
import { listOffsetsApi } from './list-offsets.ts';
import {
  alterReplicaLogDirsApi,
  deleteRecordsApi,
  describeLogDirsApi,
  describeProducersApi,
} from './log-administration.ts';
import { metadataApi } from './metadata.ts';
import { offsetForLeaderEpochApi } from './offset-for-leader-epoch.ts';
import { produceApi } from './produce.ts';
import { alterPartitionReassignmentsApi, electLeadersApi, listPartitionReassignmentsApi } from './reassignments.ts';
import { createPartitionsApi, createTopicsApi, deleteTopicsApi } from './topics.ts';

/** What this broker serves on Kafka's protocol, by API key. ApiVersions and the README's table are derived from it: what is not here is not there. */
export type KafkaRegistry = ReadonlyMap<number, KafkaApi>;

export function kafkaRegistry(deps: KafkaDependencies): KafkaRegistry {
  const registry = new Map<number, KafkaApi>();
  const served = [
    produceApi(deps),
    fetchApi(deps),
    listOffsetsApi(deps),
    metadataApi(deps),
    apiVersionsApi(deps, () => registry.values()),
    createTopicsApi(deps),
    deleteTopicsApi(deps),
    initProducerIdApi(deps),
    offsetForLeaderEpochApi(deps),
    describeConfigsApi(deps),
    alterConfigsApi(deps),
    createPartitionsApi(deps),
    incrementalAlterConfigsApi(deps),
    describeClusterApi(deps),
    describeTopicPartitionsApi(deps),
    electLeadersApi(deps),
    alterPartitionReassignmentsApi(deps),
    deleteRecordsApi(deps),
    describeLogDirsApi(deps),
    alterReplicaLogDirsApi(deps),
    describeProducersApi(deps),
    listPartitionReassignmentsApi(deps),
    ...groupApis(deps),
  ];
  for (const one of served.sort((a, b) => a.api.key - b.api.key)) registry.set(one.api.key, one);
  return registry;
}
