import type { Disk, DiskFile } from '@naru/runtime';

/** Naru's own file: compaction has taken batches out of this log, so that offsets may be missing between two batches. */
export const compactionMarkFile = 'compacted';

/**
 * Whether a log may have holes between its batches. A base offset is not covered by its batch's CRC; in a log without the mark a wrong one is
 * found because offsets continue without a hole (L1), and that shall stay so for every log that was never compacted.
 *
 * Set before the first hole is written. A power cut that keeps a hole and loses the mark makes the log look damaged: safe, and only where the mark
 * was not durable yet, which is before anything after the hole was acknowledged.
 */
export class CompactionMark {
  readonly #disk: Disk;
  readonly #directory: string;
  #isSet: boolean;
  #unsynced: DiskFile | undefined;

  private constructor(disk: Disk, directory: string, isSet: boolean) {
    this.#disk = disk;
    this.#directory = directory;
    this.#isSet = isSet;
  }

  static async load(disk: Disk, directory: string): Promise<CompactionMark> {
    return new CompactionMark(disk, directory, (await disk.stat(pathIn(directory))) !== undefined);
  }

  get isSet(): boolean {
    return this.#isSet;
  }

  get isDirty(): boolean {
    return this.#unsynced !== undefined;
  }

  /** At once, in the page cache: it outlives the process. Durable after `persist`. Throws `DiskError`. */
  setNow(): void {
    if (this.#isSet) return;
    const file = this.#disk.openNow(pathIn(this.#directory), { create: true });
    this.#unsynced = file;
    this.#isSet = true;
  }

  /** Throws `DiskError`. */
  async persist(): Promise<void> {
    const file = this.#unsynced;
    if (file === undefined) return;
    this.#unsynced = undefined;
    try {
      await file.sync();
    } finally {
      await file.close();
    }
    await this.#disk.syncDirectory(this.#directory);
  }
}

function pathIn(directory: string): string {
  return `${directory}/${compactionMarkFile}`;
}
