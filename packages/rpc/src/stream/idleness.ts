/** How long a server's connection has had no call and no stream, counted in ticks of its keepalive: it needs no timer of its own, and pings do not keep it open. */
export class Idleness {
  readonly #tickMs: number;
  /** 0: it may be idle for ever. */
  readonly #idleMsMax: number;
  #idleMs = 0;

  constructor({ keepaliveMs, idleMsMax }: { readonly keepaliveMs: number; readonly idleMsMax: number }) {
    this.#tickMs = keepaliveMs;
    this.#idleMsMax = idleMsMax;
  }

  /** A call or a stream begins. */
  opened(): void {
    // The tick that comes next does not count: it began before.
    this.#idleMs = -this.#tickMs;
  }

  /** Whether that is too long. */
  tick(openStreams: number): boolean {
    if (openStreams > 0) this.#idleMs = 0;
    else this.#idleMs += this.#tickMs;
    return this.#idleMsMax > 0 && this.#idleMs >= this.#idleMsMax;
  }
}
