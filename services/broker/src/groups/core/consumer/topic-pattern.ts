import { RE2JS, RE2JSException } from 're2js';

/**
 * A pattern of a subscription, in RE2's syntax as in Kafka: matched in time linear to the name, whatever a client wrote. Undefined: it is none.
 */
export function topicPattern(source: string): ((topic: string) => boolean) | undefined {
  try {
    const pattern = RE2JS.compile(source);
    return (topic) => pattern.matches(topic);
  } catch (error) {
    if (error instanceof RE2JSException) return undefined;
    throw error;
  }
}
