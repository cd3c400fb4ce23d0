import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hasQuorum, majority, membersOf, quorumValue, voteResult } from './quorum.ts';
import type { Configuration, NodeId } from './types.ts';

const ids = fc.uniqueArray(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 7 });
const configurations: fc.Arbitrary<Configuration> = fc.record({
  voters: ids,
  outgoing: fc.oneof(fc.constant([]), ids),
  learners: fc.constant([]),
});
const values = fc.array(fc.nat({ max: 20 }), { minLength: 8, maxLength: 8 });

describe('quorums', () => {
  test('a majority is more than half', () => {
    expect([1, 2, 3, 4, 5].map(majority)).toEqual([1, 2, 2, 3, 3]);
  });

  test('§6: the decided value is the largest that a majority of each configuration has reached', () => {
    fc.assert(
      fc.property(configurations, values, (configuration, reached) => {
        const valueAt = (node: NodeId): number => reached[node] ?? 0;
        const agreed = (voters: readonly NodeId[], value: number): boolean =>
          voters.length === 0 || voters.filter((node) => valueAt(node) >= value).length >= majority(voters.length);
        const both = (value: number): boolean =>
          agreed(configuration.voters, value) && agreed(configuration.outgoing, value);
        const decided = quorumValue(configuration, valueAt);
        expect(both(decided)).toBe(true);
        expect(both(decided + 1)).toBe(false);
      }),
    );
  });

  test('§6: two quorums of adjacent configurations always share a node (Z15)', () => {
    fc.assert(
      fc.property(ids, ids, values, (before, after, sides) => {
        const left = (node: NodeId): boolean => (sides[node] ?? 0) < 10;
        const joint: Configuration = { voters: after, outgoing: before, learners: [] };
        const old: Configuration = { voters: before, outgoing: [], learners: [] };
        const next: Configuration = { voters: after, outgoing: [], learners: [] };
        expect(hasQuorum(joint, left) && hasQuorum(old, (node) => !left(node))).toBe(false);
        expect(hasQuorum(joint, left) && hasQuorum(next, (node) => !left(node))).toBe(false);
      }),
    );
  });

  test('an election is lost exactly when no quorum can come together any more', () => {
    const configuration: Configuration = { voters: [1, 2, 3], outgoing: [], learners: [] };
    const result = (...votes: [NodeId, boolean][]): string => voteResult(configuration, new Map(votes));
    expect(result([1, true])).toBe('pending');
    expect(result([1, true], [2, true])).toBe('won');
    expect(result([1, true], [2, false])).toBe('pending');
    expect(result([2, false], [3, false])).toBe('lost');
  });

  test('votes of nodes that are no voters count for nothing', () => {
    const configuration: Configuration = { voters: [1, 2, 3], outgoing: [], learners: [4] };
    expect(
      voteResult(
        configuration,
        new Map([
          [1, true],
          [4, true],
          [9, true],
        ]),
      ),
    ).toBe('pending');
  });

  test('who is in several lists is one member', () => {
    expect(membersOf({ voters: [1, 4], outgoing: [2, 1], learners: [2, 7] })).toEqual([1, 2, 4, 7]);
  });
});
