import type { Runtime, Timer } from '@naru/runtime';

/** Passes over all work, made when events and times ask for one. Many events of one turn make one pass. */
export class Passes {
  readonly #runtime: Pick<Runtime, 'clock' | 'timers'>;
  readonly #run: () => void;
  #isPending = false;
  #timer: Timer | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #isClosed = false;

  constructor(runtime: Pick<Runtime, 'clock' | 'timers'>, run: () => void) {
    this.#runtime = runtime;
    this.#run = run;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** After the current turn's code has run. */
  wake(): void {
    if (this.#isPending || this.#isClosed) return;
    this.#isPending = true;
    queueMicrotask(() => {
      this.#isPending = false;
      if (!this.#isClosed) this.#run();
    });
  }

  /** At this moment of the monotonic clock, unless one is due before: that one asks again for what is still to come. */
  wakeAt(atMs: number): void {
    if (atMs >= this.#timerAtMs || this.#isClosed || atMs === Number.POSITIVE_INFINITY) return;
    this.#timer?.cancel();
    this.#timerAtMs = atMs;
    this.#timer = this.#runtime.timers.after(Math.max(0, atMs - this.#runtime.clock.monotonicMs()), () => {
      this.#timerAtMs = Number.POSITIVE_INFINITY;
      this.wake();
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }
}
