import type { groups } from '@naru/rpc';
import { type GroupDependencies, wireError } from './group-dependencies.ts';

export const heartbeatWaitMsMax = 60_000;

/** Heartbeat: the member lives; the answer tells whether the group rebalances, and may wait for that. */
export async function heartbeat(
  { coordinator }: GroupDependencies,
  request: groups.HeartbeatRequest,
): Promise<groups.HeartbeatResponse> {
  const { groupId, memberId, groupInstanceId: instanceId, generationId: generation, maxWaitMs } = request;
  const claim = { memberId, instanceId, generation };
  return wireError(await coordinator.heartbeat(groupId, claim, Math.min(maxWaitMs, heartbeatWaitMsMax)));
}
