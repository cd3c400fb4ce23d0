import type { Logger } from '@naru/observability';
import type { Clock, Timers } from '@naru/runtime';
import type { TurnEnd } from '../../replication/turn-end.ts';
import { type ClassicDecision, heartbeatClassic, joinClassic, syncClassic } from '../core/consumer/classic-members.ts';
import type { ConsumerGroup } from '../core/consumer/consumer-group.ts';
import type {
  ConsumerGroupError,
  ConsumerGroupSettings,
  Decision,
  HeartbeatAnswer,
  MemberHeartbeat,
  TopicCatalog,
} from '../core/consumer/consumer-group-types.ts';
import type { Group } from '../core/group.ts';
import type {
  Claim,
  Failed,
  GroupError,
  GroupSurroundings,
  Joined,
  JoinRequest,
  Synced,
  SyncRequest,
} from '../core/group-types.ts';
import { downgrade } from '../core/migration/downgrade.ts';
import { upgrade } from '../core/migration/upgrade.ts';
import type { ConsumerGroupRecord, GroupRecord } from '../records/group-record.ts';
import { Alarm } from './alarm.ts';
import type { NotHere, Refused, ShardLookup } from './group-coordinator.ts';
import type { GroupShard } from './group-shard.ts';
import { WaitingHeartbeats } from './waiting-heartbeats.ts';
import type { WriteOutcome } from './write-queue.ts';

export interface ConsumerGroupsOptions {
  readonly shardFor: (groupId: string) => ShardLookup;
  readonly activeShards: () => readonly GroupShard[];
  readonly clock: Clock;
  readonly timers: Timers;
  readonly turnEnd: TurnEnd;
  readonly catalog: TopicCatalog;
  readonly settings: ConsumerGroupSettings;
  readonly surroundings: GroupSurroundings;
  readonly logger: Logger;
  /** Members of the classic protocol may have something to hear. */
  readonly onChanged: (groupId: string) => void;
  /** The group is a classic one from now on. */
  readonly onDowngraded: (group: Group) => void;
}

/** A request of the classic protocol. */
export type ClassicAnswer<Answer> = Answer | Failed;

export type HeartbeatResult =
  | (HeartbeatAnswer & { readonly ok: true })
  | Refused<ConsumerGroupError | NotHere | 'GROUP_ID_NOT_FOUND' | 'MESSAGE_TOO_LARGE'>;

/**
 * The groups with a server-side assignor of this broker (KIP-848): hands events to their state machines, writes what these decide, and answers when it is
 * replicated. A member may ask for its answer to wait until there is news for it: so a rebalance need not wait for heartbeats.
 */
export class ConsumerGroups {
  readonly #options: ConsumerGroupsOptions;
  readonly #alarm: Alarm;
  readonly #waiting: WaitingHeartbeats;

  constructor(options: ConsumerGroupsOptions) {
    this.#options = options;
    this.#waiting = new WaitingHeartbeats(options.timers, options.turnEnd);
    this.#alarm = new Alarm(options.clock, options.timers, (nowMs) => this.#tick(nowMs));
  }

