import type { groups } from '@naru/rpc';
import { type GroupDependencies, noError, wireError } from './group-dependencies.ts';

/** LeaveGroup: several members at once, each with an outcome of its own. */
export function leaveGroup(
  { coordinator }: GroupDependencies,
  { groupId, members }: groups.LeaveGroupRequest,
): groups.LeaveGroupResponse {
  const left = coordinator.leave(
    groupId,
    members.map(({ memberId, groupInstanceId }) => ({ memberId, instanceId: groupInstanceId })),
  );
  if (!left.ok) return { ...wireError(left.error), members: [] };
  return {
    ...noError,
    members: members.map(({ memberId, groupInstanceId }, i) => ({
      memberId,
      groupInstanceId,
      errorCode: wireError(left.errors[i]).errorCode,
    })),
  };
}
