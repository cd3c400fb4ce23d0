import { constants, open as openCallback, openSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { promisify } from 'node:util';
import { type Disk, type DiskFile, isDiskError } from '../disk.ts';
import { lockDirectory } from './directory-lock.ts';
import { toDiskError } from './disk-error.ts';
import { NodeDiskFile } from './disk-file.ts';

const openDescriptor = promisify(openCallback);

/** Neither truncates nor appends: positions are the caller's. */
function openFlags(options: { readonly create?: boolean } | undefined): number {
  return options?.create ? constants.O_RDWR | constants.O_CREAT : constants.O_RDWR;
}

/** Runs a system call and turns its error into ours. */
async function attempt<T>(action: string, path: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw toDiskError(error, action, path);
  }
}

async function syncDirectory(path: string): Promise<void> {
  await attempt('sync', path, async () => {
    const directory = await open(path, 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  });
}

/**
 * Level by level from the top. (`mkdir` with `recursive` never ends where a parent exists but can hold nothing, below /proc for example.)
 */
async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return;
    const parent = dirname(path);
    if (code !== 'ENOENT' || parent === path || (await exists(parent))) throw error;
    await makeDirectory(parent);
    await mkdir(path);
  }
  await syncDirectory(dirname(path));
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

async function writeAndSync(path: string, content: Uint8Array): Promise<void> {
  const file = await open(path, 'w');
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

export const nodeDisk: Disk = {
  open: (path, options): Promise<DiskFile> =>
    attempt('open', path, async () => new NodeDiskFile(path, await openDescriptor(path, openFlags(options)))),

  openNow: (path, options): DiskFile => {
    try {
      return new NodeDiskFile(path, openSync(path, openFlags(options)));
    } catch (error) {
      throw toDiskError(error, 'open', path);
    }
  },

  makeDirectory: (path) =>
    attempt('create', path, async () => {
      await makeDirectory(resolve(path));
    }),

  list: (path) => attempt('list', path, async () => (await readdir(path)).sort()),

  stat: async (path) => {
    try {
      const found = await attempt('look at', path, () => stat(path));
      const directory = found.isDirectory();
      return { kind: directory ? 'directory' : 'file', size: directory ? 0 : found.size, modifiedMs: found.mtimeMs };
    } catch (error) {
      if (isDiskError(error, 'not-found')) return undefined;
      throw error;
    }
  },

  readFile: (path) => attempt('read', path, async () => new Uint8Array(await readFile(path))),

  replaceFile: (path, content) =>
    attempt('replace', path, async () => {
      const temporary = `${path}.tmp`;
      await writeAndSync(temporary, content);
      await rename(temporary, path);
      await syncDirectory(dirname(path));
    }),

  rename: (from, to) => attempt('rename', from, () => rename(from, to)),
  remove: (path) => attempt('remove', path, () => rm(path, { recursive: true, force: true })),
  syncDirectory,
  lock: lockDirectory,
};
