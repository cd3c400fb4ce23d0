import type { Disk, DiskFile, Runtime, Store } from '@naru/runtime';

export type DiskCall =
  | 'append'
  | 'sync'
  | 'truncate'
  | 'rename'
  | 'replace-file'
  | 'sync-directory'
  | 'remove'
  | 'batch';

export type Death = 'crash' | 'power' | 'power-lost' | 'power-silent';

interface Armed {
  readonly call: DiskCall | undefined;
  /** Calls to let pass. */
  left: number;
  readonly when: 'before' | 'within' | 'after';
  readonly how: Death;
  /** Told when it has come to it. */
  readonly onDeath: () => void;
}

/**
 * Death of a process inside a call to its disk: before it changes anything, after it changed the page cache and before it answers, or just after the
 * answer. The last is where code that answers somebody between two of its own steps is caught.
 */
export class CrashPoints {
  readonly #kill: (host: string, how: Death) => void;
  readonly #armed = new Map<string, Armed>();

  constructor(kill: (host: string, how: Death) => void) {
    this.#kill = kill;
  }

  /** One at a time for each host. */
  arm(host: string, { skip, ...armed }: Omit<Armed, 'left'> & { readonly skip: number }): void {
    this.#armed.set(host, { ...armed, left: skip });
  }

  disarm(host: string): void {
    this.#armed.delete(host);
  }

  disarmAll(): void {
    this.#armed.clear();
  }

  /** The same world, with a disk that can be deadly. */
  guard(host: string, runtime: Runtime): Runtime {
    return {
      ...runtime,
      disk: this.#guardDisk(host, runtime.disk),
      stores: { open: async (path) => this.#guardStore(host, await runtime.stores.open(path)) },
    };
  }

  #take(host: string, call: DiskCall): Armed | undefined {
    const armed = this.#armed.get(host);
    if (armed === undefined || (armed.call !== undefined && armed.call !== call) || armed.left-- > 0) return undefined;
    this.#armed.delete(host);
    armed.onDeath();
    return armed;
  }

  #now(host: string, call: DiskCall, run: () => void): void {
    const armed = this.#take(host, call);
    if (armed?.when === 'before') this.#kill(host, armed.how);
    // A dead process's call changes nothing any more.
    run();
    if (armed !== undefined && armed.when !== 'before') this.#kill(host, armed.how);
  }

  async #later<Result>(host: string, call: DiskCall, run: () => Promise<Result>): Promise<Result> {
    const armed = this.#take(host, call);
    if (armed?.when === 'before') this.#kill(host, armed.how);
    const running = run();
    if (armed?.when === 'within') this.#kill(host, armed.how);
    const result = await running;
    if (armed?.when === 'after') this.#kill(host, armed.how);
    return result;
  }

  #guardDisk(host: string, disk: Disk): Disk {
    return {
      open: async (path, options) => this.#guardFile(host, await disk.open(path, options)),
      openNow: (path, options) => this.#guardFile(host, disk.openNow(path, options)),
      makeDirectory: (path) => disk.makeDirectory(path),
      list: (path) => disk.list(path),
      stat: (path) => disk.stat(path),
      readFile: (path) => disk.readFile(path),
      replaceFile: (path, content) => this.#later(host, 'replace-file', () => disk.replaceFile(path, content)),
      rename: (from, to) => this.#later(host, 'rename', () => disk.rename(from, to)),
      remove: (path) => this.#later(host, 'remove', () => disk.remove(path)),
      syncDirectory: (path) => this.#later(host, 'sync-directory', () => disk.syncDirectory(path)),
      lock: (directory) => disk.lock(directory),
    };
  }

  #guardFile(host: string, file: DiskFile): DiskFile {
    return {
      get path() {
        return file.path;
      },
      get size() {
        return file.size;
      },
      append: (chunks) => this.#now(host, 'append', () => file.append(chunks)),
      writeAt: (position, bytes) => this.#now(host, 'append', () => file.writeAt(position, bytes)),
      read: (position, length) => file.read(position, length),
      readNow: (position, length) => file.readNow(position, length),
      truncate: (size) => this.#now(host, 'truncate', () => file.truncate(size)),
      sync: () => this.#later(host, 'sync', () => file.sync()),
      close: () => file.close(),
    };
  }

  #guardStore(host: string, store: Store): Store {
    return {
      get: (key) => store.get(key),
      batch: (operations, options) => this.#later(host, 'batch', () => store.batch(operations, options)),
      entries: (range) => store.entries(range),
      close: () => store.close(),
    };
  }
}
