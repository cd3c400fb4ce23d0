import { join } from 'node:path';
import { ConfigError, formatProperties, parseProperties } from '@naru/config';
import { type Disk, type DiskLock, isDiskError } from '@naru/runtime';

/** Kafka's name for the file that says whose directory it is. */
const identityFile = 'meta.properties';

/** A directory that this node must not use. The message is one line. */
export class DataDirectoryError extends Error {
  override readonly name = 'DataDirectoryError';
  readonly code: 'locked' | 'foreign' | 'unusable';

  constructor(code: 'locked' | 'foreign' | 'unusable', message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * Creates the directory when it is new, locks it against a second process, and checks that it is this node's: a vote that was
 * cast under another id, or a log of another cluster, would break every promise. Throws `DataDirectoryError`.
 */
export async function claimDataDirectory(
  disk: Disk,
  directory: string,
  identity: { readonly nodeId: number; readonly clusterId: string },
): Promise<DiskLock> {
  let lock: DiskLock;
  try {
    await disk.makeDirectory(directory);
    lock = await disk.lock(directory);
  } catch (error) {
    const message = `cannot use data directory ${directory}: ${(error as Error).message}`;
    throw new DataDirectoryError(isDiskError(error, 'locked') ? 'locked' : 'unusable', message, { cause: error });
  }
  try {
    await checkIdentity(disk, directory, identity);
    return lock;
  } catch (error) {
    await lock.release();
    if (error instanceof DataDirectoryError) throw error;
    throw new DataDirectoryError('unusable', `cannot use data directory ${directory}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

async function checkIdentity(
  disk: Disk,
  directory: string,
  { nodeId, clusterId }: { readonly nodeId: number; readonly clusterId: string },
): Promise<void> {
  const path = join(directory, identityFile);
  const mine = { version: '1', 'node.id': String(nodeId), 'cluster.id': clusterId };
  if ((await disk.stat(path)) === undefined) {
    await disk.replaceFile(path, Buffer.from(formatProperties(mine)));
    return;
  }
  const found = readIdentity(await disk.readFile(path), path);
  for (const key of ['version', 'node.id', 'cluster.id'] as const) {
    if ((found[key] ?? '') === mine[key]) continue;
    throw new DataDirectoryError(
      'foreign',
      `data directory ${directory} belongs to ${key} '${found[key] ?? ''}', not to '${mine[key]}' (${identityFile})`,
    );
  }
}

function readIdentity(bytes: Uint8Array, path: string): Record<string, string> {
  try {
    return parseProperties(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new DataDirectoryError('unusable', `${path} cannot be read: ${error.message}`, { cause: error });
  }
}
