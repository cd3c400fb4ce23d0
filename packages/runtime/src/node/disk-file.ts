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
  readonly #descriptor: number;
  #size: number;
  #closing: Promise<void> | undefined;
  /** Why nothing written through this handle can be called safe any more. */
  #failure: DiskError | undefined;
  /** Calls on the thread pool: the descriptor's number must not be given to another file under them. */
  #running = 0;
  #onIdle: (() => void) | undefined;

  constructor(path: string, descriptor: number) {
    this.path = path;
    this.#descriptor = descriptor;
    this.#size = fstatSync(descriptor).size;
  }

  get size(): number {
    return this.#size;
  }

  append(chunks: readonly Uint8Array[]): void {
    this.#checkWritable('append to');
    let position = this.#size;
    try {
      for (let index = 0; index < chunks.length; index += chunksPerWriteMax) {
        position += this.#writeAll(chunks.slice(index, index + chunksPerWriteMax), position);
      }
    } catch (error) {
      this.#undoAppend();
      throw toDiskError(error, 'append to', this.path);
    }
    this.#size = position;
  }

  writeAt(position: number, bytes: Uint8Array): void {
    this.#checkWritable('write');
    try {
      this.#writeAll([bytes], position);
    } catch (error) {
      throw toDiskError(error, 'write', this.path);
    }
    if (bytes.length > 0) this.#size = Math.max(this.#size, position + bytes.length);
  }

  async read(position: number, length: number): Promise<Uint8Array> {
    this.#checkOpen('read');
    const bytes = this.#bufferFor(position, length);
    this.#running++;
    try {
      let filled = 0;
      while (filled < bytes.length) {
        const rest = bytes.length - filled;
        const { bytesRead } = await readAsync(this.#descriptor, bytes, filled, rest, position + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return bytes.subarray(0, filled);
    } catch (error) {
      throw toDiskError(error, 'read', this.path);
    } finally {
      this.#finished();
    }
  }

  readNow(position: number, length: number): Uint8Array {
    this.#checkOpen('read');
    const bytes = this.#bufferFor(position, length);
    try {
      let filled = 0;
      while (filled < bytes.length) {
        const count = readSync(this.#descriptor, bytes, filled, bytes.length - filled, position + filled);
        if (count === 0) break;
        filled += count;
      }
      return bytes.subarray(0, filled);
    } catch (error) {
      throw toDiskError(error, 'read', this.path);
    }
  }

  truncate(size: number): void {
    this.#checkWritable('truncate');
    try {
      ftruncateSync(this.#descriptor, size);
    } catch (error) {
      throw toDiskError(error, 'truncate', this.path);
    }
    this.#size = size;
  }

  async sync(): Promise<void> {
    this.#checkWritable('sync');
    this.#running++;
    try {
      await syncAsync(this.#descriptor);
    } catch (error) {
      this.#failure ??= toDiskError(error, 'sync', this.path);
    } finally {
      this.#finished();
    }
    // The kernel reports a lost page once: a sync beside the one that failed may call itself good and is not.
    if (this.#failure) throw this.#failure;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#running > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    try {
      await closeAsync(this.#descriptor);
    } catch (error) {
      throw toDiskError(error, 'close', this.path);
    }
  }

  #finished(): void {
    this.#running--;
    if (this.#running === 0) this.#onIdle?.();
  }

  /** For what there is to read, however much is asked for. */
  #bufferFor(position: number, length: number): Buffer {
    return Buffer.allocUnsafeSlow(Math.max(0, Math.min(length, this.#size - position)));
  }

  /** The kernel may take less than it was given, near a full disk for example; the rest is written again. */
  #writeAll(chunks: readonly Uint8Array[], position: number): number {
    const [first] = chunks;
    if (first === undefined) return 0;
    const total = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    let written =
      chunks.length === 1
        ? writeSync(this.#descriptor, first, 0, total, position)
        : writevSync(this.#descriptor, chunks, position);
    if (written === total) return total;
    const rest = Buffer.concat(chunks);
    while (written < total) {
      written += writeSync(this.#descriptor, rest, written, total - written, position + written);
    }
    return total;
  }

  /** A failed append must leave no half batch behind. If even that fails, nothing may follow it: recovery will cut it. */
  #undoAppend(): void {
    try {
      ftruncateSync(this.#descriptor, this.#size);
    } catch (error) {
      this.#failure ??= toDiskError(error, 'undo a failed append to', this.path);
    }
  }

  #checkOpen(action: string): void {
    if (this.#closing) throw new DiskError('closed', this.path, `cannot ${action} ${this.path}: it is closed`);
  }

  #checkWritable(action: string): void {
    this.#checkOpen(action);
    if (this.#failure) throw this.#failure;
  }
}
