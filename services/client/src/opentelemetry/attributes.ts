import type { Attributes } from '@opentelemetry/api';

/** Names of OpenTelemetry's semantic conventions for messaging, as of 1.36 and later; the API package has none of them. */
export const names = {
  system: 'messaging.system',
  operationName: 'messaging.operation.name',
  operationType: 'messaging.operation.type',
  topic: 'messaging.destination.name',
  partition: 'messaging.destination.partition.id',
  clientId: 'messaging.client.id',
  group: 'messaging.consumer.group.name',
  recordsCount: 'messaging.batch.message_count',
  offset: 'messaging.kafka.offset',
  errorType: 'error.type',
} as const;

/** What is done, in Kafka's words and in those of the conventions. */
export const operations = {
  send: { [names.operationName]: 'send', [names.operationType]: 'send' },
  poll: { [names.operationName]: 'poll', [names.operationType]: 'receive' },
  process: { [names.operationName]: 'process', [names.operationType]: 'process' },
  commit: { [names.operationName]: 'commit', [names.operationType]: 'settle' },
} as const;

interface Place {
  readonly topic: string;
  readonly partition: number;
}

export function placeAttributes({ topic, partition }: Place): Attributes {
  return { [names.topic]: topic, [names.partition]: String(partition) };
}

/** A consumer without a group has no group name. */
export function readerAttributes({
  clientId,
  groupId,
}: {
  readonly clientId: string;
  readonly groupId: string;
}): Attributes {
  return { [names.clientId]: clientId, ...(groupId === '' ? {} : { [names.group]: groupId }) };
}

/** Few and predictable: the class of the SDK's errors, the name of others. */
export function errorAttributes(error: unknown): Attributes {
  if (error === undefined) return {};
  return { [names.errorType]: error instanceof Error ? error.name : '_OTHER' };
}
