/** Time as the process sees it. Two clocks, because they answer different questions. */
export interface Clock {
  /**
   * Milliseconds since an arbitrary start, with a fraction; never goes back. Everything that measures a duration
   * (timeouts, session deadlines, retries) uses this clock.
   */
  monotonicMs(): number;
  /** Milliseconds since 1970-01-01 UTC; may jump. Only for timestamps that people or records carry. */
  wallMs(): number;
}

/** A started timer. `cancel` is idempotent and may be called after it fired. */
export interface Timer {
  cancel(): void;
}

/** The only way to do something later. Callbacks run on the event loop, never inside the call that started them. */
export interface Timers {
  /** Runs `callback` once, not before `delayMs` milliseconds have passed. A pending timer keeps the process alive. */
  after(delayMs: number, callback: () => void): Timer;
  /** Runs `callback` after the events that are already waiting have been handled (Node: setImmediate). */
  nextTurn(callback: () => void): Timer;
}

/** Resolves after `delayMs`; rejects with the signal's reason when `signal` aborts first. */
export function sleep(timers: Timers, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = (): void => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = timers.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
