import { DiskError } from '../disk.ts';
import { Directory, type DirectoryEntry, type Entry, RenameFate } from './directory.ts';
import { FileContent, type PowerLossMode } from './file-content.ts';
import { nameOf, namesOf, parentOf } from './paths.ts';
import type { SeededRandom } from './seeded-random.ts';

/** The file system of one disk. Everything happens at once; who waits how long for it is not its business. */
export class FileTree {
  readonly #root: DirectoryEntry = { kind: 'directory', names: new Directory(), store: undefined };
  readonly #wallMs: () => number;
  #usedBytes = 0;
  #capacityBytes = Number.POSITIVE_INFINITY;

  constructor(wallMs: () => number) {
    this.#wallMs = wallMs;
  }

  /** Leaves room for so many more bytes. */
  setRoom(bytes: number): void {
    this.#capacityBytes = this.#usedBytes + bytes;
  }

  /** Undefined when there is nothing, or a part of the path is no directory. */
  find(path: string): Entry | undefined {
    let entry: Entry | undefined = this.#root;
    for (const name of namesOf(path)) {
      if (entry?.kind !== 'directory') return undefined;
      entry = entry.names.get(name);
    }
    return entry;
  }

  directoryAt(path: string): DirectoryEntry {
    const entry = this.find(path);
    if (entry === undefined) throw notFound(path);
    if (entry.kind !== 'directory') throw new DiskError('io', path, `${path}: not a directory`);
    return entry;
  }

  fileAt(path: string): FileContent {
    const entry = this.find(path);
    if (entry === undefined) throw notFound(path);
    if (entry.kind !== 'file') throw new DiskError('io', path, `${path}: it is a directory`);
    return entry.content;
  }

  /** Every file below the root, by path, in order. */
  files(): Map<string, FileContent> {
    const files = new Map<string, FileContent>();
    collect(this.#root, '', files);
    return files;
  }

  createFile(path: string): FileContent {
    const content = new FileContent(this.#wallMs());
    this.directoryAt(parentOf(path)).names.set(nameOf(path), { kind: 'file', content });
    return content;
  }

  /** With the missing parents. */
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

  /** Makes the names on the way to a directory durable. */
  syncNamesTo(path: string): void {
    let directory: Entry | undefined = this.#root;
    for (const name of namesOf(path)) {
      if (directory?.kind !== 'directory') return;
      directory.names.syncTo(directory.names.changeCount);
      directory = directory.names.get(name);
    }
  }

  rename(from: string, to: string): void {
    const entry = this.find(from);
    if (entry === undefined) throw notFound(from);
    const replaced = this.find(to);
    if (replaced?.kind === 'directory') {
      if (entry.kind === 'file') throw new DiskError('io', from, `cannot rename ${from}: ${to} is a directory`);
      if (replaced.names.size > 0) {
        throw new DiskError('already-exists', from, `cannot rename ${from}: ${to} is not empty`);
      }
    }
    const fate = new RenameFate();
    this.directoryAt(parentOf(to)).names.set(nameOf(to), entry, fate);
    this.directoryAt(parentOf(from)).names.delete(nameOf(from), fate);
  }

  /** Removes one name, if it is there. */
  unlink(path: string): void {
    const entry = this.find(path);
    if (entry === undefined) return;
    if (entry.kind === 'file') this.#usedBytes -= entry.content.cached.length;
    this.directoryAt(parentOf(path)).names.delete(nameOf(path));
  }

  /** Writes as much as there is room for, then fails, like the kernel. */
  write(path: string, content: FileContent, position: number, bytes: Uint8Array): void {
    const excess = position + bytes.length - content.cached.length - (this.#capacityBytes - this.#usedBytes);
    const fitting = excess > 0 ? bytes.subarray(0, Math.max(0, bytes.length - excess)) : bytes;
    if (fitting.length > 0) {
      this.#usedBytes += Math.max(0, position + fitting.length - content.cached.length);
      content.write(position, fitting, this.#wallMs());
    }
    if (fitting.length === bytes.length) return;
    throw new DiskError('full', path, `cannot write ${path}: no space left on the device`);
  }

  resize(content: FileContent, size: number): void {
    this.#usedBytes += size - content.cached.length;
    content.resize(size, this.#wallMs());
  }

  losePower(mode: PowerLossMode, random: SeededRandom): void {
    losePowerBelow(this.#root, mode, random);
    this.#usedBytes = 0;
    for (const content of this.files().values()) this.#usedBytes += content.cached.length;
  }
}

/** Names first: what lost its last name is not visited any more. */
function losePowerBelow(directory: DirectoryEntry, mode: PowerLossMode, random: SeededRandom): void {
  directory.names.losePower(mode, random);
  directory.store?.losePower(mode, random);
  for (const [, entry] of directory.names.entries()) {
    if (entry.kind === 'directory') losePowerBelow(entry, mode, random);
    else entry.content.losePower(mode, random);
  }
}

function collect(directory: DirectoryEntry, prefix: string, files: Map<string, FileContent>): void {
  for (const name of directory.names.list()) {
    const entry = directory.names.get(name);
    if (entry?.kind === 'file') files.set(`${prefix}/${name}`, entry.content);
    else if (entry) collect(entry, `${prefix}/${name}`, files);
  }
}

function notFound(path: string): DiskError {
  return new DiskError('not-found', path, `${path}: no such file or directory`);
}
