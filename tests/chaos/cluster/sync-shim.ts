import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The library to preload, compiled into `directory`; undefined where there is no C compiler or no preloading. */
export function compileShim(directory: string): string | undefined {
  if (process.platform !== 'linux') return undefined;
  const source = fileURLToPath(new URL('./sync-shim.c', import.meta.url));
  const library = join(directory, 'sync-shim.so');
  try {
    mkdirSync(directory, { recursive: true });
    execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl'], { stdio: 'pipe' });
    return library;
  } catch {
    return undefined;
  }
}

/** Commands the syncs of one node's process; the file is mapped by it, so that a change counts at once. */
export class SyncControl {
  readonly journalFile: string;
  readonly #controlFile: string;
  readonly #library: string;

  constructor(library: string, nodeDirectory: string) {
    this.#library = library;
    this.#controlFile = join(nodeDirectory, 'sync-control');
    this.journalFile = join(nodeDirectory, 'sync-journal');
    this.set({ fails: false, delayMs: 0 });
  }

  get environment(): Readonly<Record<string, string>> {
    return {
      LD_PRELOAD: this.#library,
      NARU_CHAOS_CONTROL: this.#controlFile,
      NARU_CHAOS_JOURNAL: this.journalFile,
    };
  }

  set({ fails, delayMs }: { readonly fails: boolean; readonly delayMs: number }): void {
    const words = Buffer.alloc(8);
    words.writeInt32LE(fails ? 1 : 0, 0);
    words.writeInt32LE(delayMs, 4);
    // Written in place: a new file would not be the one that is mapped.
    const file = openSync(this.#controlFile, existsSync(this.#controlFile) ? 'r+' : 'w');
    writeSync(file, words, 0, words.length, 0);
    closeSync(file);
  }
}
