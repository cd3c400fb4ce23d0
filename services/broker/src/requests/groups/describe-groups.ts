import type { groups } from '@naru/rpc';
import { describeGroup } from '../../groups/coordinator/group-descriptions.ts';
import { type GroupDependencies, noError, wireError } from './group-dependencies.ts';

/** DescribeGroups. */
export function describeGroups(
  deps: GroupDependencies,
  { groupIds }: groups.DescribeGroupsRequest,
): groups.DescribeGroupsResponse {
  return { groups: groupIds.map((groupId) => describe(deps, groupId)) };
}

function describe({ coordinator, brokerId }: GroupDependencies, groupId: string): groups.DescribedGroup {
  const found = describeGroup(coordinator, groupId);
  const nothing = {
    groupId,
    protocolType: '',
    protocolName: '',
    members: [],
    generationId: -1,
    coordinatorId: brokerId,
  };
  if (!found.ok) return { ...wireError(found.error), ...nothing, state: '' };
  const { group } = found;
  if (group === undefined) return { ...wireError('GROUP_ID_NOT_FOUND'), ...nothing, state: 'Dead' };
  return {
    ...noError,
    groupId,
    state: group.state,
    protocolType: group.protocolType,
    protocolName: group.protocol,
    members: group.members.map(({ instanceId, ...member }) => ({ ...member, groupInstanceId: instanceId })),
    generationId: group.generation,
    coordinatorId: brokerId,
  };
}
