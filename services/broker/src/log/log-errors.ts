export type StorageErrorCode =
  /** The disk failed; the log (and its directory) takes no more writes until the next start (row 56, ATC '20). */
  | 'failed'
  /** No room; nothing was written and the log is as it was. */
  | 'full'
  /** The log was closed or its topic deleted. */
  | 'closed'
  /** The log opened with damage in its middle: it must not be appended to or led from before it is repaired (row 57). */
  | 'damaged'
  /** The data directory belongs to another broker or another cluster. */
  | 'foreign-directory'
  /** A checkpoint or identity file that nobody could have written. */
  | 'unreadable';

/** An operating failure of stored data. `cause` holds the disk's error. */
export class StorageError extends Error {
  override readonly name = 'StorageError';
  readonly code: StorageErrorCode;

  constructor(code: StorageErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
