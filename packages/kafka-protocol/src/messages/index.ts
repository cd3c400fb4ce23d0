import type { Api } from '../api.ts';
import { alterConfigs, incrementalAlterConfigs } from './alter-configs.ts';
import { apiVersions } from './api-versions.ts';
import { consumerGroupDescribe, consumerGroupHeartbeat } from './consumer-group.ts';
import { createPartitions } from './create-partitions.ts';
import { createTopics } from './create-topics.ts';
import { deleteRecords } from './delete-records.ts';
import { deleteTopics } from './delete-topics.ts';
import { describeCluster } from './describe-cluster.ts';
import { describeConfigs } from './describe-configs.ts';
import { describeProducers } from './describe-producers.ts';
import { describeTopicPartitions } from './describe-topic-partitions.ts';
import { electLeaders } from './elect-leaders.ts';
import { fetch } from './fetch.ts';
import { findCoordinator } from './find-coordinator.ts';
import { deleteGroups, describeGroups, listGroups } from './group-administration.ts';
import { heartbeat, joinGroup, leaveGroup, syncGroup } from './group-membership.ts';
import { offsetCommit, offsetDelete, offsetFetch } from './group-offsets.ts';
import { initProducerId } from './init-producer-id.ts';
import { listOffsets } from './list-offsets.ts';
import { alterReplicaLogDirs, describeLogDirs } from './log-dirs.ts';
import { metadata } from './metadata.ts';
import { offsetForLeaderEpoch } from './offset-for-leader-epoch.ts';
import { alterPartitionReassignments, listPartitionReassignments } from './partition-reassignments.ts';
import { produce } from './produce.ts';

export { noAuthorizedOperations } from './metadata.ts';

/** Every API that is declared, by name. */
export const apis = {
  produce,
  fetch,
  listOffsets,
  metadata,
  apiVersions,
  createTopics,
  deleteTopics,
  initProducerId,
  offsetForLeaderEpoch,
  describeConfigs,
  alterConfigs,
  createPartitions,
  incrementalAlterConfigs,
  describeCluster,
  describeTopicPartitions,
  findCoordinator,
  joinGroup,
  syncGroup,
  heartbeat,
  leaveGroup,
  offsetCommit,
  offsetFetch,
  offsetDelete,
  describeGroups,
  listGroups,
  deleteGroups,
  consumerGroupHeartbeat,
  consumerGroupDescribe,
  electLeaders,
  alterPartitionReassignments,
  deleteRecords,
  describeLogDirs,
  alterReplicaLogDirs,
  describeProducers,
  listPartitionReassignments,
} as const;

export const allApis: readonly Api[] = Object.values(apis) as unknown as readonly Api[];
