import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';

/** What was asked for makes no sense: `message` says what, and what would. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export type Values<T extends ParseArgsOptionsConfig> = ReturnType<typeof parseArgs<{ options: T }>>['values'];

/** The options of a harness. Throws a UsageError. */
export function parseOptions<const T extends ParseArgsOptionsConfig>(argv: readonly string[], options: T): Values<T> {
  try {
    return parseArgs({ args: [...argv], options }).values;
  } catch (error) {
    throw new UsageError((error as Error).message.replaceAll('\n', ' '));
  }
}

/** Whole and not below `least`. */
export function wholeNumber(option: string, text: string, least = 1): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < least || !Number.isSafeInteger(number)) {
    throw new UsageError(`--${option} is a whole number from ${least} on, not '${text}'`);
  }
  return number;
}

/** Above 0. */
export function positiveNumber(option: string, text: string): number {
  const number = Number(text);
  if (text.trim() === '' || !Number.isFinite(number) || number <= 0) {
    throw new UsageError(`--${option} is a number above 0, not '${text}'`);
  }
  return number;
}

/** Options that say nothing together with what else was given. */
export function refuseTogether(values: object, options: readonly string[], why: string): void {
  const given = options.filter((option) => ![undefined, false].includes((values as Record<string, never>)[option]));
  if (given.length > 0) throw new UsageError(`${given.map((option) => `--${option}`).join(', ')}: ${why}`);
}

/** Ends the process with what `main` answers; with 2 and a sentence when it was asked for nonsense. */
export async function runCommand(main: () => Promise<number> | number): Promise<never> {
  try {
    process.exit(await main());
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}\n--help tells what can be asked for`);
    process.exit(2);
  }
}

/**
 * Aborted by the first Ctrl-C or SIGTERM, and when nobody reads the output any more (`| head`): what runs is then ended, tidied up and summed up. A second Ctrl-C ends the
 * process at once.
 */
export function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => controller.abort(signal));
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    controller.abort('nobody reads the output');
  });
  return controller.signal;
}

/** Of a process that was interrupted. */
export const interruptedStatus = 130;
