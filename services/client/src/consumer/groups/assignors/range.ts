import { type Assignor, compareMembers, emptyAssignment, type GroupMember } from './assignor.ts';

/**
 * Each topic by itself: its partitions in order, cut into ranges of the same size, the first members one more. Topics with equal counts are
 * co-partitioned: a member gets the same numbers of each (Kafka: RangeAssignor).
 */
export const rangeAssignor: Assignor = {
  name: 'range',
  protocols: ['eager'],
  assign(partitions, members) {
    const assigned = emptyAssignment(members);
    for (const [topic, readers] of membersByTopic(members)) {
      const count = partitions.get(topic) ?? 0;
      const each = Math.floor(count / readers.length);
      const extra = count % readers.length;
      readers.forEach(({ memberId }, i) => {
        const start = each * i + Math.min(i, extra);
        const end = start + each + (i < extra ? 1 : 0);
        for (let partition = start; partition < end; partition++) assigned.get(memberId)?.push({ topic, partition });
      });
    }
    return assigned;
  },
};

function membersByTopic(members: readonly GroupMember[]): Map<string, GroupMember[]> {
  const byTopic = new Map<string, GroupMember[]>();
  for (const member of [...members].sort(compareMembers)) {
    for (const topic of new Set(member.topics)) {
      const readers = byTopic.get(topic);
      if (readers === undefined) byTopic.set(topic, [member]);
      else readers.push(member);
    }
  }
  return byTopic;
}
