import type { Clock, Timer, Timers } from '@naru/runtime';

/** Sooner than this after it was armed it is not armed again, milliseconds. */
const delayMsMin = 1;

/** One timer for many deadlines: it goes off at the earliest, and whoever it wakes asks for the next. */
export class Alarm {
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #ring: (nowMs: number) => void;
  #timer: Timer | undefined;
  #atMs: number = Number.POSITIVE_INFINITY;
  #isClosed = false;

  constructor(clock: Clock, timers: Timers, ring: (nowMs: number) => void) {
    this.#clock = clock;
    this.#timers = timers;
    this.#ring = ring;
  }

  /** Goes off at that time (monotonic) or before. */
  by(atMs: number): void {
    if (atMs >= this.#atMs || this.#isClosed) return;
    this.#timer?.cancel();
    this.#atMs = atMs;
    this.#timer = this.#timers.after(Math.max(delayMsMin, atMs - this.#clock.monotonicMs()), () => {
      this.#atMs = Number.POSITIVE_INFINITY;
      this.#ring(this.#clock.monotonicMs());
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }
}
