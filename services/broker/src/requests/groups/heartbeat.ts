import type { groups } from '@naru/rpc';
import { type GroupDependencies, wireError } from './group-dependencies.ts';

/** Heartbeat: the member lives; the answer tells whether the group rebalances. */
export function heartbeat(
  { coordinator }: GroupDependencies,
  request: groups.HeartbeatRequest,
): groups.HeartbeatResponse {
  const { groupId, memberId, groupInstanceId: instanceId, generationId: generation } = request;
  return wireError(coordinator.heartbeat(groupId, { memberId, instanceId, generation }));
}
