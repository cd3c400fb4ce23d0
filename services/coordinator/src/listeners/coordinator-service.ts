import { coordinatorMethods, RpcError, type ServiceBinding, stream, unary, coordinator as wire } from '@naru/rpc';
import type { MembershipChange, QuorumMember } from '../quorum/state-machine.ts';
import { type SessionServices, SessionStream } from './session-stream.ts';

/** The four procedures of the client port. Sessions are served by the leader, status by everyone. */
export function coordinatorService(services: SessionServices, version: string): readonly ServiceBinding[] {
  return [
    stream(coordinatorMethods.session, (each) => void new SessionStream(each, services)),
    unary(coordinatorMethods.status, () => statusOf(services, version)),
    unary(coordinatorMethods.changeMembership, (request) => changeMembership(services, request)),
    unary(coordinatorMethods.transferLeadership, (request) => transferLeadership(services, request)),
  ];
}

export function statusOf({ log, machine }: SessionServices, version: string): wire.StatusResponse {
  const status = log.status();
  return {
    nodeId: status.nodeId,
    clusterId: status.clusterId,
    role: status.role,
    term: status.term,
    leaderId: status.leader,
    leaderAddress: status.leaderAddress,
    commitIndex: status.commitIndex,
    appliedZxid: status.appliedIndex,
    sessions: machine.tree.sessions.size,
    znodes: machine.tree.znodes.size,
    watches: machine.watches.size,
    members: status.members.map(memberMessage),
    isChanging: status.isChanging,
    version,
  };
}

async function changeMembership(
  { log }: SessionServices,
  request: wire.ChangeMembershipRequest,
): Promise<wire.ChangeMembershipResponse> {
  const outcome = await log.changeMembership(changeOf(request));
  if (outcome.ok) return { members: outcome.members.map(memberMessage) };
  switch (outcome.reason) {
    case 'invalid':
      throw new RpcError('invalid-argument', 'the members do not allow this change');
    case 'change-pending':
      throw new RpcError('failed-precondition', 'another change, or the first entry of the term, is not committed yet');
    case 'not-caught-up':
      throw new RpcError('failed-precondition', 'the learner has not caught up with the log; try again when it has');
    case 'not-leader':
      throw new RpcError('failed-precondition', `not the leader; node ${outcome.leader} leads`);
    case 'leadership-lost':
    case 'closed':
      throw new RpcError('unavailable', 'the outcome of the change is unknown: leadership was lost');
  }
}

function changeOf({ kind, member }: wire.ChangeMembershipRequest): MembershipChange {
  if (member === undefined || member.id <= 0)
    throw new RpcError('invalid-argument', 'a change needs a member with an id');
  const { id, peerAddress, clientAddress } = member;
  switch (kind) {
    case wire.ChangeMembershipRequest_Kind.KIND_ADD_LEARNER:
      return { kind: 'add-learner', member: { id, peerAddress, clientAddress } };
    case wire.ChangeMembershipRequest_Kind.KIND_PROMOTE:
      return { kind: 'promote', id };
    case wire.ChangeMembershipRequest_Kind.KIND_REMOVE:
      return { kind: 'remove', id };
    default:
      throw new RpcError('invalid-argument', `unknown kind of change ${kind}`);
  }
}

async function transferLeadership(
  { log }: SessionServices,
  { to }: wire.TransferLeadershipRequest,
): Promise<wire.TransferLeadershipResponse> {
  const outcome = await log.transferLeadership(to);
  if (!outcome.ok) throw new RpcError('failed-precondition', `leadership stays with node ${outcome.leader}`);
  return {};
}

function memberMessage({ id, peerAddress, clientAddress, voter }: QuorumMember): wire.Member {
  return { id, peerAddress, clientAddress, voter };
}
