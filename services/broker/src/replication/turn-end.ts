import type { Timers } from '@naru/runtime';

/**
 * Work that is worth doing once after everything that this turn of the event loop brings: a fetch answer that takes what five produce
 * requests appended, one progress report for all partitions that a sync made durable. What is asked for twice is done once.
 */
export class TurnEnd {
  readonly #timers: Timers;
  #pending = new Set<() => void>();

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** `work` names itself: pass the same function each time. */
  schedule(work: () => void): void {
    if (this.#pending.size === 0) this.#timers.nextTurn(() => this.#run());
    this.#pending.add(work);
  }

  #run(): void {
    const due = this.#pending;
    this.#pending = new Set();
    for (const work of due) work();
  }
}
