import type { Admin, OngoingReassignment, TopicDescription } from '@naru/client';
import { inOrder } from '../partition-lists.ts';
import type { Placement } from './reassignment-file.ts';

/** `--verify`: true when nothing of it is under way any more. */
export async function verify(admin: Admin, wanted: readonly Placement[]): Promise<boolean> {
  const ongoing = new Set((await admin.listPartitionReassignments(wanted)).map(nameOf));
  const names = [...new Set(wanted.map(({ topic }) => topic))];
  const topics = new Map((await admin.describeTopics(names)).map((topic) => [topic.name, topic]));
  const lines = inOrder(wanted).map((placement) => {
    const topic = topics.get(placement.topic);
    const found = topic === undefined || 'error' in topic ? undefined : topic;
    return lineOf(placement, ongoing.has(nameOf(placement)), found);
  });
  process.stdout.write(`${['Status of partition reassignment:', ...lines].join('\n')}\n`);
  return ongoing.size === 0;
}

function nameOf({ topic, partition }: { readonly topic: string; readonly partition: number }): string {
  return `${topic}-${partition}`;
}

function lineOf(placement: Placement, isOngoing: boolean, topic: TopicDescription | undefined): string {
  const name = nameOf(placement);
  const found = topic?.partitions.find(({ partition }) => partition === placement.partition);
  if (found === undefined) return `There is no active reassignment of partition ${name}, and it does not exist.`;
  const [current, wanted] = [found.replicas.join(','), placement.replicas.join(',')];
  if (isOngoing) return `Reassignment of partition ${name} is still in progress.`;
  if (current === wanted) return `Reassignment of partition ${name} is completed.`;
  return `There is no active reassignment of partition ${name}, but replica set is ${current} rather than ${wanted}.`;
}

/** `--list`. */
export async function list(admin: Admin): Promise<void> {
  const ongoing = inOrder(await admin.listPartitionReassignments());
  const lines = ongoing.map(ongoingLine);
  process.stdout.write(
    lines.length === 0
      ? 'No partition reassignments found.\n'
      : `${['Current partition reassignments:', ...lines].join('\n')}\n`,
  );
}

function ongoingLine({ replicas, addingReplicas, removingReplicas, ...partition }: OngoingReassignment): string {
  const part = (name: string, ids: readonly number[]): string =>
    ids.length === 0 ? '' : ` ${name}: ${ids.join(',')}.`;
  return `${nameOf(partition)}: replicas: ${replicas.join(',')}.${part('adding', addingReplicas)}${part('removing', removingReplicas)}`;
}
