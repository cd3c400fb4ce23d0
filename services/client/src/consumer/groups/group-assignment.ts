import { decodeSubscription, encodeAssignment } from '@naru/kafka-protocol';
import type { groups } from '@naru/rpc';
import { ConfigError, InconsistentGroupProtocolError } from '../../errors.ts';
import type { ClientLogger } from '../../logger.ts';
import type { Assignor, GroupMember, PartitionCounts, RebalanceProtocol } from './assignors/assignor.ts';
import { rangeAssignor } from './assignors/range.ts';
import { kafkaJsRoundRobinAssignor, roundRobinAssignor } from './assignors/round-robin.ts';
import { cooperativeStickyAssignor, stickyAssignor } from './assignors/sticky.ts';

const builtIn: readonly Assignor[] = [
  rangeAssignor,
  roundRobinAssignor,
  stickyAssignor,
  cooperativeStickyAssignor,
  kafkaJsRoundRobinAssignor,
];

/** As Java's configurations name them. */
const javaNames: Readonly<Record<string, string>> = {
  'org.apache.kafka.clients.consumer.RangeAssignor': 'range',
  'org.apache.kafka.clients.consumer.RoundRobinAssignor': 'roundrobin',
  'org.apache.kafka.clients.consumer.StickyAssignor': 'sticky',
  'org.apache.kafka.clients.consumer.CooperativeStickyAssignor': 'cooperative-sticky',
};

/** The assignors of `partition.assignment.strategy`, in its order. Throws `ConfigError`. */
export function assignorsOf(names: readonly string[], own: readonly Assignor[] = []): readonly Assignor[] {
  const known = new Map([...builtIn, ...own].map((assignor) => [assignor.name, assignor]));
  const found = names.map((name) => {
    const assignor = known.get(javaNames[name] ?? name);
    if (assignor !== undefined) return assignor;
    const message = `unknown assignor '${name}' in 'partition.assignment.strategy'; there are ${[...known.keys()].join(', ')}`;
    throw new ConfigError(message);
  });
  if (found.length === 0) throw new ConfigError("'partition.assignment.strategy' names no assignor");
  protocolOf(found);
  return found;
}

/** Cooperative when all of them are; a group moves from one protocol to the other by a rolling change of this list (KIP-429). */
export function protocolOf(assignors: readonly Assignor[]): RebalanceProtocol {
  if (assignors.every((assignor) => assignor.protocols.includes('cooperative'))) return 'cooperative';
  if (assignors.every((assignor) => assignor.protocols.includes('eager'))) return 'eager';
  throw new ConfigError("the assignors of 'partition.assignment.strategy' have no rebalance protocol in common");
}

/** The leader's part: everybody's subscription in, everybody's assignment out. */
export async function assignGroup(
  assignors: readonly Assignor[],
  protocolName: string,
  joined: readonly groups.JoinedMember[],
  parts: { readonly count: (topics: readonly string[]) => Promise<PartitionCounts>; readonly logger: ClientLogger },
): Promise<{ memberId: string; assignment: Uint8Array }[]> {
  const assignor = assignors.find(({ name }) => name === protocolName);
  if (assignor === undefined) throw new InconsistentGroupProtocolError(`the group chose an assignor '${protocolName}'`);
  const members = joined.map((member) => memberOf(member, parts.logger));
  const counts = await parts.count([...new Set(members.flatMap((member) => member.topics))]);
  const assigned = assignor.assign(counts, members);
  return members.map(({ memberId }) => ({
    memberId,
    assignment: encodeAssignment({ partitions: assigned.get(memberId) ?? [], userData: null }),
  }));
}

/** One member whose bytes cannot be read gets nothing; it must not stop the others. */
function memberOf({ memberId, groupInstanceId, metadata }: groups.JoinedMember, logger: ClientLogger): GroupMember {
  const who = { memberId, groupInstanceId: groupInstanceId === '' ? undefined : groupInstanceId };
  try {
    return { ...decodeSubscription(metadata), ...who };
  } catch (error) {
    logger.warn({ err: error, member: memberId }, 'the subscription of a member cannot be read');
    return { ...who, topics: [], userData: null, ownedPartitions: [], generationId: -1, rackId: null };
  }
}
