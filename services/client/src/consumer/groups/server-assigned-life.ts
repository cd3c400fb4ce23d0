import type { Cluster } from '../../cluster/cluster.ts';
import type { ConsumerConfig } from '../../config.ts';
import { keyOf } from './assignors/assignor.ts';
import type { LifeParts } from './classic-life.ts';
import type { MemberLife } from './group-host.ts';
import { type MemberPartition, memberPartitionKey, ServerMembership } from './server-membership.ts';

/**
 * KIP-848: the coordinator assigns. The member gives up what it is told to, says so with a heartbeat, and takes what it is given then; what it keeps is
 * read on all the time.
 */
export class ServerAssignedLife implements MemberLife {
  readonly membership: ServerMembership;
  readonly #parts: LifeParts;
  /** The topic that each partition belongs to that is held: a topic that was made anew has the same name. */
  readonly #topicIds = new Map<string, string>();
  #isStable = false;
  #isChanged = false;
  #onChanged: (() => void) | undefined;

  constructor(cluster: Cluster, config: ConsumerConfig, parts: LifeParts) {
    this.#parts = parts;
    this.membership = new ServerMembership(cluster, config, {
      link: parts.link,
      sincePollMs: parts.sincePollMs,
      topics: () => parts.topics.topics,
      held: () => this.#held(),
      onChange: () => this.#changed(),
    });
  }

  get isStable(): boolean {
    return this.#isStable;
  }

  subscriptionChanged(): void {
    this.membership.nudge();
    this.#changed();
  }

  async round(): Promise<void> {
    const { membership } = this;
    const { topics, handover, signal } = this.#parts;
    this.#isChanged = false;
    if (membership.fatal !== undefined) {
      await handover.giveUpLost();
      throw membership.fatal;
    }
    const before = topics.topics;
    await topics.resolve();
    if (topics.topics !== before) membership.nudge();
    if (membership.isLost) await handover.giveUpLost();
    if (signal.aborted) return;
    await membership.join();
    const isDone = await this.#reconcile();
    this.#isStable = isDone && !membership.isLost;
    if (isDone && !membership.isLost) await this.#change();
  }

  /** One step towards what the coordinator wants; true when that is reached. */
  async #reconcile(): Promise<boolean> {
    const { membership } = this;
    const { handover } = this.#parts;
    const wanted = new Set(membership.told?.map(memberPartitionKey));
    const surplus = this.#held().filter((partition) => !wanted.has(memberPartitionKey(partition)));
    if (membership.told === undefined) return true;
    if (surplus.length > 0) {
      this.#isStable = false;
      await handover.giveUp(surplus.map(({ topic, partition }) => ({ topic, partition })));
      // Others wait for these.
      if (!membership.isLost) membership.nudge();
      return false;
    }
    const held = new Set(this.#held().map(memberPartitionKey));
    const isMissing = (partition: MemberPartition): boolean =>
      partition.topic !== '' && !held.has(memberPartitionKey(partition));
    if (!membership.told.some(isMissing)) return true;
    await handover.take(() => this.#takeOver());
    return true;
  }

  /** What was told may be another since; then the next round looks. */
  #takeOver(): readonly MemberPartition[] | undefined {
    const { told } = this.membership;
    const wanted = new Set(told?.map(memberPartitionKey));
    if (told === undefined || this.#held().some((partition) => !wanted.has(memberPartitionKey(partition)))) {
      return undefined;
    }
    const known = told.filter(({ topic }) => topic !== '');
    for (const partition of known) this.#topicIds.set(keyOf(partition), partition.topicId);
    return known;
  }

  #held(): readonly MemberPartition[] {
    return this.#parts.host.assignment().map(({ topic, partition }) => {
      return { topicId: this.#topicIds.get(keyOf({ topic, partition })) ?? '', topic, partition };
    });
  }

  #changed(): void {
    this.#isChanged = true;
    this.#onChanged?.();
    this.#parts.host.wake();
  }

  #change(): Promise<void> {
    const { signal } = this.#parts;
    if (this.#isChanged || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        signal.removeEventListener('abort', done);
        this.#onChanged = undefined;
        resolve();
      };
      this.#onChanged = done;
      signal.addEventListener('abort', done, { once: true });
    });
  }
}
