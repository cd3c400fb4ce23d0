import { decodeStickyUserData, encodeStickyUserData } from '@naru/kafka-protocol';
import type { TopicPartition } from '../../../topic-partition.ts';
import {
  type Assignor,
  compareMembers,
  compareText,
  emptyAssignment,
  type GroupMember,
  keyOf,
  type PartitionCounts,
} from './assignor.ts';

/** What a member says it holds, and since which generation. */
interface Claim {
  readonly partitions: readonly TopicPartition[];
  readonly generation: number;
}

/** One member while the assignment is made. */
interface Share {
  readonly memberId: string;
  readonly topics: ReadonlySet<string>;
  readonly partitions: Map<string, TopicPartition>;
}

/**
 * As balanced as the subscriptions allow, and among the balanced ones close to what was before (Kafka: StickyAssignor). Eager: what a member
 * held is told in its user data, since it holds nothing when it joins.
 */
export const stickyAssignor: Assignor = {
  name: 'sticky',
  protocols: ['eager'],
  userData: ({ lastAssigned, generation }) => encodeStickyUserData({ partitions: lastAssigned, generation }),
  assign(partitions, members) {
    const held = currentOwners(partitions, members, claimInUserData);
    return new Map(assignSticky(partitions, members, held).map((share) => [share.memberId, inOrder(share)]));
  },
};

/**
 * The same balance under the cooperative protocol (KIP-429): a partition that another member still holds is given to nobody now. That member gives it
 * up when it sees its assignment, joins again, and the next round hands it over. So no partition is ever at two members.
 */
export const cooperativeStickyAssignor: Assignor = {
  name: 'cooperative-sticky',
  protocols: ['cooperative', 'eager'],
  assign(partitions, members) {
    const held = currentOwners(partitions, members, claimInSubscription);
    // Whoever names a partition may still be reading it, also when its claim does not count (an older generation).
    const holders = new Map<string, Set<string>>();
    for (const { memberId, ownedPartitions } of members) {
      for (const owned of ownedPartitions) {
        const key = keyOf(owned);
        holders.set(key, (holders.get(key) ?? new Set()).add(memberId));
      }
    }
    const isFree = (memberId: string, partition: TopicPartition): boolean => {
      const current = holders.get(keyOf(partition));
      return current === undefined || (current.size === 1 && current.has(memberId));
    };
    const result = emptyAssignment(members);
    for (const share of assignSticky(partitions, members, held)) {
      result.set(
        share.memberId,
        inOrder(share).filter((partition) => isFree(share.memberId, partition)),
      );
    }
    return result;
  },
};

function claimInUserData({ userData, ownedPartitions, generationId }: GroupMember): Claim {
  if (userData === null) return { partitions: ownedPartitions, generation: generationId };
  try {
    return decodeStickyUserData(userData);
  } catch {
    // Another version's message: the member begins as if it had held nothing.
    return { partitions: [], generation: -1 };
  }
}

function claimInSubscription({ ownedPartitions, generationId }: GroupMember): Claim {
  return { partitions: ownedPartitions, generation: generationId };
}

/** Member by partition, of the claims that count: the newest generation wins; two of the same generation cancel each other (KIP-341, KAFKA-12984). */
function currentOwners(
  partitions: PartitionCounts,
  members: readonly GroupMember[],
  claimOf: (member: GroupMember) => Claim,
): Map<string, string> {
  const best = new Map<string, { memberId: string | undefined; generation: number }>();
  for (const member of members) {
    const claim = claimOf(member);
    const topics = new Set(member.topics);
    for (const partition of claim.partitions) {
      if (!topics.has(partition.topic) || partition.partition >= (partitions.get(partition.topic) ?? 0)) continue;
      const key = keyOf(partition);
      const known = best.get(key);
      if (known === undefined || known.generation < claim.generation) {
        best.set(key, { memberId: member.memberId, generation: claim.generation });
      } else if (known.generation === claim.generation && known.memberId !== member.memberId) {
        known.memberId = undefined;
      }
    }
  }
  const owners = new Map<string, string>();
  for (const [key, { memberId }] of best) if (memberId !== undefined) owners.set(key, memberId);
  return owners;
}

