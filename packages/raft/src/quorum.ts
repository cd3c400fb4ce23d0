import type { Configuration, LogIndex, NodeId } from './types.ts';

/** How many of `size` voters decide. */
export function majority(size: number): number {
  return Math.floor(size / 2) + 1;
}

/** Both configurations must agree while a change is under way (Raft §6); an empty one agrees with everything. */
function decide(configuration: Configuration, one: (voters: readonly NodeId[]) => number): number {
  const incoming = one(configuration.voters);
  return configuration.outgoing.length === 0 ? incoming : Math.min(incoming, one(configuration.outgoing));
}

/**
 * The largest value that a quorum has reached: with match indexes the index that may be committed, with read acknowledgements
 * the reads that are confirmed.
 */
export function quorumValue(configuration: Configuration, valueAt: (node: NodeId) => LogIndex): LogIndex {
  return decide(configuration, (voters) => {
    const values = voters.map(valueAt).sort((left, right) => right - left);
    return values[majority(voters.length) - 1] ?? 0;
  });
}

export function hasQuorum(configuration: Configuration, includes: (node: NodeId) => boolean): boolean {
  return quorumValue(configuration, (node) => (includes(node) ? 1 : 0)) === 1;
}

export type VoteResult = 'won' | 'lost' | 'pending';

/** Lost as soon as no quorum can come together any more. */
export function voteResult(configuration: Configuration, votes: ReadonlyMap<NodeId, boolean>): VoteResult {
  if (hasQuorum(configuration, (node) => votes.get(node) === true)) return 'won';
  return hasQuorum(configuration, (node) => votes.get(node) !== false) ? 'pending' : 'lost';
}

export function isVoter(configuration: Configuration, node: NodeId): boolean {
  return configuration.voters.includes(node) || configuration.outgoing.includes(node);
}

/** Every node that must receive the log, each once, in order of id. */
export function membersOf(configuration: Configuration): NodeId[] {
  const members = new Set([...configuration.voters, ...configuration.outgoing, ...configuration.learners]);
  return [...members].sort((left, right) => left - right);
}
