import type { Clock, Timers } from '@naru/runtime';
import type { TurnEnd } from '../../replication/turn-end.ts';
import type { ConsumerGroup } from '../core/consumer/consumer-group.ts';
import type {
  ConsumerGroupError,
  Decision,
  HeartbeatAnswer,
  MemberHeartbeat,
} from '../core/consumer/consumer-group-types.ts';
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
}

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

  /** Topics or partitions are others. */
  onTopicsChanged(): void {
    this.#waiting.allChanged();
  }

  onActive(shard: GroupShard): void {
    for (const group of shard.consumerGroups.values()) this.#alarm.by(group.nextDeadlineMs);
  }

  onClosed(shard: GroupShard): void {
    this.#waiting.endGroups(shard.consumerGroups.keys());
  }

  close(): void {
    this.#alarm.close();
  }

  #groupFor(
    groupId: string,
    isJoin: boolean,
  ): { ok: true; shard: GroupShard; group: ConsumerGroup } | Refused<NotHere | 'GROUP_ID_NOT_FOUND'> {
    const found = this.#options.shardFor(groupId);
    if (!found.ok) return found;
    const { shard } = found;
    const group = shard.consumerGroups.get(groupId);
    if (group !== undefined) return { ok: true, shard, group };
    const classic = shard.groups.get(groupId);
    if (!isJoin || (classic !== undefined && !classic.isDeserted)) return { ok: false, error: 'GROUP_ID_NOT_FOUND' };
    return { ok: true, shard, group: shard.consumerGroupOf(groupId) };
  }

  /** Writes first, also when there is nothing to write: what the answer tells may still be on its way into the log. */
  async #carryOut(
    shard: GroupShard,
    group: ConsumerGroup,
    decision: Decision<HeartbeatAnswer>,
  ): Promise<HeartbeatResult> {
    if (!decision.ok) {
      forgetIfBlank(shard, group);
      return decision;
    }
    const outcome = await this.#write(shard, group, decision.records);
    return outcome === 'committed' ? { ok: true, ...decision.answer } : { ok: false, error: errorOf[outcome] };
  }

  #write(shard: GroupShard, group: ConsumerGroup, records: readonly ConsumerGroupRecord[]): Promise<WriteOutcome> {
    const classic = shard.groups.get(group.id);
    // The group was a classic one, and nobody is in it any more.
    const all: GroupRecord[] = [...records];
    if (classic !== undefined) all.unshift({ kind: 'group', group: group.id, value: null });
    return new Promise((resolve) => {
      shard.write(all, resolve, (appended) => {
        for (const record of appended) {
          if (record.kind === 'group') shard.endClassicGroup(group.id);
          else if (record.kind !== 'offset') group.apply([record], this.#options.clock.monotonicMs());
        }
        this.#alarm.by(group.nextDeadlineMs);
        this.#waiting.changed(group.id);
      });
      forgetIfBlank(shard, group);
    });
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

function forgetIfBlank(shard: GroupShard, group: ConsumerGroup): void {
  if (group.state.isBlank && shard.consumerGroups.get(group.id) === group) shard.consumerGroups.delete(group.id);
}

const errorOf = {
  'not-available': 'COORDINATOR_NOT_AVAILABLE',
  'not-coordinator': 'NOT_COORDINATOR',
  'too-large': 'MESSAGE_TOO_LARGE',
} as const satisfies Record<Exclude<WriteOutcome, 'committed'>, string>;
