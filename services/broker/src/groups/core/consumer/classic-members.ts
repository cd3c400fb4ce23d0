import {
  consumerProtocolType,
  decodeSubscription,
  encodeAssignment,
  ProtocolError,
  type Subscription,
} from '@naru/kafka-protocol';
import type { ConsumerMemberValue } from '../../records/consumer-group-values.ts';
import type { ConsumerGroupRecord } from '../../records/group-record.ts';
import type {
  Claim,
  Failed,
  GroupError,
  GroupSettings,
  GroupSurroundings,
  Joined,
  JoinRequest,
  Synced,
  SyncRequest,
} from '../group-types.ts';
import { commonProtocols } from '../member.ts';
import type { Caller, ConsumerGroup } from './consumer-group.ts';
import { type GroupMember, memberStates } from './consumer-group-state.ts';
import { noPartitions, type PartitionSet, partitionsById, partitionsByName } from './partition-set.ts';

/**
 * Members of the classic protocol in a group whose coordinator assigns: how a group changes its protocol member by member (KIP-848).
 *
 * The member's epoch is its generation. Nobody leads, nobody waits for the others: JoinGroup is the member's step towards the target, and says by the
 * subscription's owned partitions what the member has given up; SyncGroup asks for what the step gave it. When there is another step to take, a
 * heartbeat is answered REBALANCE_IN_PROGRESS, and it joins again.
 *
 * ```
 *   heartbeat: REBALANCE_IN_PROGRESS ──► gives up (eager: everything) ──► JoinGroup(owned) ──► SyncGroup ──► heartbeats
 *        ▲          cooperative, and had to give something up: at once again ◄──────┘                          │
 *        └── the epoch grew, topics changed, it has to give something up, or something has become free ◄───────┘
 * ```
 */
export type ClassicDecision<Answer> =
  | { readonly ok: true; readonly records: readonly ConsumerGroupRecord[]; readonly answer: Answer }
  | Failed;

/** Handshakes (KIP-394) that were begun and not ended. */
const handshakesMax = 10_000;

export function joinClassic(
  group: ConsumerGroup,
  request: JoinRequest,
  surroundings: GroupSurroundings,
  nowMs: number,
): ClassicDecision<Joined> {
  const fault = joinFault(group, request, surroundings.settings);
  if (fault !== undefined) return { ok: false, error: fault };
  const subscription = subscriptionOf(request.protocols[0]?.metadata);
  if (subscription === undefined) return { ok: false, error: 'INCONSISTENT_GROUP_PROTOCOL' };
  const who = memberIdOf(group, request, surroundings, nowMs);
  if (!who.ok) return who;
  const { memberId } = who;
  const caller = group.callerOf(memberId, request.instanceId);
  const metadata = metadataOf(request, subscription);
  group.heard(memberId, metadata, nowMs);
  group.deadlines.clear('join', memberId);
  group.deadlines.set('sync', memberId, nowMs + request.rebalanceTimeoutMs);
  const { records, current } = group.step(caller, metadata, ownedOf(group, caller, subscription));
  const answer: Joined = {
    ok: true,
    memberId,
    generation: current.epoch,
    protocolType: consumerProtocolType,
    protocol: nameOf(metadata),
    leader: '',
    skipAssignment: false,
    members: [],
  };
  return { ok: true, records, answer };
}

function joinFault(group: ConsumerGroup, request: JoinRequest, settings: GroupSettings): GroupError | undefined {
  const { sessionTimeoutMs, memberId, instanceId } = request;
  if (sessionTimeoutMs < settings.sessionTimeoutMsMin || sessionTimeoutMs > settings.sessionTimeoutMsMax) {
    return 'INVALID_SESSION_TIMEOUT';
  }
  if (request.protocolType !== consumerProtocolType || request.protocols.length === 0) {
    return 'INCONSISTENT_GROUP_PROTOCOL';
  }
  if (group.isFullFor(memberId, instanceId)) return 'GROUP_MAX_SIZE_REACHED';
  // Should the others leave, those of the classic protocol are to be able to go on among themselves.
  const ownIds = [memberId, group.state.idOfInstance(instanceId)];
  const others = [...group.state.members.values()].filter(({ id }) => !ownIds.includes(id));
  const peers = others.flatMap(({ metadata }) => metadata.classic ?? []);
  return commonProtocols([...peers, request]).size > 0 ? undefined : 'INCONSISTENT_GROUP_PROTOCOL';
}

/**
 * Who is put out must not come back under its old id: it may still hold what others have by now, and its commits would count again (G4). So ids are the
 * members', or were given out just now.
 */
function memberIdOf(
  group: ConsumerGroup,
  { memberId, instanceId, clientId, admitWithoutMemberId, sessionTimeoutMs }: JoinRequest,
  { newMemberId }: GroupSurroundings,
  nowMs: number,
): { readonly ok: true; readonly memberId: string } | Failed {
  for (const [id, untilMs] of group.handshakes) if (untilMs <= nowMs) group.handshakes.delete(id);
  if (memberId === '') {
    const id = newMemberId(instanceId === '' ? clientId : instanceId);
    if (instanceId !== '' || admitWithoutMemberId) return { ok: true, memberId: id };
    if (group.handshakes.size >= handshakesMax) return { ok: false, error: 'GROUP_MAX_SIZE_REACHED' };
    group.handshakes.set(id, nowMs + sessionTimeoutMs);
    return { ok: false, error: 'MEMBER_ID_REQUIRED', memberId: id };
  }
  if (instanceId === '' && group.handshakes.delete(memberId)) return { ok: true, memberId };
  const fault = group.identityFault(memberId, instanceId) ?? classicFault(group, memberId);
  return fault === undefined ? { ok: true, memberId } : { ok: false, error: fault };
}

