import { crc32 } from 'node:zlib';
import { decodeConfiguration, encodeConfiguration, type SnapshotMeta } from '@naru/raft';
import type { Disk, DiskFile, Runtime, Timers } from '@naru/runtime';
import { QuorumError } from './errors.ts';

const magic = Buffer.from('NRSN0001');
const suffix = '.snapshot';
const unfinished = '.tmp';

export interface StoredSnapshot {
  readonly meta: SnapshotMeta;
  readonly state: Uint8Array;
}

/**
 * Snapshots as files `<index, 16 digits>-<term>.snapshot`: magic (8 bytes), length of the head (4), head as JSON, the state, CRC-32 of all that (4).
 *
 * Row 31: written under `.tmp`, synced, renamed, directory synced; only then does anybody hear of it. A crash leaves the older
 * snapshot, or both, or an unfinished file that the next start removes.
 */
export class SnapshotStore {
  readonly #disk: Disk;
  readonly #timers: Timers;
  readonly #directory: string;
  #newest: SnapshotMeta | undefined;
  /** One at a time: the node's own snapshot and one from the leader may come together. */
  #queue: Promise<void> = Promise.resolve();

  private constructor(disk: Disk, timers: Timers, directory: string) {
    this.#disk = disk;
    this.#timers = timers;
    this.#directory = directory;
  }

  /** Opens the directory and reads the newest snapshot; a damaged one fails with `corrupt`. */
  static async open(
    { disk, timers }: Pick<Runtime, 'disk' | 'timers'>,
    directory: string,
  ): Promise<{ store: SnapshotStore; newest: StoredSnapshot | undefined }> {
    await disk.makeDirectory(directory);
    const names = await disk.list(directory);
    for (const name of names.filter((found) => found.endsWith(unfinished))) await disk.remove(`${directory}/${name}`);
    const store = new SnapshotStore(disk, timers, directory);
    const name = names.filter((found) => found.endsWith(suffix)).at(-1);
    if (name === undefined) return { store, newest: undefined };
    const newest = decodeSnapshot(name, await disk.readFile(`${directory}/${name}`));
    store.#newest = newest.meta;
    // A removal that was not durable: harmless, but the space is wanted back.
    await store.#removeOlder(newest.meta);
    return { store, newest };
  }

  get newest(): SnapshotMeta | undefined {
    return this.#newest;
  }

  /** Durable when it resolves; older ones are removed after that. One older than the newest changes nothing (row 38). */
  save(meta: SnapshotMeta, state: Iterable<Uint8Array>): Promise<void> {
    const saved = this.#queue.then(() => this.#save(meta, state));
    this.#queue = saved.catch(() => {});
    return saved;
  }

  async #save(meta: SnapshotMeta, state: Iterable<Uint8Array>): Promise<void> {
    if (meta.index <= (this.#newest?.index ?? 0)) return;
    const path = `${this.#directory}/${fileName(meta)}`;
    const file = await this.#create(path + unfinished);
    try {
      await this.#append(file, meta, state);
      await file.sync();
    } finally {
      await file.close();
    }
    await this.#disk.rename(path + unfinished, path);
    await this.#disk.syncDirectory(this.#directory);
    this.#newest = meta;
    await this.#removeOlder(meta);
  }

  /** A piece of the state per turn: others have their turns between them. */
  async #append(file: DiskFile, meta: SnapshotMeta, state: Iterable<Uint8Array>): Promise<void> {
    const head = headOf(meta);
    file.append(head);
    let crc = head.reduce((sum, part) => crc32(part, sum), 0);
    for (const piece of state) {
      await new Promise<void>((resolve) => this.#timers.nextTurn(resolve));
      file.append([piece]);
      crc = crc32(piece, crc);
    }
    const checksum = Buffer.alloc(4);
    checksum.writeUInt32BE(crc);
    file.append([checksum]);
  }

  /** The newest snapshot with its state, for a follower that needs it. */
  async read(): Promise<StoredSnapshot | undefined> {
    if (this.#newest === undefined) return undefined;
    const name = fileName(this.#newest);
    return decodeSnapshot(name, await this.#disk.readFile(`${this.#directory}/${name}`));
  }

  async #create(path: string): Promise<DiskFile> {
    await this.#disk.remove(path);
    return this.#disk.open(path, { create: true });
  }

  async #removeOlder(meta: SnapshotMeta): Promise<void> {
    const keep = fileName(meta);
    for (const name of await this.#disk.list(this.#directory)) {
      if (name.endsWith(suffix) && name < keep) await this.#disk.remove(`${this.#directory}/${name}`);
    }
  }
}

function fileName(meta: SnapshotMeta): string {
  return `${String(meta.index).padStart(16, '0')}-${meta.term}${suffix}`;
}

function headOf(meta: SnapshotMeta): readonly Uint8Array[] {
  const configuration = JSON.parse(Buffer.from(encodeConfiguration(meta.configuration)).toString()) as unknown;
  const head = Buffer.from(JSON.stringify({ version: 1, index: meta.index, term: meta.term, configuration }));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(head.length);
  return [magic, length, head];
}

function decodeSnapshot(name: string, bytes: Uint8Array): StoredSnapshot {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = buffer.length - 4;
  const sound =
    end >= magic.length + 4 &&
    buffer.subarray(0, magic.length).equals(magic) &&
    buffer.readUInt32BE(end) === crc32(buffer.subarray(0, end));
  if (!sound) throw new QuorumError('corrupt', `the snapshot ${name} is damaged`);
  const headEnd = magic.length + 4 + buffer.readUInt32BE(magic.length);
  const head = JSON.parse(buffer.toString('utf8', magic.length + 4, headEnd)) as {
    readonly index: number;
    readonly term: number;
    readonly configuration: unknown;
  };
  const configuration = decodeConfiguration(Buffer.from(JSON.stringify(head.configuration)));
  return { meta: { index: head.index, term: head.term, configuration }, state: buffer.subarray(headEnd, end) };
}
