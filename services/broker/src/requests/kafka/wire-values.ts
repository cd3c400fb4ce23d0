import { zeroUuid } from '@naru/kafka-protocol';
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

/** Where the leaders are that an answer points to (KIP-951). */
export function endpointsOf(image: MetadataImage, hints: Iterable<LeaderHint | null>): NodeEndpoint[] {
  const endpoints = new Map<number, NodeEndpoint>();
  for (const hint of hints) {
    const broker = hint === null ? undefined : image.brokers.get(hint.leaderId);
    if (broker === undefined) continue;
    const { id, host, port, rack } = broker;
    endpoints.set(id, { nodeId: id, host, port, rack: rack ?? null });
  }
  return [...endpoints.values()];
}
