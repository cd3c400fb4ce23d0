import type { GroupError, GroupSettings, JoinRequest } from './group-types.ts';
import { commonProtocols } from './member.ts';
import type { Membership } from './membership.ts';

export interface JoinCheck {
  readonly request: JoinRequest;
  readonly settings: GroupSettings;
  readonly members: Membership;
  readonly pending: ReadonlyMap<string, unknown>;
  readonly protocolType: string;
}

/** Why nobody could join a group as it is with this request, whoever it comes from. */
export function joinFault({ request, settings, members, pending, protocolType }: JoinCheck): GroupError | undefined {
  const { sessionTimeoutMs, memberId } = request;
  if (sessionTimeoutMs < settings.sessionTimeoutMsMin || sessionTimeoutMs > settings.sessionTimeoutMsMax) {
    return 'INVALID_SESSION_TIMEOUT';
  }
  if (request.protocolType === '' || request.protocols.length === 0) return 'INCONSISTENT_GROUP_PROTOCOL';
  const currentId = members.idOfInstance(request.instanceId) ?? memberId;
  const hasPlace = members.find(currentId) !== undefined || pending.has(memberId);
  if (!hasPlace && members.size + pending.size >= settings.membersMax) return 'GROUP_MAX_SIZE_REACHED';
  const others = [...members].filter(({ id }) => id !== currentId);
  if (others.length === 0) return undefined;
  if (request.protocolType !== protocolType) return 'INCONSISTENT_GROUP_PROTOCOL';
  return commonProtocols([...others, request]).size > 0 ? undefined : 'INCONSISTENT_GROUP_PROTOCOL';
}
