import { zeroUuid } from '@naru/kafka-protocol';
import { addressOf } from '../../cluster/endpoint.ts';
import type { MetadataImage } from '../../cluster/metadata-image.ts';

/** Our texts are never null; Kafka's messages of success are. */
export function orNull(text: string): string | null {
  return text === '' ? null : text;
}

/** Topic ids: "none" is empty inside and zeros on the wire. */
export function wireTopicId(topicId: string): string {
  return topicId === '' ? zeroUuid : topicId;
}

export interface LeaderHint {
  readonly leaderId: number;
  readonly leaderEpoch: number;
}

export interface NodeEndpoint {
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
  readonly rack: string | null;
}

/** Where the leaders are that an answer points to (KIP-951), for who came by `listener`. */
export function nodeEndpointsOf(
  image: MetadataImage,
  hints: Iterable<LeaderHint | null>,
  listener: string,
): NodeEndpoint[] {
  const endpoints = new Map<number, NodeEndpoint>();
  for (const hint of hints) {
    const broker = hint === null ? undefined : image.brokers.get(hint.leaderId);
    const address = broker && addressOf(broker, listener);
    if (address) endpoints.set(broker.id, { nodeId: broker.id, ...address, rack: broker.rack ?? null });
  }
  return [...endpoints.values()];
}
