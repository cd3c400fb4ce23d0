import { describe, expect, test } from 'vitest';
import { type MemberEvent, type MemberHistories, parseMember } from '../workload/groups/group-history.ts';
import type { History } from '../workload/history.ts';
import { checkGroups, checkNoRebalance, groupFiguresOf } from './check-groups.ts';

/** Three records in partition 0. */
const history: History = {
  acks: 'all',
  isIdempotent: true,
  partitions: 1,
  readersGoBack: false,
  sends: [],
  polls: [],
  ends: [{ partition: 0, offset: 3, invokedMs: 900, endedMs: 901 }],
  committed: [],
  final: [0, 1, 2].map((offset) => ({ reader: -1, partition: 0, offset, producer: 1, sequence: offset, atMs: 0 })),
};

function assigned(atMs: number): MemberEvent {
  return { kind: 'assigned', partitions: [0], atMs };
}

function givenUp(atMs: number, isLost = false): MemberEvent {
  return { kind: 'given-up', partitions: [0], isLost, atMs };
}

function processed(from: number, to: number, atMs: number): MemberEvent {
  return { kind: 'processed', partition: 0, from, to, atMs };
}

function commit(offset: number, invokedMs: number, isAcked = true): MemberEvent {
  const error = isAcked ? undefined : 'CommitFailedError: …';
  return { kind: 'commit', partition: 0, offset, isAcked, invokedMs, endedMs: invokedMs + 5, error };
}

function members(...events: MemberEvent[][]): MemberHistories {
  return new Map(events.map((one, i) => [`member-${i + 1}`, one]));
}

function rulesOf(histories: MemberHistories, more: Partial<History> = {}): string[] {
  return [...new Set(checkGroups({ ...history, ...more }, histories).map((violation) => violation.rule))];
}

/** The first has the partition until 100, the second from 110 on. */
const first = [assigned(10), processed(0, 2, 20), commit(2, 30), givenUp(100)];
const second = [assigned(110), processed(2, 3, 120), commit(3, 130)];

describe('groups that keep every promise', () => {
  test('one after the other, each from where the one before had committed', () => {
    expect(rulesOf(members(first, second))).toEqual([]);
    expect(groupFiguresOf(members(first, second))).toEqual({ assignments: 2, reprocessed: 0 });
  });

  test('what was processed and not committed is processed again', () => {
    const died = [assigned(10), processed(0, 2, 20), commit(1, 30), processed(2, 3, 40)];
    const heir = [assigned(110), processed(1, 3, 120), commit(3, 130)];
    expect(rulesOf(members(died, heir))).toEqual([]);
    expect(groupFiguresOf(members(died, heir)).reprocessed).toBe(2);
  });

  test('a member that was stopped and wakes: it processes on, and its commit is refused', () => {
    const stopped = [...first.slice(0, 3), processed(2, 3, 200), commit(3, 210, false), givenUp(220, true)];
    expect(rulesOf(members(stopped, second))).toEqual([]);
  });
});

describe('groups that do not', () => {
  test('G1, G4: a member that was put out goes on committing', () => {
    const zombie = [...first.slice(0, 3), processed(2, 3, 200), commit(3, 210)];
    expect(rulesOf(members(zombie, second))).toEqual(['G1']);
  });

  test('G3: an acknowledged commit that the next member does not know', () => {
    const heir = [assigned(110), processed(1, 3, 120), commit(3, 130)];
    expect(rulesOf(members(first, heir))).toEqual(['G3']);
  });

  test('G3: an acknowledged commit that an onlooker is not told of', () => {
    const told = { partition: 0, offset: 1, invokedMs: 50, endedMs: 51 };
    expect(rulesOf(members(first, second), { committed: [told] })).toEqual(['G3']);
    expect(rulesOf(members(first, second), { committed: [{ ...told, offset: 2 }] })).toEqual([]);
  });

  test('G5: a commit beyond the end', () => {
    const told = { partition: 0, offset: 4, invokedMs: 500, endedMs: 501 };
    expect(rulesOf(members(first, second), { committed: [told] })).toEqual(['G5']);
  });

  test('G6: a record between two members that neither processed', () => {
    const hasty = [assigned(10), processed(0, 1, 20), commit(2, 30), givenUp(100)];
    expect(rulesOf(members(hasty, second))).toEqual(['G6']);
  });

  test('C7: a record passed over in the middle', () => {
    const skips = [assigned(10), processed(0, 1, 20), processed(2, 3, 25)];
    const rest = [assigned(110), processed(1, 2, 120)];
    expect(rulesOf(members(skips, rest))).toEqual(['C7']);
  });

  test('G7: a rebalance during an orderly restart', () => {
    expect(checkNoRebalance(members(first, second), { fromMs: 50, toMs: 300 }).map(({ rule }) => rule)).toEqual(['G7']);
    expect(checkNoRebalance(members(first, second), { fromMs: 150, toMs: 300 })).toEqual([]);
  });
});

test('the file of a member that was killed in the middle of a line', () => {
  const lines = `${JSON.stringify(assigned(1))}\n${JSON.stringify(processed(0, 1, 2))}\n{"kind":"comm`;
  expect(parseMember(lines)).toEqual([assigned(1), processed(0, 1, 2)]);
});
