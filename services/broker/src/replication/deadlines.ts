import type { Clock, Timer, Timers } from '@naru/runtime';

/** Deadlines are kept in slots of this width: a waiter may be told up to so many milliseconds late. */
const slotMs = 10;

/** Something that waits until a moment at most. */
export interface Expiring {
  expired(): void;
}

/**
 * One timer for the many requests that wait for something and seldom wait in vain: setting and clearing a deadline costs a set operation, not a timer.
 * The timer runs only while there is something to wait for.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #slots = new Map<number, Set<Expiring>>();
  #timer: Timer | undefined;
  #armedFor = Number.POSITIVE_INFINITY;

  constructor(clock: Clock, timers: Timers) {
    this.#clock = clock;
    this.#timers = timers;
  }

  /** Returns the slot, for `clear`. */
  set(waiter: Expiring, afterMs: number): number {
    const slot = Math.ceil((this.#clock.monotonicMs() + afterMs) / slotMs);
    let waiters = this.#slots.get(slot);
    if (waiters === undefined) {
      waiters = new Set();
      this.#slots.set(slot, waiters);
    }
    waiters.add(waiter);
    if (slot < this.#armedFor) this.#arm(slot);
    return slot;
  }

  clear(waiter: Expiring, slot: number): void {
    const waiters = this.#slots.get(slot);
    if (waiters === undefined) return;
    waiters.delete(waiter);
    if (waiters.size === 0) this.#slots.delete(slot);
  }

  close(): void {
    this.#timer?.cancel();
    this.#slots.clear();
    this.#armedFor = Number.POSITIVE_INFINITY;
  }

  #arm(slot: number): void {
    this.#timer?.cancel();
    this.#armedFor = slot;
    const delayMs = Math.max(0, slot * slotMs - this.#clock.monotonicMs());
    this.#timer = this.#timers.after(delayMs, () => this.#expire());
  }

  #expire(): void {
    this.#armedFor = Number.POSITIVE_INFINITY;
    this.#timer = undefined;
    const now = this.#clock.monotonicMs() / slotMs;
    let next = Number.POSITIVE_INFINITY;
    const due: Expiring[] = [];
    for (const [slot, waiters] of this.#slots) {
      if (slot > now) {
        next = Math.min(next, slot);
        continue;
      }
      this.#slots.delete(slot);
      due.push(...waiters);
    }
    for (const waiter of due) waiter.expired();
    if (next < this.#armedFor) this.#arm(next);
  }
}
