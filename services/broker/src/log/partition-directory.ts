import type { Disk } from '@naru/runtime';
import { readIfThere } from './checkpoint-file.ts';

export const partitionMetadataFile = 'partition.metadata';

/** A topic is deleted: its directories are renamed first, so that no crash leaves half a partition under its name. */
const deleteSuffix = '-delete';
/** A directory that no known topic owns. It is kept for people to look at (row 58), as Kafka does. */
const straySuffix = '-stray';

export interface PartitionName {
  readonly topic: string;
  readonly partition: number;
}

/** `topic-3`. */
export function partitionDirectoryName(topic: string, partition: number): string {
  return `${topic}-${partition}`;
}

export type DirectoryKind =
  | ({ readonly kind: 'partition' } & PartitionName)
  | { readonly kind: 'deleted' }
  | { readonly kind: 'stray' }
  | { readonly kind: 'other' };

/** What a name in a data directory stands for. */
export function classifyName(name: string): DirectoryKind {
  if (/\.[0-9a-f]{32}-delete$/.test(name)) return { kind: 'deleted' };
  if (/\.[0-9a-f]{32}-stray$/.test(name)) return { kind: 'stray' };
  const match = /^([a-zA-Z0-9._-]{1,249})-(\d{1,10})$/.exec(name);
  if (match === null) return { kind: 'other' };
  return { kind: 'partition', topic: match[1] as string, partition: Number(match[2]) };
}

/** A topic's name may be as long as a file name can be: it is cut to make room for the suffix, as in Kafka. */
const fileNameBytesMax = 255;

export function deletedName(name: string, uniqueId: string): string {
  return withSuffix(name, uniqueId, deleteSuffix);
}

export function strayName(name: string, uniqueId: string): string {
  return withSuffix(name, uniqueId, straySuffix);
}

function withSuffix(name: string, uniqueId: string, suffix: string): string {
  const end = `.${uniqueId}${suffix}`;
  return name.slice(0, fileNameBytesMax - end.length) + end;
}

/** The topic id that the directory was made for (KIP-516); undefined when the file is missing or not readable. */
export async function readTopicId(disk: Disk, directory: string): Promise<string | undefined> {
  const bytes = await readIfThere(disk, `${directory}/${partitionMetadataFile}`);
  if (bytes === undefined) return undefined;
  return /^version: 0\ntopic_id: ([A-Za-z0-9_-]{22})\n$/.exec(Buffer.from(bytes).toString('utf8'))?.[1];
}

export async function writeTopicId(disk: Disk, directory: string, topicId: string): Promise<void> {
  const text = `version: 0\ntopic_id: ${topicId}\n`;
  await disk.replaceFile(`${directory}/${partitionMetadataFile}`, Buffer.from(text));
}
