import { type Disk, isDiskError } from '@naru/runtime';
import { StorageError } from './log-errors.ts';

/** Lines that a checkpoint file may have: more means that it is none. */
const linesMax = 10_000_000;

/**
 * Kafka's checkpoint files: a line with the version (0), a line with the count, then one line per entry, fields separated by
 * spaces. Replaced as a whole (tmp, sync, rename, sync of the directory; row 61).
 */
export function formatCheckpoint(entries: readonly (readonly (string | number)[])[]): Uint8Array {
  const lines = ['0', String(entries.length), ...entries.map((fields) => fields.join(' '))];
  return Buffer.from(`${lines.join('\n')}\n`);
}

/** The fields of every entry; undefined when these bytes are no whole checkpoint of `fieldsPerEntry` fields. */
export function parseCheckpoint(bytes: Uint8Array, fieldsPerEntry: number): string[][] | undefined {
  const lines = Buffer.from(bytes).toString('utf8').split('\n');
  if (lines.pop() !== '' || lines[0] !== '0' || lines.length > linesMax) return undefined;
  const entries = lines.slice(2).map((line) => line.split(' '));
  if (lines[1] !== String(entries.length)) return undefined;
  return entries.every((fields) => fields.length === fieldsPerEntry) ? entries : undefined;
}

/** A whole number as these files carry it. */
export function parseWhole(text: string | undefined): number | undefined {
  if (text === undefined || !/^-?\d{1,16}$/.test(text)) return undefined;
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : undefined;
}

export async function readIfThere(disk: Disk, path: string): Promise<Uint8Array | undefined> {
  try {
    return await disk.readFile(path);
  } catch (error) {
    if (isDiskError(error, 'not-found')) return undefined;
    throw new StorageError('failed', `${path} cannot be read`, { cause: error });
  }
}

/**
 * Offsets by partition in one file of a data directory: `topic partition offset` per line. One writer at a time; a write that
 * is asked for while one runs covers everyone who asked meanwhile.
 */
export class OffsetCheckpoint {
  readonly #disk: Disk;
  readonly #path: string;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(disk: Disk, path: string) {
    this.#disk = disk;
    this.#path = path;
  }

  /** By `topic-partition`; empty when the file is missing. Throws `StorageError` `unreadable`. */
  async read(): Promise<Map<string, number>> {
    const bytes = await readIfThere(this.#disk, this.#path);
    const offsets = new Map<string, number>();
    if (bytes === undefined) return offsets;
    const unreadable = new StorageError('unreadable', `${this.#path} is not a checkpoint file`);
    const entries = parseCheckpoint(bytes, 3);
    if (entries === undefined) throw unreadable;
    for (const [topic, partition, offset] of entries) {
      const value = parseWhole(offset);
      if (value === undefined || value < 0) throw unreadable;
      offsets.set(`${topic}-${partition}`, value);
    }
    return offsets;
  }

  /** `collect` runs when the write begins, so that what it gives is not older than this call. Durable when it resolves. */
  write(collect: () => readonly (readonly [topic: string, partition: number, offset: number])[]): Promise<void> {
    if (this.#running === undefined) {
      this.#running = this.#disk.replaceFile(this.#path, formatCheckpoint(collect())).finally(() => {
        this.#running = undefined;
      });
      return this.#running;
    }
    this.#next ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#next = undefined;
        return this.write(collect);
      });
    return this.#next;
  }
}
