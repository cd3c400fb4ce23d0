import type { Logger } from '@naru/observability';
import { type Clock, type Random, randomUuid, sleep, type Timer, type Timers, unreachable } from '@naru/runtime';
import type { MetadataPublisher } from '../../cluster/metadata-publisher.ts';
import type { Partition } from '../../replication/partition.ts';
import type { ReplicaManager } from '../../replication/replica-manager.ts';
import type { ConsumerGroup } from '../core/consumer/consumer-group.ts';
import type { Group } from '../core/group.ts';
import type {
  Claim,
  Failed,
  GroupEffect,
  GroupError,
  GroupSurroundings,
  Joined,
  JoinRequest,
  Synced,
  SyncRequest,
} from '../core/group-types.ts';
import { expired } from '../core/offset-expiry.ts';
import type { GroupRecord } from '../records/group-record.ts';
import { Alarm } from './alarm.ts';
import { ConsumerGroups } from './consumer-groups.ts';
import type { GroupCoordinatorSettings } from './coordinator-settings.ts';
import { isTooLong } from './coordinator-settings.ts';
import { groupPartition, offsetsTopic } from './group-partition.ts';
import { GroupShard } from './group-shard.ts';
import { ImageCatalog } from './image-catalog.ts';
import { WaitingHeartbeats } from './waiting-heartbeats.ts';
import type { WriteOutcome } from './write-queue.ts';

export interface GroupCoordinatorOptions {
  readonly brokerId: number;
  readonly replicas: ReplicaManager;
  readonly publisher: MetadataPublisher;
  readonly settings: GroupCoordinatorSettings;
  readonly isInternalTopic: (name: string) => boolean;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}

/** Why this broker cannot say anything about a group. */
export type NotHere =
  | 'INVALID_GROUP_ID'
  | 'NOT_COORDINATOR'
  | 'COORDINATOR_LOAD_IN_PROGRESS'
  | 'COORDINATOR_NOT_AVAILABLE';

/** Undefined: the member is in the group, and nothing happens. */
export type HeartbeatAnswer = GroupError | NotHere | undefined;

export interface Refused<Code> {
  readonly ok: false;
  readonly error: Code;
  /** What else there is to say than the error's name. */
  readonly message?: string;
}

type FoundGroup = { readonly ok: true; readonly shard: GroupShard } & (
  | { readonly kind: 'classic'; readonly group: Group }
  | { readonly kind: 'consumer'; readonly group: ConsumerGroup }
);

export type ShardLookup = { readonly ok: true; readonly shard: GroupShard } | Refused<NotHere>;

/** Characters of a client id or instance id in the member ids that are made from it. */
const memberIdPrefixMax = 255;
/** How long a member that joins waits for its group to be loaded, and how often it looks. */
const loadWaitMsMax = 2_000;
const loadPollMs = 20;

/**
 * The groups of this broker: those whose partition of `__consumer_offsets` it leads. Finds the shard, hands events to the group's state machine, and
 * carries out its effects; decides nothing itself.
 */
export class GroupCoordinator {
  readonly settings: GroupCoordinatorSettings;
  readonly publisher: MetadataPublisher;
  readonly clock: Clock;
  readonly catalog: ImageCatalog;
  /** Those with a server-side assignor; all else here is about classic ones, or about both. */
  readonly consumerGroups: ConsumerGroups;
  readonly #options: GroupCoordinatorOptions;
  readonly #surroundings: GroupSurroundings;
  /** By partition of `__consumer_offsets`. */
  readonly #shards = new Map<number, GroupShard>();
  /** Leader epochs of this broker that are over, by partition: the metadata may still name them. */
  readonly #closedEpochs = new Map<number, number>();
  readonly #joins = new Map<number, (answer: Joined | Failed) => void>();
  readonly #syncs = new Map<number, (answer: Synced | Failed) => void>();
  readonly #unsubscribe: () => void;
  #token = 0;
  readonly #alarm: Alarm;
  readonly #waiting: WaitingHeartbeats;
  #expiryTimer: Timer | undefined;
  #isClosed = false;

