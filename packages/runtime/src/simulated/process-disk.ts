import { type Disk, DiskError, type DiskFile, type DiskLock, type DiskStat, lockName } from '../disk.ts';
import { inputOutputError, type SimulatedDisk } from './disk.ts';
import { FileContent } from './file-content.ts';
import { nameOf, parentOf } from './paths.ts';
import type { SimulatedProcess } from './process.ts';

/**
 * A process's view of its machine's disk. Calls change the page cache at once, in the order in which they were made; only
 * their answers take time. A crash between the two leaves a change of which the caller never heard.
 */
export class ProcessDisk implements Disk {
  readonly #disk: SimulatedDisk;
  readonly #process: SimulatedProcess;
  readonly #locks = new Set<string>();

  constructor(disk: SimulatedDisk, process: SimulatedProcess) {
    this.#disk = disk;
    this.#process = process;
  }

  open(path: string, options?: { readonly create?: boolean }): Promise<DiskFile> {
    return this.#operation(() => this.openNow(path, options));
  }

  openNow(path: string, options?: { readonly create?: boolean }): DiskFile {
    const entry = this.#disk.tree.find(path);
    if (entry?.kind === 'directory') throw new DiskError('io', path, `cannot open ${path}: it is a directory`);
    if (entry) return this.#file(path, entry.content);
    if (!options?.create) throw this.#notFound('open', path);
    return this.#file(path, this.#process.alive ? this.#disk.tree.createFile(path) : new FileContent(0));
  }

  async makeDirectory(path: string): Promise<void> {
    if (this.#process.alive) this.#disk.tree.makeDirectory(path);
    await this.#process.wait(this.#disk.syncMs());
    this.#disk.tree.syncNamesTo(path);
  }

  list(path: string): Promise<string[]> {
    return this.#operation(() => this.#disk.tree.directoryAt(path).names.list());
  }

  stat(path: string): Promise<DiskStat | undefined> {
    return this.#operation(() => {
      const entry = this.#disk.tree.find(path);
      if (entry === undefined) return undefined;
      if (entry.kind === 'directory') return { kind: 'directory', size: 0, modifiedMs: 0 };
      return { kind: 'file', size: entry.content.cached.length, modifiedMs: entry.content.modifiedMs };
    });
  }

  readFile(path: string): Promise<Uint8Array> {
    return this.#operation(() => {
      const entry = this.#disk.tree.find(path);
      if (entry?.kind !== 'file') throw this.#notFound('read', path);
      this.#disk.checkReadable(path);
      return entry.content.cached.read(0, entry.content.cached.length);
    });
  }

  async replaceFile(path: string, content: Uint8Array): Promise<void> {
    const temporary = `${parentOf(path)}/${nameOf(path)}.tmp`;
    const file = await this.open(temporary, { create: true });
    file.truncate(0);
    file.append([content]);
    await file.sync();
    await this.rename(temporary, path);
    await this.syncDirectory(parentOf(path));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#operation(() => {
      if (this.#process.alive) this.#disk.tree.rename(from, to);
    });
  }

  /** Name by name, as a file system does: a crash can leave a directory half removed. */
  async remove(path: string): Promise<void> {
    const entry = this.#disk.tree.find(path);
    if (entry?.kind === 'directory') {
      for (const name of entry.names.list()) await this.remove(`${path}/${name}`);
    }
    await this.#operation(() => {
      if (this.#process.alive && this.#disk.tree.find(path)) this.#disk.tree.unlink(path);
    });
  }

  async syncDirectory(path: string): Promise<void> {
    const { names } = this.#disk.tree.directoryAt(path);
    const { changeCount } = names;
    await this.#process.wait(this.#disk.syncMs());
    if (this.#disk.takeSyncFault(path)) throw inputOutputError('sync', path);
    names.syncTo(changeCount);
  }

  lock(directory: string): Promise<DiskLock> {
    return this.#operation(() => {
      this.#disk.tree.directoryAt(directory);
      const lockKey = `${parentOf(directory)}/${nameOf(directory)}`;
      if (this.#locks.has(lockKey)) {
        throw new DiskError('locked', directory, `cannot lock ${directory}: another process uses it`);
      }
      this.#locks.add(lockKey);
      if (this.#process.alive) this.#disk.tree.makeDirectory(`${lockKey}/${lockName}`);
      return {
        release: async () => {
          this.#locks.delete(lockKey);
        },
      };
    });
  }

  /** Happens now, is heard of later. */
  async #operation<Result>(run: () => Result): Promise<Result> {
    const outcome = attempt(run);
    await this.#process.wait(this.#disk.operationMs());
    if (outcome.ok) return outcome.value;
    throw outcome.error;
  }

  #file(path: string, content: FileContent): DiskFile {
    return new SimulatedFile(path, content, this.#disk, this.#process);
  }

  #notFound(action: string, path: string): DiskError {
    return new DiskError('not-found', path, `cannot ${action} ${path}: no such file or directory`);
  }
}

type Outcome<Result> = { readonly ok: true; readonly value: Result } | { readonly ok: false; readonly error: unknown };

function attempt<Result>(run: () => Result): Outcome<Result> {
  try {
    return { ok: true, value: run() };
  } catch (error) {
    return { ok: false, error };
  }
}

class SimulatedFile implements DiskFile {
  readonly path: string;
  readonly #content: FileContent;
  readonly #disk: SimulatedDisk;
  readonly #process: SimulatedProcess;
  #closed = false;
  #failure: DiskError | undefined;

  constructor(path: string, content: FileContent, disk: SimulatedDisk, process: SimulatedProcess) {
    this.path = path;
    this.#content = content;
    this.#disk = disk;
    this.#process = process;
  }

  get size(): number {
    return this.#content.cached.length;
  }

  append(chunks: readonly Uint8Array[]): void {
    if (!this.#mayWrite('append to')) return;
    const start = this.size;
    try {
      for (const chunk of chunks) this.#disk.tree.write(this.path, this.#content, this.size, chunk);
    } catch (error) {
      this.#disk.tree.resize(this.#content, start);
      throw error;
    }
  }

  writeAt(position: number, bytes: Uint8Array): void {
    if (this.#mayWrite('write')) this.#disk.tree.write(this.path, this.#content, position, bytes);
  }

  async read(position: number, length: number): Promise<Uint8Array> {
    this.#checkOpen('read');
    await this.#process.wait(this.#disk.operationMs());
    this.#disk.checkReadable(this.path);
    return this.#content.cached.read(position, length);
  }

  readNow(position: number, length: number): Uint8Array {
    this.#checkOpen('read');
    this.#disk.checkReadable(this.path);
    return this.#content.cached.read(position, length);
  }

  truncate(size: number): void {
    if (this.#mayWrite('truncate')) this.#disk.tree.resize(this.#content, size);
  }

  async sync(): Promise<void> {
    this.#mayWrite('sync');
    const { changeCount } = this.#content;
    await this.#process.wait(this.#disk.syncMs());
    if (this.#disk.takeSyncFault(this.path)) {
      this.#content.forgetTo(changeCount);
      this.#failure ??= inputOutputError('sync', this.path);
    }
    if (this.#failure) throw this.#failure;
    this.#content.syncTo(changeCount);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#process.wait(this.#disk.operationMs());
  }

  #checkOpen(action: string): void {
    if (this.#closed) throw new DiskError('closed', this.path, `cannot ${action} ${this.path}: it is closed`);
  }

  /** False for a ghost, see `SimulatedProcess`. */
  #mayWrite(action: string): boolean {
    this.#checkOpen(action);
    if (this.#failure) throw this.#failure;
    return this.#process.alive;
  }
}
