import type { Disk } from '@naru/runtime';
import { readIfThere } from './checkpoint-file.ts';
import { StorageError } from './log-errors.ts';

export const metaPropertiesFile = 'meta.properties';

/** Whose data directory it is: a `meta.properties` like Kafka's. */
export interface DirectoryIdentity {
  readonly brokerId: number;
  readonly clusterId: string;
  /** Made once for each directory: tells a directory that was lost and made anew from the old one. */
  readonly directoryId: string;
}

/** Undefined when the directory is new. Throws `StorageError` `unreadable`, `foreign-directory`. */
export async function readIdentity(disk: Disk, directory: string): Promise<DirectoryIdentity | undefined> {
  const path = `${directory}/${metaPropertiesFile}`;
  const bytes = await readIfThere(disk, path);
  if (bytes === undefined) return undefined;
  const values = new Map<string, string>();
  for (const line of Buffer.from(bytes).toString('utf8').split('\n')) {
    const at = line.indexOf('=');
    if (at > 0 && !line.startsWith('#')) values.set(line.slice(0, at).trim(), line.slice(at + 1).trim());
  }
  // Kafka's own, before KRaft and since.
  if (values.get('version') === '0' || values.has('node.id')) {
    throw new StorageError(
      'foreign-directory',
      `${directory} belongs to a broker of Apache Kafka; name another directory with 'log.dirs'`,
    );
  }
  const brokerId = Number(values.get('broker.id') ?? Number.NaN);
  const clusterId = values.get('cluster.id');
  const directoryId = values.get('directory.id');
  if (values.get('version') !== '1' || !Number.isSafeInteger(brokerId) || !clusterId || !directoryId) {
    throw new StorageError('unreadable', `${path} is not the meta.properties of a broker`);
  }
  return { brokerId, clusterId, directoryId };
}

export async function writeIdentity(disk: Disk, directory: string, identity: DirectoryIdentity): Promise<void> {
  const lines = [
    'version=1',
    `broker.id=${identity.brokerId}`,
    `cluster.id=${identity.clusterId}`,
    `directory.id=${identity.directoryId}`,
  ];
  await disk.replaceFile(`${directory}/${metaPropertiesFile}`, Buffer.from(`${lines.join('\n')}\n`));
}

/** Refuses a directory of another broker or cluster: serving its logs would mix two histories. */
export function assertOwn(directory: string, found: DirectoryIdentity, brokerId: number, clusterId: string): void {
  if (found.clusterId !== clusterId) {
    throw new StorageError(
      'foreign-directory',
      `${directory} belongs to cluster ${found.clusterId}, this is ${clusterId}`,
    );
  }
  if (found.brokerId !== brokerId) {
    throw new StorageError(
      'foreign-directory',
      `${directory} belongs to broker ${found.brokerId}, this is broker ${brokerId}`,
    );
  }
}
