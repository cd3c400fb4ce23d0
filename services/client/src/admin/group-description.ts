// What brokers answer about one group, as the admin returns it.
import { consumerProtocolType, decodeAssignment, ProtocolError } from '@naru/kafka-protocol';
import type { groups } from '@naru/rpc';
import { errorFromCode } from '../errors-from-wire.ts';
import type { TopicPartition } from '../topic-partition.ts';
import type { GroupDescription, GroupMemberDescription, GroupState } from './group-results.ts';

type Place = GroupDescription['coordinator'];

/** A group whose members assign. */
export function describedClassic(group: groups.DescribedGroup, coordinator: Place): GroupDescription {
  const isConsumer = group.protocolType === consumerProtocolType;
  return {
    groupId: group.groupId,
    error: group.errorCode === 0 ? undefined : errorFromCode(group.errorCode, group.errorMessage),
    state: group.state as GroupState,
    protocolType: group.protocolType,
    protocol: group.protocolName,
    generation: group.generationId,
    coordinator,
    members: group.members.map((member) => toMember(member, isConsumer)),
  };
}

/** A group whose coordinator assigns (KIP-848). */
export function describedByCoordinator(group: groups.DescribedConsumerGroup, coordinator: Place): GroupDescription {
  return {
    groupId: group.groupId,
    error: undefined,
    state: group.state as GroupState,
    protocolType: consumerProtocolType,
    protocol: group.assignor,
    generation: group.groupEpoch,
    groupEpoch: group.groupEpoch,
    targetAssignmentEpoch: group.assignmentEpoch,
    coordinator,
    members: group.members.map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.instanceId === '' ? undefined : member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      assignment: flat(member.assignment),
      memberEpoch: member.memberEpoch,
      targetAssignment: flat(member.targetAssignment),
      memberMetadata: none,
      memberAssignment: none,
    })),
  };
}

const none = new Uint8Array(0);

function flat(topics: readonly groups.MemberPartitions[]): readonly TopicPartition[] {
  return topics.flatMap(({ topic, partitions }) => partitions.map((partition) => ({ topic, partition })));
}

function toMember(member: groups.DescribedMember, isConsumer: boolean): GroupMemberDescription {
  return {
    memberId: member.memberId,
    groupInstanceId: member.groupInstanceId === '' ? undefined : member.groupInstanceId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    assignment: isConsumer ? partitionsOf(member.assignment) : [],
    memberMetadata: member.metadata,
    memberAssignment: member.assignment,
  };
}

/** Brokers do not look into assignments: a member may have been given anything. */
function partitionsOf(assignment: Uint8Array): readonly TopicPartition[] {
  try {
    return decodeAssignment(assignment).partitions;
  } catch (error) {
    if (error instanceof ProtocolError) return [];
    throw error;
  }
}
