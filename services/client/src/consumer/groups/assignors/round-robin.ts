import { type Assignor, compareMembers, compareText, emptyAssignment, type GroupMember } from './assignor.ts';

/** All partitions of all topics in one row, dealt out in turn to the members that want the topic (Kafka: RoundRobinAssignor). */
export const roundRobinAssignor: Assignor = {
  name: 'roundrobin',
  protocols: ['eager'],
  assign(partitions, members) {
    const assigned = emptyAssignment(members);
    const row = [...members].sort(compareMembers);
    const wanted = new Map(row.map((member) => [member.memberId, new Set(member.topics)]));
    const topics = [...new Set(row.flatMap((member) => member.topics))].sort(compareText);
    let turn = 0;
    for (const topic of topics) {
      for (let partition = 0; partition < (partitions.get(topic) ?? 0); partition++) {
        // Somebody wants it, or the topic would not be in the list.
        while (!wanted.get((row[turn % row.length] as GroupMember).memberId)?.has(topic)) turn++;
        assigned.get((row[turn++ % row.length] as GroupMember).memberId)?.push({ topic, partition });
      }
    }
    return assigned;
  },
};

/**
 * The same under the name of KafkaJS's default assigner, which deals like this when all members have the same topics. Listed here, members of both can be in
 * one group.
 */
export const kafkaJsRoundRobinAssignor: Assignor = { ...roundRobinAssignor, name: 'RoundRobinAssigner' };
