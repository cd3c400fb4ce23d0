import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Level } from 'level';
import { DiskError, type DiskLock, lockName } from '../disk.ts';
import { toDiskError } from './disk-error.ts';

/**
 * The lock is LevelDB's: an `fcntl` lock of the kernel on `.lock/LOCK`. Node has no file locks of its own, and a file that
 * names a process id can be stale, belong to another process that got the same number, or to one in another container.
 * The kernel's lock goes with the process that held it.
 */
export async function lockDirectory(directory: string): Promise<DiskLock> {
  const path = join(directory, lockName);
  try {
    await mkdir(path).catch(ignoreExisting);
    const store = new Level(path, { writeBufferSize: 65_536, cacheSize: 0 });
    await store.open();
    return { release: () => store.close() };
  } catch (error) {
    const cause = (error as Error).cause as { readonly code?: string } | undefined;
    if (cause?.code !== 'LEVEL_LOCKED') throw toDiskError(cause ?? error, 'lock', directory);
    throw new DiskError('locked', directory, `cannot lock ${directory}: another process uses it`, { cause: error });
  }
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}
