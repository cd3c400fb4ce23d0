/** `npm run chaos -- [--minutes N] [--cell NAME] [--list] …`: see tests/README.md. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type Cell, cells, smokeCells } from './cells.ts';
import { reportHtml } from './report/report.ts';
import { CellRun } from './run/cell-run.ts';
import { describeHost, type Host, missing, networkFor, probeHost } from './run/host.ts';
import { type Library, prepareLibrary } from './run/libraries.ts';
import { type CellResult, type SkippedCell, summaryLine } from './run/result.ts';
import type { ClientLibrary } from './workload/workloads.ts';

const usage = `usage: npm run chaos -- [options]

  --list               print the cells and what they do
  --cell NAME          only cells of this name; 'kill' takes all whose name contains it; may be given more than once
  --minutes N          end after N minutes (default 5; nightly 120): begin again from the first cell while there is time
  --once               every chosen cell once, however long it takes
  --profile NAME       smoke (the default): one of each kind; nightly: all cells
  --network KIND       namespaces or proxies; left out: namespaces where the host allows them
  --fault-seconds N    how long a fault lasts (default 6)
  --seed N             choices of the faults (default: from the clock)
  --out DIRECTORY      of the report and of the directories of runs that failed (default: naru-chaos in the temporary directory)
`;

const { values } = parseArgs({
  options: {
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    once: { type: 'boolean', default: false },
    cell: { type: 'string', multiple: true },
    minutes: { type: 'string' },
    profile: { type: 'string', default: 'smoke' },
    network: { type: 'string' },
    'fault-seconds': { type: 'string', default: '6' },
    seed: { type: 'string' },
    out: { type: 'string', default: join(tmpdir(), 'naru-chaos') },
  },
});

function chosenCells(): readonly Cell[] {
  const names = values.cell;
  if (names !== undefined) {
    const isExact = (name: string) => cells.some((cell) => cell.name === name);
    const fits = (cell: Cell, name: string) => (isExact(name) ? cell.name === name : cell.name.includes(name));
    return cells.filter((cell) => names.some((name) => fits(cell, name)));
  }
  if (values.profile === 'nightly') return cells;
  return smokeCells.map((name) => cells.find((cell) => cell.name === name) as Cell);
}

function list(): void {
  const width = Math.max(...cells.map((cell) => cell.name.length));
  for (const { name, workload, fault } of cells) {
    const needs = fault.needs.length > 0 ? ` [needs ${fault.needs.join(', ')}]` : '';
    console.log(`${name.padEnd(width)}  ${fault.doc}; ${workload.doc}${needs}`);
  }
  console.log(`${cells.length} cells`);
}

class ChaosRun {
  readonly #directory: string;
  readonly #host: Host;
  readonly #results: CellResult[] = [];
  readonly #libraries = new Map<ClientLibrary, Promise<Library>>();
  readonly #skipped = new Map<string, SkippedCell>();
  #current: CellRun | undefined;
  #release: () => void = () => {};

  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory, { recursive: true });
    const network = values.network === 'proxies' || values.network === 'namespaces' ? values.network : undefined;
    this.#host = probeHost(directory, network);
    for (const line of describeHost(this.#host)) console.log(line);
  }

  get isGood(): boolean {
    return this.#results.length > 0 && this.#results.every((result) => result.violations.length === 0);
  }

  async run(chosen: readonly Cell[], untilMs: number): Promise<void> {
    let seed = values.seed === undefined ? Date.now() % 1_000_000 : Number(values.seed);
    const runnable: { readonly cell: Cell; readonly library: string }[] = [];
    for (const cell of chosen) {
      const library = await this.#library(cell.workload.library);
      const reason = missing(cell, this.#host);
      if (reason !== undefined) this.#skip(cell, reason);
      else if ('missing' in library) this.#skip(cell, library.missing);
      else runnable.push({ cell, library: library.path });
    }
    const rounds = values.once ? 1 : Number.POSITIVE_INFINITY;
    for (let round = 0; round < rounds && runnable.length > 0; round++) {
      for (const { cell, library } of runnable) {
        if (!values.once && performance.now() > untilMs) return;
        await this.#runCell(cell, library, seed++);
      }
    }
  }

  #library(name: ClientLibrary): Promise<Library> {
    const library = this.#libraries.get(name) ?? prepareLibrary(name);
    this.#libraries.set(name, library);
    return library;
  }

  async #runCell(cell: Cell, library: string, seed: number): Promise<void> {
    const { network, release } = await networkFor(cell, this.#host);
    this.#release = release;
    const directory = join(
      this.#directory,
      `${String(this.#results.length + 1).padStart(3, '0')}-${cell.name.replace('/', '-')}`,
    );
    rmSync(directory, { recursive: true, force: true });
    const faultMs = Number(values['fault-seconds']) * 1_000;
    this.#current = new CellRun({ cell, network, directory, seed, faultMs, shim: this.#host.shim, library });
    const result = await this.#current.run();
    this.#current = undefined;
    release();
    this.#results.push(result);
    console.log(summaryLine(result));
    for (const { rule, message } of result.violations.slice(0, 10)) console.log(`     ${rule}: ${message}`);
    if (result.violations.length > 0) console.log(`     seed ${seed}, kept in ${directory}`);
    this.writeReport();
  }

  writeReport(): string {
    const path = join(this.#directory, 'report.html');
    writeFileSync(path, reportHtml(this.#results, [...this.#skipped.values()], describeHost(this.#host)));
    return path;
  }

  summary(): void {
    const sum = (pick: (result: CellResult) => number) => this.#results.reduce((total, one) => total + pick(one), 0);
    const failed = this.#results.filter((result) => result.violations.length > 0);
    const { length } = this.#results;
    console.log(
      `${length} runs of ${new Set(this.#results.map((result) => result.cell)).size} cells, ${failed.length} failed, ${this.#skipped.size} cells skipped: ` +
        `acked ${sum((r) => r.figures.acked)}, unknown ${sum((r) => r.figures.unknown)}, failed ${sum((r) => r.figures.failed)}, ` +
        `lost ${sum((r) => (r.cell.startsWith('single/') ? 0 : r.figures.lost))}, torn ${sum((r) => r.figures.torn)}, reordered ${sum((r) => r.figures.reordered)}, duplicated ${sum((r) => r.figures.duplicated)}`,
    );
    console.log(`report: ${this.writeReport()}`);
    const counts = {
      numPassedTests: length - failed.length,
      numFailedTests: failed.length,
      numPendingTests: this.#skipped.size,
      failures: failed.map(
        ({ cell, violations }) => `${cell}: ${violations.map(({ rule, message }) => `${rule} ${message}`).join('; ')}`,
      ),
    };
    if (process.env.NARU_TEST_REPORT) writeFileSync(process.env.NARU_TEST_REPORT, JSON.stringify(counts));
  }

  async close(): Promise<void> {
    await this.#current?.close();
    this.#release();
    this.#host.namespaces?.close();
  }

  #skip(cell: Cell, reason: string): void {
    this.#skipped.set(cell.name, { cell: cell.name, reason });
    console.log(`skip ${cell.name}: ${reason}`);
  }
}

async function main(): Promise<number> {
  if (values.help) process.stdout.write(usage);
  if (values.list) list();
  if (values.help || values.list) return 0;
  const chosen = chosenCells();
  if (chosen.length === 0) {
    console.error(`no cell is called like ${values.cell?.join(', ')}; see --list`);
    return 1;
  }
  const minutes = Number(values.minutes ?? (values.profile === 'nightly' ? 120 : 5));
  const run = new ChaosRun(resolve(values.out));
  let interrupted = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      interrupted = true;
      void run.close().finally(() => process.exit(130));
    });
  }
  try {
    await run.run(chosen, performance.now() + minutes * 60_000);
    if (!interrupted) run.summary();
    return run.isGood ? 0 : 1;
  } finally {
    await run.close();
  }
}

process.exit(await main());
