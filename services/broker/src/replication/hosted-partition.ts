import type { Logger } from '@naru/observability';
import { unreachable } from '@naru/runtime';
import type { Member, PartitionState } from '../cluster/partition-state.ts';
import type { LogConfig } from '../log/log-config.ts';
import { StorageError } from '../log/log-errors.ts';
import type { FollowerTerm } from './core/partition-state-machine.ts';
import type { LogIdentity, LogStore } from './log-store.ts';
import { Partition, type PartitionOptions } from './partition.ts';

/** What the metadata wants of this replica. */
export type Target =
  | {
      readonly kind: 'leader';
      readonly self: Member;
      readonly replicas: readonly number[];
      readonly state: PartitionState;
      readonly version: number;
    }
  | {
      readonly kind: 'follower';
      readonly term: FollowerTerm;
      /** Nobody needs what a damaged log still has: see `ReplicaManager`. */
      readonly mayRepair: boolean;
    }
  /** Nobody leads, or it must not lead. */
  | { readonly kind: 'idle' }
  /** Not on this broker any more, or the broker stops: the log stays where it is. */
  | { readonly kind: 'closed' }
  /** It is committed that this replica is none any more: the topic was deleted, or the partition moved to other brokers. */
  | { readonly kind: 'deleted' };

/** What its surroundings do for it. */
export interface HostingEvents {
  /** It leads in another epoch than before. */
  led(partition: Partition): void;
  startFetching(partition: Partition, term: FollowerTerm): void;
  stopFetching(partition: Partition): void;
  /** Its log is damaged, or in order again. */
  damageChanged(): void;
  /** The disk failed: the broker must not go on (row 56). */
  storageFailed(hosted: HostedPartition, error: StorageError): void;
  /** Its `closed` or `deleted` target was reached. */
  gone(hosted: HostedPartition): void;
}

export interface HostingOptions {
  readonly identity: LogIdentity;
  readonly config: LogConfig;
  readonly store: LogStore;
  readonly logger: Logger;
  readonly events: HostingEvents;
  /** What a partition needs besides its log. */
  readonly partitionOptions: (config: LogConfig) => Omit<PartitionOptions, 'log' | 'highWatermark'>;
}

/**
 * A replica's life on this broker: opens its log and carries out one change of role after the other. A newer target replaces one that has not been begun; a target
 * counts as reached only when everything it asks for is done, and to do it again does no harm (row 20, KAFKA-9307).
 */
export class HostedPartition {
  readonly identity: LogIdentity;
  readonly #options: HostingOptions;
  #config: LogConfig;
  #partition: Partition | undefined;
  #target: Target = { kind: 'idle' };
  #reached: Target | undefined;
  #running: Promise<void> | undefined;

  constructor(options: HostingOptions) {
    this.identity = options.identity;
    this.#options = options;
    this.#config = options.config;
  }

  /** Undefined until its log is open. */
  get partition(): Partition | undefined {
    return this.#partition;
  }

  get isDamaged(): boolean {
    return this.#partition !== undefined && !isWhole(this.#partition);
  }

