import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';

/** Timers are accurate to about a millisecond: shorter debts are carried on. */
const shortestPauseMs = 2;

/** A loop that never waits fills the buffer before the first request leaves, and is deaf to Ctrl-C as long. */
const recordsPerTurn = 1_000;

/** Keeps a loop at so many records a second on average; -1 does not hold it back. */
export class Throttle {
  readonly #perSecond: number;
  readonly #began = performance.now();
  #count = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** A promise when it is too early for the next record, or others' turn. */
  afterRecord(): Promise<void> | undefined {
    this.#count++;
    if (this.#perSecond <= 0) return this.#count % recordsPerTurn === 0 ? turn() : undefined;
    const earlyMs = (this.#count / this.#perSecond) * 1000 - (performance.now() - this.#began);
    return earlyMs < shortestPauseMs ? undefined : delay(earlyMs);
  }
}
