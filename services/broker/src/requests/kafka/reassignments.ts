import { apis, errorCodes } from '@naru/kafka-protocol';
import type { broker } from '@naru/rpc';
import { electLeaders } from '../elect-leaders.ts';
import { alterPartitionReassignments, listPartitionReassignments } from '../reassignments.ts';
import { answeredApi, type KafkaApi } from './kafka-api.ts';
import type { KafkaDependencies } from './kafka-dependencies.ts';
import { unexpected } from './unexpected.ts';
import { orNull } from './wire-values.ts';

const costBytes = 65_536;

/** ElectLeaders 0–2. */
export function electLeadersApi(deps: KafkaDependencies): KafkaApi {
  const options = {
    versions: [0, 2],
    costBytes,
    authorization: 'Alter on Cluster',
    onError: unexpected(deps.logger),
  } as const;
  return answeredApi(apis.electLeaders, options, async ({ electionType, topicPartitions, timeoutMs }, version) => {
    if (electionType !== 0 && electionType !== 1) {
      return { errorCode: errorCodes.INVALID_REQUEST, replicaElectionResults: [] };
    }
    const named = (topicPartitions ?? []).flatMap(({ topic, partitions }) =>
      partitions.map((partition) => ({ topic, partition })),
    );
    const elected = await electLeaders(deps.admin, {
      unclean: electionType === 1,
      partitions: named,
      allPartitions: topicPartitions === null,
      timeoutMs,
    });
    const { errorCode, errorMessage } = elected;
    // Version 0 has no error of the whole: it stands with each partition.
    const results =
      version === 0 && errorCode !== errorCodes.NONE
        ? named.map((each) => ({ ...each, errorCode, errorMessage }))
        : elected.partitions;
    return {
      errorCode,
      replicaElectionResults: byTopic(results).map(([topic, partitions]) => ({
        topic,
        partitionResult: partitions.map((result) => ({ partitionId: result.partition, ...outcomeOf(result) })),
      })),
    };
  });
}

/** AlterPartitionReassignments 0–1. */
export function alterPartitionReassignmentsApi(deps: KafkaDependencies): KafkaApi {
  const options = {
    versions: [0, 1],
    costBytes,
    authorization: 'Alter on Cluster',
    onError: unexpected(deps.logger),
  } as const;
  return answeredApi(apis.alterPartitionReassignments, options, async (request) => {
    const { topics, timeoutMs, allowReplicationFactorChange } = request;
    const altered = await alterPartitionReassignments(deps.admin, {
      partitions: topics.flatMap(({ name: topic, partitions }) =>
        partitions.map(({ partitionIndex: partition, replicas }) => {
          return { topic, partition, target: [...(replicas ?? [])], cancel: replicas === null };
        }),
      ),
      timeoutMs,
      keepReplicationFactor: !allowReplicationFactorChange,
    });
    return {
      allowReplicationFactorChange,
      errorCode: errorCodes.NONE,
      responses: byTopic(altered.partitions).map(([name, partitions]) => ({
        name,
        partitions: partitions.map((result) => ({ partitionIndex: result.partition, ...outcomeOf(result) })),
      })),
    };
  });
}

/** ListPartitionReassignments 0. */
export function listPartitionReassignmentsApi(deps: KafkaDependencies): KafkaApi {
  const options = {
    versions: [0, 0],
    costBytes,
    authorization: 'Describe on Cluster',
    onError: unexpected(deps.logger),
  } as const;
  return answeredApi(apis.listPartitionReassignments, options, ({ topics }) => {
    const named = topics?.flatMap(({ name: topic, partitionIndexes }) =>
      partitionIndexes.map((partition) => ({ topic, partition })),
    );
    // A list that names none asks for none; ours would mean all.
    const isNone = named?.length === 0;
    const { partitions } = isNone
      ? { partitions: [] }
      : listPartitionReassignments(deps.admin, { partitions: named ?? [] });
    return {
      errorCode: errorCodes.NONE,
      topics: byTopic(partitions).map(([name, moving]) => ({
        name,
        partitions: moving.map(({ partition: partitionIndex, replicas, addingReplicas, removingReplicas }) => {
          return { partitionIndex, replicas, addingReplicas, removingReplicas };
        }),
      })),
    };
  });
}

function byTopic<Each extends { readonly topic: string }>(all: readonly Each[]): [string, Each[]][] {
  return [...Map.groupBy(all, ({ topic }) => topic)];
}

function outcomeOf({ errorCode, errorMessage }: Omit<broker.PartitionResult, 'topic' | 'partition'>) {
  return { errorCode, errorMessage: orNull(errorMessage) };
}
