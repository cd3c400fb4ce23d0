const tickMs = 20;
/** Shorter delays of a timer are normal. */
const unnoticedMs = 30;

/**
 * How long this process was ready and not run: a measure of how busy the machine is with others. Limits of time are widened by it, or a slow machine
 * would be taken for a slow cluster.
 */
export class StallMeter {
  readonly #timer: NodeJS.Timeout;
  #lastMs = performance.now();
  #stalledMs = 0;

  constructor() {
    this.#timer = setInterval(() => this.#tick(), tickMs);
  }

  /** Milliseconds in all. */
  stop(): number {
    clearInterval(this.#timer);
    this.#tick();
    return this.#stalledMs;
  }

  #tick(): void {
    const nowMs = performance.now();
    const lateMs = nowMs - this.#lastMs - tickMs;
    this.#lastMs = nowMs;
    if (lateMs > unnoticedMs) this.#stalledMs += lateMs;
  }
}
