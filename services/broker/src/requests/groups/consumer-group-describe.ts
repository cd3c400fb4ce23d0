import type { groups } from '@naru/rpc';
import { describeConsumerGroup } from '../../groups/coordinator/group-descriptions.ts';
import { type GroupDependencies, noError, wireError } from './group-dependencies.ts';
import { memberPartitions } from './member-partitions.ts';

/** ConsumerGroupDescribe: groups with a server-side assignor. */
export function consumerGroupDescribe(
  deps: GroupDependencies,
  { groupIds }: groups.ConsumerGroupDescribeRequest,
): groups.ConsumerGroupDescribeResponse {
  return { groups: groupIds.map((groupId) => describe(deps, groupId)) };
}

function describe({ coordinator, brokerId }: GroupDependencies, groupId: string): groups.DescribedConsumerGroup {
  const nothing = { groupId, state: '', groupEpoch: -1, assignmentEpoch: -1, assignor: '', members: [] };
  const found = describeConsumerGroup(coordinator, groupId);
  const error = found.ok ? 'GROUP_ID_NOT_FOUND' : found.error;
  if (!found.ok || found.group === undefined) return { ...wireError(error), ...nothing, coordinatorId: brokerId };
  const { group } = found;
  const { image } = coordinator.publisher;
  return {
    ...noError,
    groupId,
    state: group.name,
    groupEpoch: group.state.epoch,
    assignmentEpoch: group.state.targetEpoch,
    assignor: group.assignor,
    coordinatorId: brokerId,
    members: [...group.state.members.values()].map(({ id, metadata, target, current }) => ({
      memberId: id,
      instanceId: metadata.instanceId ?? '',
      rackId: metadata.rackId ?? '',
      memberEpoch: current.epoch,
      clientId: metadata.clientId,
      clientHost: metadata.clientHost,
      subscribedTopics: [...metadata.subscribedTopicNames],
      subscribedTopicRegex: metadata.subscribedTopicRegex ?? '',
      assignment: memberPartitions(current.assigned, image),
      targetAssignment: memberPartitions(target, image),
      isClassic: metadata.classic !== null,
    })),
  };
}
