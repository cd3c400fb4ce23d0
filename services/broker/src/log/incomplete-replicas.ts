import type { Disk } from '@naru/runtime';
import { formatCheckpoint, parseCheckpoint, readIfThere } from './checkpoint-file.ts';

export const incompleteReplicasFile = 'incomplete-replicas';

/**
 * Replicas whose log was put aside and is being fetched anew, as `topicId:partition`, on disk.
 *
 *   1. broker 3, in the ISR, finds its log damaged and puts it aside; its new log is empty and in order;
 *   2. broker 3 is killed while it fetches, and starts again: nothing is damaged any more;
 *   3. all others die; broker 3 is a later incarnation of an ISR member with a whole log, and is elected, empty.
 *
 * So the replica stays named here, and in the broker's registration, until a leader has taken it back into the ISR (rows 57, 58; R7).
 */
export class IncompleteReplicas {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #keys: Set<string>;
  #writing: Promise<void> = Promise.resolve();

  private constructor(disk: Disk, path: string, keys: Set<string>) {
    this.#disk = disk;
    this.#path = path;
    this.#keys = keys;
  }

  /** A file that cannot be read would let an empty log be elected: throws `StorageError` or an error of the disk. */
  static async load(disk: Disk, directory: string): Promise<IncompleteReplicas> {
    const path = `${directory}/${incompleteReplicasFile}`;
    const bytes = await readIfThere(disk, path);
    const lines = bytes === undefined ? [] : parseCheckpoint(bytes, 1);
    if (lines === undefined) throw new Error(`${path} cannot be read; which replicas are incomplete is not known`);
    return new IncompleteReplicas(disk, path, new Set(lines.map(([key]) => key as string)));
  }

  get keys(): Iterable<string> {
    return this.#keys;
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  /** Durable when it resolves. */
  async set(key: string, isIncomplete: boolean): Promise<void> {
    if (this.#keys.has(key) === isIncomplete) return this.#writing;
    if (isIncomplete) this.#keys.add(key);
    else this.#keys.delete(key);
    this.#writing = this.#writing
      .catch(() => {})
      .then(() => this.#disk.replaceFile(this.#path, formatCheckpoint([...this.#keys].map((each) => [each]))));
    return this.#writing;
  }
}
