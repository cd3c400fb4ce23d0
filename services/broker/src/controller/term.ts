import type { ConfigDefinition, Settings } from '@naru/config';
import type { CoordinatorSession, WriteOperation } from '@naru/coordinator-client';
import type { Logger } from '@naru/observability';
import { assert, groupBy, type Random } from '@naru/runtime';
import { isCoordinatorError } from '../cluster/coordinator-errors.ts';
import type { MetadataDelta } from '../cluster/metadata-delta.ts';
import type { MetadataImage, TopicImage } from '../cluster/metadata-image.ts';
import type { MetadataPublisher } from '../cluster/metadata-publisher.ts';
import type { Member } from '../cluster/partition-state.ts';
import { planStopping } from './broker-changes.ts';
import { planAlterBrokerConfig } from './broker-config-change.ts';
import { type ControllerSettings, partitionSettings } from './controller-settings.ts';
import type { Office } from './election.ts';
import type { ClusterView, PartitionSettings } from './partition-decision.ts';
import { FencedControllerError, type PlanResult, PlanWriter } from './plan-writer.ts';
import {
  type ControllerGuard,
  movingTopics,
  type PartitionKey,
  type PartitionWrite,
  plan,
  type Scope,
  scopeOf,
} from './planner.ts';
import { planCompletions } from './reassignment.ts';
import { type Refusal, refuse } from './refusal.ts';
import {
  planAddPartitions,
  planCreateTopic,
  planDeletionMark,
  planRemoval,
  type TopicRules,
  type TopicSpec,
} from './topic-changes.ts';
import { type ConfigChange, planAlterTopicConfig } from './topic-config-change.ts';
import { internalTopicRefusal } from './topic-name.ts';

export interface TermOptions {
  readonly session: CoordinatorSession;
  readonly office: Office;
  readonly publisher: MetadataPublisher;
  readonly topicConfig: ConfigDefinition<Settings>;
  readonly dynamicConfig: ConfigDefinition<Settings>;
  readonly settings: ControllerSettings;
  readonly random: Random;
  readonly logger: Logger;
  /** The office is lost; called once. */
  readonly onEnd: (reason: Error) => void;
  readonly onElection?: ((write: PartitionWrite) => void) | undefined;
}

/** Changes that wait for their turn; more are refused. */
const commandsMax = 10_000;
/** Rounds of deciding and writing before a change is given up; each lost round means that the cluster changed under it. */
const attemptsMax = 10;

/** What will be written, one multi after the other. */
export interface TreeChange {
  readonly ok: true;
  readonly multis: readonly (readonly WriteOperation[])[];
}

export interface TopicDone {
  readonly ok: true;
  readonly topicId: string;
  readonly replicas: readonly (readonly number[])[];
}

/**
 * One term of office. One thing at a time: elections first, then deletions that were begun, then what users ask for. Every step is decided on an image that shows
 * all earlier writes of this term, and everything that is not finished can be seen in the image, so a successor goes on where this one stops.
 */
export class ControllerTerm {
  readonly #options: TermOptions;
  readonly #writer: PlanWriter;
  readonly #commands: { readonly run: () => Promise<void>; readonly fail: (error: Error) => void }[] = [];
  readonly #settings = new WeakMap<TopicImage, PartitionSettings>();
  #dirtyPartitions = new Map<string, PartitionKey>();
  #everythingDirty = true;
  #preferredDue = false;
  #removalsDue = true;
  /** Topics with partitions that are moving, to be looked at. */
  readonly #movesDue = new Set<string>();
  #isWorking = false;
  #ended: Error | undefined;

  constructor(options: TermOptions) {
    this.#options = options;
    const guard = { controllerEpochVersion: options.office.epochVersion };
    this.#writer = new PlanWriter(options.session, guard, options.logger);
  }

  get office(): Office {
    return this.#options.office;
  }

