/**
 * One sync serves everything that was appended before it started (group commit). Callers that come while a sync runs share the
 * next one; callers of the same turn of the event loop share one, because a round begins after the code that asked for it.
 *
 *   1. A appends and asks; round 1 begins.
 *   2. B and C append and ask while it runs: their bytes may or may not be in round 1, so they wait for round 2.
 *   3. round 1 ends, A is answered, round 2 begins and answers B and C.
 */
export class GroupCommit {
  readonly #sync: () => Promise<void>;
  /** The end of everything that was asked for; never rejects. */
  #last: Promise<void> = Promise.resolve();
  /** A round that has not begun. */
  #waiting: Promise<void> | undefined;

  /** `sync` makes durable what is there when it is called. */
  constructor(sync: () => Promise<void>) {
    this.#sync = sync;
  }

  flush(): Promise<void> {
    if (this.#waiting !== undefined) return this.#waiting;
    const round = this.#last.then(() => {
      this.#waiting = undefined;
      return this.#sync();
    });
    this.#waiting = round;
    this.#last = round.catch(() => {});
    return round;
  }

  /** Runs `work` while no sync runs: for cuts, which must not meet a sync of what they take away. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    // A flush that is asked for from now on comes after the work.
    this.#waiting = undefined;
    const done = this.#last.then(work);
    this.#last = done.then(
      () => {},
      () => {},
    );
    return done;
  }
}
