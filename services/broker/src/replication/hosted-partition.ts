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
      readonly isInSync: boolean;
      /** The incarnation that was elected is the one that is registered. */
      readonly isLeaderAlive: boolean;
    }
  /** Nobody leads, or it must not lead. */
  | { readonly kind: 'idle' }
  /** Not on this broker any more, or the broker stops: the log stays where it is. */
  | { readonly kind: 'closed' }
  /** The topic's deletion is committed. */
  | { readonly kind: 'deleted' };

/** What its surroundings do for it. */
export interface HostingEvents {
  /** It leads in another epoch than before. */
  led(partition: Partition): void;
  startFetching(partition: Partition, term: FollowerTerm): void;
  stopFetching(partition: Partition): void;
  /** This replica is known to be incomplete, or is complete again. */
  damageChanged(hosted: HostedPartition): void;
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
  #isDamaged = false;
  /** Since it is damaged, this incarnation was seen outside the ISR: to be in it again means to have been taken back. */
  #wasOutside = false;

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
    return this.#isDamaged;
  }

  setTarget(target: Target): void {
    this.#target = target;
    if (target.kind === 'follower' && !target.isInSync) this.#wasOutside = true;
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
        const partition = await this.#open();
        if (this.#isDamaged) await this.#rest();
        else await this.#lead(partition, target);
        return;
      }
      case 'follower': {
        const partition = await this.#open();
        if (isWhole(partition)) this.#follow(partition, target);
        // A live leader has everything that was acknowledged: what is damaged here is put aside and fetched anew (rows 57, 58). Without
        // one, this may be the best copy that is left.
        else if (target.isLeaderAlive) this.#follow(await this.#replace(partition), target);
        else await this.#rest();
        if (target.isInSync) await this.#taken();
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
    if (!this.#isDamaged && (!isWhole(partition) || store.isIncomplete(this.identity))) {
      // Of an earlier life: no ISR has this incarnation unless a leader takes it in.
      this.#wasOutside = true;
      this.#setDamaged(true);
    }
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
   * In the ISR: whoever was taken into it has fetched everything again (R6). Not so who is in it still, because nobody has noticed the damage yet; its
   * log may be a new and empty one.
   */
  async #taken(): Promise<void> {
    if (!this.#isDamaged || !this.#wasOutside || this.#partition === undefined || !isWhole(this.#partition)) return;
    await this.#options.store.setIncomplete(this.identity, false);
    if (this.#wasOutside) this.#setDamaged(false);
  }

  async #replace(damaged: Partition): Promise<Partition> {
    this.#options.logger.warn(
      { ...this.identity, damage: damaged.log.damage },
      'putting a damaged log aside to fetch it anew',
    );
    this.#options.events.stopFetching(damaged);
    this.#partition = undefined;
    await damaged.stop();
    await this.#options.store.setIncomplete(this.identity, true);
    await this.#options.store.quarantine(this.identity);
    return this.#open();
  }

  async #leave(target: Extract<Target, { kind: 'closed' | 'deleted' }>): Promise<void> {
    const partition = this.#partition;
    this.#partition = undefined;
    if (partition !== undefined) {
      this.#options.events.stopFetching(partition);
      await partition.stop();
    }
    if (target.kind === 'deleted') await this.#options.store.delete(this.identity);
    this.#setDamaged(false);
    // Meanwhile it may be wanted again.
    if (this.#target === target) this.#options.events.gone(this);
  }

  /** A read met a bad batch. A leader gives up leadership at once; the controller elects another, and this replica repairs (row 21). */
  logDamaged(): void {
    this.#options.logger.error({ ...this.identity, damage: this.#partition?.log.damage }, 'the log is damaged');
    this.#partition?.rest('storage-failed');
    this.#wasOutside = false;
    this.#setDamaged(true);
    // A follower starts over at once; nothing else may happen to it for a long time.
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

  #setDamaged(isDamaged: boolean): void {
    if (this.#isDamaged === isDamaged) return;
    this.#isDamaged = isDamaged;
    this.#options.events.damageChanged(this);
  }
}

function isWhole(partition: Partition): boolean {
  return partition.log.state.kind !== 'damaged';
}
