import { consumerProtocolType } from '@naru/kafka-protocol';
import type { GroupMemberValue } from '../records/group-metadata-value.ts';
import { subscribedTopics } from '../records/subscribed-topics.ts';
import type { GroupProtocol, JoinedMember, JoinRequest, Token } from './group-types.ts';

/** A member of a group. Changed by `Group` alone. */
export interface Member {
  readonly id: string;
  /** Empty: dynamic. */
  readonly instanceId: string;
  clientId: string;
  clientHost: string;
  sessionTimeoutMs: number;
  rebalanceTimeoutMs: number;
  /** The preferred one first. */
  protocols: readonly GroupProtocol[];
  assignment: Uint8Array;
  /** Its JoinGroup that waits: it has joined the generation to come. */
  joinToken: Token | undefined;
  /** Its SyncGroup that waits. */
  syncToken: Token | undefined;
  /** Was answered with a generation and has not asked for its assignment yet. */
  owesSync: boolean;
  /** When its membership ends unless it is heard from; while a request of it waits, only a new member's counts. */
  deadlineMs: number;
  /** Has never been answered with a generation: its client does not know of the membership, and cannot give it up. */
  isNew: boolean;
}

export const noBytes = new Uint8Array(0);

export function newMember(id: string, request: JoinRequest): Member {
  return {
    id,
    instanceId: request.instanceId,
    clientId: request.clientId,
    clientHost: request.clientHost,
    sessionTimeoutMs: request.sessionTimeoutMs,
    rebalanceTimeoutMs: request.rebalanceTimeoutMs,
    protocols: request.protocols,
    assignment: noBytes,
    joinToken: undefined,
    syncToken: undefined,
    owesSync: false,
    deadlineMs: Number.POSITIVE_INFINITY,
    isNew: true,
  };
}

/** As the log remembers it: of its protocols only the one that the group had chosen. */
export function restoredMember(value: GroupMemberValue, protocol: string | null, nowMs: number): Member {
  return {
    id: value.memberId,
    instanceId: value.instanceId ?? '',
    clientId: value.clientId,
    clientHost: value.clientHost,
    sessionTimeoutMs: value.sessionTimeoutMs,
    rebalanceTimeoutMs: value.rebalanceTimeoutMs,
    protocols: protocol === null ? [] : [{ name: protocol, metadata: value.subscription }],
    assignment: value.assignment,
    joinToken: undefined,
    syncToken: undefined,
    owesSync: false,
    deadlineMs: nowMs + value.sessionTimeoutMs,
    isNew: false,
  };
}

/** Whoever waits for an answer of the group need not be heard from, unless the client may not even know of the membership. */
export function endOfMembership(member: Member): number {
  const isWaiting = member.joinToken !== undefined || member.syncToken !== undefined;
  return isWaiting && !member.isNew ? Number.POSITIVE_INFINITY : member.deadlineMs;
}

export function joinedMembers(members: Iterable<Member>, protocol: string): readonly JoinedMember[] {
  return [...members].map((one) => {
    return { memberId: one.id, instanceId: one.instanceId, metadata: metadataFor(one, protocol) };
  });
}

export function metadataFor(member: Member, protocol: string): Uint8Array {
  return member.protocols.find(({ name }) => name === protocol)?.metadata ?? noBytes;
}

export function sameProtocols(one: readonly GroupProtocol[], other: readonly GroupProtocol[]): boolean {
  return (
    one.length === other.length &&
    one.every(({ name, metadata }, i) => {
      const peer = other[i] as GroupProtocol;
      return name === peer.name && Buffer.compare(metadata, peer.metadata) === 0;
    })
  );
}

/** Protocols that all of them have. */
export function commonProtocols(members: Iterable<Pick<Member, 'protocols'>>): ReadonlySet<string> {
  let common: Set<string> | undefined;
  for (const { protocols } of members) {
    const names = protocols.map(({ name }) => name);
    common = new Set(common === undefined ? names : names.filter((name) => common?.has(name)));
  }
  return common ?? new Set();
}

/** Each member votes for the first of its protocols that all have; of equals the one that was voted for first wins. Undefined when none is common. */
export function electProtocol(members: readonly Pick<Member, 'protocols'>[]): string | undefined {
  const candidates = commonProtocols(members);
  const votes = new Map<string, number>();
  for (const { protocols } of members) {
    const choice = protocols.find(({ name }) => candidates.has(name));
    if (choice !== undefined) votes.set(choice.name, (votes.get(choice.name) ?? 0) + 1);
  }
  let elected: string | undefined;
  for (const [name, count] of votes) {
    if (elected === undefined || count > (votes.get(elected) as number)) elected = name;
  }
  return elected;
}

/**
 * Whether `member` takes the place of `former` without anybody having to learn of it: the group's assignor, the same topics. What it says it owns may
 * differ: who has just started owns nothing.
 */
export function isSameToGroup(
  former: Member,
  member: Member,
  protocolType: string,
  protocol: string | undefined,
): boolean {
  if (protocol === undefined || !member.protocols.some(({ name }) => name === protocol)) return false;
  const [before, after] = [metadataFor(former, protocol), metadataFor(member, protocol)];
  if (Buffer.compare(before, after) === 0) return true;
  if (protocolType !== consumerProtocolType) return false;
  const [topicsBefore, topicsAfter] = [subscribedTopics(before), subscribedTopics(after)];
  if (topicsBefore === undefined || topicsAfter === undefined) return false;
  return topicsBefore.size === topicsAfter.size && [...topicsBefore].every((topic) => topicsAfter.has(topic));
}

export function memberValue(member: Member, protocol: string | null, assignment: Uint8Array): GroupMemberValue {
  return {
    memberId: member.id,
    instanceId: member.instanceId === '' ? null : member.instanceId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    rebalanceTimeoutMs: member.rebalanceTimeoutMs,
    sessionTimeoutMs: member.sessionTimeoutMs,
    subscription: protocol === null ? noBytes : metadataFor(member, protocol),
    assignment,
  };
}
