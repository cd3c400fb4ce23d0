import type { Logger } from '@naru/observability';
import type { Rpc } from '@naru/rpc';
import type { Clock, Random, Timer, Timers } from '@naru/runtime';
import { addressOf } from '../cluster/endpoint.ts';
import type { MetadataDelta } from '../cluster/metadata-delta.ts';
import type { BrokerImage, ConfigOverrides, MetadataImage, TopicImage } from '../cluster/metadata-image.ts';
import { includesMember, type Member, noLeader, type PartitionState } from '../cluster/partition-state.ts';
import type { IsrWriter } from '../cluster/partition-state-writer.ts';
import { replicaKey } from '../cluster/znode-codecs.ts';
import type { LogConfig } from '../log/log-config.ts';
import type { StorageError } from '../log/log-errors.ts';
import type { Registrations } from './core/leader-state.ts';
import type { FollowerTerm } from './core/partition-state-machine.ts';
import { Deadlines } from './deadlines.ts';
import { HostedPartition, type HostingEvents, type Target } from './hosted-partition.ts';
import type { LogIdentity, LogStore } from './log-store.ts';
import type { Partition, PartitionOptions } from './partition.ts';
import type { ReplicaSource } from './replica-fetch-server.ts';
import { type LeaderAddress, ReplicaFetcher, type ReplicaFetcherConfig } from './replica-fetcher.ts';
import { TurnEnd } from './turn-end.ts';

export interface ReplicaManagerOptions {
  readonly brokerId: number;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly rpc: Rpc;
  /** The listener of other brokers that is for brokers. */
  readonly interBrokerListener: string;
  readonly store: LogStore;
  readonly isrWriter: IsrWriter;
  readonly logger: Logger;
  /** `replica.lag.time.max.ms`. */
  readonly lagTimeMaxMs: number;
  readonly fetcher: ReplicaFetcherConfig;
  /** A topic's configuration: the broker's defaults with the topic's overrides. */
  readonly logConfigOf: (overrides: ConfigOverrides) => LogConfig;
  /** `damaged` is another list now. */
  readonly onDamagedChanged: () => void;
  /** The disk failed: this broker must stop. */
  readonly onStorageFailed: (error: StorageError) => void;
}

/** How often the lag of followers is looked at. */
const tickMs = 250;

/** What a client's request finds under a name. */
export type Lookup =
  | { readonly kind: 'partition'; readonly partition: Partition }
  | { readonly kind: 'unknown-topic-or-partition' | 'unknown-topic-id' | 'not-leader' };

/**
 * All replicas of this broker. Takes the metadata in zxid order and says to each replica what it should be now; carries nothing out itself.
 */
export class ReplicaManager implements ReplicaSource {
  readonly deadlines: Deadlines;
  readonly turnEnd: TurnEnd;
  readonly #options: ReplicaManagerOptions;
  readonly #byTopicId = new Map<string, Map<number, HostedPartition>>();
  /** The same as a list, made when it is asked for after a change. */
  #list: readonly HostedPartition[] | undefined;
  readonly #fetchers = new Map<number, ReplicaFetcher>();
  readonly #ledListeners: ((partition: Partition) => void)[] = [];
  readonly #stateListeners: ((topic: string, partition: number) => void)[] = [];
  #registrations: Registrations = new Map();
  /** The same without brokers that are stopping: the controller has let them go, and no leader takes them back into an ISR. */
  #admissible: Registrations = new Map();
  #brokers: ReadonlyMap<number, BrokerImage> = new Map();
  #image: MetadataImage | undefined;
  #self: Member | undefined;
  #tickTimer: Timer | undefined;
  #isClosed = false;

  constructor(options: ReplicaManagerOptions) {
    this.#options = options;
    this.deadlines = new Deadlines(options.clock, options.timers);
    this.turnEnd = new TurnEnd(options.timers);
    this.#tickLater();
  }

  get registrations(): Registrations {
    return this.#registrations;
  }

  get hosted(): readonly HostedPartition[] {
    this.#list ??= [...this.#byTopicId.values()].flatMap((partitions) => [...partitions.values()]);
    return this.#list;
  }

