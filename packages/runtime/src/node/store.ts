import type { Level } from 'level';
import { BatchQueue } from '../batch-queue.ts';
import { type Store, StoreError, type StoreFactory, type StoreOperation } from '../store.ts';
import { nodeDisk } from './disk.ts';

/** Entries fetched from LevelDB with one trip to the thread pool. */
const iterationEntriesMax = 256;

type Database = Level<string, Uint8Array>;

/** LevelDB. Its own options are not enough against records that it skips silently (row 63): users check contiguity. */
export const nodeStores: StoreFactory = {
  open: async (path) => {
    await nodeDisk.makeDirectory(path);
    // Native code, and only coordinators need it: a client must run where it is not installed.
    const { Level } = await import('level');
    const database: Database = new Level<string, Uint8Array>(path, { keyEncoding: 'utf8', valueEncoding: 'view' });
    try {
      await database.open();
    } catch (error) {
      throw toStoreError((error as Error).cause ?? error, 'open', path);
    }
    // LevelDB renames CURRENT and removes the manifest before without syncing the directory: after a power cut CURRENT may name a manifest that is
    // gone, or empty (row 61). Whatever is written from now on stands on names that stay.
    await nodeDisk.syncDirectory(path);
    return new LevelStore(path, database);
  },
};

/** LevelDB's calls run on a thread pool, where one batch could overtake another: hence the queue. */
class LevelStore implements Store {
  readonly #path: string;
  readonly #database: Database;
  readonly #queue: BatchQueue;
  #closed = false;

  constructor(path: string, database: Database) {
    this.#path = path;
    this.#database = database;
    this.#queue = new BatchQueue((operations, sync) => this.#write(operations, sync));
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    this.#checkOpen();
    try {
      return await this.#database.get(key);
    } catch (error) {
      throw toStoreError(error, 'read', this.#path);
    }
  }

  async batch(operations: readonly StoreOperation[], options: { readonly sync: boolean }): Promise<void> {
    this.#checkOpen();
    await this.#queue.add(operations, options.sync);
  }

  async *entries(range: {
    readonly from: string;
    readonly to: string;
    readonly limit?: number;
  }): AsyncIterable<readonly [key: string, value: Uint8Array]> {
    this.#checkOpen();
    const iterator = this.#database.iterator({ gte: range.from, lt: range.to, limit: range.limit ?? -1 });
    try {
      for (;;) {
        const entries = await iterator.nextv(iterationEntriesMax);
        if (entries.length === 0) return;
        yield* entries;
      }
    } catch (error) {
      throw toStoreError(error, 'read', this.#path);
    } finally {
      await iterator.close();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#queue.drained();
    await this.#database.close();
  }

  async #write(operations: readonly StoreOperation[], sync: boolean): Promise<void> {
    try {
      await this.#database.batch(operations.map(toLevelOperation), { sync });
    } catch (error) {
      throw toStoreError(error, 'write', this.#path);
    }
  }

  #checkOpen(): void {
    if (this.#closed) throw new StoreError('closed', `the store ${this.#path} is closed`);
  }
}

type LevelOperation =
  | { readonly type: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: string };

function toLevelOperation(operation: StoreOperation): LevelOperation {
  return operation.kind === 'put'
    ? { type: 'put', key: operation.key, value: operation.value }
    : { type: 'del', key: operation.key };
}

function toStoreError(error: unknown, action: string, path: string): StoreError {
  if (error instanceof StoreError) return error;
  const { code, message } = error as { readonly code?: string; readonly message?: string };
  if (code === 'LEVEL_LOCKED') {
    return new StoreError('locked', `cannot ${action} the store ${path}: another process uses it`, { cause: error });
  }
  const kind = code === 'LEVEL_CORRUPTION' ? 'corrupt' : 'io';
  return new StoreError(kind, `cannot ${action} the store ${path}: ${message ?? String(error)}`, { cause: error });
}
