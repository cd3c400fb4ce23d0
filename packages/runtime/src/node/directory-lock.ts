import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
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
    return await openStore(path).catch(async (error) => {
      if (isLocked(error)) throw error;
      await emptyStore(path);
      return openStore(path);
    });
  } catch (error) {
    if (!isLocked(error)) throw toDiskError((error as Error).cause ?? error, 'lock', directory);
    throw new DiskError('locked', directory, `cannot lock ${directory}: another process uses it`, { cause: error });
  }
}

async function openStore(path: string): Promise<DiskLock> {
  // Not loaded where no directory is locked: see `nodeStores`.
  const { Level } = await import('level');
  const store = new Level(path, { writeBufferSize: 65_536, cacheSize: 0 });
  await store.open();
  return { release: () => store.close() };
}

/**
 * Nothing was ever stored there, so a store that a power cut has left unreadable must not keep a node from its data. LevelDB takes the lock
 * before it reads anything: an error about the content was met while nobody held it, and LOCK itself stays.
 */
async function emptyStore(path: string): Promise<void> {
  for (const name of await readdir(path)) {
    if (name !== 'LOCK') await rm(join(path, name), { recursive: true, force: true });
  }
}

function isLocked(error: unknown): boolean {
  const cause = (error as Error).cause as { readonly code?: string } | undefined;
  return cause?.code === 'LEVEL_LOCKED';
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}
