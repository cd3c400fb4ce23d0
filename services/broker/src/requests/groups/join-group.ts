import type { groups } from '@naru/rpc';
import { isTooLong } from '../../groups/coordinator/coordinator-settings.ts';
import { type GroupDependencies, noError, wireError } from './group-dependencies.ts';

const protocolsMax = 100;
const metadataBytesMax = 8 * 1024 * 1024;

/** JoinGroup: answered when everybody has joined, or the time for it is over, and the new generation is in the log. */
export async function joinGroup(
  { coordinator }: GroupDependencies,
  request: groups.JoinGroupRequest,
  clientHost: string,
): Promise<groups.JoinGroupResponse> {
  if (isMalformed(request)) return failed(request, 'INVALID_REQUEST');
  const { memberId, protocolType, protocols, clientId, sessionTimeoutMs } = request;
  const answer = await coordinator.join(request.groupId, {
    memberId,
    instanceId: request.groupInstanceId,
    clientId,
    clientHost,
    sessionTimeoutMs,
    // Clients of the first version had one timeout for both.
    rebalanceTimeoutMs: request.rebalanceTimeoutMs > 0 ? request.rebalanceTimeoutMs : sessionTimeoutMs,
    protocolType,
    // Copies: the metadata must not hold the whole message.
    protocols: protocols.map(({ name, metadata }) => ({ name, metadata: Uint8Array.from(metadata) })),
    admitWithoutMemberId: request.admitWithoutMemberId,
  });
  if (!answer.ok) return failed(request, answer.error, 'memberId' in answer ? answer.memberId : undefined);
  return {
    ...noError,
    generationId: answer.generation,
    protocolType: answer.protocolType,
    protocolName: answer.protocol,
    leader: answer.leader,
    skipAssignment: answer.skipAssignment,
    memberId: answer.memberId,
    members: answer.members.map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.instanceId,
      metadata: member.metadata,
    })),
  };
}

function isMalformed(request: groups.JoinGroupRequest): boolean {
  const { memberId, groupInstanceId, clientId, protocolType, protocols } = request;
  const names = protocols.map(({ name }) => name);
  const bytes = protocols.reduce((sum, { metadata }) => sum + metadata.length, 0);
  return (
    protocols.length > protocolsMax ||
    bytes > metadataBytesMax ||
    isTooLong(memberId, groupInstanceId, clientId, protocolType, ...names)
  );
}

function failed(
  request: groups.JoinGroupRequest,
  error: Parameters<typeof wireError>[0],
  memberId = request.memberId,
): groups.JoinGroupResponse {
  return {
    ...wireError(error),
    generationId: -1,
    protocolType: '',
    protocolName: '',
    leader: '',
    skipAssignment: false,
    memberId,
    members: [],
  };
}