  /** Whose log is damaged (`replicaKey`). */
  get damaged(): readonly string[] {
    const damaged = this.hosted.filter((hosted) => hosted.isDamaged);
    return damaged.map(({ identity }) => replicaKey(identity.topicId, identity.partition));
  }

  /** Undefined when this broker does not host the log, or does not know how far it is replicated. */
  highWatermarkOf(topicId: string, partition: number): number | undefined {
    return this.partitionById(topicId, partition)?.highWatermark;
  }

  logDamaged(topicId: string, partition: number): void {
    this.#byTopicId.get(topicId)?.get(partition)?.logDamaged();
  }

  // Finding a replica.

  partitionById(topicId: string, partition: number): Partition | undefined {
    return this.#byTopicId.get(topicId)?.get(partition)?.partition;
  }

  /** `topicId` empty: by name alone. */
  find(topic: string, topicId: string, partition: number): Lookup {
    const known = this.#image?.topics.get(topic);
    if (known === undefined) {
      return { kind: topicId === '' ? 'unknown-topic-or-partition' : 'unknown-topic-id' };
    }
    if (topicId !== '' && topicId !== known.id) return { kind: 'unknown-topic-id' };
    const found = this.partitionById(known.id, partition);
    if (found !== undefined) return { kind: 'partition', partition: found };
    const exists = known.partitions[partition] !== undefined;
    return { kind: exists ? 'not-leader' : 'unknown-topic-or-partition' };
  }

  /** Who leads, as far as the metadata of this broker knows; -1 when nobody does. */
  leaderOf(topic: string, partition: number): { readonly leaderId: number; readonly leaderEpoch: number } {
    const state = this.#image?.topics.get(topic)?.partitions[partition]?.state;
    return { leaderId: state?.leader ?? noLeader, leaderEpoch: state?.leaderEpoch ?? -1 };
  }

  /**
   * Tells whenever a replica of this broker has begun to lead in a new epoch. That it no longer does, its watchers are told (`highWatermarkWatchers`).
   */
  onLed(listener: (partition: Partition) => void): void {
    this.#ledListeners.push(listener);
  }

  /** The metadata says that this broker leads it; its replica may still be on the way there. */
  isElected(topic: string, partition: number): boolean {
    return this.#self !== undefined && this.leaderOf(topic, partition).leaderId === this.#options.brokerId;
  }

  /** Tells of every partition whose state in the metadata is another, after its replica was told. */
  onStateSeen(listener: (topic: string, partition: number) => void): void {
    this.#stateListeners.push(listener);
  }

  // The cluster.

