import { closest } from '@naru/config';

/** One flag of a command, in the style of Kafka's tools: long names, `--name value` or `--name=value`. */
export interface Flag {
  /**
   * - `switch`: present or not;
   * - `value`: the last one given counts;
   * - `optional`: the same, and the value may be left out, which makes it empty (`--list --state`, `--list --state Stable`);
   * - `list`: may be given several times;
   * - `words`: takes every word up to the next flag (`--producer-props a=b c=d`).
   */
  readonly kind: 'switch' | 'value' | 'optional' | 'list' | 'words';
  /** What the value is called in the help. */
  readonly value?: string;
  readonly doc: string;
  readonly default?: string;
  readonly required?: boolean;
}

export type Flags = Readonly<Record<string, Flag>>;

type FlagValue<F extends Flag> = F['kind'] extends 'switch'
  ? boolean
  : F['kind'] extends 'list' | 'words'
    ? readonly string[]
    : F extends { default: string } | { required: true }
      ? string
      : string | undefined;

export type FlagValues<T extends Flags> = { readonly [Name in keyof T]: FlagValue<T[Name]> };

/** The command line cannot be understood; the message is one line. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export interface ParsedFlags<T extends Flags> {
  readonly values: FlagValues<T>;
  readonly positional: readonly string[];
}

/** Names may be cut short as long as they stay unambiguous, as with Kafka's own parser (jopt-simple). */
export function parseFlags<const T extends Flags>(
  flags: T,
  argv: readonly string[],
  positionalMax = 0,
): ParsedFlags<T> {
  const values: Record<string, unknown> = {};
  const positional: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] as string;
    if (!word.startsWith('--')) {
      positional.push(word);
      continue;
    }
    const equals = word.indexOf('=');
    const name = resolveName(flags, equals === -1 ? word.slice(2) : word.slice(2, equals));
    const flag = flags[name] as Flag;
    const inline = equals === -1 ? undefined : word.slice(equals + 1);
    if (flag.kind === 'switch') {
      if (inline !== undefined) throw new UsageError(`--${name} takes no value`);
      values[name] = true;
      continue;
    }
    if (flag.kind === 'optional') {
      const next = argv[i + 1];
      if (inline !== undefined || next === undefined || isFlagWord(next)) values[name] = inline ?? '';
      else values[name] = argv[++i];
      continue;
    }
    const first = inline ?? argv[++i];
    if (first === undefined || (inline === undefined && isFlagWord(first)))
      throw new UsageError(`--${name} needs a value`);
    if (flag.kind === 'value') {
      values[name] = first;
      continue;
    }
    const list = (values[name] as string[] | undefined) ?? [];
    list.push(first);
    while (flag.kind === 'words' && i + 1 < argv.length && !isFlagWord(argv[i + 1] as string))
      list.push(argv[++i] as string);
    values[name] = list;
  }
  if (positional.length > positionalMax) throw new UsageError(`unexpected argument '${positional[positionalMax]}'`);
  for (const [name, flag] of Object.entries(flags)) {
    if (values[name] !== undefined) continue;
    if (flag.required) throw new UsageError(`missing required flag --${name}`);
    values[name] = flag.kind === 'switch' ? false : flag.kind === 'list' || flag.kind === 'words' ? [] : flag.default;
  }
  return { values: values as FlagValues<T>, positional };
}

/** `--` begins a flag, unless what follows is a number (`--time -1` has one dash only). */
function isFlagWord(word: string): boolean {
  return word.startsWith('--');
}

function resolveName(flags: Flags, written: string): string {
  if (Object.hasOwn(flags, written)) return written;
  const candidates = Object.keys(flags).filter((name) => name.startsWith(written));
  if (written !== '' && candidates.length === 1) return candidates[0] as string;
  if (written !== '' && candidates.length > 1) {
    throw new UsageError(`--${written} is ambiguous: ${candidates.map((name) => `--${name}`).join(', ')}`);
  }
  const suggestion = closest(written, Object.keys(flags));
  throw new UsageError(`unknown flag --${written}${suggestion === undefined ? '' : `; did you mean --${suggestion}?`}`);
}

/** A whole number within bounds, or a `UsageError` that names the flag. */
export function wholeNumber(name: string, text: string, min: number, max = Number.MAX_SAFE_INTEGER): number {
  const number = /^-?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(number) || number < min || number > max) {
    const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
    throw new UsageError(`--${name} must be a whole number ${range}, not '${text}'`);
  }
  return number;
}

/** `key=value` pairs as an object, or a `UsageError` that names the flag. */
export function keyValues(name: string, pairs: readonly string[]): Record<string, string> {
  const result: Record<string, string> = {};
  for (const pair of pairs) {
    const equals = pair.indexOf('=');
    if (equals <= 0) throw new UsageError(`--${name} must be of the form key=value, not '${pair}'`);
    result[pair.slice(0, equals)] = pair.slice(equals + 1);
  }
  return result;
}

export function formatHelp(usage: string, summary: string, flags: Flags): string {
  const rows = Object.entries(flags).map(([name, flag]) => {
    const placeholder = flag.kind === 'switch' ? '' : ` <${flag.value ?? 'value'}>`;
    const value = flag.kind === 'optional' ? ` [${flag.value ?? 'value'}]` : placeholder;
    const extra = flag.required ? ' (required)' : flag.default !== undefined ? ` (default: ${flag.default})` : '';
    return [
      `  --${name}${value}${flag.kind === 'list' || flag.kind === 'words' ? ' …' : ''}`,
      `${flag.doc}${extra}`,
    ] as const;
  });
  const width = Math.min(44, Math.max(...rows.map(([left]) => left.length), 0) + 2);
  const lines = rows.flatMap(([left, doc]) =>
    left.length < width ? [left.padEnd(width) + doc] : [left, ' '.repeat(width) + doc],
  );
  return `${summary}\n\nUsage: ${usage}\n${lines.length > 0 ? `\n${lines.join('\n')}\n` : ''}`;
}