function classicFault(group: ConsumerGroup, memberId: string): 'UNKNOWN_MEMBER_ID' | undefined {
  return (group.state.members.get(memberId)?.metadata.classic ?? null) === null ? 'UNKNOWN_MEMBER_ID' : undefined;
}

export function subscriptionOf(metadata: Uint8Array | undefined): Subscription | undefined {
  try {
    return metadata === undefined ? undefined : decodeSubscription(metadata);
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

export function metadataOf(
  member: Omit<JoinRequest, 'memberId' | 'admitWithoutMemberId' | 'protocolType'>,
  { topics, rackId }: Subscription,
): ConsumerMemberValue {
  return {
    instanceId: member.instanceId === '' ? null : member.instanceId,
    rackId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    subscribedTopicNames: [...new Set(topics)].sort(),
    subscribedTopicRegex: null,
    rebalanceTimeoutMs: member.rebalanceTimeoutMs,
    serverAssignor: null,
    classic: { sessionTimeoutMs: member.sessionTimeoutMs, protocols: [...member.protocols] },
  };
}

/**
 * What the member holds, as far as that can be known; undefined: it cannot. A JoinGroup that was sent again because its answer got lost, or that was
 * overtaken by a later one, says so by the generation in the subscription (versions 2 and later): taking it at its word would give away what came since (G1).
 */
function ownedOf(group: ConsumerGroup, { before, former }: Caller, said: Subscription): PartitionSet | undefined {
  if (former !== undefined || before.current.epoch === 0) return noPartitions;
  if (said.generationId >= 0 && said.generationId !== before.current.epoch) return undefined;
  return partitionsById(said.ownedPartitions, group.catalog);
}

export function syncClassic(group: ConsumerGroup, request: SyncRequest, nowMs: number): ClassicDecision<Synced> {
  const { memberId, protocolType, protocol } = request;
  const fault = claimFault(group, request);
  if (fault !== undefined) return { ok: false, error: fault };
  const member = memberOf(group, memberId);
  const isOther =
    (protocolType !== '' && protocolType !== consumerProtocolType) ||
    (protocol !== '' && protocol !== nameOf(member.metadata));
  if (isOther) return { ok: false, error: 'INCONSISTENT_GROUP_PROTOCOL' };
  group.heard(memberId, member.metadata, nowMs);
  group.deadlines.clear('sync', memberId);
  const { current } = member;
  // Who has something to give up has to hear of that first.
  if (group.state.epoch > current.epoch && current.state !== memberStates.unrevoked) {
    expectJoin(group, member, nowMs);
    return { ok: false, error: 'REBALANCE_IN_PROGRESS' };
  }
  const partitions = partitionsByName(current.assigned, group.catalog);
  // All versions have this layout; no client minds the oldest.
  const assignment = encodeAssignment({ partitions, userData: null }, 0);
  const answer: Synced = {
    ok: true,
    protocolType: consumerProtocolType,
    protocol: nameOf(member.metadata),
    assignment,
  };
  return { ok: true, records: [], answer };
}

/** Undefined: the member has nothing to do. */
export function heartbeatClassic(group: ConsumerGroup, claim: Claim, nowMs: number): GroupError | undefined {
  const fault = claimFault(group, claim);
  if (fault !== undefined && fault !== 'REBALANCE_IN_PROGRESS') return fault;
  const member = memberOf(group, claim.memberId);
  group.heard(claim.memberId, member.metadata, nowMs);
  if (fault !== undefined) return fault;
  if (!hasNextStep(group, member)) return undefined;
  expectJoin(group, member, nowMs);
  return 'REBALANCE_IN_PROGRESS';
}

function hasNextStep(group: ConsumerGroup, { current, target }: GroupMember): boolean {
  if (group.state.epoch > current.epoch || current.state === memberStates.unrevoked || group.isOutdated) return true;
  const isFree = (partition: string): boolean => group.state.ownerOf(partition) === undefined;
  return current.state === memberStates.unreleased && [...target].some(isFree);
}

/** It must join again within its rebalance timeout, however alive it is: others wait for what it has. */
function expectJoin(group: ConsumerGroup, { id, metadata }: GroupMember, nowMs: number): void {
  if (!group.deadlines.has('join', id)) group.deadlines.set('join', id, nowMs + metadata.rebalanceTimeoutMs);
}

function claimFault(group: ConsumerGroup, claim: Claim): GroupError | undefined {
  const fault = group.identityFault(claim.memberId, claim.instanceId) ?? classicFault(group, claim.memberId);
  return fault ?? (group.checkClaim(claim) as GroupError | undefined);
}

function memberOf(group: ConsumerGroup, id: string): GroupMember {
  return group.state.members.get(id) as GroupMember;
}

/** Nobody leads, so it matters to the member alone: its first. */
function nameOf({ classic }: ConsumerMemberValue): string {
  return classic?.protocols[0]?.name ?? '';
}
