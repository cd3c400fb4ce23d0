import type { Configuration, MemberAddress, NodeId } from './types.ts';

/** The configuration that is wanted in the end; how to get there safely is this file's subject. */
export interface ConfigurationChange {
  readonly voters: readonly NodeId[];
  readonly learners: readonly NodeId[];
  readonly addresses?: Readonly<Record<NodeId, MemberAddress>>;
}

/** Voters and learners at once; a named limit, because a quorum of many is slow and a mistake. */
export const membersMax = 32;

export function isJoint(configuration: Configuration): boolean {
  return configuration.outgoing.length > 0;
}

/** What is wrong with the wish, or undefined. */
export function refuseChange(change: ConfigurationChange): string | undefined {
  const all = [...change.voters, ...change.learners];
  if (change.voters.length === 0) return 'a configuration needs a voter';
  if (all.length > membersMax) return `a configuration has at most ${membersMax} members`;
  if (new Set(all).size !== all.length) return 'a node is named twice';
  if (!all.every((id) => Number.isSafeInteger(id) && id > 0)) return 'a node id is a positive integer';
  return undefined;
}

/**
 * The first step towards `change`. When the voters stay the same it is the last one, too; else old and new voters decide together
 * (C-old,new of Raft §6) until `leaveJoint`, so that two disjoint majorities never exist (row 34, Z15).
 */
export function enterChange(current: Configuration, change: ConfigurationChange): Configuration {
  const sameVoters =
    change.voters.length === current.voters.length && change.voters.every((id) => current.voters.includes(id));
  return {
    voters: [...change.voters].sort((left, right) => left - right),
    outgoing: sameVoters ? [] : current.voters,
    // A voter that becomes a learner stays in `outgoing` meanwhile: it is listed once, and replicated to in any case.
    learners: [...change.learners].sort((left, right) => left - right),
    ...addressesOf({ ...current.addresses, ...change.addresses }),
  };
}

/** C-new: the old voters are out. */
export function leaveJoint(current: Configuration): Configuration {
  const { outgoing: _, addresses, ...rest } = current;
  const remaining = Object.entries(addresses ?? {}).filter(
    ([id]) => rest.voters.includes(Number(id)) || rest.learners.includes(Number(id)),
  );
  return { ...rest, outgoing: [], ...addressesOf(Object.fromEntries(remaining)) };
}

function addressesOf(addresses: Record<NodeId, MemberAddress>): Pick<Configuration, 'addresses'> {
  return Object.keys(addresses).length === 0 ? {} : { addresses };
}

/** The data of a `configuration` entry, and of the configuration in a snapshot: JSON, for an operator's eyes. */
export function encodeConfiguration(configuration: Configuration): Uint8Array {
  return Buffer.from(JSON.stringify(configuration));
}

/** Throws on anything that `encodeConfiguration` does not write. */
export function decodeConfiguration(data: Uint8Array): Configuration {
  const parsed = JSON.parse(Buffer.from(data).toString()) as Partial<Configuration> | null;
  const { voters, outgoing, learners, addresses } = parsed ?? {};
  if (!areIds(voters) || !areIds(outgoing) || !areIds(learners)) throw new SyntaxError('not a Raft configuration');
  return { voters, outgoing, learners, ...(addresses ? { addresses } : {}) };
}

function areIds(value: unknown): value is NodeId[] {
  return Array.isArray(value) && value.every((id) => Number.isSafeInteger(id) && id > 0);
}
