import { ProtocolError } from '@naru/kafka-protocol';
import type { Logger } from '@naru/observability';
import { batchesOf, decodeRecords, RecordError } from '@naru/record';
import type { Clock } from '@naru/runtime';
import type { Deadlines } from '../../replication/deadlines.ts';
import type { Partition } from '../../replication/partition.ts';
import type { TurnEnd } from '../../replication/turn-end.ts';
import type { Watcher } from '../../replication/waiters.ts';
import { CommittedState } from '../core/committed-state.ts';
import { ConsumerGroup } from '../core/consumer/consumer-group.ts';
import type { ConsumerGroupSettings, TopicCatalog } from '../core/consumer/consumer-group-types.ts';
import { Group } from '../core/group.ts';
import type { GroupEffect, GroupSurroundings } from '../core/group-types.ts';
import type { GroupMetadataValue } from '../records/group-metadata-value.ts';
import { type ConsumerGroupRecord, decodeRecord, type GroupRecord } from '../records/group-record.ts';
import { type WriteOutcome, WriteQueue } from './write-queue.ts';

export interface GroupShardOptions {
  readonly partition: Partition;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly turnEnd: TurnEnd;
  readonly surroundings: GroupSurroundings;
  readonly consumerGroupSettings: ConsumerGroupSettings;
  readonly catalog: TopicCatalog;
  readonly commitTimeoutMs: number;
  readonly logger: Logger;
  /** Carries out what a group wants, when nobody asked: it was loaded, or ends. */
  readonly run: (shard: GroupShard, group: Group, effects: readonly GroupEffect[]) => void;
  readonly onActive: (shard: GroupShard) => void;
  readonly onClosed: (shard: GroupShard) => void;
}

/** Bytes read from the log at a time while loading. */
const loadBytes = 1024 * 1024;

/**
 * The groups of one partition of `__consumer_offsets`, in one leader epoch of this broker (rows 50, 51).
 *
 * loading: the log is replayed up to where it ended when the epoch began, then the high watermark has to pass that point: until then it is not sure that
 * what was read stays. active: events and writes. closed: the epoch is over; everybody who waits is told to look for another coordinator.
 */
export class GroupShard implements Watcher {
  readonly partition: Partition;
  readonly leaderEpoch: number;
  /** What the log says up to the high watermark. */
  readonly committed = new CommittedState();
  /** Classic groups. A group id is one of this map or of the other. */
  readonly groups = new Map<string, Group>();
  /** Groups with a server-side assignor. */
  readonly consumerGroups = new Map<string, ConsumerGroup>();
  readonly #options: GroupShardOptions;
  readonly #writes: WriteQueue;
  readonly #loadEndOffset: number;
  #phase: 'loading' | 'replayed' | 'active' | 'closed' = 'loading';