  setTarget(target: Target): void {
    this.#target = target;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  setConfig(config: LogConfig): void {
    this.#config = config;
    this.#partition?.log.updateConfig(config);
    this.#partition?.rulesChanged(this.#options.partitionOptions(config).rules);
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#reached !== this.#target) {
      const target = this.#target;
      try {
        await this.#reach(target);
      } catch (error) {
        this.#failed(error);
      }
      this.#reached = target;
    }
  }

  async #reach(target: Target): Promise<void> {
    switch (target.kind) {
      case 'closed':
      case 'deleted':
        await this.#leave(target);
        return;
      case 'idle':
        await this.#rest();
        return;
      case 'leader': {
        const opened = await this.#open();
        const partition = isWhole(opened) ? opened : await this.#recover(opened, target.state);
        if (partition === undefined) await this.#rest();
        else await this.#lead(partition, target);
        return;
      }
      case 'follower': {
        const partition = await this.#open();
        if (isWhole(partition)) this.#follow(partition, target);
        else if (target.mayRepair) this.#follow(await this.#repair(partition), target);
        else await this.#rest();
        return;
      }
      default:
        unreachable(target);
    }
  }

  async #open(): Promise<Partition> {
    if (this.#partition !== undefined) return this.#partition;
    const { store, partitionOptions } = this.#options;
    const log = await store.open(this.identity, this.#config);
    const highWatermark = store.highWatermarkOf(log);
    const partition = new Partition({ ...partitionOptions(this.#config), log, highWatermark });
    this.#partition = partition;
    return partition;
  }

  async #lead(partition: Partition, target: Extract<Target, { kind: 'leader' }>): Promise<void> {
    const { state, version, replicas, self } = target;
    if (!partition.isLeader || partition.leaderEpoch !== state.leaderEpoch) {
      this.#options.events.stopFetching(partition);
      if (partition.leaderEpoch >= state.leaderEpoch) return;
      const isStillWanted = (): boolean => this.#target.kind === 'leader' && this.#target.self === self;
      await partition.lead({ self, replicas, state, version }, isStillWanted);
      if (!partition.isLeader) return;
      this.#options.events.led(partition);
    }
    partition.stateObserved(state, version, replicas);
  }

  #follow(partition: Partition, { term }: Extract<Target, { kind: 'follower' }>): void {
    if (partition.leaderEpoch > term.leaderEpoch) return;
    const current = partition.following;
    if (current?.leaderEpoch === term.leaderEpoch && current.leader === term.leader) return;
    this.#options.events.stopFetching(partition);
    partition.follow(term);
    this.#options.events.startFetching(partition, term);
  }

  /** The log is opened even so: a broker has to say which of its replicas are damaged before one of them is elected. */
  async #rest(): Promise<void> {
    const partition = await this.#open();
    this.#options.events.stopFetching(partition);
    partition.rest();
  }

  /**
   * The controller has elected this replica for what is left of it, and for nothing else than this damage: the log is cut there, once, before it leads in
   * that epoch. Undefined: it must not lead.
   */
  async #recover(damaged: Partition, { recoverTo, leaderEpoch }: PartitionState): Promise<Partition | undefined> {
    const { damage, latestEpoch } = damaged.log;
    if (damage === undefined || damage.offset !== recoverTo || latestEpoch >= leaderEpoch) return undefined;
    return this.#giveUpDamage(damaged);
  }

  /** A leader has everything that was acknowledged. What was never synced is cut; other damage is kept aside for people, and everything is fetched anew (row 58). */
  async #repair(damaged: Partition): Promise<Partition> {
    if (damaged.log.damage?.beyondRecoveryPoint) return this.#giveUpDamage(damaged);
    this.#warn(damaged, 'putting a damaged log aside to fetch it anew');
    await this.#detach(damaged);
    await this.#options.store.quarantine(this.identity);
    return this.#reopen();
  }

  async #giveUpDamage(damaged: Partition): Promise<Partition> {
    this.#warn(damaged, 'cutting a log where its damage begins');
    await this.#detach(damaged);
    await damaged.log.truncateTo(damaged.log.damage?.offset ?? damaged.log.logEndOffset);
    return this.#reopen();
  }

  async #detach(partition: Partition): Promise<void> {
    this.#options.events.stopFetching(partition);
    this.#partition = undefined;
    await partition.stop();
  }

  async #reopen(): Promise<Partition> {
    const partition = await this.#open();
    this.#options.events.damageChanged();
    return partition;
  }

  #warn({ log: { damage } }: Partition, message: string): void {
    this.#options.logger.warn({ ...this.identity, damage }, message);
  }

  async #leave(target: Extract<Target, { kind: 'closed' | 'deleted' }>): Promise<void> {
    const wasDamaged = this.isDamaged;
    if (this.#partition !== undefined) await this.#detach(this.#partition);
    if (target.kind === 'deleted') await this.#options.store.delete(this.identity);
    if (wasDamaged) this.#options.events.damageChanged();
    // Meanwhile it may be wanted again.
    if (this.#target === target) this.#options.events.gone(this);
  }

  /** A read met a bad batch. A leader gives up leadership at once; the controller elects another, and this replica repairs (row 21). */
  logDamaged(): void {
    this.#options.logger.error({ ...this.identity, damage: this.#partition?.log.damage }, 'the log is damaged');
    this.#partition?.rest('storage-failed');
    this.#options.events.damageChanged();
    // A follower stops to fetch; nothing else may happen to it for a long time.
    if (this.#target.kind === 'follower') this.setTarget({ ...this.#target });
  }

  #failed(error: unknown): void {
    if (!(error instanceof StorageError)) throw error;
    if (error.code === 'closed') return;
    this.#options.logger.error({ ...this.identity, error }, 'the log failed');
    if (this.#partition !== undefined) {
      this.#options.events.stopFetching(this.#partition);
      this.#partition.rest('storage-failed');
    }
    this.#options.events.storageFailed(this, error);
  }
}

function isWhole(partition: Partition): boolean {
  return partition.log.state.kind !== 'damaged';
}
