import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The library to preload, compiled into `directory`; undefined where there is no C compiler or no preloading. */
export function compileShim(directory: string): string | undefined {
  if (process.platform !== 'linux') return undefined;
  const source = fileURLToPath(new URL('./preload-shim.c', import.meta.url));
  const library = join(directory, 'preload-shim.so');
  try {
    mkdirSync(directory, { recursive: true });
    execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl'], { stdio: 'pipe' });
    return library;
  } catch {
    return undefined;
  }
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
