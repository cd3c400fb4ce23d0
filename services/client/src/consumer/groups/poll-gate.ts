/**
 * Lets a rebalance change what is assigned, and call the application's listener, only while the application is inside `poll`. So a listener never
 * runs beside the code that handles records, and records are never taken away from under it.
 */
export class PollGate {
  readonly #onLeave: () => void;
  #isOpen = false;
  #isBusy = false;
  #waiting: (() => void) | undefined;

  constructor(onLeave: () => void) {
    this.#onLeave = onLeave;
  }

  /** The rebalance is inside: poll must neither hand out records nor return. */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** The application waits in poll. */
  get isIdle(): boolean {
    return this.#isOpen && !this.#isBusy;
  }

  /** The rebalance waits for the next poll. */
  get isAwaited(): boolean {
    return this.#waiting !== undefined;
  }

  /** Poll begins. */
  open(): void {
    this.#isOpen = true;
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    this.#waiting = undefined;
    this.#isBusy = true;
    waiting();
  }

  /** Poll ends. */
  close(): void {
    this.#isOpen = false;
  }

  /** Resolves inside a poll, which then waits for `leave`. One caller at a time. */
  enter(): Promise<void> {
    if (this.#isOpen) {
      this.#isBusy = true;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  /** Whoever waits never gets in. */
  forget(): void {
    this.#waiting = undefined;
  }

  leave(): void {
    this.#isBusy = false;
    this.#onLeave();
  }
}
