import { describe, expect, it } from 'vitest';
import { collidingTopic, topicNameFault } from './topic-name.ts';

describe('topic names', () => {
  it.each(['a', 'A-b_c.d', '...', 'a'.repeat(249), '__consumer_offsets'])('may be %s', (name) => {
    expect(topicNameFault(name)).toBeUndefined();
  });

  it.each(['', '.', '..', 'a'.repeat(250), 'a/b', 'a b', 'ü', 'a\n', 'a:b', '토픽'])('may not be %j', (name) => {
    expect(topicNameFault(name)).toBeDefined();
  });

  it("collide when they differ only in '.' and '_'", () => {
    expect(collidingTopic('a.b', ['x', 'a_b'])).toBe('a_b');
    expect(collidingTopic('a_b_c', ['a.b_c'])).toBe('a.b_c');
    expect(collidingTopic('a.b', ['a.b', 'ab', 'a-b'])).toBeUndefined();
    expect(collidingTopic('ab', ['a_b'])).toBeUndefined();
  });
});
