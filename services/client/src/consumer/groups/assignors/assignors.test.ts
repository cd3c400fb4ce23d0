import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TopicPartition } from '../../../topic-partition.ts';
import { type Assignor, type GroupMember, keyOf, type PartitionCounts } from './assignor.ts';
import { rangeAssignor } from './range.ts';
import { roundRobinAssignor } from './round-robin.ts';
import { cooperativeStickyAssignor, stickyAssignor } from './sticky.ts';

const member = (memberId: string, topics: string[], more: Partial<GroupMember> = {}): GroupMember => ({
  memberId,
  groupInstanceId: undefined,
  topics,
  userData: null,
  ownedPartitions: [],
  generationId: -1,
  rackId: null,
  ...more,
});

type Assigned = ReadonlyMap<string, readonly TopicPartition[]>;

const shown = (assigned: Assigned): Record<string, string[]> =>
  Object.fromEntries(
    [...assigned].map(([id, list]) => [id, list.map(({ topic, partition }) => `${topic}${partition}`)]),
  );

/** Members with what they hold and as what it was assigned, as they would join the next round. */
function rejoin(
  members: readonly GroupMember[],
  assigned: Assigned,
  assignor: Assignor,
  generation: number,
): GroupMember[] {
  return members.map((one) => {
    const lastAssigned = assigned.get(one.memberId) ?? [];
    const userData = assignor.userData?.({ topics: one.topics, lastAssigned, generation }) ?? null;
    const isCooperative = assignor.protocols.includes('cooperative');
    return { ...one, userData, ownedPartitions: isCooperative ? lastAssigned : [], generationId: generation };
  });
}

function expectEachOnce(assigned: Assigned, members: readonly GroupMember[], counts: PartitionCounts): void {
  const given = [...assigned.values()].flat().map(keyOf);
  expect(new Set(given).size, 'no partition at two members (G1)').toBe(given.length);
  const wanted = new Set(members.flatMap((one) => one.topics));
  const expected = [...counts].filter(([topic]) => wanted.has(topic)).reduce((sum, [, count]) => sum + count, 0);
  expect(given.length, 'every partition of a wanted topic').toBe(expected);
  for (const one of members) {
    for (const { topic } of assigned.get(one.memberId) ?? []) expect(one.topics).toContain(topic);
  }
}

const sizes = (assigned: Assigned): number[] => [...assigned.values()].map((list) => list.length);
const spread = (assigned: Assigned): number => Math.max(...sizes(assigned)) - Math.min(...sizes(assigned));

const topicNames = ['a', 'b', 'c', 'd'];
const countsArbitrary = fc
  .uniqueArray(fc.constantFrom(...topicNames), { minLength: 1 })
  .chain((topics) => fc.tuple(...topics.map((topic) => fc.tuple(fc.constant(topic), fc.integer({ min: 1, max: 9 })))))
  .map((entries) => new Map(entries as [string, number][]));
const membersArbitrary = fc
  .array(fc.tuple(fc.uniqueArray(fc.constantFrom(...topicNames, 'missing'), { minLength: 1 }), fc.boolean()), {
    minLength: 1,
    maxLength: 8,
  })
  .map((list) =>
    list.map(([topics, isStatic], i) => member(`m${i}`, topics, isStatic ? { groupInstanceId: `i${9 - i}` } : {})),
  );
const sameTopicMembers = fc
  .tuple(fc.integer({ min: 1, max: 8 }), fc.uniqueArray(fc.constantFrom(...topicNames), { minLength: 1 }))
  .map(([count, topics]) => Array.from({ length: count }, (_, i) => member(`m${i}`, topics)));

const all = [rangeAssignor, roundRobinAssignor, stickyAssignor, cooperativeStickyAssignor];

