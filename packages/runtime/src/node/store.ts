import { Level } from 'level';
import { type Store, StoreError, type StoreFactory, type StoreOperation } from '../store.ts';

function storeError(path: string, error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const cause = (error as { cause?: { code?: string; message?: string } }).cause;
  const code = cause?.code ?? (error as { code?: string }).code ?? '';
  const message = cause?.message ?? (error as Error).message;
  if (code === 'LEVEL_LOCKED')
    return new StoreError('locked', `${path} is in use by another process`, { cause: error });
  if (code === 'LEVEL_CORRUPTION') return new StoreError('corrupt', `${path}: ${message}`, { cause: error });
  if (code === 'LEVEL_DATABASE_NOT_OPEN') return new StoreError('closed', `${path} is closed`, { cause: error });
  return new StoreError('io', `${path}: ${message}`, { cause: error });
}

class NodeStore implements Store {
  readonly #path: string;
  readonly #level: Level<string, Uint8Array>;

  constructor(path: string, level: Level<string, Uint8Array>) {
    this.#path = path;
    this.#level = level;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    try {
      return await this.#level.get(key);
    } catch (error) {
      throw storeError(this.#path, error);
    }
  }

  async batch(operations: readonly StoreOperation[], options: { readonly sync: boolean }): Promise<void> {
    const list = operations.map((operation) =>
      operation.kind === 'put'
        ? { type: 'put' as const, key: operation.key, value: operation.value }
        : { type: 'del' as const, key: operation.key },
    );
    try {
      await this.#level.batch(list, { sync: options.sync } as object);
    } catch (error) {
      throw storeError(this.#path, error);
    }
  }

  async *entries(range: {
    readonly from: string;
    readonly to: string;
    readonly limit?: number;
  }): AsyncIterable<readonly [string, Uint8Array]> {
    try {
      yield* this.#level.iterator({ gte: range.from, lt: range.to, limit: range.limit ?? -1 });
    } catch (error) {
      throw storeError(this.#path, error);
    }
  }

  async close(): Promise<void> {
    await this.#level.close();
  }
}

/** LevelDB. It must find every corruption at open rather than skip records silently (row 63). */
export const nodeStores: StoreFactory = {
  open: async (path) => {
    const level = new Level<string, Uint8Array>(path, { keyEncoding: 'utf8', valueEncoding: 'view' });
    try {
      await level.open();
    } catch (error) {
      throw storeError(path, error);
    }
    return new NodeStore(path, level);
  },
};
