import { readFileSync } from 'node:fs';
import type { TopicPartition } from '@naru/client';
import { CommandError } from './command.ts';
import { UsageError } from './flags.ts';

/** A file that a flag names, as JSON with a list in it. What is in the list is checked by who reads it. */
export function listIn(flag: string, file: string, list: string): readonly Record<string, unknown>[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new CommandError(`cannot read ${file}: ${(error as Error).message}`);
  }
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`--${flag}: ${file} is not JSON: ${(error as Error).message}`);
  }
  const found = (content as Record<string, unknown> | null)?.[list];
  if (!Array.isArray(found)) throw new UsageError(`--${flag}: ${file} must be an object with a list "${list}"`);
  return found.map((each: unknown) => {
    if (typeof each === 'object' && each !== null) return each as Record<string, unknown>;
    throw new UsageError(`--${flag}: in ${file}, every entry of "${list}" is an object`);
  });
}

export function topicOf(flag: string, entry: Record<string, unknown>): string {
  if (typeof entry.topic === 'string' && entry.topic !== '') return entry.topic;
  throw new UsageError(`--${flag}: an entry has no "topic": ${JSON.stringify(entry)}`);
}

export function partitionOf(flag: string, entry: Record<string, unknown>): TopicPartition {
  const { partition } = entry;
  if (typeof partition === 'number' && Number.isSafeInteger(partition) && partition >= 0) {
    return { topic: topicOf(flag, entry), partition };
  }
  throw new UsageError(`--${flag}: "partition" is a whole number from 0 on, not ${JSON.stringify(partition)}`);
}

/** `t-0, t-1`, as Kafka's tools name partitions. */
export function namesOf(partitions: readonly TopicPartition[], separator: string): string {
  return inOrder(partitions)
    .map(({ topic, partition }) => `${topic}-${partition}`)
    .join(separator);
}

export function inOrder<Each extends TopicPartition>(partitions: readonly Each[]): Each[] {
  return [...partitions].sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1));
}
