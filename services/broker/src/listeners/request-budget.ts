/** Someone whose requests can be held back. */
export interface Source {
  pause(): void;
  resume(): void;
}

/**
 * Bytes of requests that are not answered yet, over all connections (`queued.max.request.bytes`). Beyond the limit whoever sends
 * more is paused; the transport's flow control then holds the client back. What was read already is still served, so the limit can be passed by one
 * request of each connection.
 */
export class RequestBudget {
  readonly #bytesMax: number;
  readonly #paused = new Set<Source>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  take(bytes: number, source: Source): void {
    this.#bytes += bytes;
    if (this.#bytes <= this.#bytesMax || this.#paused.has(source)) return;
    this.#paused.add(source);
    source.pause();
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
    // Some room first: else every answer would let in one request of everyone.
    if (this.#paused.size === 0 || this.#bytes > this.#bytesMax / 2) return;
    const waiting = [...this.#paused];
    this.#paused.clear();
    for (const source of waiting) source.resume();
  }

  forget(source: Source): void {
    this.#paused.delete(source);
  }
}
