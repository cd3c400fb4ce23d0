/** An ordered key-value store (LevelDB in the real world), for state that wants atomic batches: the Raft log and vote. */
export interface StoreFactory {
  /** Opens or creates the store in a directory. One process at a time; a second opener fails with `StoreError` `locked`. */
  open(path: string): Promise<Store>;
}

export interface Store {
  get(key: string): Promise<Uint8Array | undefined>;
  /** Applies all operations or none. With `sync` it resolves after they are durable; a sync failure is final. */
  batch(operations: readonly StoreOperation[], options: { readonly sync: boolean }): Promise<void>;
  /** Entries with `from` <= key < `to`, in key order (keys compare as UTF-8 bytes). */
  entries(range: { readonly from: string; readonly to: string; readonly limit?: number }): AsyncIterable<
    readonly [key: string, value: Uint8Array]
  >;
  close(): Promise<void>;
}

export type StoreOperation =
  | { readonly kind: 'put'; readonly key: string; readonly value: Uint8Array }
  | { readonly kind: 'delete'; readonly key: string };

export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: 'locked' | 'corrupt' | 'io' | 'closed';

  constructor(code: 'locked' | 'corrupt' | 'io' | 'closed', message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
