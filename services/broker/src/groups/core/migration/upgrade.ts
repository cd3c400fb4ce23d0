import { type Assignment, consumerProtocolType, decodeAssignment, ProtocolError } from '@naru/kafka-protocol';
import type { ConsumerGroupRecord } from '../../records/group-record.ts';
import { metadataOf, subscriptionOf } from '../consumer/classic-members.ts';
import {
  type CurrentAssignment,
  currentRecord,
  memberRecord,
  memberStates,
  targetRecord,
} from '../consumer/consumer-group-state.ts';
import type { ConsumerGroupSettings, TopicCatalog } from '../consumer/consumer-group-types.ts';
import { noPartitions, type PartitionSet, partitionsById } from '../consumer/partition-set.ts';
import { outdatedHash } from '../consumer/targets.ts';
import type { Group } from '../group.ts';
import { type Member, metadataFor } from '../member.ts';

export type Upgrade =
  | { readonly ok: true; readonly records: readonly ConsumerGroupRecord[] }
  /** GROUP_ID_NOT_FOUND: never like this, as in Kafka; COORDINATOR_LOAD_IN_PROGRESS: try again, it is rebalancing. */
  | {
      readonly ok: false;
      readonly error: 'GROUP_ID_NOT_FOUND' | 'COORDINATOR_LOAD_IN_PROGRESS';
      readonly reason: string;
    };

/** One member with what it may hold. */
interface Holder {
  readonly member: Readonly<Member>;
  readonly metadata: ReturnType<typeof metadataOf>;
  readonly assigned: PartitionSet;
  /** What it said it still held when it joined this generation, and of which generation it had that. */
  readonly claimed: PartitionSet;
  readonly claimedGeneration: number;
}

/**
 * A classic group with members as one whose coordinator assigns (KIP-848): the generation is the epoch of the group, of its target and of every member, so
 * that commits and heartbeats of this generation go on to count. Whoever wants it writes these records in one batch with the classic group's tombstone
 * and what the new member does to them, so that a coordinator that dies leaves the one kind or the other.
 *
 * Only a stable group can be taken over, for only then is it known what its members may hold: what they were assigned, and what a cooperative member
 * brought into this generation and is about to give up. 1. a holds p and joins generation 5, in which it is assigned nothing (KIP-429: p is
 * given to another member in generation 6); 2. the group is taken over before a has heard of that; 3. were p free, the new member would read it beside a (G1).
 */
export function upgrade(group: Group, settings: ConsumerGroupSettings, catalog: TopicCatalog): Upgrade {
  const refusal = refusalOf(group, settings);
  if (refusal !== undefined) return { ok: false, error: 'GROUP_ID_NOT_FOUND', reason: refusal };
  if (group.state !== 'Stable') {
    const reason = `group ${group.id} is rebalancing; it changes its protocol when it is stable`;
    return { ok: false, error: 'COORDINATOR_LOAD_IN_PROGRESS', reason };
  }
  const holders: Holder[] = [];
  for (const member of group.members) {
    const holder = holderOf(member, group.protocol ?? '', catalog);
    if (typeof holder === 'string') {
      return { ok: false, error: 'GROUP_ID_NOT_FOUND', reason: `group ${group.id} keeps its protocol: ${holder}` };
    }
    holders.push(holder);
  }
  const assigned = holders.flatMap((holder) => [...holder.assigned]);
  if (new Set(assigned).size < assigned.length) {
    const reason = `group ${group.id} keeps its protocol: its assignor gives partitions to several members`;
    return { ok: false, error: 'GROUP_ID_NOT_FOUND', reason };
  }
  return { ok: true, records: recordsOf(group, holders, new Set(assigned)) };
}

function refusalOf(group: Group, { migrationPolicy, membersMax }: ConsumerGroupSettings): string | undefined {
  const isAllowed = migrationPolicy === 'bidirectional' || migrationPolicy === 'upgrade';
  if (!isAllowed) return `group ${group.id} has members with group.protocol=classic, and online upgrade is disabled`;
  if (group.protocolType !== consumerProtocolType) {
    return `group ${group.id} has members of protocol type ${group.protocolType}, not ${consumerProtocolType}`;
  }
  if (group.membersCount <= membersMax) return undefined;
  return `group ${group.id} has ${group.membersCount} members, more than group.consumer.max.size`;
}

/** A text: why it cannot be one of another kind of group. */
function holderOf(member: Readonly<Member>, protocol: string, catalog: TopicCatalog): Holder | string {
  const subscription = subscriptionOf(metadataFor(member, protocol));
  const assignment = assignmentOf(member.assignment);
  if (subscription === undefined || assignment === undefined) {
    return `the metadata of member ${member.id} are not those of Kafka's consumers`;
  }
  if ((assignment.userData?.length ?? 0) > 0)
    return `its assignor ${protocol} tells members more than their partitions`;
  return {
    member,
    metadata: metadataOf(member, subscription),
    assigned: partitionsById(assignment.partitions, catalog),
    claimed: partitionsById(subscription.ownedPartitions, catalog),
    claimedGeneration: subscription.generationId,
  };
}

function assignmentOf(bytes: Uint8Array): Assignment | undefined {
  try {
    return decodeAssignment(bytes);
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

function recordsOf(group: Group, holders: readonly Holder[], assigned: Set<string>): readonly ConsumerGroupRecord[] {
  const { id, generation: epoch } = group;
  const held = assigned;
  const pending = new Map<Holder, PartitionSet>();
  // Of two who claim a partition the later owner is right; the other one lost it unawares.
  for (const holder of holders.toSorted((a, b) => b.claimedGeneration - a.claimedGeneration)) {
    const kept = holder.claimed.difference(held);
    for (const partition of kept) held.add(partition);
    pending.set(holder, kept);
  }
  const records = holders.flatMap((holder): ConsumerGroupRecord[] => {
    const pendingRevocation = pending.get(holder) ?? noPartitions;
    const current: CurrentAssignment = {
      epoch,
      previousEpoch: epoch,
      state: pendingRevocation.size > 0 ? memberStates.unrevoked : memberStates.stable,
      assigned: holder.assigned,
      pendingRevocation,
    };
    const { member, metadata } = holder;
    return [
      memberRecord(id, { id: member.id, metadata }),
      targetRecord(id, member.id, holder.assigned),
      currentRecord(id, member.id, current),
    ];
  });
  return [
    ...records,
    { kind: 'target-epoch', group: id, value: { assignmentEpoch: epoch } },
    { kind: 'consumer-group', group: id, value: { epoch, metadataHash: outdatedHash } },
  ];
}
