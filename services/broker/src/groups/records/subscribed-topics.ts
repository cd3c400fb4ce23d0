import { ProtocolError, Reader } from '@naru/kafka-protocol';

/** Topic names have at most 249 characters; a length and nothing is the least. */
const topicBytesMin = 2;

/**
 * The topics that a consumer's metadata names (ConsumerProtocolSubscription: int16 version, array of strings, more that is not looked at);
 * undefined when the bytes are something else, for brokers do not check them.
 */
export function subscribedTopics(subscription: Uint8Array): ReadonlySet<string> | undefined {
  try {
    const reader = new Reader(subscription);
    if (reader.int16() < 0) return undefined;
    const count = reader.checkCount(reader.int32(), topicBytesMin);
    const topics = new Set<string>();
    for (let i = 0; i < count; i++) {
      const topic = reader.string(reader.int16());
      if (topic === null) return undefined;
      topics.add(topic);
    }
    return topics;
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}
