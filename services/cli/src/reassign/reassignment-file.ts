import type { TopicPartition } from '@naru/client';
import { UsageError } from '../flags.ts';
import { inOrder, listIn, partitionOf, topicOf } from '../partition-lists.ts';

/** A partition and the brokers that have it. */
export interface Placement extends TopicPartition {
  readonly replicas: readonly number[];
}

const reassignmentFlag = 'reassignment-json-file';
const topicsFlag = 'topics-to-move-json-file';

/** What `--reassignment-json-file` names: Kafka's `{"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[1,2]}]}`. */
export function readReassignment(file: string): readonly Placement[] {
  const placements = listIn(reassignmentFlag, file, 'partitions').map((entry): Placement => {
    const partition = partitionOf(reassignmentFlag, entry);
    return { ...partition, replicas: replicasOf(entry) };
  });
  if (placements.length === 0) throw new UsageError(`--${reassignmentFlag}: ${file} names no partition`);
  const names = placements.map(({ topic, partition }) => `${topic}-${partition}`);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new UsageError(`--${reassignmentFlag}: ${twice} stands there twice`);
  return placements;
}

function replicasOf({ replicas, topic, partition, log_dirs: directories }: Record<string, unknown>): readonly number[] {
  const name = `${topic}-${partition}`;
  const isBroker = (id: unknown): id is number => typeof id === 'number' && Number.isSafeInteger(id) && id >= 0;
  if (!Array.isArray(replicas) || replicas.length === 0 || !replicas.every(isBroker)) {
    throw new UsageError(`--${reassignmentFlag}: "replicas" of ${name} is not a list of broker ids`);
  }
  if (new Set(replicas).size !== replicas.length) {
    throw new UsageError(`--${reassignmentFlag}: a broker stands twice in the replicas of ${name}`);
  }
  const isAny =
    directories === undefined || (Array.isArray(directories) && directories.every((each) => each === 'any'));
  if (!isAny)
    throw new UsageError(`--${reassignmentFlag}: a broker has one directory, so "log_dirs" of ${name} is "any"`);
  return replicas;
}

/** What `--topics-to-move-json-file` names: Kafka's `{"topics": [{"topic": "foo"}], "version": 1}`. */
export function readTopics(file: string): readonly string[] {
  return [...new Set(listIn(topicsFlag, file, 'topics').map((entry) => topicOf(topicsFlag, entry)))];
}

export function formatPlacements(placements: readonly Placement[]): string {
  const partitions = inOrder(placements).map(({ topic, partition, replicas }) => {
    return { topic, partition, replicas, log_dirs: replicas.map(() => 'any') };
  });
  return JSON.stringify({ version: 1, partitions });
}
