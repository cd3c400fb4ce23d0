/** An ordered key-value store (LevelDB in the real world), for state that wants atomic batches: the Raft log and vote. */
export interface StoreFactory {
  /** Opens or creates the store in a directory. One process at a time; a second opener fails with `StoreError` `locked`. */
  open(path: string): Promise<Store>;
}

export interface Store {
  get(key: string): Promise<Uint8Array | undefined>;
  /**
   * Applies all operations or none; batches apply in the order of the calls. With `sync` it resolves after they, and all
   * batches before, are durable. After a failure every later batch fails, too: what the disk holds is unknown.
   */
  batch(operations: readonly StoreOperation[], options: { readonly sync: boolean }): Promise<void>;
  /** Entries with `from` <= key < `to`, in key order (keys compare as UTF-8 bytes), as they were when the iteration began. */
  entries(range: {
    readonly from: string;
    readonly to: string;
    readonly limit?: number;
  }): AsyncIterable<readonly [key: string, value: Uint8Array]>;
  close(): Promise<void>;
}

export type StoreOperation =
  | { readonly kind: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly kind: 'delete'; readonly key: string };

export type StoreErrorCode = 'locked' | 'corrupt' | 'io' | 'closed';

/** An operating failure of a store. The message is one line and names the path. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
