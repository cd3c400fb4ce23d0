import type { Timer, Timers } from '../clock.ts';

/** setTimeout's limit (2^31 − 1 ms); it fires at once when asked for more. */
const timeoutMsMax = 2_147_483_647;

export const nodeTimers: Timers = {
  after: (delayMs, callback) => new NodeTimer(delayMs, callback),
  nextTurn: (callback) => {
    const immediate = setImmediate(callback);
    return { cancel: () => clearImmediate(immediate) };
  },
};

/** setTimeout counts whole milliseconds of the event loop's time and may fire a little early; this one does not. */
class NodeTimer implements Timer {
  readonly #deadlineMs: number;
  readonly #callback: () => void;
  #timeout: NodeJS.Timeout;

  constructor(delayMs: number, callback: () => void) {
    this.#deadlineMs = performance.now() + delayMs;
    this.#callback = callback;
    this.#timeout = this.#arm(delayMs);
  }

  cancel(): void {
    clearTimeout(this.#timeout);
  }

  #arm(delayMs: number): NodeJS.Timeout {
    return setTimeout(this.#onTimeout, Math.min(Math.ceil(delayMs), timeoutMsMax));
  }

  readonly #onTimeout = (): void => {
    const leftMs = this.#deadlineMs - performance.now();
    if (leftMs > 0) this.#timeout = this.#arm(leftMs);
    else this.#callback();
  };
}
