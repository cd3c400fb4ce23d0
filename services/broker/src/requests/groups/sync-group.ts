import type { groups } from '@naru/rpc';
import { type GroupDependencies, noError, wireError } from './group-dependencies.ts';

const noAssignment = new Uint8Array(0);

/** SyncGroup: answered when the leader's assignments are in the log, on every replica in sync (G2). */
export async function syncGroup(
  { coordinator }: GroupDependencies,
  request: groups.SyncGroupRequest,
): Promise<groups.SyncGroupResponse> {
  const answer = await coordinator.sync(request.groupId, {
    memberId: request.memberId,
    instanceId: request.groupInstanceId,
    generation: request.generationId,
    protocolType: request.protocolType,
    protocol: request.protocolName,
    assignments: new Map(
      request.assignments.map(({ memberId, assignment }) => [memberId, Uint8Array.from(assignment)]),
    ),
  });
  if (!answer.ok) {
    return { ...wireError(answer.error), protocolType: '', protocolName: '', assignment: noAssignment };
  }
  const { protocolType, protocol, assignment } = answer;
  return { ...noError, protocolType, protocolName: protocol, assignment };
}
