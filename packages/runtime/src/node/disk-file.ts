import { close, fdatasync, fstatSync, ftruncateSync, read, readSync, writeSync, writevSync } from 'node:fs';
import { promisify } from 'node:util';
import { DiskError, type DiskFile } from '../disk.ts';
import { toDiskError } from './disk-error.ts';

const closeAsync = promisify(close);
const syncAsync = promisify(fdatasync);
const readAsync = promisify(read);

/** Chunks in one writev call: below IOV_MAX (1024) of every system. */
const chunksPerWriteMax = 512;

/** A file by its descriptor. Writes and `readNow` are synchronous calls into the page cache. */
export class NodeDiskFile implements DiskFile {
  readonly path: string;
  #fd: number;
  #size: number;

  constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
    this.#size = fstatSync(fd).size;
  }

  get size(): number {
    return this.#size;
  }

  append(chunks: readonly Uint8Array[]): void {
    let position = this.#size;
    try {
      for (let i = 0; i < chunks.length; i += chunksPerWriteMax) {
        position += this.#writeAll(chunks.slice(i, i + chunksPerWriteMax), position);
      }
      this.#size = position;
    } catch (error) {
      this.#restoreSize();
      throw toDiskError(error, 'append to', this.path);
    }
  }

  writeAt(position: number, bytes: Uint8Array): void {
    try {
      this.#writeAll([bytes], position);
      this.#size = Math.max(this.#size, position + bytes.length);
    } catch (error) {
      throw toDiskError(error, 'write', this.path);
    }
  }

  async read(position: number, length: number): Promise<Uint8Array> {
    const wanted = Math.max(0, Math.min(length, this.#size - position));
    const bytes = Buffer.allocUnsafeSlow(wanted);
    let filled = 0;
    try {
      while (filled < wanted) {
        const { bytesRead } = await readAsync(this.#descriptor(), bytes, filled, wanted - filled, position + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
    } catch (error) {
      throw toDiskError(error, 'read', this.path);
    }
    return bytes.subarray(0, filled);
  }

  readNow(position: number, length: number): Uint8Array {
    const wanted = Math.max(0, Math.min(length, this.#size - position));
    const bytes = Buffer.allocUnsafeSlow(wanted);
    let filled = 0;
    try {
      while (filled < wanted) {
        const count = readSync(this.#descriptor(), bytes, filled, wanted - filled, position + filled);
        if (count === 0) break;
        filled += count;
      }
    } catch (error) {
      throw toDiskError(error, 'read', this.path);
    }
    return bytes.subarray(0, filled);
  }

  truncate(size: number): void {
    try {
      ftruncateSync(this.#descriptor(), size);
      this.#size = size;
    } catch (error) {
      throw toDiskError(error, 'truncate', this.path);
    }
  }

  async sync(): Promise<void> {
    try {
      await syncAsync(this.#descriptor());
    } catch (error) {
      throw toDiskError(error, 'sync', this.path);
    }
  }

  async close(): Promise<void> {
    if (this.#fd === -1) return;
    const fd = this.#fd;
    this.#fd = -1;
    try {
      await closeAsync(fd);
    } catch (error) {
      throw toDiskError(error, 'close', this.path);
    }
  }

  /** The kernel may take less than it was given, near a full disk for example; the rest is written again. */
  #writeAll(chunks: readonly Uint8Array[], position: number): number {
    const fd = this.#descriptor();
    const total = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    let written =
      chunks.length === 1
        ? writeSync(fd, chunks[0] as Uint8Array, 0, total, position)
        : writevSync(fd, chunks, position);
    if (written === total) return total;
    const rest = Buffer.concat(chunks);
    while (written < total) written += writeSync(fd, rest, written, total - written, position + written);
    return total;
  }

  #descriptor(): number {
    if (this.#fd === -1) throw new DiskError('closed', this.path, `${this.path}: the file is closed`);
    return this.#fd;
  }

  /** A failed append must leave no half batch behind; if even that fails, recovery cuts it as a torn tail. */
  #restoreSize(): void {
    try {
      ftruncateSync(this.#fd, this.#size);
    } catch {
      // The append's own error is the one to report.
    }
  }
}
