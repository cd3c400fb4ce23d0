import type { Flags } from './flags.ts';

/** One sub-command of `naru`. */
export interface Command<T extends Flags = Flags> {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  readonly usage: string;
  readonly flags: T;
  /** It reads its arguments by itself, `--help` as well. */
  readonly isPassedThrough?: boolean;
  readonly positionalMax?: number;
  /** Returns the exit status. A thrown error is printed as one line and ends with status 1. */
  run(argv: readonly string[]): Promise<number>;
}

/** An expected failure: one line for the user, no stack. `prefix` stands before the message where Kafka's tools have one. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}
