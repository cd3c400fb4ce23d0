import type { Source } from './request-budget.ts';

/** Holds a client back: while the broker has too much to do, and while the client does not read its answers. */
export class StreamBrake implements Source {
  readonly #stream: Source;
  #holds = 0;
  #isCongested = false;
  #isClosed = false;

  constructor(stream: Source) {
    this.#stream = stream;
  }

  pause(): void {
    if (this.#holds++ === 0 && !this.#isClosed) this.#stream.pause();
  }

  resume(): void {
    if (--this.#holds === 0 && !this.#isClosed) this.#stream.resume();
  }

  /** An answer found the stream full; until `drained`. */
  congested(): void {
    if (this.#isCongested || this.#isClosed) return;
    this.#isCongested = true;
    this.pause();
  }

  drained(): void {
    if (!this.#isCongested) return;
    this.#isCongested = false;
    this.resume();
  }

  close(): void {
    this.#isClosed = true;
  }
}
