import type { Timer, Timers } from '@naru/runtime';
import type { TurnEnd } from '../../replication/turn-end.ts';

/** `changed`: something happened in the group. `due`: the caller waits no longer. `over`: it asked again, or this broker coordinates no more. */
export type Occasion = 'changed' | 'due' | 'over';

/** Answers when there is something to say, and whatever there is to say unless the occasion is `changed`. Returns whether it did. */
type Serve = (occasion: Occasion) => boolean;

interface Waiter {
  readonly serve: Serve;
  readonly timer: Timer;
}

/** Heartbeats that wait for news, so that a member hears of a rebalance when it begins, not an interval later. One per member. */
export class WaitingHeartbeats {
  readonly #timers: Timers;
  readonly #turnEnd: TurnEnd;
  /** By group, then member. */
  readonly #waiters = new Map<string, Map<string, Waiter>>();
  readonly #changed = new Set<string>();

  constructor(timers: Timers, turnEnd: TurnEnd) {
    this.#timers = timers;
    this.#turnEnd = turnEnd;
  }

  add(groupId: string, memberId: string, maxWaitMs: number, serve: Serve): void {
    this.end(groupId, memberId);
    const timer = this.#timers.after(maxWaitMs, () => this.#serve(groupId, memberId, 'due'));
    const waiters = this.#waiters.get(groupId) ?? new Map<string, Waiter>();
    this.#waiters.set(groupId, waiters.set(memberId, { serve, timer }));
  }

  /** They are asked at the end of the turn, once for everything that it brings. */
  changed(groupId: string): void {
    if (!this.#waiters.has(groupId)) return;
    this.#changed.add(groupId);
    this.#turnEnd.schedule(this.#serveChanged);
  }

  allChanged(): void {
    for (const groupId of this.#waiters.keys()) this.changed(groupId);
  }

  end(groupId: string, memberId: string): void {
    this.#serve(groupId, memberId, 'over');
  }

  endGroups(groupIds: Iterable<string>): void {
    for (const groupId of groupIds) this.#serveGroup(groupId, 'over');
  }

  readonly #serveChanged = (): void => {
    const changed = [...this.#changed];
    this.#changed.clear();
    for (const groupId of changed) this.#serveGroup(groupId, 'changed');
  };

  #serveGroup(groupId: string, occasion: Occasion): void {
    for (const memberId of [...(this.#waiters.get(groupId)?.keys() ?? [])]) this.#serve(groupId, memberId, occasion);
  }

  #serve(groupId: string, memberId: string, occasion: Occasion): void {
    const waiters = this.#waiters.get(groupId);
    const waiter = waiters?.get(memberId);
    if (waiters === undefined || waiter === undefined || !waiter.serve(occasion)) return;
    waiter.timer.cancel();
    if (waiters.get(memberId) === waiter) waiters.delete(memberId);
    if (waiters.size === 0) this.#waiters.delete(groupId);
  }
}
