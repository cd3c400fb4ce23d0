import type { ReadOutcome, ReplicatedLog } from '../quorum/state-machine.ts';

/**
 * Makes many reads pay for one ReadIndex. A read may use only a barrier that began after it arrived (row 28), so those that
 * come while one is under way wait for the next, together.
 */
export class ReadBarrier {
  readonly #log: ReplicatedLog;
  #waiting: ((outcome: ReadOutcome) => void)[] = [];
  #running = false;

  constructor(log: ReplicatedLog) {
    this.#log = log;
  }

  /** Calls back when this node has applied everything that was committed before the call, or cannot know. */
  pass(callback: (outcome: ReadOutcome) => void): void {
    this.#waiting.push(callback);
    if (this.#running) return;
    this.#running = true;
    void this.#run();
  }

  async #run(): Promise<void> {
    // One turn of the microtask queue: the reads of one network message go together.
    await undefined;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      const outcome = await this.#log.read();
      for (const callback of batch) callback(outcome);
    }
    this.#running = false;
  }
}
