import type { Logger } from '@naru/observability';
import { type Disk, isDiskError } from '@naru/runtime';
import { removeDamageMark, writeDamageMark } from './damage-mark.ts';
import { StorageError } from './log-errors.ts';
import type { LogDamage, LogState } from './log-types.ts';

export interface LogHealthOptions {
  readonly disk: Disk;
  readonly logger: Logger;
  readonly directory: string;
  readonly onFailure?: (error: StorageError) => void;
  readonly onDamage?: (damage: LogDamage) => void;
}

/**
 * Whether a log can be used: open → damaged → open (repaired), open or damaged → failed, anything → closed. A failure is for
 * good: the kernel may have dropped the pages that could not be written (row 56, ATC '20).
 */
export class LogHealth {
  readonly #options: LogHealthOptions;
  #state: LogState;

  constructor(options: LogHealthOptions, damage: LogDamage | undefined) {
    this.#options = options;
    this.#state = damage === undefined ? { kind: 'open' } : { kind: 'damaged', damage };
    if (damage !== undefined) options.logger.error({ ...damage }, 'log is damaged');
  }

  get state(): LogState {
    return this.#state;
  }

  get damage(): LogDamage | undefined {
    return this.#state.kind === 'damaged' ? this.#state.damage : undefined;
  }

  assertReadable(): void {
    if (this.#state.kind === 'failed') throw this.#state.error;
    if (this.#state.kind === 'closed') throw this.#closedError();
  }

  assertWritable(): void {
    if (this.#state.kind === 'damaged') throw new StorageError('damaged', this.#state.damage.reason);
    this.assertReadable();
  }

  /** A read met a batch that is not what was written. */
  noteDamage(damage: LogDamage): void {
    if (this.#state.kind !== 'open') return;
    this.#state = { kind: 'damaged', damage };
    this.#options.logger.error({ ...damage }, 'log is damaged');
    // Without the mark the next start would have to meet the damage again by a read; nothing waits for it.
    writeDamageMark(this.#options.disk, this.#options.directory, damage).catch((error) => this.failed(error));
    this.#options.onDamage?.(damage);
  }

  /** The damaged part is gone for good. */
  async repaired(): Promise<void> {
    if (this.#state.kind !== 'damaged') return;
    await removeDamageMark(this.#options.disk, this.#options.directory);
    this.#state = { kind: 'open' };
  }

  /** A full disk can be waited out, because a failed append leaves nothing behind; everything else is final. */
  appendFailed(cause: unknown): Error {
    if (!isDiskError(cause, 'full')) return this.failed(cause);
    return new StorageError('full', `no room in ${this.#options.directory}`, { cause });
  }

  /** The error to throw. What is no error of the disk is passed on: a bug, or an outcome that has its own type. */
  failed(cause: unknown): Error {
    if (!isDiskError(cause)) return cause as Error;
    if (this.#state.kind === 'failed') return this.#state.error;
    if (this.#state.kind === 'closed') return this.#closedError();
    const { directory, logger, onFailure } = this.#options;
    const error = new StorageError('failed', `${directory} failed: ${cause.message}`, { cause });
    this.#state = { kind: 'failed', error };
    logger.error({ error, directory }, 'log failed');
    onFailure?.(error);
    return error;
  }

  closed(): void {
    this.#state = { kind: 'closed' };
  }

  #closedError(): StorageError {
    return new StorageError('closed', `${this.#options.directory} is closed`);
  }
}