  constructor(options: GroupShardOptions) {
    const { partition, deadlines, clock, commitTimeoutMs } = options;
    this.#options = options;
    this.partition = partition;
    this.leaderEpoch = partition.leaderEpoch;
    this.#loadEndOffset = partition.log.logEndOffset;
    this.#writes = new WriteQueue({
      partition,
      deadlines,
      timeoutMs: commitTimeoutMs,
      wallMs: () => clock.wallMs(),
      apply: (record) => this.committed.apply(record),
    });
    partition.highWatermarkWatchers.add(this);
  }

  /** Serves, in the epoch it was made for. */
  get isActive(): boolean {
    return this.#phase === 'active' && this.#isCurrent;
  }

  get isLoading(): boolean {
    return this.#phase === 'loading' || this.#phase === 'replayed';
  }

  get isClosed(): boolean {
    return this.#phase === 'closed';
  }

  get #isCurrent(): boolean {
    return this.partition.isLeader && this.partition.leaderEpoch === this.leaderEpoch;
  }

  // Loading.

  async load(): Promise<void> {
    const startedMs = this.#options.clock.monotonicMs();
    let offset = this.partition.log.logStartOffset;
    while (offset < this.#loadEndOffset) {
      const result = await this.partition.readForFollower(offset, loadBytes);
      if (!this.#isCurrent) this.close();
      if (this.isClosed) return;
      if (result.kind === 'batches' && result.nextOffset > offset) {
        for (const records of result.records) this.#replay(records);
        offset = result.nextOffset;
      } else if (result.kind === 'out-of-range' && result.logStartOffset > offset) {
        // Old segments were removed meanwhile.
        offset = result.logStartOffset;
      } else {
        // The log is damaged, and this broker gives the partition up (row 21).
        this.#options.logger.error({ ...this.#label, offset, result: result.kind }, 'groups cannot be loaded');
        return;
      }
    }
    const tookMs = this.#options.clock.monotonicMs() - startedMs;
    this.#options.logger.debug({ ...this.#label, endOffset: this.#loadEndOffset, tookMs }, 'groups are read');
    this.#phase = 'replayed';
    this.#advance();
  }

  #replay(records: Uint8Array): void {
    for (const batch of batchesOf(records)) {
      if (batch.header.isControl) continue;
      try {
        for (const { offset, key, value } of decodeRecords(batch.bytes)) this.#replayRecord(offset, key, value);
      } catch (error) {
        if (!(error instanceof RecordError)) throw error;
        this.#options.logger.error({ ...this.#label, offset: batch.header.baseOffset, error }, 'a batch is unreadable');
      }
    }
  }

  /** Anybody may have produced into the topic: what is no record of ours is left out, as nobody could have relied on it. */
  #replayRecord(offset: number, key: Uint8Array | null, value: Uint8Array | null): void {
    try {
      const record = key === null ? undefined : decodeRecord(key, value);
      if (record !== undefined) this.committed.apply(record);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#options.logger.error({ ...this.#label, offset, error }, 'a record of a group is unreadable');
    }
  }

  #activate(): void {
    const { logger, onActive } = this.#options;
    for (const [id, value] of this.committed.groups) this.restoreGroup(id, value);
    for (const [id, state] of this.committed.consumerGroups) {
      this.consumerGroups.set(id, this.newConsumerGroup(id, state.records(id)));
    }
    this.#phase = 'active';
    logger.info({ ...this.#label, groups: this.groups.size + this.consumerGroups.size }, 'coordinating groups');
    onActive(this);
  }

  // Serving.

  groupOf(id: string): Group {
    const existing = this.groups.get(id);
    if (existing !== undefined) return existing;
    const group = new Group(id, this.#options.surroundings);
    this.groups.set(id, group);
    return group;
  }

  /** Of whatever kind. */
  find(id: string): Group | ConsumerGroup | undefined {
    return this.groups.get(id) ?? this.consumerGroups.get(id);
  }

  /** One that is not here yet: it is when `records`, which make it, are in the log. */
  newConsumerGroup(id: string, records: readonly ConsumerGroupRecord[]): ConsumerGroup {
    const { consumerGroupSettings, catalog, clock } = this.#options;
    return ConsumerGroup.restore(id, records, consumerGroupSettings, catalog, clock.monotonicMs());
  }

  /** A group that is not here, as the log says of it. */
  restoreGroup(id: string, value: GroupMetadataValue): Group {
    const group = Group.restore(id, value, this.#options.surroundings, this.#options.clock.monotonicMs());
    this.groups.set(id, group);
    return group;
  }

  /** A group that nothing has to be remembered of. */
  forgetIfBlank(group: Group): void {
    if (group.isBlank && this.groups.get(group.id) === group) this.groups.delete(group.id);
  }

  /** Takes the group out: events that come from now on meet a new one. */
  endGroup(id: string): void {
    this.consumerGroups.delete(id);
    this.endClassicGroup(id, 'UNKNOWN_MEMBER_ID');
  }

  endClassicGroup(id: string, error: 'UNKNOWN_MEMBER_ID' | 'REBALANCE_IN_PROGRESS'): void {
    const group = this.groups.get(id);
    if (group === undefined) return;
    this.groups.delete(id);
    this.#options.run(this, group, group.end(error));
  }

  /** `done` is called once, possibly before this returns; `onAppended` before, with what the log took. Atomic: all of it or nothing. */
  write(
    records: readonly GroupRecord[],
    done: (outcome: WriteOutcome) => void,
    onAppended?: (records: readonly GroupRecord[]) => void,
    isAtomic = false,
  ): void {
    if (!this.isActive) done('not-coordinator');
    else this.#writes.write(records, done, onAppended, isAtomic);
  }

  pendingRecords(): Iterable<GroupRecord> {
    return this.#writes.pending();
  }

  /** From the partition, inside of what it is doing: looked at when that is done. */
  wake(): void {
    this.#options.turnEnd.schedule(this.#advance);
  }

  readonly #advance = (): void => {
    if (this.isClosed) return;
    if (!this.#isCurrent) {
      this.close();
      return;
    }
    const { highWatermark } = this.partition;
    if (this.#phase === 'replayed' && highWatermark >= this.#loadEndOffset) this.#activate();
    this.#writes.highWatermarkAdvanced(highWatermark);
  };

  /** The epoch is over. First nothing is served any more, then those who wait are told. */
  close(): void {
    if (this.isClosed) return;
    this.#phase = 'closed';
    this.partition.highWatermarkWatchers.delete(this);
    for (const group of this.groups.values()) this.#options.run(this, group, group.end('NOT_COORDINATOR'));
    this.#writes.failAll();
    this.#options.logger.info(this.#label, 'no longer coordinating groups');
    this.#options.onClosed(this);
  }

  get #label(): { readonly partition: number; readonly leaderEpoch: number } {
    return { partition: this.partition.index, leaderEpoch: this.leaderEpoch };
  }
}
