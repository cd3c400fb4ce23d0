import { partitionKey } from '../partition-set.ts';
import type { AssignedMember, ServerAssignor } from './server-assignor.ts';

/**
 * Every member as many partitions as any other (one more or less), and as few of them moved as that allows: what a member had stays, what nobody has goes to
 * those who have least, and then only what is too much at one member moves to another. Where members subscribe to different topics, as even as their
 * subscriptions let it be.
 */
export const uniform: ServerAssignor = {
  name: 'uniform',
  assign(members, partitions) {
    const shares = members
      .map((member): Share => ({ member, partitions: new Set() }))
      .sort((a, b) => (a.member.memberId < b.member.memberId ? -1 : 1));
    const subscribers = subscribersByTopic(shares);
    const wanted = keep(shares, partitions);
    for (const [partition, topicId] of wanted) leastOf(subscribers.get(topicId) ?? [])?.partitions.add(partition);
    while (balanceOnce(shares, subscribers));
    return new Map(shares.map(({ member, partitions: share }) => [member.memberId, share]));
  },
};

interface Share {
  readonly member: AssignedMember;
  readonly partitions: Set<string>;
}

function subscribersByTopic(shares: readonly Share[]): ReadonlyMap<string, readonly Share[]> {
  const subscribers = new Map<string, Share[]>();
  for (const share of shares) {
    for (const topicId of share.member.topicIds) {
      const all = subscribers.get(topicId);
      if (all === undefined) subscribers.set(topicId, [share]);
      else all.push(share);
    }
  }
  return subscribers;
}

/** Gives back to each what it had and still may have. Returns what nobody has, with its topic. */
function keep(shares: readonly Share[], partitions: ReadonlyMap<string, number>): ReadonlyMap<string, string> {
  const open = new Map<string, string>();
  for (const [topicId, count] of partitions) {
    for (let i = 0; i < count; i++) open.set(partitionKey(topicId, i), topicId);
  }
  for (const { member, partitions: share } of shares) {
    for (const partition of member.target) {
      const topicId = open.get(partition);
      if (topicId === undefined || !member.topicIds.has(topicId)) continue;
      share.add(partition);
      open.delete(partition);
    }
  }
  return open;
}

function leastOf(shares: readonly Share[]): Share | undefined {
  let least: Share | undefined;
  for (const share of shares) if (least === undefined || share.partitions.size < least.partitions.size) least = share;
  return least;
}

/** Each move makes the sum of squares smaller: it comes to an end. */
function balanceOnce(shares: readonly Share[], subscribers: ReadonlyMap<string, readonly Share[]>): boolean {
  let isMoved = false;
  for (const share of shares) {
    for (const partition of [...share.partitions].reverse()) {
      const to = leastOf(subscribers.get(partition.slice(0, partition.lastIndexOf('/'))) ?? []);
      if (to === undefined || to.partitions.size + 1 >= share.partitions.size) continue;
      share.partitions.delete(partition);
      to.partitions.add(partition);
      isMoved = true;
    }
  }
  return isMoved;
}
