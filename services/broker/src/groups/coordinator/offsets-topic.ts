import { errorCodes } from '@naru/kafka-protocol';
import type { broker } from '@naru/rpc';
import { logConfigDefinition } from '../../log/log-config.ts';
import { offsetsTopic } from './group-partition.ts';

export interface OffsetsTopicSettings {
  /** `offsets.topic.num.partitions`. */
  readonly partitions: number;
  /** `offsets.topic.replication.factor`. */
  readonly replicationFactor: number;
  /** `offsets.topic.segment.bytes`. */
  readonly segmentBytes: number;
}

const createTimeoutMs = 30_000;

/** With fewer brokers than `offsets.topic.replication.factor` the topic has one replica on each. */
export function offsetsTopicRequest(settings: OffsetsTopicSettings, liveBrokers: number): broker.CreateTopicsRequest {
  return {
    topics: [
      {
        name: offsetsTopic,
        topicId: '',
        numPartitions: settings.partitions,
        replicationFactor: Math.max(1, Math.min(settings.replicationFactor, liveBrokers)),
        assignments: [],
        configs: { ...cleanup(), 'segment.bytes': String(settings.segmentBytes) },
      },
    ],
    timeoutMs: createTimeoutMs,
    validateOnly: false,
  };
}

/** The newest record of a key counts, however old it is: never deleted by age. */
function cleanup(): Record<string, string> {
  const policies: readonly string[] = logConfigDefinition.settings['cleanup.policy'].oneOf ?? [];
  return policies.includes('compact')
    ? { 'cleanup.policy': 'compact' }
    : { 'cleanup.policy': 'delete', 'retention.ms': '-1', 'retention.bytes': '-1' };
}

/** Undefined when the topic is there. */
export function offsetsTopicProblem({ topics: [result] }: broker.CreateTopicsResponse): string | undefined {
  if (result === undefined) return 'no answer';
  if (result.errorCode === errorCodes.NONE || result.errorCode === errorCodes.TOPIC_ALREADY_EXISTS) return undefined;
  return `${result.errorCode} ${result.errorMessage}`;
}
