import { partitionKey } from '../partition-set.ts';
import type { AssignedMember, ServerAssignor } from './server-assignor.ts';

/**
 * Of each topic, neighbouring partitions to each member, in the order of their ids (of instances, where they have one): partitions of equal number of
 * topics of equal size meet at the same member. Members that come and go move only the borders.
 */
export const range: ServerAssignor = {
  name: 'range',
  assign(members, partitions) {
    const ordered = [...members].sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1));
    const assignment = new Map(members.map(({ memberId }) => [memberId, new Set<string>()]));
    for (const [topicId, count] of partitions) {
      const subscribers = ordered.filter(({ topicIds }) => topicIds.has(topicId));
      const least = Math.floor(count / subscribers.length);
      const extra = count % subscribers.length;
      let first = 0;
      for (const [i, { memberId }] of subscribers.entries()) {
        const end = first + least + (i < extra ? 1 : 0);
        for (; first < end; first++) assignment.get(memberId)?.add(partitionKey(topicId, first));
      }
    }
    return assignment;
  },
};

function orderOf({ instanceId, memberId }: AssignedMember): string {
  return instanceId === null ? `d${memberId}` : `s${instanceId}`;
}
