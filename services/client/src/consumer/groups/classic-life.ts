import { decodeAssignment, encodeSubscription } from '@naru/kafka-protocol';
import type { Cluster } from '../../cluster/cluster.ts';
import type { ConsumerConfig } from '../../config.ts';
import type { TopicPartition } from '../../topic-partition.ts';
import type { Assignor, RebalanceProtocol } from './assignors/assignor.ts';
import type { CoordinatorLink } from './coordinator-link.ts';
import { assignGroup, protocolOf } from './group-assignment.ts';
import type { GroupHost, MemberLife } from './group-host.ts';
import { type Handover, without } from './handover.ts';
import { type JoinOutcome, type JoinPlan, Membership } from './membership.ts';
import type { SubscribedTopics } from './subscribed-topics.ts';

export interface LifeParts {
  readonly link: CoordinatorLink;
  readonly host: GroupHost;
  readonly handover: Handover;
  readonly topics: SubscribedTopics;
  /** Since the application was last seen in poll. */
  readonly sincePollMs: () => number;
  readonly signal: AbortSignal;
}

/** The classic protocol: all members join, one of them assigns. */
export class ClassicLife implements MemberLife {
  readonly membership: Membership;
  readonly #cluster: Cluster;
  readonly #config: ConsumerConfig;
  readonly #parts: LifeParts;
  readonly #assignors: readonly Assignor[];
  readonly #protocol: RebalanceProtocol;
  #isStable = false;
  #rejoinReason: string | undefined;
  #onRejoinWanted: (() => void) | undefined;
  #lastAssigned: readonly TopicPartition[] = [];
  #assignedGeneration = -1;

  constructor(cluster: Cluster, config: ConsumerConfig, assignors: readonly Assignor[], parts: LifeParts) {
    this.#cluster = cluster;
    this.#config = config;
    this.#parts = parts;
    this.#assignors = assignors;
    this.#protocol = protocolOf(assignors);
    this.membership = new Membership(cluster, config, {
      ...parts,
      onRejoin: (reason) => this.subscriptionChanged(reason),
    });
  }

  get isStable(): boolean {
    return this.#isStable;
  }

  /** It joins again. */
  subscriptionChanged(reason: string): void {
    this.#rejoinReason ??= reason;
    this.#onRejoinWanted?.();
    this.#parts.host.wake();
  }

  async round(): Promise<void> {
    const { membership } = this;
    const { topics, handover, signal } = this.#parts;
    this.#isStable = false;
    this.#rejoinReason = undefined;
    if (membership.fatal !== undefined) {
      await this.#giveUpLost();
      throw membership.fatal;
    }
    await topics.resolve();
    if (membership.isLost) await this.#giveUpLost();
    else await handover.giveUp(this.#toGiveUp());
    if (signal.aborted || membership.isLost) return;
    this.#rejoinReason = undefined;
    const outcome = await membership.join(() => this.#plan());
    if (signal.aborted || outcome.kind === 'lost') return;
    await this.#take(outcome);
    if (!membership.isLost) await this.#rejoinWanted();
  }

  async #giveUpLost(): Promise<void> {
    this.#assignedGeneration = -1;
    await this.#parts.handover.giveUpLost();
  }

  /** Eager: all. Cooperative: only what is no longer subscribed to. */
  #toGiveUp(): TopicPartition[] {
    const held = this.#parts.host.assignment();
    if (this.#protocol === 'eager') return held;
    const wanted = new Set(this.#parts.topics.topics);
    return held.filter(({ topic }) => !wanted.has(topic));
  }

  async #take(outcome: Extract<JoinOutcome, { kind: 'joined' }>): Promise<void> {
    const { topics, host, handover } = this.#parts;
    const { partitions } = decodeAssignment(outcome.assignment);
    topics.watch(outcome.isLeader);
    const { generation } = this.membership.identity;
    const revoked = without(host.assignment(), partitions);
    await handover.giveUp(revoked);
    await handover.take(() => {
      topics.watch(outcome.isLeader);
      this.#lastAssigned = partitions;
      this.#assignedGeneration = generation;
      this.#isStable = true;
      return partitions;
    });
    // The next round hands them to their new owners (KIP-429).
    const isHandedOn = this.#isStable && revoked.length > 0 && this.#protocol === 'cooperative';
    if (isHandedOn) this.subscriptionChanged('partitions were given up');
  }

  #plan(): JoinPlan {
    const { topics, host } = this.#parts;
    const subscription = {
      topics: topics.topics,
      ownedPartitions: this.#protocol === 'cooperative' ? host.assignment() : [],
      generationId: this.#assignedGeneration,
      rackId: this.#config['client.rack'] || null,
    };
    const state = { topics: topics.topics, lastAssigned: this.#lastAssigned, generation: this.#assignedGeneration };
    const protocols = this.#assignors.map((assignor) => ({
      name: assignor.name,
      metadata: encodeSubscription({ ...subscription, userData: assignor.userData?.(state) ?? null }),
    }));
    return {
      protocols,
      reason: this.#rejoinReason ?? 'the consumer begins',
      assign: (name, members) =>
        assignGroup(this.#assignors, name, members, {
          count: (asked) => topics.count(asked),
          logger: this.#cluster.logger,
        }),
    };
  }

  #rejoinWanted(): Promise<void> {
    const { signal } = this.#parts;
    if (this.#rejoinReason !== undefined || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        signal.removeEventListener('abort', done);
        this.#onRejoinWanted = undefined;
        resolve();
      };
      this.#onRejoinWanted = done;
      signal.addEventListener('abort', done, { once: true });
    });
  }
}
