import { DiskError, type DiskErrorCode } from '../disk.ts';

const codes: Readonly<Record<string, DiskErrorCode>> = {
  ENOENT: 'not-found',
  EEXIST: 'already-exists',
  ENOTEMPTY: 'already-exists',
  ENOSPC: 'full',
  EDQUOT: 'full',
  EACCES: 'not-permitted',
  EPERM: 'not-permitted',
  EROFS: 'not-permitted',
  EBADF: 'closed',
};

/** The system's error as one line: what was tried on which path, why it failed. */
export function toDiskError(error: unknown, action: string, path: string): DiskError {
  if (error instanceof DiskError) return error;
  const { code, message } = error as { readonly code?: string; readonly message?: string };
  const reason = message?.replace(/^(E[A-Z]+: [^,]*),.*$/s, '$1') ?? String(error);
  return new DiskError(codes[code ?? ''] ?? 'io', path, `cannot ${action} ${path}: ${reason}`, { cause: error });
}
