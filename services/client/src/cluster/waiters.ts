import type { Runtime } from '@naru/runtime';

interface Waiter {
  /** True when it is settled and done with. */
  check(): boolean;
  fail(error: unknown): void;
}

export interface WaitOptions {
  /** Monotonic milliseconds. */
  readonly deadlineMs: number;
  /** The error when nothing came by the deadline. */
  readonly late: () => Error;
  readonly signal?: AbortSignal | undefined;
}

/** Who waits for the metadata to show something. */
export class Waiters {
  readonly #runtime: Runtime;
  readonly #waiters = new Set<Waiter>();

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  get size(): number {
    return this.#waiters.size;
  }

  /** Resolves with the first value that `check` returns; it is asked now and at every `settle`. What it throws is the failure. */
  waitUntil<T>(check: () => T | undefined, options: WaitOptions): Promise<T> {
    const { deadlineMs, late, signal } = options;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const settle = (outcome: () => void): void => {
        timer.cancel();
        signal?.removeEventListener('abort', onAbort);
        this.#waiters.delete(waiter);
        outcome();
      };
      const waiter: Waiter = {
        check: () => {
          try {
            const value = check();
            if (value === undefined) return false;
            settle(() => resolve(value));
          } catch (error) {
            settle(() => reject(error));
          }
          return true;
        },
        fail: (error) => settle(() => reject(error)),
      };
      const onAbort = (): void => waiter.fail(signal?.reason);
      const delayMs = Math.max(0, deadlineMs - this.#runtime.clock.monotonicMs());
      const timer = this.#runtime.timers.after(delayMs, () => waiter.fail(late()));
      signal?.addEventListener('abort', onAbort, { once: true });
      if (!waiter.check()) this.#waiters.add(waiter);
    });
  }

  /** The metadata may have changed. */
  settle(): void {
    for (const waiter of [...this.#waiters]) waiter.check();
  }

  failAll(error: () => Error): void {
    for (const waiter of [...this.#waiters]) waiter.fail(error());
  }
}