/** Everybody keeps what it has; what is free goes to who has least; then partitions move from full to empty while that helps. */
function assignSticky(
  partitions: PartitionCounts,
  members: readonly GroupMember[],
  owners: ReadonlyMap<string, string>,
): Share[] {
  const shares = [...members]
    .sort(compareMembers)
    .map((member): Share => ({ memberId: member.memberId, topics: new Set(member.topics), partitions: new Map() }));
  const byId = new Map(shares.map((share) => [share.memberId, share]));
  const free: TopicPartition[] = [];
  for (const topic of [...new Set(shares.flatMap((share) => [...share.topics]))].sort(compareText)) {
    for (let partition = 0; partition < (partitions.get(topic) ?? 0); partition++) {
      const key = keyOf({ topic, partition });
      const owner = byId.get(owners.get(key) ?? '');
      if (owner === undefined) free.push({ topic, partition });
      else owner.partitions.set(key, { topic, partition });
    }
  }
  giveOut(free, shares);
  balance(shares, owners);
  return shares;
}

function giveOut(free: TopicPartition[], shares: readonly Share[]): void {
  const readersByTopic = new Map<string, Share[]>();
  for (const { topic } of free) {
    if (readersByTopic.has(topic)) continue;
    readersByTopic.set(
      topic,
      shares.filter((share) => share.topics.has(topic)),
    );
  }
  const readersOf = ({ topic }: TopicPartition): Share[] => readersByTopic.get(topic) as Share[];
  // Those with the fewest possible readers first: the others can still even it out.
  free.sort((a, b) => readersOf(a).length - readersOf(b).length);
  for (const partition of free) {
    let least: Share | undefined;
    for (const share of readersOf(partition)) {
      if (least === undefined || share.partitions.size < least.partitions.size) least = share;
    }
    least?.partitions.set(keyOf(partition), partition);
  }
}

/**
 * Moves one partition at a time from a member to one that has at least two less. Each move lowers the sum of the squares, so it ends.
 */
function balance(shares: readonly Share[], owners: ReadonlyMap<string, string>): void {
  for (;;) {
    const ascending = [...shares].sort((a, b) => a.partitions.size - b.partitions.size);
    if (!moveOne(ascending, owners)) return;
  }
}

function moveOne(ascending: readonly Share[], owners: ReadonlyMap<string, string>): boolean {
  for (const to of ascending) {
    for (let i = ascending.length - 1; i >= 0; i--) {
      const from = ascending[i] as Share;
      if (from.partitions.size < to.partitions.size + 2) break;
      const moved = movable(from, to, owners);
      if (moved === undefined) continue;
      from.partitions.delete(moved);
      const slash = moved.lastIndexOf('/');
      to.partitions.set(moved, { topic: moved.slice(0, slash), partition: Number(moved.slice(slash + 1)) });
      return true;
    }
  }
  return false;
}

/** Best one that `to` had before, then one that `from` did not have before, then any. */
function movable(from: Share, to: Share, owners: ReadonlyMap<string, string>): string | undefined {
  let best: string | undefined;
  let bestRank = -1;
  for (const [key, { topic }] of from.partitions) {
    if (!to.topics.has(topic)) continue;
    const owner = owners.get(key);
    const rank = owner === to.memberId ? 2 : owner === from.memberId ? 0 : 1;
    if (rank >= bestRank) {
      best = key;
      bestRank = rank;
    }
    if (rank === 2) break;
  }
  return best;
}

function inOrder(share: Share): TopicPartition[] {
  return [...share.partitions.values()].sort((a, b) => compareText(a.topic, b.topic) || a.partition - b.partition);
}
