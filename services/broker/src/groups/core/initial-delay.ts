/**
 * The first rebalance of a group waits `group.initial.rebalance.delay.ms` for those who start together, and as long again whenever somebody came
 * meanwhile, but not longer than the rebalance timeout (KIP-134).
 */
export class InitialDelay {
  readonly #delayMs: number;
  #untilMs: number;
  #remainingMs: number;
  #hasNewMember = false;

  constructor(delayMs: number, rebalanceTimeoutMs: number, nowMs: number) {
    const firstMs = Math.min(delayMs, rebalanceTimeoutMs);
    this.#delayMs = delayMs;
    this.#untilMs = nowMs + firstMs;
    this.#remainingMs = rebalanceTimeoutMs - firstMs;
  }

  get untilMs(): number {
    return this.#untilMs;
  }

  memberAdded(): void {
    this.#hasNewMember = true;
  }

  /** Begins another round of waiting when there is reason to. */
  isOver(nowMs: number): boolean {
    if (nowMs < this.#untilMs) return false;
    const moreMs = Math.min(this.#delayMs, this.#remainingMs);
    if (!this.#hasNewMember || moreMs <= 0) return true;
    this.#untilMs = nowMs + moreMs;
    this.#remainingMs -= moreMs;
    this.#hasNewMember = false;
    return false;
  }
}
