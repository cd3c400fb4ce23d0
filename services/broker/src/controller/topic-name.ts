import { type Refusal, refuse } from './refusal.ts';

/** Kafka's bound: the name is part of a directory's name, with a suffix, in 255 bytes. */
export const topicNameLengthMax = 249;

/** What is wrong with a topic name by Kafka's rules, or undefined. */
export function topicNameFault(name: string): string | undefined {
  if (name === '') return 'a topic name must not be empty';
  if (name === '.' || name === '..') return `a topic name must not be '.' or '..'`;
  if (name.length > topicNameLengthMax) {
    return `a topic name has at most ${topicNameLengthMax} characters, this one has ${name.length}: '${name.slice(0, 20)}…'`;
  }
  if (!/^[a-zA-Z0-9._-]+$/.test(name)) {
    return `topic name '${name}' is invalid: it may have ASCII letters and digits, '.', '_' and '-' only`;
  }
  return undefined;
}

/** Two names that differ only in '.' and '_' have the same name in metrics: of such a pair only the first can be created. */
export function collidingTopic(name: string, existing: Iterable<string>): string | undefined {
  if (!/[._]/.test(name)) return undefined;
  const folded = name.replaceAll('.', '_');
  for (const other of existing) {
    if (other !== name && other.replaceAll('.', '_') === folded) return other;
  }
  return undefined;
}

/** Topics that belong to the brokers themselves; clients may read, not create or delete them. */
const internalTopics: ReadonlySet<string> = new Set(['__consumer_offsets', '__transaction_state']);

export function isInternalTopic(name: string): boolean {
  return internalTopics.has(name);
}

export function internalTopicRefusal(name: string): Refusal | undefined {
  if (!isInternalTopic(name)) return undefined;
  return refuse(
    'INVALID_TOPIC_EXCEPTION',
    `Topic '${name}' belongs to the brokers, which create and keep it themselves.`,
  );
}
