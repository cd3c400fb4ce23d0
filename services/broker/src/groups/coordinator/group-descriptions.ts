import { consumerProtocolType } from '@naru/kafka-protocol';
import type { ConsumerGroup } from '../core/consumer/consumer-group.ts';
import type { ConsumerGroupStateName } from '../core/consumer/consumer-group-types.ts';
import type { GroupState } from '../core/group-types.ts';
import { type Member, metadataFor, noBytes } from '../core/member.ts';
import type { GroupCoordinator, NotHere, Refused } from './group-coordinator.ts';
import type { GroupShard } from './group-shard.ts';

export interface GroupListing {
  readonly groupId: string;
  readonly protocolType: string;
  readonly state: GroupState | ConsumerGroupStateName;
  /** Kafka's names. */
  readonly type: 'Classic' | 'Consumer';
}

export interface GroupDescription extends GroupListing {
  readonly generation: number;
  /** Empty unless the group is stable. */
  readonly protocol: string;
  readonly members: readonly MemberDescription[];
}

export interface MemberDescription {
  readonly memberId: string;
  readonly instanceId: string;
  readonly clientId: string;
  readonly clientHost: string;
  /** Both empty unless the group is stable. */
  readonly metadata: Uint8Array;
  readonly assignment: Uint8Array;
}

/** The groups that this broker coordinates, those with nothing but offsets included. */
export function listGroups(coordinator: GroupCoordinator): readonly GroupListing[] {
  return coordinator.shards.flatMap((shard) => {
    const ids = new Set([...shard.groups.keys(), ...shard.consumerGroups.keys(), ...shard.committed.groupsWithOffsets]);
    return [...ids].map((groupId) => listing(shard, groupId));
  });
}

function listing(shard: GroupShard, groupId: string): GroupListing {
  const consumerGroup = shard.consumerGroups.get(groupId);
  if (consumerGroup !== undefined) {
    return { groupId, protocolType: consumerProtocolType, state: consumerGroup.name, type: 'Consumer' };
  }
  const group = shard.groups.get(groupId);
  return { groupId, protocolType: group?.protocolType ?? '', state: group?.state ?? 'Empty', type: 'Classic' };
}

/** Undefined: there is no such classic group. */
export function describeGroup(
  coordinator: GroupCoordinator,
  groupId: string,
): { readonly ok: true; readonly group: GroupDescription | undefined } | Refused<NotHere> {
  const found = coordinator.shardFor(groupId);
  if (!found.ok) return found;
  const { shard } = found;
  const group = shard.groups.get(groupId);
  const isKnown = group !== undefined || shard.committed.has(groupId);
  if (!isKnown || shard.consumerGroups.has(groupId)) return { ok: true, group: undefined };
  const protocol = group?.state === 'Stable' ? (group.protocol ?? '') : '';
  const members = [...(group?.members ?? [])].map((member) => describeMember(member, protocol));
  const generation = group?.generation ?? 0;
  return { ok: true, group: { ...listing(shard, groupId), generation, protocol, members } };
}

/** `protocol` empty: the group is not stable. */
function describeMember(member: Readonly<Member>, protocol: string): MemberDescription {
  return {
    memberId: member.id,
    instanceId: member.instanceId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    metadata: protocol === '' ? noBytes : metadataFor(member, protocol),
    assignment: protocol === '' ? noBytes : member.assignment,
  };
}

/** Undefined: there is no such group with a server-side assignor. */
export function describeConsumerGroup(
  coordinator: GroupCoordinator,
  groupId: string,
): { readonly ok: true; readonly group: ConsumerGroup | undefined } | Refused<NotHere> {
  const found = coordinator.shardFor(groupId);
  return found.ok ? { ok: true, group: found.shard.consumerGroups.get(groupId) } : found;
}
