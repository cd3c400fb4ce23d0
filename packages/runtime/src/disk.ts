/**
 * Files and directories.
 *
 * The contract of durability is that of POSIX read strictly (ALICE, OSDI '14):
 * - bytes written are in the page cache: they survive a killed process, not a power cut;
 * - `DiskFile.sync` makes the content and size of that file durable, nothing else;
 * - a created, renamed or removed name is durable after `syncDirectory` of its directory;
 * - after a power cut, each unsynced write may be there, be missing, or be torn, in any combination;
 * - a failed sync is final: the kernel may have dropped the dirty pages (ATC '20), so the caller must not retry it and
 *   call the data safe.
 */
export interface Disk {
  /** Opens for reading and writing. Fails with `not-found` when the file is missing and `create` is not set. */
  open(path: string, options?: { readonly create?: boolean }): Promise<DiskFile>;
  /** The same without waiting: a log that starts its next segment in the middle of an append must not let another one in. */
  openNow(path: string, options?: { readonly create?: boolean }): DiskFile;
  /** Creates the directory and its missing parents, and makes the new names durable. */
  makeDirectory(path: string): Promise<void>;
  /** Names in a directory, sorted, without `.` and `..`. */
  list(path: string): Promise<string[]>;
  /** What the path names, or undefined when there is nothing. */
  stat(path: string): Promise<DiskStat | undefined>;
  readFile(path: string): Promise<Uint8Array>;
  /**
   * Replaces a small file atomically and durably: `path.tmp`, sync, rename, sync of the directory. After a crash at any
   * point the old or the new content is there, whole.
   */
  replaceFile(path: string, content: Uint8Array): Promise<void>;
  /** Renames a file or directory, replacing a file at `to`. Durable after `syncDirectory` of the parent(s). */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file or a whole directory. Nothing happens when it is missing. */
  remove(path: string): Promise<void>;
  syncDirectory(path: string): Promise<void>;
  /**
   * Guards an existing directory against a second process (or a second owner in this one). Fails with `locked` while
   * somebody holds it. The lock ends with the process, however that ends: no stale lock has to be cleared by hand.
   */
  lock(directory: string): Promise<DiskLock>;
}

/** Kafka's name for what guards a log directory; `lock` leaves it there, and whoever lists the directory passes over it. */
export const lockName = '.lock';

/** Held until `release` or the end of the process. */
export interface DiskLock {
  release(): Promise<void>;
}

export interface DiskStat {
  readonly kind: 'file' | 'directory';
  /** Bytes; 0 for a directory. */
  readonly size: number;
  /** Last modification, milliseconds since the epoch. */
  readonly modifiedMs: number;
}

/** An open file. The owner appends from one place; reads may run at the same time. */
export interface DiskFile {
  readonly path: string;
  /** Bytes, as written so far by this handle (or found at open). */
  readonly size: number;
  /**
   * Writes the chunks one after the other at the end, synchronously, into the page cache: 5 µs for 16 KiB where an
   * asynchronous call costs 28 µs. Throws `DiskError`; on failure the size is what it was before.
   */
  append(chunks: readonly Uint8Array[]): void;
  /** Overwrites bytes in place, synchronously; may extend the file. */
  writeAt(position: number, bytes: Uint8Array): void;
  /** Up to `length` bytes from `position`, fewer only at the end of the file. */
  read(position: number, length: number): Promise<Uint8Array>;
  /** The same, synchronously: for what is known to be in the page cache, and for recovery. */
  readNow(position: number, length: number): Uint8Array;
  /** Cuts (or extends with zeros) to `size` bytes. Durable after `sync`. */
  truncate(size: number): void;
  /** fdatasync: resolves when everything written before the call is durable. A failure is final, see above. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export type DiskErrorCode = 'not-found' | 'already-exists' | 'full' | 'not-permitted' | 'io' | 'locked' | 'closed';

/** An operating failure of the disk. The message is one line and names the path; `cause` holds the system's error. */
export class DiskError extends Error {
  override readonly name = 'DiskError';
  readonly code: DiskErrorCode;
  readonly path: string;

  constructor(code: DiskErrorCode, path: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.path = path;
  }
}

export function isDiskError(error: unknown, code?: DiskErrorCode): error is DiskError {
  return error instanceof DiskError && (code === undefined || error.code === code);
}
