import type { Clock, Timer, Timers } from '@naru/runtime';
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

interface Waiter {
  readonly shard: GroupShard;
  readonly request: MemberHeartbeat;
  readonly resolve: (result: HeartbeatResult) => void;
  readonly timer: Timer;
}

/**
 * The groups with a server-side assignor of this broker (KIP-848): hands events to their state machines, writes what these decide, and answers when it is
 * replicated. A member may ask for its answer to wait until there is news for it: so a rebalance need not wait for heartbeats.
 */
export class ConsumerGroups {
  readonly #options: ConsumerGroupsOptions;
  readonly #alarm: Alarm;
  /** Heartbeats that wait for news, by group, then member. */
  readonly #waiting = new Map<string, Map<string, Waiter>>();
  readonly #changed = new Set<string>();

  constructor(options: ConsumerGroupsOptions) {
    this.#options = options;
    this.#alarm = new Alarm(options.clock, options.timers, (nowMs) => this.#tick(nowMs));
  }

  /** Not longer than `maxWaitMs` when there is no news. */
  async heartbeat(groupId: string, request: MemberHeartbeat, maxWaitMs: number): Promise<HeartbeatResult> {
    const found = this.#groupFor(groupId, request.memberEpoch === 0);
    if (!found.ok) return found;
    const { shard, group } = found;
    // The member has given its former heartbeat up.
    this.#takeWaiter(groupId, request.memberId)?.resolve({ ok: false, error: 'STALE_MEMBER_EPOCH' });
    const decision = group.heartbeat(request, this.#options.clock.monotonicMs());
    this.#alarm.by(group.nextDeadlineMs);
    if (maxWaitMs > 0 && isNoNews(decision, request)) return this.#wait(shard, group, request, maxWaitMs);
    return this.#carryOut(shard, group, decision);
  }

  /** `memberEpoch`: -1 for good, -2 for a while. */
  async leave(groupId: string, memberId: string, instanceId: string, memberEpoch: number): Promise<HeartbeatResult> {
    const found = this.#groupFor(groupId, false);
    if (!found.ok) return found;
    this.#takeWaiter(groupId, memberId)?.resolve({ ok: false, error: 'UNKNOWN_MEMBER_ID' });
    return this.#carryOut(found.shard, found.group, found.group.leave(memberId, instanceId, memberEpoch));
  }

  /** Topics or partitions are others. */
  onTopicsChanged(): void {
    for (const groupId of this.#waiting.keys()) this.#changedLater(groupId);
  }

  onActive(shard: GroupShard): void {
    for (const group of shard.consumerGroups.values()) this.#alarm.by(group.nextDeadlineMs);
  }

  onClosed(shard: GroupShard): void {
    for (const [groupId, waiters] of this.#waiting) {
      for (const [memberId, waiter] of waiters) {
        if (waiter.shard !== shard) continue;
        this.#takeWaiter(groupId, memberId)?.resolve({ ok: false, error: 'NOT_COORDINATOR' });
      }
    }
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
        this.#changedLater(group.id);
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

  // Waiting for news.

  #wait(
    shard: GroupShard,
    group: ConsumerGroup,
    request: MemberHeartbeat,
    maxWaitMs: number,
  ): Promise<HeartbeatResult> {
    return new Promise((resolve) => {
      const timer = this.#options.timers.after(maxWaitMs, () => this.#serve(group.id, request.memberId, true));
      const waiters = this.#waiting.get(group.id) ?? new Map<string, Waiter>();
      this.#waiting.set(group.id, waiters.set(request.memberId, { shard, request, resolve, timer }));
    });
  }

  /** Once for everything that this turn brings. */
  #changedLater(groupId: string): void {
    if (!this.#waiting.has(groupId)) return;
    this.#changed.add(groupId);
    this.#options.turnEnd.schedule(this.#serveChanged);
  }

  readonly #serveChanged = (): void => {
    const changed = [...this.#changed];
    this.#changed.clear();
    for (const groupId of changed) {
      for (const memberId of [...(this.#waiting.get(groupId)?.keys() ?? [])]) this.#serve(groupId, memberId, false);
    }
  };

  #serve(groupId: string, memberId: string, isDue: boolean): void {
    const waiter = this.#waiting.get(groupId)?.get(memberId);
    if (waiter === undefined) return;
    const { shard, request } = waiter;
    const group = shard.consumerGroups.get(groupId);
    const decision: Decision<HeartbeatAnswer> =
      group === undefined
        ? { ok: false, error: 'UNKNOWN_MEMBER_ID' }
        : group.heartbeat(request, this.#options.clock.monotonicMs());
    if (!isDue && isNoNews(decision, request)) return;
    const resolve = this.#takeWaiter(groupId, memberId)?.resolve;
    if (resolve === undefined) return;
    if (group === undefined) resolve({ ok: false, error: 'UNKNOWN_MEMBER_ID' });
    else void this.#carryOut(shard, group, decision).then(resolve);
  }

  #takeWaiter(groupId: string, memberId: string): Waiter | undefined {
    const waiters = this.#waiting.get(groupId);
    const waiter = waiters?.get(memberId);
    waiter?.timer.cancel();
    waiters?.delete(memberId);
    if (waiters?.size === 0) this.#waiting.delete(groupId);
    return waiter;
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