  /** Takes up the work; the metadata must show the election already. */
  start(): void {
    assert(this.#options.publisher.image.zxid >= this.office.czxid, 'a term began on metadata older than its election');
    this.#wake();
  }

  /** No write is begun any more; those under way are refused by the epoch once there is a successor. */
  end(reason: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    for (const command of this.#commands.splice(0)) command.fail(new FencedControllerError(reason.message));
    this.#options.onEnd(reason);
  }

  onMetadata(image: MetadataImage, delta: MetadataDelta): void {
    if (image.controllerEpochVersion > this.office.epochVersion) {
      this.end(new FencedControllerError(`the controller of epoch ${image.controllerEpoch} has taken office`));
      return;
    }
    const scope = scopeOf(delta);
    if (scope.kind === 'partitions') for (const key of scope.partitions) this.#markDirty(key);
    else this.#everythingDirty = true;
    if (delta.topicsMarkedForDeletion.length > 0) this.#removalsDue = true;
    this.#wake();
  }

  /** Moves leaderships back to the first replicas when nothing more urgent is to do. */
  electPreferredLeaders(): void {
    this.#preferredDue = true;
    this.#wake();
  }

  /** What a user asks for, decided when its turn has come on what is there then. */
  change<Change extends TreeChange>(
    decide: (view: ClusterView, guard: ControllerGuard, isRepeat: boolean) => Change | Refusal,
  ): Promise<Change | Refusal> {
    return this.#enqueue(() => this.#change((isRepeat) => decide(this.#view(), this.#guard, isRepeat)));
  }

  createTopic(spec: TopicSpec, validateOnly: boolean): Promise<TopicDone | Refusal> {
    return this.#enqueue(() =>
      this.#change(() => {
        const change = planCreateTopic(this.#view(), spec, this.#rules());
        return change.ok && validateOnly ? { ...change, multis: [] } : change;
      }),
    );
  }

