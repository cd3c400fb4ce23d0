import {
  type Configuration,
  type ConfigurationChange,
  isVoter,
  type MemberAddress,
  membersOf,
  type NodeId,
} from '@naru/raft';
import type { Address } from '@naru/runtime';
import type { MembershipChange, QuorumMember } from './state-machine.ts';

export type MemberConfig = Omit<QuorumMember, 'voter'>;

/** Translates between Raft's configuration and what operators see. Addresses of the own config file go before those in the log. */
export class Membership {
  readonly #configured: ReadonlyMap<NodeId, MemberConfig>;

  constructor(configured: readonly MemberConfig[]) {
    this.#configured = new Map(configured.map((member) => [member.id, member]));
  }

  bootstrap(voters: readonly NodeId[]): Configuration {
    const addresses: Record<NodeId, MemberAddress> = {};
    for (const id of voters) {
      const member = this.#configured.get(id);
      if (member) addresses[id] = { peer: member.peerAddress, client: member.clientAddress };
    }
    return { voters: [...voters].sort((left, right) => left - right), outgoing: [], learners: [], addresses };
  }

  membersOf(configuration: Configuration): QuorumMember[] {
    return membersOf(configuration).map((id) => {
      const { peerAddress, clientAddress } = this.addressesOf(configuration, id);
      return { id, peerAddress, clientAddress, voter: isVoter(configuration, id) };
    });
  }

  addressesOf(configuration: Configuration, id: NodeId): Pick<QuorumMember, 'peerAddress' | 'clientAddress'> {
    const configured = this.#configured.get(id);
    const logged = configuration.addresses?.[id];
    return {
      peerAddress: configured?.peerAddress ?? logged?.peer ?? '',
      clientAddress: configured?.clientAddress ?? logged?.client ?? '',
    };
  }

  /** The configuration that `change` asks for, or undefined when it makes no sense. */
  target(configuration: Configuration, change: MembershipChange): ConfigurationChange | undefined {
    const { voters, learners } = configuration;
    switch (change.kind) {
      case 'add-learner': {
        const { id, peerAddress, clientAddress } = change.member;
        if (membersOf(configuration).includes(id)) return undefined;
        if (parseAddress(peerAddress) === undefined) return undefined;
        const addresses = { [id]: { peer: peerAddress, client: clientAddress } };
        return { voters, learners: [...learners, id], addresses };
      }
      case 'promote':
        if (!learners.includes(change.id)) return undefined;
        return { voters: [...voters, change.id], learners: learners.filter((id) => id !== change.id) };
      case 'remove': {
        const without = (ids: readonly NodeId[]): NodeId[] => ids.filter((id) => id !== change.id);
        if (!membersOf(configuration).includes(change.id) || without(voters).length === 0) return undefined;
        return { voters: without(voters), learners: without(learners) };
      }
    }
  }
}

/** `host:port`, with brackets around an IPv6 host. */
export function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  return host !== undefined && port > 0 && port < 65_536 ? { host, port } : undefined;
}
