import { setTimeout as delay } from 'node:timers/promises';

/** Timers are accurate to about a millisecond: shorter debts are carried on. */
const shortestPauseMs = 2;

/** Keeps a loop at so many records a second on average; -1 does not hold it back. */
export class Throttle {
  readonly #perSecond: number;
  readonly #began = performance.now();
  #count = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** A promise when it is too early for the next record. */
  afterRecord(): Promise<void> | undefined {
    this.#count++;
    if (this.#perSecond <= 0) return undefined;
    const earlyMs = (this.#count / this.#perSecond) * 1000 - (performance.now() - this.#began);
    return earlyMs < shortestPauseMs ? undefined : delay(earlyMs);
  }
}