  /** Resolves when the topic's znodes are gone. */
  deleteTopic(name: string): Promise<TopicDone | Refusal> {
    return this.#enqueue(async () => {
      if (!this.#options.settings.deleteTopicEnable) {
        return refuse('TOPIC_DELETION_DISABLED', 'Topic deletion is disabled (delete.topic.enable=false).');
      }
      const internal = internalTopicRefusal(name);
      if (internal !== undefined) return internal;
      const topic = this.#image.topics.get(name);
      if (topic === undefined) return refuse('UNKNOWN_TOPIC_OR_PARTITION', `Topic '${name}' does not exist.`);
      await this.#change(() => {
        const current = this.#image.topics.get(name);
        const isMarked = current === undefined || current.id !== topic.id || current.markedForDeletion;
        return { ok: true, multis: isMarked ? [] : [planDeletionMark(current, this.#guard)] };
      });
      await this.#removeTopic(name);
      return { ok: true, topicId: topic.id, replicas: topic.partitions.map((partition) => partition.replicas) };
    });
  }

  addPartitions(
    name: string,
    count: number,
    assignments: readonly (readonly number[])[],
    validateOnly: boolean,
  ): Promise<TopicDone | Refusal> {
    return this.#enqueue(() =>
      this.#change((isRepeat) => {
        // Groups find their partition by the number of partitions.
        const topic = internalTopicRefusal(name) ?? this.#liveTopic(name);
        if (!('id' in topic)) return topic;
        if (isRepeat && topic.partitions.length === count) {
          return { ok: true, topicId: topic.id, replicas: topic.partitions.map((p) => p.replicas), multis: [] };
        }
        const change = planAddPartitions(this.#view(), topic, count, assignments, this.#rules());
        return change.ok && validateOnly ? { ...change, multis: [] } : change;
      }),
    );
  }

  alterTopicConfig(
    name: string,
    change: ConfigChange,
    validateOnly: boolean,
  ): Promise<{ readonly ok: true } | Refusal> {
    return this.#enqueue(() =>
      this.#change(() => {
        const topic = this.#liveTopic(name);
        if (!('id' in topic)) return topic;
        const altered = planAlterTopicConfig(this.#view(), topic, change, this.#rules());
        return altered.ok && validateOnly ? { ...altered, multis: [] } : altered;
      }),
    );
  }

  alterBrokerConfig(
    name: string,
    change: ConfigChange,
    validateOnly: boolean,
  ): Promise<{ readonly ok: true } | Refusal> {
    return this.#enqueue(() =>
      this.#change(() => {
        const { dynamicConfig } = this.#options;
        const altered = planAlterBrokerConfig(this.#image, name, change, { guard: this.#guard, dynamicConfig });
        return altered.ok && validateOnly ? { ...altered, multis: [] } : altered;
      }),
    );
  }

  /**
   * Takes every leadership and ISR membership from a broker that wants to stop, as far as others can take over, and gives it nothing until its registration is
   * gone. Answers the partitions that it still leads; undefined when it is not registered as `member` any more.
   */
  controlledShutdown(member: Member): Promise<readonly PartitionKey[] | undefined> {
    return this.#enqueue(async () => {
      // In its registration, where leaders see it and do not admit it again, and a successor of this controller goes on with it.
      const isMarked = await this.#change(() => {
        const broker = this.#image.brokers.get(member.brokerId);
        if (broker?.epoch !== member.brokerEpoch)
          return refuse('STALE_BROKER_EPOCH', 'The broker has registered again.');
        return { ok: true, multis: broker.stopping ? [] : [planStopping(broker, this.#guard)] };
      });
      if (!isMarked.ok) return undefined;
      this.#options.logger.info({ ...member }, 'a broker is shutting down; its leaderships move');
      for (let attempt = 0; attempt < attemptsMax; attempt++) {
        const result = await this.#decide({ kind: 'replicas-of', brokerId: member.brokerId });
        if (result.conflicts.length + result.unwritten.length === 0) break;
      }
      return this.#leaderships(member.brokerId);
    });
  }

  get #image(): MetadataImage {
    return this.#options.publisher.image;
  }

  get #guard(): ControllerGuard {
    return { controllerEpochVersion: this.office.epochVersion };
  }

  #view(): ClusterView {
    return {
      image: this.#image,
      controllerEpoch: this.office.epoch,
      stopping: new Set(
        [...this.#image.brokers.values()].filter((broker) => broker.stopping).map((broker) => broker.id),
      ),
      settingsOf: (topic) => this.#settingsOf(topic),
    };
  }

  #rules(): TopicRules {
    const { random, topicConfig, settings } = this.#options;
    const { numPartitions, defaultReplicationFactor } = settings;
    return { guard: this.#guard, random, topicConfig, numPartitions, defaultReplicationFactor };
  }

  #settingsOf(topic: TopicImage): PartitionSettings {
    let settings = this.#settings.get(topic);
    if (settings === undefined) {
      settings = partitionSettings(topic, this.#options.settings);
      this.#settings.set(topic, settings);
    }
    return settings;
  }

  #liveTopic(name: string): TopicImage | Refusal {
    const topic = this.#image.topics.get(name);
    if (topic !== undefined && !topic.markedForDeletion) return topic;
    return refuse('UNKNOWN_TOPIC_OR_PARTITION', `Topic '${name}' does not exist.`);
  }

  #leaderships(brokerId: number): readonly PartitionKey[] {
    const keys: PartitionKey[] = [];
    for (const topic of this.#image.topics.values()) {
      for (const [partition, { state }] of topic.partitions.entries()) {
        if (state?.leader === brokerId) keys.push({ topic: topic.name, partition });
      }
    }
    return keys;
  }

  #markDirty(key: PartitionKey): void {
    if (!this.#everythingDirty) this.#dirtyPartitions.set(`${key.topic}/${key.partition}`, key);
  }

  #enqueue<Result>(command: () => Promise<Result>): Promise<Result> {
    if (this.#ended !== undefined) return Promise.reject(new FencedControllerError(this.#ended.message));
    if (this.#commands.length >= commandsMax) {
      return Promise.reject(new RangeError(`${commandsMax} changes wait for the controller already`));
    }
    return new Promise((resolve, reject) => {
      const run = async (): Promise<void> => {
        try {
          resolve(await command());
        } catch (error) {
          reject(error);
          if (error instanceof FencedControllerError) throw error;
        }
      };
      this.#commands.push({ run, fail: reject });
      this.#wake();
    });
  }

  #wake(): void {
    if (this.#isWorking || this.#ended !== undefined) return;
    this.#isWorking = true;
    this.#work().catch((error: unknown) => {
      this.#isWorking = false;
      const reason = error instanceof Error ? error : new Error(String(error));
      if (!(reason instanceof FencedControllerError))
        this.#options.logger.error({ error: reason }, 'the controller failed');
      this.end(reason);
    });
  }

  async #work(): Promise<void> {
    while (this.#ended === undefined) {
      const scope = this.#nextScope();
      if (scope !== undefined) await this.#decide(scope);
      else if (this.#movesDue.size > 0) await this.#finishMoves();
      else if (this.#removalsDue) await this.#removeMarked();
      else {
        const command = this.#commands.shift();
        if (command === undefined) break;
        await command.run();
      }
    }
    this.#isWorking = false;
  }

  #nextScope(): Scope | undefined {
    if (this.#everythingDirty) {
      this.#everythingDirty = false;
      this.#dirtyPartitions = new Map();
      return { kind: 'everything' };
    }
    if (this.#dirtyPartitions.size > 0) {
      const partitions = [...this.#dirtyPartitions.values()];
      this.#dirtyPartitions = new Map();
      return { kind: 'partitions', partitions };
    }
    if (!this.#preferredDue) return undefined;
    this.#preferredDue = false;
    return { kind: 'preferred-leaders', imbalancePercentage: this.#options.settings.leaderImbalancePercentage };
  }

  async #decide(scope: Scope): Promise<PlanResult> {
    const view = this.#view();
    for (const name of movingTopics(view, scope)) this.#movesDue.add(name);
    const writes = plan(view, scope);
    if (writes.length === 0) return { zxid: 0, conflicts: [], unwritten: [] };
    const result = await this.#writer.writePlan(writes);
    await this.#options.publisher.waitFor(result.zxid);
    for (const key of result.unwritten) this.#markDirty(key);
    this.#report(writes, result);
    return result;
  }

  #report(writes: readonly PartitionWrite[], result: PlanResult): void {
    const reasons = Object.fromEntries(
      [...groupBy(writes, (write) => write.reason)].map(([reason, list]) => [reason, list.length]),
    );
    const { zxid, conflicts } = result;
    this.#options.logger.info({ ...reasons, conflicts: conflicts.length, zxid }, 'partition states decided');
    for (const write of writes) {
      this.#options.onElection?.(write);
      if (write.reason !== 'elected-unclean') continue;
      const { topic, partition, after } = write;
      this.#options.logger.warn(
        { topic, partition, leader: after.leader },
        'unclean leader election: acknowledged records may be lost',
      );
    }
  }

  /** A move that is finished changes its topic's metadata, and with it comes the next look. */
  async #finishMoves(): Promise<void> {
    const names = [...this.#movesDue];
    this.#movesDue.clear();
    for (const name of names) {
      await this.#change(() => {
        const topic = this.#image.topics.get(name);
        const isThere = topic !== undefined && !topic.markedForDeletion;
        return { ok: true, multis: isThere ? planCompletions(this.#view(), topic, this.#guard) : [] };
      });
    }
  }

  async #removeMarked(): Promise<void> {
    this.#removalsDue = false;
    for (const topic of [...this.#image.topics.values()]) {
      if (topic.markedForDeletion) await this.#removeTopic(topic.name);
    }
  }

  async #removeTopic(name: string): Promise<void> {
    await this.#change(() => {
      const topic = this.#image.topics.get(name);
      return { ok: true, multis: topic?.markedForDeletion ? planRemoval(this.#view(), topic, this.#guard) : [] };
    });
  }

  /** Decides, writes, and when the cluster has changed under the decision, decides again on what is there now. */
  async #change<Change extends TreeChange>(decide: (isRepeat: boolean) => Change | Refusal): Promise<Change | Refusal> {
    let isRepeat = false;
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const change = decide(isRepeat);
      if (!change.ok) return change;
      const refused = await this.#writeAll(change.multis);
      if (refused === undefined) return change;
      if (refused.error.code === 'limit-exceeded') return refuse('POLICY_VIOLATION', refused.error.message);
      isRepeat ||= refused.isRepeat;
      await this.#catchUp(refused.path);
    }
    return refuse(
      'UNKNOWN_SERVER_ERROR',
      `the cluster changed ${attemptsMax} times while the change was being written`,
    );
  }

  async #writeAll(multis: readonly (readonly WriteOperation[])[]): Promise<RefusedMulti | undefined> {
    let zxid = 0;
    for (const operations of multis) {
      const result = await this.#writer.writeMulti(operations);
      if (!result.ok) return { ...result, path: operations[result.error.failedIndex]?.path ?? '/' };
      zxid = result.zxid;
    }
    await this.#options.publisher.waitFor(zxid);
    return undefined;
  }

  /** Waits until the metadata shows the znode as it is that refused a write. */
  async #catchUp(path: string): Promise<void> {
    try {
      const stat = await this.#options.session.exists(path);
      await this.#options.publisher.waitFor(Math.max(stat?.mzxid ?? 0, stat?.pzxid ?? 0));
    } catch (error) {
      if (!isCoordinatorError(error)) throw error;
      throw new FencedControllerError('the session is over', { cause: error });
    }
  }
}

interface RefusedMulti {
  readonly error: { readonly code: string; readonly message: string };
  readonly isRepeat: boolean;
  readonly path: string;
}