  /** Not longer than `maxWaitMs` when there is no news. */
  async heartbeat(groupId: string, request: MemberHeartbeat, maxWaitMs: number): Promise<HeartbeatResult> {
    const found = this.#groupFor(groupId, request.memberEpoch === 0);
    if (!found.ok) return found;
    const { shard, group } = found;
    // The member has given its former heartbeat up.
    this.#waiting.end(groupId, request.memberId);
    const decision = group.heartbeat(request, this.#options.clock.monotonicMs());
    this.#alarm.by(group.nextDeadlineMs);
    if (maxWaitMs > 0 && isNoNews(decision, request)) return this.#wait(shard, group, request, maxWaitMs);
    return this.#carryOut(shard, group, decision);
  }

  /** `memberEpoch`: -1 for good, -2 for a while. */
  async leave(groupId: string, memberId: string, instanceId: string, memberEpoch: number): Promise<HeartbeatResult> {
    const found = this.#groupFor(groupId, false);
    if (!found.ok) return found;
    this.#waiting.end(groupId, memberId);
    return this.#carryOut(found.shard, found.group, found.group.leave(memberId, instanceId, memberEpoch));
  }

  // Members of the classic protocol.

  async join(shard: GroupShard, group: ConsumerGroup, request: JoinRequest): Promise<ClassicAnswer<Joined>> {
    const decision = joinClassic(group, request, this.#options.surroundings, this.#options.clock.monotonicMs());
    const memberId = decision.ok ? decision.answer.memberId : '';
    return this.#carryOutClassic(shard, group, memberId, decision);
  }

  async sync(shard: GroupShard, group: ConsumerGroup, request: SyncRequest): Promise<ClassicAnswer<Synced>> {
    const decision = syncClassic(group, request, this.#options.clock.monotonicMs());
    return this.#carryOutClassic(shard, group, request.memberId, decision);
  }

  heartbeatOfClassic(group: ConsumerGroup, claim: Claim): GroupError | undefined {
    const error = heartbeatClassic(group, claim, this.#options.clock.monotonicMs());
    this.#alarm.by(group.nextDeadlineMs);
    return error;
  }

  /** Also members of the other protocol, whom an administrator puts out. */
  leaveNow(shard: GroupShard, group: ConsumerGroup, memberId: string, instanceId: string): GroupError | undefined {
    group.handshakes.delete(memberId);
    const decision = group.leave(memberId, instanceId, -1);
    if (!decision.ok) return decision.error as GroupError;
    this.#waiting.end(group.id, decision.answer.memberId);
    void this.#write(shard, group, decision.records);
    return undefined;
  }

  async #carryOutClassic<Answer extends Joined | Synced>(
    shard: GroupShard,
    group: ConsumerGroup,
    memberId: string,
    decision: ClassicDecision<Answer>,
  ): Promise<ClassicAnswer<Answer>> {
    this.#alarm.by(group.nextDeadlineMs);
    if (!decision.ok) return decision;
    const outcome = await this.#write(shard, group, decision.records);
    // Its client counts the time of its session from the answer on, whatever the group is by now.
    const nowMs = this.#options.clock.monotonicMs();
    const member = group.state.members.get(memberId);
    if (member !== undefined) group.heard(memberId, member.metadata, nowMs);
    shard.groups.get(group.id)?.answered(memberId, nowMs);
    return outcome === 'committed' ? decision.answer : { ok: false, error: errorOf[outcome] };
  }

  /** Topics or partitions are others. */
  onTopicsChanged(): void {
    this.#waiting.allChanged();
  }

  onActive(shard: GroupShard): void {
    for (const group of [...shard.consumerGroups.values()]) {
      this.#alarm.by(group.nextDeadlineMs);
      this.#downgradeIfDue(shard, group);
    }
  }

  onClosed(shard: GroupShard): void {
    this.#waiting.endGroups(shard.consumerGroups.keys());
  }

  close(): void {
    this.#alarm.close();
  }

  /** The group may be one that is not in the shard yet. */
  #groupFor(
    groupId: string,
    isJoin: boolean,
  ):
    | { ok: true; shard: GroupShard; group: ConsumerGroup }
    | Refused<NotHere | 'GROUP_ID_NOT_FOUND' | 'UNKNOWN_MEMBER_ID'> {
    const found = this.#options.shardFor(groupId);
    if (!found.ok) return found;
    const { shard } = found;
    const group = shard.consumerGroups.get(groupId);
    if (group !== undefined) return { ok: true, shard, group };
    const classic = shard.groups.get(groupId);
    // It was put out, and the others went on without the protocol.
    if (!isJoin) return { ok: false, error: classic === undefined ? 'GROUP_ID_NOT_FOUND' : 'UNKNOWN_MEMBER_ID' };
    if (classic === undefined || classic.isDeserted) {
      return { ok: true, shard, group: shard.newConsumerGroup(groupId, []) };
    }
    const upgraded = upgrade(classic, this.#options.settings, this.#options.catalog);
    if (!upgraded.ok) return { ok: false, error: upgraded.error, message: upgraded.reason };
    return { ok: true, shard, group: shard.newConsumerGroup(groupId, upgraded.records) };
  }

  /** Writes first, also when there is nothing to write: what the answer tells may still be on its way into the log. */
  async #carryOut(
    shard: GroupShard,
    group: ConsumerGroup,
    decision: Decision<HeartbeatAnswer>,
  ): Promise<HeartbeatResult> {
    if (!decision.ok) return decision;
    const outcome = await this.#write(shard, group, decision.records);
    return outcome === 'committed' ? { ok: true, ...decision.answer } : { ok: false, error: errorOf[outcome] };
  }

  #write(shard: GroupShard, group: ConsumerGroup, records: readonly ConsumerGroupRecord[]): Promise<WriteOutcome> {
    const isHere = shard.consumerGroups.get(group.id) === group;
    const all: GroupRecord[] = isHere ? [...records] : [...beginning(shard, group), ...records];
    return new Promise((resolve) => {
      const onAppended = (appended: readonly GroupRecord[]): void => {
        if (!isHere) {
          const members = shard.groups.get(group.id)?.membersCount ?? 0;
          if (members > 0) this.#log(group, members, 'a classic group is assigned by its coordinator from now on');
          shard.endClassicGroup(group.id, 'REBALANCE_IN_PROGRESS');
          shard.consumerGroups.set(group.id, group);
        }
        for (const record of appended) {
          if (record.kind !== 'group' && record.kind !== 'offset')
            group.apply([record], this.#options.clock.monotonicMs());
        }
        this.#changed(group);
      };
      shard.write(all, resolve, onAppended, !isHere);
      if (records.some(({ kind }) => kind === 'consumer-member')) this.#downgradeIfDue(shard, group);
    });
  }

  #log({ id: group, state }: ConsumerGroup, members: number, what: string): void {
    this.#options.logger.info({ group, members, epoch: state.epoch }, what);
  }

  #changed(group: ConsumerGroup): void {
    this.#alarm.by(group.nextDeadlineMs);
    this.#waiting.changed(group.id);
    this.#options.onChanged(group.id);
  }

