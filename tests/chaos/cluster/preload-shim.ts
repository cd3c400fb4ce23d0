import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Path of the library to preload; undefined: this host has none, because of `refused`. */
export interface Shim {
  readonly library: string | undefined;
  readonly refused: string;
}

/** Compiles it into `directory` and tries it. */
export function compileShim(directory: string): Shim {
  if (process.platform !== 'linux')
    return { library: undefined, refused: `made for Linux, this is ${process.platform}` };
  const source = fileURLToPath(new URL('./preload-shim.c', import.meta.url));
  const library = join(directory, 'preload-shim.so');
  const compiled = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl'], { encoding: 'utf8' });
  if (compiled.error !== undefined) return { library: undefined, refused: `no C compiler: ${compiled.error.message}` };
  if (compiled.status !== 0)
    return { library: undefined, refused: `it does not compile: ${lastLine(compiled.stderr)}` };
  // The loader passes over a library that it cannot load, with a line on standard error: then no fault would ever come.
  const tried = spawnSync(process.execPath, ['--version'], { encoding: 'utf8', env: { LD_PRELOAD: library } });
  if (tried.status === 0 && tried.stderr === '') return { library, refused: '' };
  return { library: undefined, refused: `it cannot be preloaded: ${lastLine(tried.stderr)}` };
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}

/** Commands the syncs and the wall clock of one node's process; the file is mapped by it, so that a change counts at once. */
export class ShimControl {
  readonly journalFile: string;
  readonly #controlFile: string;
  readonly #library: string;

  constructor(library: string, nodeDirectory: string) {
    this.#library = library;
    this.#controlFile = join(nodeDirectory, 'shim-control');
    this.journalFile = join(nodeDirectory, 'shim-journal');
    this.reset();
  }

  get environment(): Readonly<Record<string, string>> {
    return {
      LD_PRELOAD: this.#library,
      NARU_CHAOS_CONTROL: this.#controlFile,
      NARU_CHAOS_JOURNAL: this.journalFile,
    };
  }

  setSyncs({ fails, delayMs }: { readonly fails: boolean; readonly delayMs: number }): void {
    this.#write(0, fails ? 1 : 0, delayMs);
  }

  /** Negative: the clock is behind. */
  setClock(aheadMs: number): void {
    this.#write(2, aheadMs);
  }

  /** As on a healthy machine. */
  reset(): void {
    this.#write(0, 0, 0, 0);
  }

  #write(first: number, ...numbers: readonly number[]): void {
    const words = Buffer.from(Int32Array.from(numbers).buffer);
    // Written in place: a new file would not be the one that is mapped.
    const file = openSync(this.#controlFile, existsSync(this.#controlFile) ? 'r+' : 'w');
    writeSync(file, words, 0, words.length, 4 * first);
    closeSync(file);
  }
}
