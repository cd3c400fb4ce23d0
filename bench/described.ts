import { type Client, type NewTopic, orThrow, type PartitionDescription } from '@naru/client';

/** The partitions of a topic that must exist. */
export async function partitionsOf(client: Client, topic: string): Promise<readonly PartitionDescription[]> {
  const [described] = await client.admin().describeTopics([topic]);
  if (described === undefined || 'error' in described) throw described?.error ?? new Error(`topic ${topic} is gone`);
  return described.partitions;
}

export async function createTopic(client: Client, topic: NewTopic): Promise<void> {
  orThrow(await client.admin().createTopics([topic]));
}
