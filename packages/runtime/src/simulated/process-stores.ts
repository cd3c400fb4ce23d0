import { BatchQueue } from '../batch-queue.ts';
import { type Store, StoreError, type StoreFactory, type StoreOperation } from '../store.ts';
import type { SimulatedDisk } from './disk.ts';
import type { SimulatedProcess } from './process.ts';
import { StoreContent } from './store-content.ts';

/** A process's stores on its machine's disk. Locks end with the process. */
export class ProcessStores implements StoreFactory {
  readonly #disk: SimulatedDisk;
  readonly #process: SimulatedProcess;
  readonly #open = new Set<StoreContent>();

  constructor(disk: SimulatedDisk, process: SimulatedProcess) {
    this.#disk = disk;
    this.#process = process;
  }

  async open(path: string): Promise<Store> {
    if (!this.#process.alive) return new Promise(() => {});
    const directory = this.#disk.tree.makeDirectory(path);
    directory.store ??= new StoreContent();
    const content = directory.store;
    if (this.#open.has(content))
      throw new StoreError('locked', `cannot open the store ${path}: another process uses it`);
    this.#open.add(content);
    await this.#process.wait(this.#disk.syncMs());
    this.#disk.tree.syncNamesTo(path);
    return new SimulatedStore(path, content, this.#disk, this.#process, () => this.#open.delete(content));
  }
}

class SimulatedStore implements Store {
  readonly #path: string;
  readonly #content: StoreContent;
  readonly #disk: SimulatedDisk;
  readonly #process: SimulatedProcess;
  readonly #onClose: () => void;
  readonly #queue = new BatchQueue((operations, sync) => this.#write(operations, sync));
  #closed = false;

  constructor(
    path: string,
    content: StoreContent,
    disk: SimulatedDisk,
    process: SimulatedProcess,
    onClose: () => void,
  ) {
    this.#path = path;
    this.#content = content;
    this.#disk = disk;
    this.#process = process;
    this.#onClose = onClose;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    this.#checkOpen();
    await this.#process.wait(this.#disk.operationMs());
    const value = this.#content.get(key);
    return value && new Uint8Array(value);
  }

  batch(operations: readonly StoreOperation[], options: { readonly sync: boolean }): Promise<void> {
    if (this.#closed) return Promise.reject(this.#closedError());
    const copies = operations.map((operation) =>
      operation.kind === 'put' ? { ...operation, value: new Uint8Array(operation.value) } : operation,
    );
    return this.#queue.add(copies, options.sync);
  }

  async *entries(range: {
    readonly from: string;
    readonly to: string;
    readonly limit?: number;
  }): AsyncIterable<readonly [key: string, value: Uint8Array]> {
    this.#checkOpen();
    const entries = this.#content.range(range.from, range.to, range.limit ?? Number.POSITIVE_INFINITY);
    await this.#process.wait(this.#disk.operationMs());
    for (const [key, value] of entries) yield [key, new Uint8Array(value)];
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#queue.drained();
    await this.#process.wait(this.#disk.operationMs());
    this.#onClose();
  }

  /** Applied now, acknowledged later: a crash in between leaves batches of which the caller never heard. */
  async #write(operations: readonly StoreOperation[], sync: boolean): Promise<void> {
    if (this.#process.alive) this.#content.apply(operations);
    await this.#process.wait(sync ? this.#disk.syncMs() : this.#disk.operationMs());
    if (!sync) return;
    if (this.#disk.takeSyncFault(this.#path)) {
      this.#content.forget();
      throw new StoreError('io', `cannot write the store ${this.#path}: the device reports an input/output error`);
    }
    this.#content.sync();
  }

  #checkOpen(): void {
    if (this.#closed) throw this.#closedError();
  }

  #closedError(): StoreError {
    return new StoreError('closed', `the store ${this.#path} is closed`);
  }
}
