import { type LogFields, type Logger, silentLogger } from '@naru/observability';

const timeColumns = 11;

/** A run told to people: what the nodes log and what happens to them, by node. Costs nothing when nobody listens, and is no part of the trace's hash. */
export class Story {
  clock: () => number = () => 0;
  readonly #print: ((line: string) => void) | undefined;
  readonly #lines: string[] = [];

  constructor(print?: (line: string) => void) {
    this.#print = print;
  }

  get isTold(): boolean {
    return this.#print !== undefined;
  }

  tell(who: string, text: string): void {
    if (this.#print === undefined) return;
    const line = `${this.clock().toFixed(3).padStart(timeColumns)} ${who.padEnd(6)} ${text}`;
    this.#lines.push(line);
    this.#print(line);
  }

  /** The newest `count` lines that fit; what was said again and again only where it was said last. */
  last(count: number, fits: (line: string) => boolean): readonly string[] {
    const newest = new Map<string, string>();
    for (const line of this.#lines.toReversed()) {
      if (newest.size === count) break;
      const said = line.slice(timeColumns);
      if (fits(line) && !newest.has(said)) newest.set(said, line);
    }
    return [...newest.values()].reverse();
  }

  /** Without time and place: what is said about the whole run. */
  add(lines: readonly string[]): void {
    for (const line of lines) this.#print?.(line);
  }

  loggerOf(who: string): Logger {
    if (this.#print === undefined) return silentLogger;
    const write =
      (level: string) =>
      (fields: LogFields, message: string): void => {
        this.tell(who, `${level} ${message} ${JSON.stringify(fields, replacer)}`);
      };
    const logger: Logger = {
      debug: () => {},
      info: write('·'),
      warn: write('!'),
      error: write('!!'),
      child: () => logger,
    };
    return logger;
  }
}

function replacer(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  return value instanceof Error ? value.message : value;
}
