/** A partition of a topic, counted from 0. */
export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** The name under which maps keep a partition. A topic name holds no slash (Kafka: Topic.validate). */
export function partitionKey(topic: string, partition: number): string {
  return `${topic}/${partition}`;
}