  /** This broker's incarnation; undefined when its session is over, and then it leads and follows nothing from this moment on. */
  setSelf(self: Member | undefined): void {
    this.#self = self;
    if (self === undefined) {
      for (const hosted of this.hosted) {
        hosted.partition?.rest();
        hosted.setTarget({ kind: 'idle' });
      }
    } else if (this.#image !== undefined) {
      for (const topic of this.#image.topics.values()) this.#retargetTopic(topic);
    }
  }

  apply(image: MetadataImage, delta: MetadataDelta): void {
    this.#image = image;
    const haveBrokersChanged = this.#brokers !== image.brokers;
    if (haveBrokersChanged) this.#brokersChanged(image.brokers);
    for (const { id } of delta.topicsDeleted) {
      for (const hosted of this.#byTopicId.get(id)?.values() ?? []) hosted.setTarget({ kind: 'deleted' });
    }
    // Missing without a committed deletion: nothing is served, nothing is deleted (row 58).
    for (const { id } of delta.topicsVanished) {
      for (const hosted of this.#byTopicId.get(id)?.values() ?? []) hosted.setTarget({ kind: 'closed' });
    }
    for (const topic of delta.topicConfigsChanged) {
      const config = this.#options.logConfigOf(topic.config);
      for (const hosted of this.#byTopicId.get(topic.id)?.values() ?? []) hosted.setConfig(config);
    }
    for (const { topic, partition } of delta.partitionsChanged) {
      this.#retarget(topic, partition);
      for (const listener of this.#stateListeners) listener(topic.name, partition);
    }
    if (haveBrokersChanged) this.#retargetDamaged(image);
  }

  /** What `logConfigOf` gives is another thing now, for any topic. */
  reconfigure(): void {
    for (const hosted of this.hosted) {
      const topic = this.#image?.topics.get(hosted.identity.topic);
      if (topic?.id === hosted.identity.topicId) hosted.setConfig(this.#options.logConfigOf(topic.config));
    }
  }

  #brokersChanged(brokers: ReadonlyMap<number, BrokerImage>): void {
    this.#brokers = brokers;
    const epochs = (some: readonly BrokerImage[]): Registrations => new Map(some.map(({ id, epoch }) => [id, epoch]));
    const all = [...brokers.values()];
    this.#registrations = epochs(all);
    this.#admissible = epochs(all.filter((broker) => !broker.stopping));
    for (const [leaderId, fetcher] of this.#fetchers) fetcher.setLeader(this.#addressOf(leaderId));
    for (const { identity, partition } of this.hosted) partition?.registrationsChanged(this.#admissibleFor(identity));
  }

  /**
   * Who may be taken into a partition's ISR. Not a broker whose registration says that its log is damaged: the controller would take it out again, and it
   * says so until it has begun its repair.
   */
  #admissibleFor({ topicId, partition }: LogIdentity): Registrations {
    const key = replicaKey(topicId, partition);
    const damaged = [...this.#brokers.values()].filter((broker) => broker.damaged.has(key));
    if (damaged.length === 0) return this.#admissible;
    return new Map([...this.#admissible].filter(([brokerId]) => !damaged.some((broker) => broker.id === brokerId)));
  }

  /** They wait for a leader that lives. */
  #retargetDamaged(image: MetadataImage): void {
    for (const { isDamaged, identity } of [...this.hosted]) {
      const topic = image.topics.get(identity.topic);
      if (isDamaged && topic?.id === identity.topicId) this.#retarget(topic, identity.partition);
    }
  }

  #retargetTopic(topic: TopicImage): void {
    for (let partition = 0; partition < topic.partitions.length; partition++) this.#retarget(topic, partition);
  }

  #retarget(topic: TopicImage, partition: number): void {
    if (this.#isClosed || this.#self === undefined) return;
    const target = this.#targetOf(topic, partition, this.#self);
    const hosted = this.#byTopicId.get(topic.id)?.get(partition);
    const isNothing = target === undefined || target.kind === 'closed' || target.kind === 'deleted';
    if (hosted === undefined && isNothing) return;
    (hosted ?? this.#host(topic, partition)).setTarget(target ?? { kind: 'idle' });
  }

  /** Undefined: the controller has not said anything yet. */
  #targetOf(topic: TopicImage, partition: number, self: Member): Target | undefined {
    const image = topic.partitions[partition];
    if (image === undefined) return { kind: 'closed' };
    // Moved to other brokers: an assignment of this very topic without this broker is committed (row 13).
    if (!image.replicas.includes(self.brokerId)) return { kind: 'deleted' };
    const { state, stateVersion: version, replicas } = image;
    if (state === undefined) return undefined;
    const { leader, leaderEpoch } = state;
    const isInSync = includesMember(state.isr, self);
    if (leader === noLeader) return { kind: 'idle' };
    if (leader !== self.brokerId) {
      return { kind: 'follower', term: { leader, leaderEpoch }, mayRepair: this.#mayRepair(state, self) };
    }
    // Elected was a former incarnation, whose unsynced tail is gone: the controller will see that and elect anew (row 10).
    return isInSync ? { kind: 'leader', self, replicas, state, version } : { kind: 'idle' };
  }

  /**
   * Whether a damaged log may go. Only when a leader lives that has everything: the very incarnation that was elected, and in order itself. And only when no
   * ISR or ELR names this broker, in any incarnation, for as long as one does, its next incarnation may be elected for what is on its disk (R7):
   *   1. broker 3, in the ISR, finds its log damaged and puts it aside; its new log is empty and in order;
   *   2. it is killed while it fetches, and starts again: nothing is damaged any more;
   *   3. all others die; broker 3 returns, with a log that looks whole, and is elected, empty (rows 57, 58).
   */
  #mayRepair({ leader, isr, elr, recoverTo }: PartitionState, self: Member): boolean {
    const elected = isr.find((member) => member.brokerId === leader);
    const isLeaderAlive = elected !== undefined && this.#registrations.get(leader) === elected.brokerEpoch;
    const isNamed = [...isr, ...elr].some((member) => member.brokerId === self.brokerId);
    return isLeaderAlive && recoverTo === undefined && !isNamed;
  }

  #host(topic: TopicImage, partition: number): HostedPartition {
    const identity = { topic: topic.name, topicId: topic.id, partition };
    const hosted = new HostedPartition({
      identity,
      config: this.#options.logConfigOf(topic.config),
      store: this.#options.store,
      logger: this.#options.logger,
      events: this.#events,
      partitionOptions: (config) => this.#partitionOptions(identity, config),
    });
    const partitions = this.#byTopicId.get(topic.id) ?? new Map<number, HostedPartition>();
    this.#byTopicId.set(topic.id, partitions.set(partition, hosted));
    this.#list = undefined;
    return hosted;
  }

  #partitionOptions(identity: LogIdentity, config: LogConfig): Omit<PartitionOptions, 'log' | 'highWatermark'> {
    const { clock, isrWriter, logger, lagTimeMaxMs } = this.#options;
    return {
      rules: {
        minInSyncReplicas: config['min.insync.replicas'],
        lagTimeMaxMs,
        flushBeforeAck: config['flush.before.ack'],
      },
      registrations: this.#admissibleFor(identity),
      clock,
      turnEnd: this.turnEnd,
      isrWriter,
      logger,
      onFollowerMoved: (partition) => {
        const leader = partition.following?.leader;
        if (leader !== undefined) this.#fetchers.get(leader)?.reportMoved(partition);
      },
    };
  }

  readonly #events: HostingEvents = {
    led: (partition) => {
      for (const listener of this.#ledListeners) listener(partition);
    },
    startFetching: (partition, term) => this.#fetcherOf(term).add(partition, term),
    stopFetching: (partition) => {
      for (const [leaderId, fetcher] of this.#fetchers) {
        fetcher.remove(partition);
        if (!fetcher.isEmpty) continue;
        fetcher.close();
        this.#fetchers.delete(leaderId);
      }
    },
    damageChanged: () => this.#options.onDamagedChanged(),
    storageFailed: (_, error) => this.#options.onStorageFailed(error),
    gone: ({ identity }) => {
      const partitions = this.#byTopicId.get(identity.topicId);
      partitions?.delete(identity.partition);
      if (partitions?.size === 0) this.#byTopicId.delete(identity.topicId);
      this.#list = undefined;
    },
  };

  #fetcherOf({ leader }: FollowerTerm): ReplicaFetcher {
    const existing = this.#fetchers.get(leader);
    if (existing !== undefined) return existing;
    const { rpc, clock, timers, random, fetcher: config, logger } = this.#options;
    const fetcher = new ReplicaFetcher({
      leaderId: leader,
      self: () => this.#self,
      rpc,
      clock,
      timers,
      random,
      turnEnd: this.turnEnd,
      config,
      logger,
    });
    fetcher.setLeader(this.#addressOf(leader));
    this.#fetchers.set(leader, fetcher);
    return fetcher;
  }

  #addressOf(brokerId: number): LeaderAddress | undefined {
    const broker = this.#brokers.get(brokerId);
    const address = broker && addressOf(broker, this.#options.interBrokerListener);
    return address && { address, brokerEpoch: broker.epoch };
  }

  // Time.

  #tickLater(): void {
    this.#tickTimer = this.#options.timers.after(tickMs, () => {
      for (const hosted of this.hosted) hosted.partition?.tick();
      this.#tickLater();
    });
  }

  /** Nothing is led, followed or waited for any more; the logs stay open for their manager to close. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#self = undefined;
    this.#tickTimer?.cancel();
    for (const fetcher of this.#fetchers.values()) fetcher.close();
    this.#fetchers.clear();
    const all = this.hosted;
    for (const hosted of all) hosted.partition?.rest();
    for (const hosted of all) hosted.setTarget({ kind: 'closed' });
    await Promise.all(all.map((hosted) => hosted.settled()));
    this.deadlines.close();
  }
}