  constructor(options: GroupCoordinatorOptions) {
    const { clock, timers, random, replicas, publisher, settings } = options;
    this.#options = options;
    this.settings = settings;
    this.publisher = publisher;
    this.clock = clock;
    this.#surroundings = {
      settings,
      newMemberId: (prefix) => `${prefix.slice(0, memberIdPrefixMax)}-${randomUuid(random)}`,
      wallMs: () => clock.wallMs(),
    };
    this.catalog = new ImageCatalog(publisher, options.isInternalTopic, () => {
      this.consumerGroups.onTopicsChanged();
      this.#waiting.allChanged();
    });
    this.consumerGroups = new ConsumerGroups({
      shardFor: (groupId) => this.shardFor(groupId),
      activeShards: () => this.shards,
      clock,
      timers,
      turnEnd: replicas.turnEnd,
      catalog: this.catalog,
      settings: settings.consumer,
      surroundings: this.#surroundings,
      logger: options.logger,
      onChanged: (groupId) => this.#waiting.changed(groupId),
      onDowngraded: (group) => this.#alarm.by(group.nextDeadlineMs),
    });
    this.#waiting = new WaitingHeartbeats(timers, replicas.turnEnd);
    this.#alarm = new Alarm(clock, timers, (nowMs) => this.#tick(nowMs));
    replicas.onLed((partition) => this.#led(partition));
    this.#unsubscribe = publisher.subscribe((_, delta) => {
      if (delta.topicsDeleted.length > 0) this.#topicsDeleted(new Set(delta.topicsDeleted.map(({ name }) => name)));
    });
    this.#expireLater();
  }

  /** Those that serve. */
  get shards(): readonly GroupShard[] {
    return [...this.#shards.values()].filter((shard) => shard.isActive);
  }

  /** Some partitions are still being read: what `shards` holds is not everything. */
  get isLoading(): boolean {
    return [...this.#shards.values()].some((shard) => shard.isLoading);
  }

  // Leadership.

  #led(partition: Partition): void {
    if (partition.topic !== offsetsTopic || this.#isClosed) return;
    const current = this.#shards.get(partition.index);
    // Loading and unloading overtake each other: only a later epoch replaces what is there (row 51, KAFKA-7447).
    if (current !== undefined && !current.isClosed && current.leaderEpoch >= partition.leaderEpoch) return;
    current?.close();
    const { clock, replicas, settings, logger } = this.#options;
    const shard = new GroupShard({
      partition,
      clock,
      deadlines: replicas.deadlines,
      turnEnd: replicas.turnEnd,
      surroundings: this.#surroundings,
      consumerGroupSettings: settings.consumer,
      catalog: this.catalog,
      commitTimeoutMs: settings.offsetsCommitTimeoutMs,
      logger,
      run: (of, group, effects) => this.#run(of, group, effects),
      onActive: (active) => {
        for (const group of active.groups.values()) this.#alarm.by(group.nextDeadlineMs);
        this.consumerGroups.onActive(active);
      },
      onClosed: (closed) => {
        this.consumerGroups.onClosed(closed);
        this.#waiting.endGroups([...closed.groups.keys(), ...closed.consumerGroups.keys()]);
        this.#closedEpochs.set(partition.index, closed.leaderEpoch);
        if (this.#shards.get(partition.index) === closed) this.#shards.delete(partition.index);
      },
    });
    this.#shards.set(partition.index, shard);
    shard.load().catch((error: unknown) => {
      logger.error({ error, partition: partition.index }, 'loading groups failed');
      shard.close();
    });
  }

  shardFor(groupId: string): ShardLookup {
    if (groupId === '' || isTooLong(groupId)) return { ok: false, error: 'INVALID_GROUP_ID' };
    const partitions = this.publisher.image.topics.get(offsetsTopic)?.partitions.length;
    if (partitions === undefined) return { ok: false, error: 'NOT_COORDINATOR' };
    const partition = groupPartition(groupId, partitions);
    const shard = this.#shards.get(partition);
    if (shard === undefined || shard.isClosed) {
      return { ok: false, error: this.#isAboutToLead(partition) ? 'COORDINATOR_LOAD_IN_PROGRESS' : 'NOT_COORDINATOR' };
    }
    if (shard.isActive) return { ok: true, shard };
    return { ok: false, error: shard.isLoading ? 'COORDINATOR_LOAD_IN_PROGRESS' : 'NOT_COORDINATOR' };
  }

  /** The first member of a cluster comes while `__consumer_offsets` is being opened; some clients take a refusal for a failure worth a stack trace. */
  async #loadedShardFor(groupId: string): Promise<ShardLookup> {
    const { clock, timers } = this.#options;
    const untilMs = clock.monotonicMs() + loadWaitMsMax;
    let found = this.shardFor(groupId);
    while (!found.ok && found.error === 'COORDINATOR_LOAD_IN_PROGRESS' && clock.monotonicMs() < untilMs) {
      await sleep(timers, loadPollMs);
      found = this.shardFor(groupId);
    }
    return found;
  }

  /** Elected, in an epoch that it has not begun yet: its log is being opened. */
  #isAboutToLead(partition: number): boolean {
    const { leaderId, leaderEpoch } = this.#options.replicas.leaderOf(offsetsTopic, partition);
    return leaderId === this.#options.brokerId && leaderEpoch > (this.#closedEpochs.get(partition) ?? -1);
  }

  // Members.

  async join(groupId: string, request: JoinRequest): Promise<Joined | Failed | Refused<NotHere>> {
    const found = await this.#loadedShardFor(groupId);
    if (!found.ok) return found;
    const { shard } = found;
    const consumerGroup = shard.consumerGroups.get(groupId);
    if (consumerGroup !== undefined && !endIfDeserted(shard, consumerGroup)) {
      return this.consumerGroups.join(shard, consumerGroup, request);
    }
    const group = shard.groupOf(groupId);
    const token = ++this.#token;
    const answer = new Promise<Joined | Failed>((resolve) => this.#joins.set(token, resolve));
    this.#run(shard, group, group.join(request, token, this.clock.monotonicMs()));
    shard.forgetIfBlank(group);
    return answer;
  }

  async sync(groupId: string, request: SyncRequest): Promise<Synced | Failed | Refused<NotHere>> {
    const found = this.#groupFor(groupId);
    if (!found.ok) return found;
    if (found.kind === 'consumer') return this.consumerGroups.sync(found.shard, found.group, request);
    const token = ++this.#token;
    const answer = new Promise<Synced | Failed>((resolve) => this.#syncs.set(token, resolve));
    this.#run(found.shard, found.group, found.group.sync(request, token, this.clock.monotonicMs()));
    return answer;
  }

  /** Undefined: all is well. The answer to that may wait for up to `maxWaitMs` for a rebalance to begin. */
  heartbeat(groupId: string, claim: Claim, maxWaitMs = 0): HeartbeatAnswer | Promise<HeartbeatAnswer> {
    this.#waiting.end(groupId, claim.memberId);
    const error = this.#heartbeatNow(groupId, claim);
    if (error !== undefined || maxWaitMs === 0) return error;
    return new Promise((resolve) => {
      this.#waiting.add(groupId, claim.memberId, maxWaitMs, (occasion) => {
        // The group may have become one of the other kind meanwhile.
        const later = this.#heartbeatNow(groupId, claim);
        if (occasion === 'changed' && later === undefined) return false;
        resolve(later);
        return true;
      });
    });
  }

  #heartbeatNow(groupId: string, claim: Claim): HeartbeatAnswer {
    const found = this.#groupFor(groupId);
    if (!found.ok) return found.error;
    if (found.kind === 'consumer') return this.consumerGroups.heartbeatOfClassic(found.group, claim);
    const error = found.group.heartbeat(claim, this.clock.monotonicMs());
    this.#alarm.by(found.group.nextDeadlineMs);
    return error;
  }

  leave(
    groupId: string,
    members: readonly { readonly memberId: string; readonly instanceId: string }[],
  ): { readonly ok: true; readonly errors: readonly (GroupError | undefined)[] } | Refused<NotHere> {
    const found = this.shardFor(groupId);
    if (!found.ok) return found;
    return { ok: true, errors: members.map((member) => this.#leave(found.shard, groupId, member)) };
  }

  /** With each member the group may become one of the other kind. */
  #leave(
    shard: GroupShard,
    groupId: string,
    { memberId, instanceId }: { readonly memberId: string; readonly instanceId: string },
  ): GroupError | undefined {
    const consumerGroup = shard.consumerGroups.get(groupId);
    if (consumerGroup !== undefined) {
      return this.consumerGroups.leaveNow(shard, consumerGroup, memberId, instanceId);
    }
    const group = shard.groups.get(groupId);
    if (group === undefined) return 'UNKNOWN_MEMBER_ID';
    const { error, effects } = group.leave(memberId, instanceId, this.clock.monotonicMs());
    this.#run(shard, group, effects);
    shard.forgetIfBlank(group);
    return error;
  }

  #groupFor(groupId: string): FoundGroup | Refused<NotHere | 'UNKNOWN_MEMBER_ID'> {
    const found = this.shardFor(groupId);
    if (!found.ok) return found;
    const { shard } = found;
    const consumerGroup = shard.consumerGroups.get(groupId);
    if (consumerGroup !== undefined) return { ok: true, kind: 'consumer', shard, group: consumerGroup };
    const group = shard.groups.get(groupId);
    return group === undefined
      ? { ok: false, error: 'UNKNOWN_MEMBER_ID' }
      : { ok: true, kind: 'classic', shard, group };
  }

  // Effects and time.

  #run(shard: GroupShard, group: Group, effects: readonly GroupEffect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'join-answered':
          answer(this.#joins, effect.token, effect.answer);
          break;
        case 'sync-answered':
          answer(this.#syncs, effect.token, effect.answer);
          break;
        case 'write':
          shard.write([{ kind: 'group', group: group.id, value: effect.value }], (outcome) => {
            if (outcome === 'too-large') {
              this.#options.logger.error({ group: group.id }, 'a group is too large for max.message.bytes');
            }
            const written = outcome === 'committed' || outcome === 'too-large' ? outcome : 'unknown';
            this.#run(shard, group, group.written(effect.ticket, written, this.clock.monotonicMs()));
          });
          break;
        default:
          unreachable(effect);
      }
    }
    if (group.state !== 'Stable') this.#waiting.changed(group.id);
    this.#alarm.by(group.nextDeadlineMs);
  }

  #tick(nowMs: number): void {
    for (const shard of this.shards) {
      for (const group of [...shard.groups.values()]) {
        this.#run(shard, group, group.tick(nowMs));
        shard.forgetIfBlank(group);
      }
    }
  }

  // Expiry.

  #expireLater(): void {
    if (this.#isClosed) return;
    this.#expiryTimer = this.#options.timers.after(this.settings.offsetsRetentionCheckIntervalMs, () => {
      for (const shard of this.shards) this.#expire(shard);
      this.#expireLater();
    });
  }

  #expire(shard: GroupShard): void {
    const nowWallMs = this.clock.wallMs();
    const groupIds = new Set([...shard.committed.groupIds, ...shard.committed.groupsWithOffsets]);
    const records: GroupRecord[] = [];
    for (const groupId of groupIds) {
      const group = shard.groups.get(groupId) ?? shard.consumerGroups.get(groupId);
      const { committed } = shard;
      const retentionMs = this.settings.offsetsRetentionMs;
      const tombstones = expired({ committed, groupId, group, nowWallMs, retentionMs });
      records.push(...tombstones);
      if (tombstones.some(({ kind }) => kind !== 'offset')) shard.endGroup(groupId);
    }
    this.#writeQuietly(shard, records, 'expired offsets are removed');
  }

  #topicsDeleted(topics: ReadonlySet<string>): void {
    for (const shard of this.shards) {
      const records: GroupRecord[] = [];
      for (const group of shard.committed.groupsWithOffsets) {
        for (const { topic, partition } of shard.committed.allOffsetsOf(group)) {
          if (topics.has(topic)) records.push({ kind: 'offset', group, topic, partition, value: null });
        }
      }
      this.#writeQuietly(shard, records, 'offsets of deleted topics are removed');
    }
  }

  #writeQuietly(shard: GroupShard, records: readonly GroupRecord[], what: string): void {
    if (records.length === 0) return;
    shard.write(records, (outcome: WriteOutcome) => {
      this.#options.logger.info({ partition: shard.partition.index, records: records.length, outcome }, what);
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#unsubscribe();
    this.#alarm.close();
    this.consumerGroups.close();
    this.catalog.close();
    this.#expiryTimer?.cancel();
    for (const shard of [...this.#shards.values()]) shard.close();
  }
}

/** A group with a server-side assignor that nobody is in becomes a classic one. False: it goes on. */
function endIfDeserted(shard: GroupShard, group: ConsumerGroup): boolean {
  if (group.membersCount > 0) return false;
  shard.write(
    group.tombstones(),
    () => undefined,
    () => shard.consumerGroups.delete(group.id),
  );
  return !shard.consumerGroups.has(group.id);
}

function answer<Answer>(waiting: Map<number, (answer: Answer) => void>, token: number, value: Answer): void {
  const resolve = waiting.get(token);
  waiting.delete(token);
  resolve?.(value);
}
