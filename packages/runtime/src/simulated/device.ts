import { DiskError } from '../disk.ts';
import { Directory, type DirectoryEntry, type Entry, RenameFate } from './directory.ts';
import { FileContent, type PowerLossMode } from './file-content.ts';
import type { Delay, SeededRandom } from './seeded-random.ts';
import type { WorldClock } from './world-clock.ts';

export interface DiskTimes {
  /** An asynchronous call that need not reach the platter: read, open, rename, list. */
  readonly operation: Delay;
  /** A sync of a file, a directory or a store. */
  readonly sync: Delay;
}

/** A good SSD. */
export const diskTimesDefault: DiskTimes = {
  operation: { minMs: 0.02, meanMs: 0.05 },
  sync: { minMs: 0.2, meanMs: 0.6 },
};

/** The next `left` calls on paths that contain `path` fail. */
interface Fault {
  readonly path: string;
  left: number;
}

/**
 * The disk of one machine. It outlives the processes that use it, and its faults are set here. Calls change the page
 * cache at once, in the order in which they were made; only their completion takes time. A crash between the two leaves
 * a change of which the caller never heard.
 */
export class SimulatedDisk {
  readonly #clock: WorldClock;
  readonly #random: SeededRandom;
  readonly #root: DirectoryEntry = { kind: 'directory', names: new Directory(), store: undefined };
  readonly #syncFaults: Fault[] = [];
  readonly #readFaults: Fault[] = [];
  #usedBytes = 0;
  #capacityBytes = Number.POSITIVE_INFINITY;
  /** May be changed at any time: a slow disk is one with other times. */
  times: DiskTimes;

  constructor(clock: WorldClock, random: SeededRandom, times: DiskTimes) {
    this.#clock = clock;
    this.#random = random;
    this.times = times;
  }

  /** The next `count` syncs of paths that contain `path` fail with an input/output error and lose what they should have saved. */
  failSyncs(path = '', count = 1): void {
    this.#syncFaults.push({ path, left: count });
  }

  /** The next `count` reads of paths that contain `path` fail with an input/output error. */
  failReads(path = '', count = 1): void {
    this.#readFaults.push({ path, left: count });
  }

  /** Writes that make files longer fail once `bytes` more have been written; `Infinity` makes room again. */
  fillUpAfter(bytes: number): void {
    this.#capacityBytes = this.#usedBytes + bytes;
  }

  /** Damage at rest. Bits count from the start of the file; nothing happens beyond its end. */
  flipBit(path: string, bitIndex: number): void {
    this.#fileOf(path).flipBit(Math.floor(bitIndex / 8), bitIndex % 8);
  }

  /** Damage at rest. */
  truncateFile(path: string, size: number): void {
    this.#fileOf(path).truncateAtRest(size);
  }

