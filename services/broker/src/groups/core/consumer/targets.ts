import type { ConsumerMemberValue } from '../../records/consumer-group-values.ts';
import { range } from './assignors/range.ts';
import type { ServerAssignor } from './assignors/server-assignor.ts';
import { uniform } from './assignors/uniform.ts';
import type { GroupMember } from './consumer-group-state.ts';
import type { TopicCatalog } from './consumer-group-types.ts';
import type { PartitionSet } from './partition-set.ts';
import { metadataHash, Subscriptions } from './subscriptions.ts';

const serverAssignors: ReadonlyMap<string, ServerAssignor> = new Map([uniform, range].map((one) => [one.name, one]));

/** Of no topics: the next step of any member begins another epoch. */
export const outdatedHash = -1;

/** What members should have, by their subscriptions, the topics of the cluster and the assignor that most of them ask for. */
export class Targets {
  readonly #names: readonly string[];
  readonly #subscriptions: Subscriptions;
  /** The hash of members that are of this version, with topics of that. */
  #hashed: { readonly members: number; readonly topics: number; readonly hash: number } | undefined;

  /** `names`: assignors, the default first. */
  constructor(names: readonly string[], catalog: TopicCatalog) {
    this.#names = names;
    this.#subscriptions = new Subscriptions(catalog);
  }

  topicsOf(members: Iterable<GroupMember>): ReadonlySet<string> {
    const topics = [...members].map(({ metadata }) => this.#subscriptions.topicsOf(metadata));
    return new Set(topics.flatMap((names) => [...names]));
  }

  /** Of the subscribed topics and their partitions. `membersVersion`: members of one version are the same; undefined: they have none. */
  hash(members: readonly GroupMember[], membersVersion?: number): number {
    const topics = this.#subscriptions.version;
    const cached = this.#hashed;
    if (cached !== undefined && cached.members === membersVersion && cached.topics === topics) return cached.hash;
    const hash = metadataHash(this.#partitions(members));
    if (membersVersion !== undefined) this.#hashed = { members: membersVersion, topics, hash };
    return hash;
  }

  compute(members: readonly GroupMember[]): ReadonlyMap<string, PartitionSet> {
    const subscribers = members.map(({ id, metadata, target }) => ({
      memberId: id,
      instanceId: metadata.instanceId,
      topicIds: this.#subscriptions.idsOf(this.#subscriptions.topicsOf(metadata)),
      target,
    }));
    return this.assignorOf(members.map(({ metadata }) => metadata)).assign(subscribers, this.#partitions(members));
  }

  /** The one that most members ask for. */
  assignorOf(members: readonly ConsumerMemberValue[]): ServerAssignor {
    const votes = new Map<string, number>();
    for (const { serverAssignor: name } of members) if (name !== null) votes.set(name, (votes.get(name) ?? 0) + 1);
    const [first = uniform.name] = this.#names;
    const [elected = first] = [...votes].sort(([, a], [, b]) => b - a).map(([name]) => name);
    return serverAssignors.get(elected) ?? uniform;
  }

  #partitions(members: readonly GroupMember[]): ReadonlyMap<string, number> {
    return this.#subscriptions.partitionsOf(this.topicsOf(members));
  }
}