describe.each(all)('assignor $name', (assignor) => {
  test('every partition of every wanted topic at exactly one member that wants it (G1)', () => {
    fc.assert(
      fc.property(countsArbitrary, membersArbitrary, (counts, members) => {
        expectEachOnce(assignor.assign(counts, members), members, counts);
      }),
      { numRuns: 200 },
    );
  });

  test('the order in which members come makes no difference', () => {
    fc.assert(
      fc.property(countsArbitrary, membersArbitrary, (counts, members) => {
        const backwards = [...members].reverse();
        const forth = Object.entries(shown(assignor.assign(counts, members))).sort();
        expect(Object.entries(shown(assignor.assign(counts, backwards))).sort()).toEqual(forth);
      }),
      { numRuns: 50 },
    );
  });

  test('no topic exists: empty lists', () => {
    expect(shown(assignor.assign(new Map(), [member('m', ['t'])]))).toEqual({ m: [] });
  });
});

test('range: equal topics are co-partitioned, the first members get one more', () => {
  const members = [member('m1', ['a', 'b']), member('m0', ['a', 'b'])];
  const counts = new Map([
    ['a', 3],
    ['b', 3],
  ]);
  expect(shown(rangeAssignor.assign(counts, members))).toEqual({ m0: ['a0', 'a1', 'b0', 'b1'], m1: ['a2', 'b2'] });
});

test('roundrobin: the row goes on over topics; who does not want a topic is passed over', () => {
  const members = [member('m0', ['a', 'b']), member('m1', ['b'])];
  const counts = new Map([
    ['a', 2],
    ['b', 3],
  ]);
  expect(shown(roundRobinAssignor.assign(counts, members))).toEqual({ m0: ['a0', 'a1', 'b1'], m1: ['b0', 'b2'] });
});

test('static members stand first, by instance id', () => {
  const members = [member('a', ['t']), member('z', ['t'], { groupInstanceId: 'i' })];
  expect(shown(rangeAssignor.assign(new Map([['t', 1]]), members))).toEqual({ a: [], z: ['t0'] });
});

describe('balance', () => {
  test.each([roundRobinAssignor, stickyAssignor, cooperativeStickyAssignor])(
    '$name: with equal subscriptions nobody has two more than another',
    (assignor) => {
      fc.assert(
        fc.property(countsArbitrary, sameTopicMembers, (counts, members) => {
          expect(spread(assignor.assign(counts, members))).toBeLessThanOrEqual(1);
        }),
      );
    },
  );

  test('sticky: with any subscriptions no single move would help', () => {
    fc.assert(
      fc.property(countsArbitrary, membersArbitrary, (counts, members) => {
        const assigned = stickyAssignor.assign(counts, members);
        for (const from of members) {
          for (const { topic } of assigned.get(from.memberId) ?? []) {
            for (const to of members.filter((one) => one.topics.includes(topic))) {
              const gap = (assigned.get(from.memberId)?.length ?? 0) - (assigned.get(to.memberId)?.length ?? 0);
              expect(gap).toBeLessThan(2);
            }
          }
        }
      }),
    );
  });
});

