import { type Disk, DiskError, type DiskFile, type DiskLock } from '@naru/runtime';

/** Never comes back: what a dead node waits for. */
const never = new Promise<never>(() => {});

/**
 * The disk of one node of a test cluster. After `kill` nothing that the dead node still does reaches a file, and its locks and
 * descriptors are free, as after the end of a process.
 */
export class ContainedDisk {
  readonly disk: Disk;
  readonly #files = new Set<DiskFile>();
  readonly #locks = new Set<DiskLock>();
  #isDead = false;

  constructor(disk: Disk) {
    const alive = <Args extends readonly unknown[], Result>(call: (...args: Args) => Promise<Result>) => {
      return async (...args: Args): Promise<Result> => {
        if (this.#isDead) return never;
        const result = await call(...args);
        return this.#isDead ? never : result;
      };
    };
    this.disk = {
      open: alive(async (path, options) => this.#tracked(await disk.open(path, options))),
      openNow: (path, options) => {
        this.#assertAlive(path);
        return this.#tracked(disk.openNow(path, options));
      },
      makeDirectory: alive(disk.makeDirectory),
      list: alive(disk.list),
      stat: alive(disk.stat),
      readFile: alive(disk.readFile),
      replaceFile: alive(disk.replaceFile),
      rename: alive(disk.rename),
      remove: alive(disk.remove),
      syncDirectory: alive(disk.syncDirectory),
      lock: alive(async (directory) => {
        const lock = await disk.lock(directory);
        this.#locks.add(lock);
        return lock;
      }),
    };
  }

  async kill(): Promise<void> {
    this.#isDead = true;
    await Promise.allSettled([...this.#files].map((file) => file.close()));
    await Promise.allSettled([...this.#locks].map((lock) => lock.release()));
  }

  #assertAlive(path: string): void {
    if (this.#isDead) throw new DiskError('closed', path, `${path}: the node was killed`);
  }

  #tracked(file: DiskFile): DiskFile {
    this.#files.add(file);
    const isDead = (): boolean => this.#isDead;
    const assertAlive = (): void => this.#assertAlive(file.path);
    const forget = (): void => {
      this.#files.delete(file);
    };
    return {
      path: file.path,
      get size() {
        return file.size;
      },
      append: (chunks) => {
        assertAlive();
        file.append(chunks);
      },
      writeAt: (position, bytes) => {
        assertAlive();
        file.writeAt(position, bytes);
      },
      read: async (position, length) => {
        if (isDead()) return never;
        const bytes = await file.read(position, length);
        return isDead() ? never : bytes;
      },
      readNow: (position, length) => {
        assertAlive();
        return file.readNow(position, length);
      },
      truncate: (size) => {
        assertAlive();
        file.truncate(size);
      },
      sync: async () => {
        if (isDead()) return never;
        await file.sync();
        return isDead() ? never : undefined;
      },
      close: async () => {
        if (isDead()) return;
        forget();
        await file.close();
      },
    };
  }
}
