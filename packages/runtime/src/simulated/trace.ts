import { hashText } from './seeded-random.ts';

/**
 * A fingerprint of everything that happened, in order. Two runs of the same seed must have the same one; where they part,
 * something outside the seed has had a say (a real clock, an iteration order, a thread).
 */
export class Trace {
  #low = 0x811c9dc5 | 0;
  #high = 0x6b43a9b5 | 0;
  readonly #linesMax: number;
  readonly #lines: string[] = [];

  /** `linesMax`: how many of the last lines are kept to be read by people. */
  constructor(linesMax: number) {
    this.#linesMax = linesMax;
  }

  add(timeMs: number, line: string): void {
    this.mix(hashText(line));
    if (this.#linesMax === 0) return;
    this.#lines.push(`${timeMs.toFixed(3)} ${line}`);
    if (this.#lines.length >= 2 * this.#linesMax) this.#lines.splice(0, this.#linesMax);
  }

  mix(value: number): void {
    this.#low = Math.imul(this.#low ^ value, 0x01000193);
    this.#high = Math.imul(this.#high ^ (value + 0x9e3779b9), 0x85ebca6b);
    this.#high ^= this.#high >>> 13;
  }

  get hash(): string {
    return hex(this.#high) + hex(this.#low);
  }

  /** The last lines, oldest first. */
  get lines(): readonly string[] {
    return this.#lines.slice(-this.#linesMax);
  }
}

function hex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0');
}