describe('stickiness', () => {
  const counts = new Map([['a', 12]]);
  const four = ['m0', 'm1', 'm2', 'm3'].map((id) => member(id, ['a']));

  test('the same members again: nothing moves', () => {
    fc.assert(
      fc.property(countsArbitrary, membersArbitrary, (someCounts, members) => {
        const first = stickyAssignor.assign(someCounts, members);
        const again = stickyAssignor.assign(someCounts, rejoin(members, first, stickyAssignor, 1));
        expect(shown(again)).toEqual(shown(first));
      }),
      { numRuns: 100 },
    );
  });

  test('a member leaves: only its partitions move', () => {
    fc.assert(
      fc.property(countsArbitrary, sameTopicMembers, (someCounts, members) => {
        fc.pre(members.length > 1);
        const first = stickyAssignor.assign(someCounts, members);
        const left = members.slice(1);
        const second = stickyAssignor.assign(someCounts, rejoin(left, first, stickyAssignor, 1));
        for (const { memberId } of left) {
          const now = new Set((second.get(memberId) ?? []).map(keyOf));
          for (const before of first.get(memberId) ?? []) expect(now.has(keyOf(before))).toBe(true);
        }
        expectEachOnce(second, left, someCounts);
      }),
      { numRuns: 100 },
    );
  });

  test('a member comes: it gets its share, no partition moves between the others', () => {
    const three = four.slice(0, 3);
    const first = stickyAssignor.assign(counts, three);
    const joined = [...rejoin(three, first, stickyAssignor, 1), member('m3', ['a'])];
    const second = stickyAssignor.assign(counts, joined);
    expect(sizes(second)).toEqual([3, 3, 3, 3]);
    for (const { memberId } of three) {
      for (const { partition } of second.get(memberId) ?? []) {
        expect(first.get(memberId)?.some((before) => before.partition === partition)).toBe(true);
      }
    }
  });

  test('of two claims the newer generation counts, two of the same generation cancel each other (KIP-341)', () => {
    const owned = [{ topic: 't', partition: 0 }];
    const claims = [
      member('m0', ['t'], { ownedPartitions: owned, generationId: 4 }),
      member('m1', ['t'], { ownedPartitions: owned, generationId: 5 }),
    ];
    const result = stickyAssignor.assign(new Map([['t', 1]]), claims);
    expect(shown(result)).toEqual({ m0: [], m1: ['t0'] });
  });

  test('user data that cannot be read is as good as none', () => {
    const broken = member('m0', ['t'], { userData: Buffer.from([1, 2, 3]) });
    expect(shown(stickyAssignor.assign(new Map([['t', 1]]), [broken]))).toEqual({ m0: ['t0'] });
  });
});

describe('cooperative-sticky (KIP-429)', () => {
  /** Rounds until nobody has to give anything up; checks that no partition is handed over while another still holds it. */
  function settle(counts: PartitionCounts, begin: readonly GroupMember[]): { assigned: Assigned; rounds: number } {
    let members = [...begin];
    for (let round = 1; round <= 4; round++) {
      const assigned = cooperativeStickyAssignor.assign(counts, members);
      let isSettled = true;
      for (const one of members) {
        const now = new Set((assigned.get(one.memberId) ?? []).map(keyOf));
        for (const other of members) {
          if (other === one) continue;
          for (const owned of other.ownedPartitions)
            expect(now.has(keyOf(owned)), 'still held by another (G1)').toBe(false);
        }
        if (one.ownedPartitions.some((owned) => !now.has(keyOf(owned)))) isSettled = false;
      }
      if (isSettled) return { assigned, rounds: round };
      members = rejoin(members, assigned, cooperativeStickyAssignor, round);
    }
    throw new Error('it does not settle');
  }

  test('members come and go: two rounds at most, nothing at two members, balanced in the end', () => {
    fc.assert(
      fc.property(countsArbitrary, sameTopicMembers, fc.nat(7), fc.nat(3), (counts, members, leaving, coming) => {
        const before = settle(counts, members);
        const topics = members[0]?.topics as string[];
        const rest = members.slice(Math.min(leaving, members.length - 1));
        const added = Array.from({ length: coming }, (_, i) => member(`n${i}`, topics));
        const changed = [...rejoin(rest, before.assigned, cooperativeStickyAssignor, 5), ...added];
        const after = settle(counts, changed);
        expect(after.rounds).toBeLessThanOrEqual(2);
        expect(spread(after.assigned)).toBeLessThanOrEqual(1);
        expectEachOnce(after.assigned, changed, counts);
      }),
      { numRuns: 200 },
    );
  });

  test('two members that name the same partition both give it up first', () => {
    const owned = [{ topic: 't', partition: 0 }];
    const claims = [
      member('m0', ['t'], { ownedPartitions: owned, generationId: 4 }),
      member('m1', ['t'], { ownedPartitions: owned, generationId: 5 }),
    ];
    expect(shown(cooperativeStickyAssignor.assign(new Map([['t', 1]]), claims))).toEqual({ m0: [], m1: [] });
  });
});
