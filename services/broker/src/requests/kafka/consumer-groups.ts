import { apis } from '@naru/kafka-protocol';
import { randomUuid } from '@naru/runtime';
import { partitionSet, topicPartitions } from '../../groups/core/consumer/partition-set.ts';
import { consumerGroupDescribe } from '../groups/consumer-group-describe.ts';
import { heartbeatOrLeave } from '../groups/consumer-group-heartbeat.ts';
import { wireError } from '../groups/group-dependencies.ts';
import { groupOperations } from './authorized-operations.ts';
import { answeredApi, type KafkaApi } from './kafka-api.ts';
import type { KafkaDependencies } from './kafka-dependencies.ts';
import { unexpected } from './unexpected.ts';
import { orNull } from './wire-values.ts';

const costBytes = 65_536;
/** KIP-1082. Before, the coordinator makes the ids of those who join. */
const ownMemberIdVersion = 1;
const joinEpoch = 0;
const memberTypes = { classic: 0, consumer: 1 };

/** Groups whose coordinator assigns (KIP-848): ConsumerGroupHeartbeat 0–1, ConsumerGroupDescribe 0–1. */
export function consumerGroupApis(deps: KafkaDependencies): readonly KafkaApi[] {
  return [heartbeatApi(deps), describeApi(deps)];
}

function heartbeatApi(deps: KafkaDependencies): KafkaApi {
  const options = { versions: [0, 1], authorization: 'Read on Group', onError: unexpected(deps.logger) } as const;
  return answeredApi(apis.consumerGroupHeartbeat, options, async (request, version, caller) => {
    const { memberEpoch, rebalanceTimeoutMs, topicPartitions: owned } = request;
    const isNameless = request.memberId === '' && memberEpoch === joinEpoch && version < ownMemberIdVersion;
    const heartbeat = {
      memberId: isNameless ? randomUuid(deps.admin.random) : request.memberId,
      memberEpoch,
      instanceId: request.instanceId ?? '',
      rackId: request.rackId ?? undefined,
      rebalanceTimeoutMs: rebalanceTimeoutMs === -1 ? undefined : rebalanceTimeoutMs,
      topics: request.subscribedTopicNames ?? undefined,
      topicPattern: request.subscribedTopicRegex ?? undefined,
      assignor: request.serverAssignor ?? undefined,
      owned: owned === null ? undefined : partitionSet(owned),
      clientId: caller.clientId,
      clientHost: `/${caller.host}`,
      sequence: 0,
    };
    const { heartbeatIntervalMs } = deps.groups.coordinator.settings.consumer;
    const result = await heartbeatOrLeave(deps.groups, request.groupId, heartbeat, 0);
    if (!result.ok) return { ...wireError(result.error, result.message), memberEpoch: 0, heartbeatIntervalMs: 0 };
    const { memberId, assignment } = result;
    return {
      errorCode: 0,
      memberId,
      memberEpoch: result.memberEpoch,
      heartbeatIntervalMs,
      assignment: assignment === undefined ? null : { topicPartitions: topicPartitions(assignment) },
    };
  });
}

function describeApi(deps: KafkaDependencies): KafkaApi {
  const options = {
    versions: [0, 1],
    costBytes,
    authorization: 'Describe on Group',
    onError: unexpected(deps.logger),
  } as const;
  return answeredApi(apis.consumerGroupDescribe, options, ({ groupIds, includeAuthorizedOperations }) => {
    const described = consumerGroupDescribe(deps.groups, { groupIds: [...groupIds] });
    return {
      groups: described.groups.map((group) => ({
        ...group,
        errorMessage: orNull(group.errorMessage),
        groupState: group.state,
        assignorName: group.assignor,
        members: group.members.map((member) => ({
          ...member,
          instanceId: orNull(member.instanceId),
          rackId: orNull(member.rackId),
          subscribedTopicNames: member.subscribedTopics,
          subscribedTopicRegex: orNull(member.subscribedTopicRegex),
          assignment: { topicPartitions: member.assignment.map(named) },
          targetAssignment: { topicPartitions: member.targetAssignment.map(named) },
          memberType: member.isClassic ? memberTypes.classic : memberTypes.consumer,
        })),
        ...(includeAuthorizedOperations ? { authorizedOperations: groupOperations } : {}),
      })),
    };
  });
}

function named({ topicId, topic, partitions }: { topicId: string; topic: string; partitions: number[] }) {
  return { topicId, topicName: topic, partitions };
}