  /** One batch again: the one kind of group or the other. When it does not fit, the group stays what it is. */
  #downgradeIfDue(shard: GroupShard, group: ConsumerGroup): void {
    const { surroundings, settings, clock } = this.#options;
    if (shard.consumerGroups.get(group.id) !== group) return;
    const value = downgrade(group, surroundings.settings, settings, clock.wallMs());
    if (value === undefined) return;
    const records: GroupRecord[] = [...group.tombstones(), { kind: 'group', group: group.id, value }];
    const onAppended = (): void => {
      shard.consumerGroups.delete(group.id);
      this.#waiting.endGroups([group.id]);
      this.#log(group, group.membersCount, 'a group with a server-side assignor is a classic one from now on');
      this.#options.onDowngraded(shard.restoreGroup(group.id, value));
    };
    shard.write(records, () => undefined, onAppended, true);
  }

  #tick(nowMs: number): void {
    for (const shard of this.#options.activeShards()) {
      for (const group of [...shard.consumerGroups.values()]) {
        const records = group.tick(nowMs);
        if (records.length > 0) void this.#write(shard, group, records);
        this.#alarm.by(group.nextDeadlineMs);
      }
    }
  }

  #wait(
    shard: GroupShard,
    group: ConsumerGroup,
    request: MemberHeartbeat,
    maxWaitMs: number,
  ): Promise<HeartbeatResult> {
    return new Promise((resolve) => {
      this.#waiting.add(group.id, request.memberId, maxWaitMs, (occasion) => {
        if (occasion === 'over') {
          resolve({ ok: false, error: shard.isActive ? 'STALE_MEMBER_EPOCH' : 'NOT_COORDINATOR' });
          return true;
        }
        const decision = group.heartbeat(request, this.#options.clock.monotonicMs());
        if (occasion === 'changed' && isNoNews(decision, request)) return false;
        void this.#carryOut(shard, group, decision).then(resolve);
        return true;
      });
    });
  }
}

function isNoNews(decision: Decision<HeartbeatAnswer>, { memberEpoch }: MemberHeartbeat): boolean {
  if (!decision.ok || decision.records.length > 0) return false;
  return decision.answer.assignment === undefined && decision.answer.memberEpoch === memberEpoch;
}

/** What has to be in the log before the first records of a group that is not there: no classic one of its name, and what is taken over from that. */
function beginning(shard: GroupShard, group: ConsumerGroup): readonly GroupRecord[] {
  const taken = group.state.isBlank ? [] : group.state.records(group.id);
  return shard.groups.has(group.id) ? [{ kind: 'group', group: group.id, value: null }, ...taken] : taken;
}

const errorOf = {
  'not-available': 'COORDINATOR_NOT_AVAILABLE',
  'not-coordinator': 'NOT_COORDINATOR',
  'too-large': 'MESSAGE_TOO_LARGE',
} as const satisfies Record<Exclude<WriteOutcome, 'committed'>, string>;
