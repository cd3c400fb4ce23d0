/**
 * - `foreign-directory`: the directory belongs to another node or another cluster.
 * - `corrupt`: what the disk holds contradicts itself; nothing was changed. The node must be replaced, not repaired by cutting (row 57).
 * - `storage-failed`: a write or sync failed while running; final for this process (row 56).
 */
export type QuorumErrorCode = 'foreign-directory' | 'corrupt' | 'storage-failed';

export class QuorumError extends Error {
  override readonly name = 'QuorumError';
  readonly code: QuorumErrorCode;

  constructor(code: QuorumErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
