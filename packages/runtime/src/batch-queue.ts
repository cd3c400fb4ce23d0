import type { StoreOperation } from './store.ts';

interface Waiting {
  readonly operations: readonly StoreOperation[];
  readonly sync: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Operations of waiting batches that are written as one: bounds the time that one write takes. */
const groupOperationsMax = 16_384;

/**
 * Group commit for a store: one write is under way at a time, and what arrives meanwhile becomes the next one, in order and
 * with one sync. A failure is final, because nobody knows what of that write is on the disk.
 */
export class BatchQueue {
  readonly #write: (operations: StoreOperation[], sync: boolean) => Promise<void>;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(write: (operations: StoreOperation[], sync: boolean) => Promise<void>) {
    this.#write = write;
  }

  add(operations: readonly StoreOperation[], sync: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ operations, sync, resolve, reject });
      this.#writing ??= this.#writeAll();
    });
  }

  /** Resolves when nothing is waiting. */
  async drained(): Promise<void> {
    await this.#writing;
  }

  async #writeAll(): Promise<void> {
    // What the caller adds in this turn of the event loop goes into the first write.
    await undefined;
    while (this.#waiting.length > 0) await this.#writeGroup(this.#takeGroup());
    this.#writing = undefined;
  }

  async #writeGroup(group: readonly Waiting[]): Promise<void> {
    try {
      if (this.#failure) throw this.#failure.error;
      const operations = group.flatMap((batch) => batch.operations);
      await this.#write(
        operations,
        group.some((batch) => batch.sync),
      );
      for (const batch of group) batch.resolve();
    } catch (error) {
      this.#failure ??= { error };
      for (const batch of group) batch.reject(error);
    }
  }

  /** At least one batch, and as many more as one write may take. */
  #takeGroup(): Waiting[] {
    let operations = 0;
    let count = 0;
    for (const batch of this.#waiting) {
      operations += batch.operations.length;
      if (count > 0 && operations > groupOperationsMax) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }
}
