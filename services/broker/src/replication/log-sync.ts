import type { PartitionLog } from '../log/partition-log.ts';
import type { TurnEnd } from './turn-end.ts';

export interface LogSyncOptions {
  readonly log: PartitionLog;
  readonly turnEnd: TurnEnd;
  /** There is something that has to become durable. */
  readonly isWanted: () => boolean;
  /** `flushedOffset` of the log may have moved. */
  readonly onFlushed: () => void;
}

/**
 * The syncs of one log: one for all appends of a turn, one at a time; the next takes whatever came meanwhile. A sync that fails is final: the log has
 * told its owner, and nothing is acknowledged from it any more (row 56).
 */
export class LogSync {
  readonly #options: LogSyncOptions;
  #isRunning = false;

  constructor(options: LogSyncOptions) {
    this.#options = options;
  }

  want(): void {
    if (!this.#isRunning && this.#options.isWanted()) this.#options.turnEnd.schedule(this.#run);
  }

  readonly #run = (): void => {
    const { log } = this.#options;
    if (this.#isRunning || log.state.kind !== 'open') return;
    this.#isRunning = true;
    log.flush().then(this.#done, this.#failed);
  };

  readonly #done = (): void => {
    this.#isRunning = false;
    this.#options.onFlushed();
    this.want();
  };

  readonly #failed = (): void => {
    this.#isRunning = false;
  };
}
