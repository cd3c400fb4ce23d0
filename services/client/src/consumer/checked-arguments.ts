import { IllegalStateError, InvalidTopicError } from '../errors.ts';

/** Throws for what no subscription can be made of: a name alone would be taken letter by letter, one that no topic can have be waited for in vain. */
export function checkTopics(topics: readonly string[] | RegExp): void {
  if (topics instanceof RegExp) return;
  const isList = Array.isArray(topics) && topics.every((topic) => typeof topic === 'string');
  if (!isList) {
    const example = typeof topics === 'string' ? topics : 'orders';
    throw new IllegalStateError(`subscribe takes topics as a list: ['${example}'], or a RegExp`);
  }
  if (topics.length === 0) throw new IllegalStateError('no topic to subscribe to');
  const invalid = topics.find((topic) => !/^[a-zA-Z0-9._-]{1,249}$/.test(topic));
  if (invalid === undefined) return;
  const rule = "1 to 249 ASCII letters, digits, '.', '_' and '-'";
  throw new InvalidTopicError(`'${invalid}' cannot be the name of a topic: it has ${rule}`, { topic: invalid });
}

export function checkPollTimeout(timeoutMs: number): void {
  if (typeof timeoutMs === 'number' && timeoutMs >= 0) return;
  throw new IllegalStateError(`poll waits for a number of milliseconds, not ${timeoutMs}: poll(1_000)`);
}
