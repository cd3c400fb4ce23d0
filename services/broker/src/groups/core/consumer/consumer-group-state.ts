import { unreachable } from '@naru/runtime';
import type { ConsumerMemberValue, CurrentAssignmentValue } from '../../records/consumer-group-values.ts';
import type { ConsumerGroupRecord } from '../../records/group-record.ts';
import { noPartitions, type PartitionSet, partitionSet, topicPartitions } from './partition-set.ts';

/** Kafka's numbers in the records. */
export const memberStates = {
  stable: 0,
  /** Has to give partitions up before it is given others. */
  unrevoked: 1,
  /** Has what it can have; others still hold the rest. */
  unreleased: 2,
} as const;
export type MemberState = (typeof memberStates)[keyof typeof memberStates];

/** What a member holds. */
export interface CurrentAssignment {
  /** The one that its heartbeats must carry. 0: it has never been answered. `awayEpoch`: a static member that will be back. */
  readonly epoch: number;
  /** The member may not have heard of `epoch` yet. */
  readonly previousEpoch: number;
  readonly state: MemberState;
  readonly assigned: PartitionSet;
  /** Its own until it says that it has given them up. */
  readonly pendingRevocation: PartitionSet;
}

/** A static member has left for a while (KIP-848). */
export const awayEpoch = -2;

export interface GroupMember {
  readonly id: string;
  readonly metadata: ConsumerMemberValue;
  /** What the assignor wants it to have. */
  readonly target: PartitionSet;
  readonly current: CurrentAssignment;
}

export const nothingAssigned: CurrentAssignment = {
  epoch: 0,
  previousEpoch: 0,
  state: memberStates.stable,
  assigned: noPartitions,
  pendingRevocation: noPartitions,
};

export const noMetadata: ConsumerMemberValue = {
  instanceId: null,
  rackId: null,
  clientId: '',
  clientHost: '',
  subscribedTopicNames: [],
  subscribedTopicRegex: null,
  rebalanceTimeoutMs: -1,
  serverAssignor: null,
  classic: null,
};

/**
 * What the log says of one group with a server-side assignor. Nothing but `apply` changes it, in a coordinator that reads the log as in one that writes it
 * (G8). A compacted log may name the parts of a member in any order, so each of them may be the first.
 */
export class ConsumerGroupState {
  /** Grows with every change of members, subscriptions or topics. */
  epoch = 0;
  /** Of the topics and partitions that `epoch` began with. */
  metadataHash = 0;
  /** The epoch that the target assignment is for. */
  targetEpoch = 0;
  readonly #members = new Map<string, GroupMember>();
  readonly #instances = new Map<string, string>();
  readonly #owners = new Map<string, string>();

  get members(): ReadonlyMap<string, GroupMember> {
    return this.#members;
  }

  get isBlank(): boolean {
    return this.epoch === 0 && this.targetEpoch === 0 && this.#members.size === 0;
  }

  idOfInstance(instanceId: string): string | undefined {
    return this.#instances.get(instanceId);
  }

  /** The member that holds a partition, or has not given it up yet. */
  ownerOf(partition: string): string | undefined {
    return this.#owners.get(partition);
  }

  apply(record: ConsumerGroupRecord): void {
    switch (record.kind) {
      case 'consumer-group':
        this.epoch = record.value?.epoch ?? 0;
        this.metadataHash = record.value?.metadataHash ?? 0;
        return;
      case 'target-epoch':
        this.targetEpoch = record.value?.assignmentEpoch ?? 0;
        return;
      case 'consumer-member':
        this.#applyMember(record.member, record.value);
        return;
      case 'target-assignment': {
        const target = record.value === null ? noPartitions : partitionSet(record.value.topicPartitions);
        this.#set(record.member, { target }, record.value === null);
        return;
      }
      case 'current-assignment':
        this.#applyCurrent(record.member, record.value === null ? nothingAssigned : currentOf(record.value));
        return;
      default:
        unreachable(record);
    }
  }

  /** Everything that is known, as records. */
  records(group: string): readonly ConsumerGroupRecord[] {
    const records: ConsumerGroupRecord[] = [];
    for (const { id: member, metadata, target, current } of this.#members.values()) {
      records.push(memberRecord(group, { id: member, metadata }));
      records.push(targetRecord(group, member, target), currentRecord(group, member, current));
    }
    records.push({ kind: 'target-epoch', group, value: { assignmentEpoch: this.targetEpoch } });
    const { epoch, metadataHash } = this;
    records.push({ kind: 'consumer-group', group, value: { epoch, metadataHash } });
    return records;
  }

  #applyMember(id: string, value: ConsumerMemberValue | null): void {
    const former = this.#members.get(id)?.metadata.instanceId ?? null;
    if (former !== null && this.#instances.get(former) === id) this.#instances.delete(former);
    if (value === null) {
      this.#applyCurrent(id, nothingAssigned);
      this.#members.delete(id);
      return;
    }
    if (value.instanceId !== null) this.#instances.set(value.instanceId, id);
    this.#set(id, { metadata: value });
  }

  #applyCurrent(id: string, current: CurrentAssignment): void {
    const before = this.#members.get(id)?.current ?? nothingAssigned;
    for (const partition of [...before.assigned, ...before.pendingRevocation]) {
      if (this.#owners.get(partition) === id) this.#owners.delete(partition);
    }
    for (const partition of [...current.assigned, ...current.pendingRevocation]) this.#owners.set(partition, id);
    this.#set(id, { current }, current === nothingAssigned);
  }

  /** A tombstone does not bring back a member that is gone. */
  #set(id: string, change: Partial<GroupMember>, isTombstone = false): void {
    const member = this.#members.get(id);
    if (member === undefined && isTombstone) return;
    const before = member ?? { id, metadata: noMetadata, target: noPartitions, current: nothingAssigned };
    this.#members.set(id, { ...before, ...change });
  }
}

export function memberRecord(group: string, member: Pick<GroupMember, 'id' | 'metadata'>): ConsumerGroupRecord {
  return { kind: 'consumer-member', group, member: member.id, value: member.metadata };
}

export function targetRecord(group: string, member: string, target: PartitionSet): ConsumerGroupRecord {
  return { kind: 'target-assignment', group, member, value: { topicPartitions: topicPartitions(target) } };
}

export function currentRecord(group: string, member: string, current: CurrentAssignment): ConsumerGroupRecord {
  const value: CurrentAssignmentValue = {
    memberEpoch: current.epoch,
    previousMemberEpoch: current.previousEpoch,
    state: current.state,
    assignedPartitions: topicPartitions(current.assigned),
    partitionsPendingRevocation: topicPartitions(current.pendingRevocation),
  };
  return { kind: 'current-assignment', group, member, value };
}

function currentOf(value: CurrentAssignmentValue): CurrentAssignment {
  const { stable, unrevoked, unreleased } = memberStates;
  return {
    epoch: value.memberEpoch,
    previousEpoch: value.previousMemberEpoch,
    state: value.state === unrevoked || value.state === unreleased ? value.state : stable,
    assigned: partitionSet(value.assignedPartitions),
    pendingRevocation: partitionSet(value.partitionsPendingRevocation),
  };
}
