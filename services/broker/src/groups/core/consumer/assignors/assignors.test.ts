import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { partitionKey } from '../partition-set.ts';
import { range } from './range.ts';
import type { AssignedMember } from './server-assignor.ts';
import { uniform } from './uniform.ts';

const member = (memberId: string, topics: string, target: Iterable<string> = []): AssignedMember => {
  return { memberId, instanceId: null, topicIds: new Set(topics), target: new Set(target) };
};
const sorted = (assignment: ReadonlyMap<string, ReadonlySet<string>>) =>
  Object.fromEntries([...assignment].map(([id, partitions]) => [id, [...partitions].sort()]));

const group = fc.record({
  counts: fc.array(fc.nat({ max: 7 }), { minLength: 1, maxLength: 4 }),
  members: fc.array(fc.subarray(['a', 'b', 'c', 'd'], { minLength: 1 }), { minLength: 1, maxLength: 6 }),
});

describe.each([uniform, range])('$name', (assignor) => {
  test('every partition that somebody subscribes to at exactly one member, who does', () => {
    fc.assert(
      fc.property(group, ({ counts, members }) => {
        const partitions = new Map(counts.map((count, i) => ['abcd'[i] as string, count]));
        const all = members.map((topics, i) => member(`m${i}`, topics.join('')));
        const wanted = new Map([...partitions].filter(([id]) => all.some(({ topicIds }) => topicIds.has(id))));
        const assignment = assignor.assign(all, wanted);
        const given = [...assignment.values()].flatMap((share) => [...share]).sort();
        const expected = [...wanted].flatMap(([id, count]) =>
          Array.from({ length: count }, (_, partition) => partitionKey(id, partition)),
        );
        expect(given).toEqual(expected.sort());
        for (const { memberId, topicIds } of all) {
          for (const partition of assignment.get(memberId) ?? []) {
            expect(topicIds).toContain(partition.split('/')[0]);
          }
        }
      }),
    );
  });
});

test('uniform moves no more than balance asks for', () => {
  const before = [member('m1', 'a', ['a/0', 'a/1', 'a/2']), member('m2', 'a', ['a/3', 'a/4', 'a/5'])];
  const after = sorted(uniform.assign([...before, member('m3', 'a')], new Map([['a', 6]])));
  for (const { memberId, target } of before) {
    expect(after[memberId]).toHaveLength(2);
    for (const partition of after[memberId] ?? []) expect(target).toContain(partition);
  }
  expect(after.m3).toHaveLength(2);
});

test('range brings partitions of equal number together, and static members keep their place under another id', () => {
  const counts = new Map([
    ['a', 3],
    ['b', 3],
  ]);
  const members = [member('m1', 'ab'), { ...member('m2', 'ab'), instanceId: 'i' }];
  expect(sorted(range.assign(members, counts))).toEqual({ m1: ['a/0', 'a/1', 'b/0', 'b/1'], m2: ['a/2', 'b/2'] });
  const again = [member('m1', 'ab'), { ...member('m0', 'ab'), instanceId: 'i' }];
  expect(sorted(range.assign(again, counts))).toMatchObject({ m1: ['a/0', 'a/1', 'b/0', 'b/1'] });
});
