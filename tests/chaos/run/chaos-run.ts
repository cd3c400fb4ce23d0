import { rmSync, writeFileSync } from 'node:fs';
import type { ChaosOptions } from '../arguments.ts';
import type { Cell } from '../cells.ts';
import { reportHtml } from '../report/report.ts';
import type { ClientLibrary } from '../workload/workloads.ts';
import { CellRun } from './cell-run.ts';
import { describeHost, type Host, missing, networkFor, probeHost } from './host.ts';
import { type Library, prepareLibrary } from './libraries.ts';
import type { OutDirectory } from './out-directory.ts';
import { type CellResult, type SkippedCell, summaryLine, totalLines } from './result.ts';

/** Violations of a run that the terminal shows; all are in its `result.json`. */
const violationsShown = 10;

/** One cell after the other, as long as there is time, and what came of them. */
export class ChaosRun {
  readonly #options: ChaosOptions;
  readonly #out: OutDirectory;
  readonly #host: Host;
  readonly #results: CellResult[] = [];
  readonly #libraries = new Map<ClientLibrary, Promise<Library>>();
  readonly #skipped = new Map<string, SkippedCell>();
  #current: { readonly run: CellRun; readonly directory: string } | undefined;
  #release: () => void = () => {};
  #isInterrupted = false;

  constructor(options: ChaosOptions, out: OutDirectory) {
    this.#options = options;
    this.#out = out;
    this.#host = probeHost(options.network);
    for (const line of describeHost(this.#host)) console.log(line);
  }

  get isGood(): boolean {
    return this.#results.length > 0 && this.#results.every((result) => result.violations.length === 0);
  }

  async run(): Promise<void> {
    const { cells, limitMs } = this.#options;
    const endMs = performance.now() + limitMs;
    let seed = this.#options.seed ?? Date.now() % 1_000_000;
    const runnable: { readonly cell: Cell; readonly library: string }[] = [];
    for (const cell of cells) {
      const library = await this.#library(cell.workload.library);
      const reason = missing(cell, this.#host);
      if (reason !== undefined) this.#skip(cell, reason);
      else if ('missing' in library) this.#skip(cell, library.missing);
      else runnable.push({ cell, library: library.path });
    }
    for (let round = 0; runnable.length > 0 && (round === 0 || Number.isFinite(limitMs)); round++) {
      for (const { cell, library } of runnable) {
        if (performance.now() > endMs || this.#isInterrupted) return;
        await this.#runCell(cell, library, seed++);
      }
    }
  }

  /** The cell that runs does not count, and leaves nothing behind. */
  async interrupt(): Promise<void> {
    this.#isInterrupted = true;
    await this.#current?.run.close();
    if (this.#current !== undefined) rmSync(this.#current.directory, { recursive: true, force: true });
  }

  /** To the terminal, the page and `scripts/ci.ts`. */
  summarize(): void {
    if (this.#isInterrupted) console.log('interrupted');
    for (const line of totalLines(this.#results, this.#skipped.size)) console.log(line);
    console.log(`report: ${this.#writeReport()}`);
    const failed = this.#results.filter((result) => result.violations.length > 0);
    const counts = {
      numPassedTests: this.#results.length - failed.length,
      numFailedTests: failed.length,
      numPendingTests: this.#skipped.size,
      failures: failed.map(
        ({ cell, violations }) => `${cell}: ${violations.map(({ rule, message }) => `${rule} ${message}`).join('; ')}`,
      ),
    };
    if (process.env.NARU_TEST_REPORT) writeFileSync(process.env.NARU_TEST_REPORT, JSON.stringify(counts));
  }

  async close(): Promise<void> {
    await this.#current?.run.close();
    this.#release();
    this.#host.close();
  }

  async #runCell(cell: Cell, library: string, seed: number): Promise<void> {
    const { network, release } = await networkFor(cell, this.#host);
    this.#release = release;
    const directory = this.#out.next(cell.name);
    const { faultMs, mutant } = this.#options;
    const run = new CellRun({ cell, network, directory, seed, faultMs, shim: this.#host.shim, library, mutant });
    this.#current = { run, directory };
    const result = await run.run();
    if (this.#isInterrupted) return;
    this.#current = undefined;
    release();
    this.#results.push(result);
    console.log(summaryLine(result));
    for (const { rule, message } of result.violations.slice(0, violationsShown))
      console.log(`     ${rule}: ${message}`);
    const more = result.violations.length - violationsShown;
    if (more > 0) console.log(`     and ${more} more`);
    if (result.violations.length > 0) console.log(`     seed ${seed}, kept in ${directory}`);
    this.#writeReport();
  }

  #library(name: ClientLibrary): Promise<Library> {
    const library = this.#libraries.get(name) ?? prepareLibrary(name);
    this.#libraries.set(name, library);
    return library;
  }

  #writeReport(): string {
    const path = this.#out.reportFile;
    writeFileSync(path, reportHtml(this.#results, [...this.#skipped.values()], describeHost(this.#host)));
    return path;
  }

  #skip(cell: Cell, reason: string): void {
    this.#skipped.set(cell.name, { cell: cell.name, reason });
    console.log(`skip ${cell.name}: ${reason}`);
  }
}
