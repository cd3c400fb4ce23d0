const intervalMs = 500;

/** One line on the terminal that tells how far a long work is; silent when standard error is no terminal. */
export class Progress {
  readonly #what: string;
  readonly #total: number | undefined;
  readonly #shown = process.stderr.isTTY === true;
  readonly #began = performance.now();
  #next = intervalMs;
  count = 0;

  constructor(what: string, total?: number) {
    this.#what = what;
    this.#total = total;
  }

  add(count: number): void {
    this.count += count;
    if (!this.#shown) return;
    const elapsedMs = performance.now() - this.#began;
    if (elapsedMs < this.#next) return;
    this.#next = elapsedMs + intervalMs;
    const share = this.#total === undefined ? '' : ` of ${this.#total}`;
    const rate = Math.round((this.count / elapsedMs) * 1000);
    process.stderr.write(`\r\x1b[K${this.count}${share} ${this.#what}, ${rate}/s`);
  }

  close(): void {
    if (this.#shown && this.#next > intervalMs) process.stderr.write('\r\x1b[K');
  }
}