  /** All files with their sizes as programs see them, by path: for fault scripts and checkers. */
  files(): Map<string, number> {
    const files = new Map<string, number>();
    visit(this.#root, '', (path, entry) => {
      if (entry.kind === 'file') files.set(path, entry.content.cached.length);
    });
    return files;
  }

  /** What a file holds as programs see it. */
  contentOf(path: string): Uint8Array {
    const { cached } = this.#fileOf(path);
    return cached.read(0, cached.length);
  }

  /** @internal Called by the node when its power goes. */
  losePower(mode: PowerLossMode): void {
    this.#losePowerBelow(this.#root, mode);
    this.#usedBytes = 0;
    for (const size of this.files().values()) this.#usedBytes += size;
  }

  /** @internal */
  operationMs(): number {
    return this.#random.delayMs(this.times.operation);
  }

  /** @internal */
  syncMs(): number {
    return this.#random.delayMs(this.times.sync);
  }

  /** @internal Whether this sync is one that has to fail. */
  takeSyncFault(path: string): boolean {
    return takeFault(this.#syncFaults, path);
  }

  /** @internal Throws when this read is one that has to fail. */
  checkReadable(path: string): void {
    if (takeFault(this.#readFaults, path)) throw inputOutputError('read', path);
  }

  /** @internal */
  now(): number {
    return this.#clock.wallStartMs + this.#clock.nowMs;
  }

  /** @internal Writes as much as there is room for, then fails like the kernel. */
  write(path: string, content: FileContent, position: number, bytes: Uint8Array): void {
    const growth = Math.max(0, position + bytes.length - content.cached.length);
    const room = this.#capacityBytes - this.#usedBytes;
    const fitting = growth > room ? bytes.subarray(0, Math.max(0, bytes.length - (growth - room))) : bytes;
    if (fitting.length > 0) {
      this.#usedBytes += Math.max(0, position + fitting.length - content.cached.length);
      content.write(position, fitting);
      content.modifiedMs = this.now();
    }
    if (fitting.length < bytes.length)
      throw new DiskError('full', path, `cannot write ${path}: no space left on the device`);
  }

  /** @internal */
  resize(content: FileContent, size: number): void {
    this.#usedBytes += size - content.cached.length;
    content.resize(size);
    content.modifiedMs = this.now();
  }

  /** @internal Undefined when there is nothing, or a part of the path is no directory. */
  find(path: string): Entry | undefined {
    let entry: Entry | undefined = this.#root;
    for (const name of namesOf(path)) {
      if (entry?.kind !== 'directory') return undefined;
      entry = entry.names.get(name);
    }
    return entry;
  }

  /** @internal */
  directoryAt(path: string): DirectoryEntry {
    const entry = this.find(path);
    if (entry === undefined) throw notFound(path);
    if (entry.kind !== 'directory') throw new DiskError('io', path, `${path}: not a directory`);
    return entry;
  }

  /** @internal */
  createFile(path: string): FileContent {
    const content = new FileContent();
    content.modifiedMs = this.now();
    this.directoryAt(parentOf(path)).names.set(nameOf(path), { kind: 'file', content });
    return content;
  }

  /** @internal The new directories are durable at once: a test of a torn `makeDirectory` would test only `mkdir -p`. */
  makeDirectory(path: string): DirectoryEntry {
    let directory = this.#root;
    for (const name of namesOf(path)) {
      let entry = directory.names.get(name);
      if (entry === undefined) {
        entry = { kind: 'directory', names: new Directory(), store: undefined };
        directory.names.set(name, entry);
      }
      if (entry.kind !== 'directory') throw new DiskError('io', path, `cannot create ${path}: ${name} is a file`);
      directory = entry;
    }
    return directory;
  }

  /** @internal Makes the names on the way to a directory durable. */
  syncNamesTo(path: string): void {
    let directory: Entry | undefined = this.#root;
    for (const name of namesOf(path)) {
      if (directory?.kind !== 'directory') return;
      directory.names.syncTo(directory.names.changeCount);
      directory = directory.names.get(name);
    }
  }

  /** @internal */
  rename(from: string, to: string): void {
    const entry = this.find(from);
    if (entry === undefined) throw notFound(from);
    const replaced = this.find(to);
    if (replaced?.kind === 'directory') {
      if (entry.kind === 'file') throw new DiskError('io', from, `cannot rename ${from}: ${to} is a directory`);
      if (replaced.names.size > 0)
        throw new DiskError('already-exists', from, `cannot rename ${from}: ${to} is not empty`);
    }
    const fate = new RenameFate();
    this.directoryAt(parentOf(to)).names.set(nameOf(to), entry, fate);
    this.directoryAt(parentOf(from)).names.delete(nameOf(from), fate);
  }

  /** @internal */
  unlink(path: string): void {
    const entry = this.find(path);
    if (entry?.kind === 'file') this.#usedBytes -= entry.content.cached.length;
    this.directoryAt(parentOf(path)).names.delete(nameOf(path));
  }

  #fileOf(path: string): FileContent {
    const entry = this.find(path);
    if (entry?.kind !== 'file') throw notFound(path);
    return entry.content;
  }

  #losePowerBelow(directory: DirectoryEntry, mode: PowerLossMode): void {
    directory.names.losePower(mode, this.#random);
    directory.store?.losePower(mode, this.#random);
    for (const [, entry] of directory.names.entries()) {
      if (entry.kind === 'directory') this.#losePowerBelow(entry, mode);
      else entry.content.losePower(mode, this.#random);
    }
  }
}

export function inputOutputError(action: string, path: string): DiskError {
  return new DiskError('io', path, `cannot ${action} ${path}: the device reports an input/output error`);
}

function takeFault(faults: Fault[], path: string): boolean {
  const index = faults.findIndex((fault) => path.includes(fault.path));
  const fault = faults[index];
  if (fault === undefined) return false;
  fault.left--;
  if (fault.left === 0) faults.splice(index, 1);
  return true;
}

function notFound(path: string): DiskError {
  return new DiskError('not-found', path, `${path}: no such file or directory`);
}

function visit(directory: DirectoryEntry, prefix: string, callback: (path: string, entry: Entry) => void): void {
  for (const name of directory.names.list()) {
    const entry = directory.names.get(name) as Entry;
    const path = `${prefix}/${name}`;
    callback(path, entry);
    if (entry.kind === 'directory') visit(entry, path, callback);
  }
}

/** Relative paths start at the root, which is every simulated process's working directory. */
function namesOf(path: string): string[] {
  const names: string[] = [];
  for (const name of path.split('/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  return names;
}

export function nameOf(path: string): string {
  return namesOf(path).at(-1) ?? '';
}

export function parentOf(path: string): string {
  return `/${namesOf(path).slice(0, -1).join('/')}`;
}
