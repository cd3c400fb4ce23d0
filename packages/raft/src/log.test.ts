import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeConfiguration } from './configuration-change.ts';
import { RaftLog } from './log.ts';
import type { Configuration, Entry } from './types.ts';

const bootstrap: Configuration = { voters: [1, 2, 3], outgoing: [], learners: [] };

function entry(index: number, term: number): Entry {
  return { index, term, kind: 'command', data: Buffer.from(`${index}.${term}`) };
}

function logOf(terms: readonly number[]): RaftLog {
  const entries = terms.map((term, at) => entry(at + 1, term));
  return new RaftLog({ snapshot: undefined, entries, commit: 0 }, bootstrap);
}

function termsOf(log: RaftLog): (number | undefined)[] {
  return Array.from({ length: log.lastIndex }, (_, at) => log.termAt(at + 1));
}

describe('§5.3 AppendEntries at the receiver', () => {
  test('2: refuses when the previous entry is missing or of another term', () => {
    const log = logOf([1, 1, 2]);
    expect(log.accept(4, 2, [])).toBeUndefined();
    expect(log.accept(3, 1, [])).toBeUndefined();
    expect(log.accept(3, 2, [])).toBe(3);
  });

  test('3: a conflicting entry goes with everything after it', () => {
    const log = logOf([1, 1, 2, 2, 2]);
    expect(log.accept(2, 1, [entry(3, 3)])).toBe(3);
    expect(termsOf(log)).toEqual([1, 1, 3]);
  });

  test('4: a delayed message with an older prefix cuts nothing', () => {
    const log = logOf([1, 1, 2, 2, 2]);
    expect(log.accept(1, 1, [entry(2, 1), entry(3, 2)])).toBe(3);
    expect(termsOf(log)).toEqual([1, 1, 2, 2, 2]);
  });

  test('what is committed is never cut', () => {
    const log = logOf([1, 1, 2]);
    log.commitTo(2);
    expect(() => log.accept(1, 1, [entry(2, 3)])).toThrow('never cut');
  });
});

describe('§5.4.1', () => {
  test('the later last term wins, then the longer log', () => {
    const log = logOf([1, 2, 2]);
    expect(log.isUpToDate(1, 3)).toBe(true);
    expect(log.isUpToDate(3, 2)).toBe(true);
    expect(log.isUpToDate(2, 2)).toBe(false);
    expect(log.isUpToDate(9, 1)).toBe(false);
  });
});

describe('fast backtracking', () => {
  const logs = fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 15 }).map((terms) => terms.sort((a, b) => a - b));

  test('two logs are brought together in no more exchanges than they have terms, and never past an agreement', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 6 }), logs, logs, (common, ours, theirs) => {
        const shared = [...common].sort((a, b) => a - b);
        // Leaders alternate, so that equal terms at one index come only from the shared prefix (Log Matching).
        const leader = logOf([...shared, ...ours.map((term) => 2 * term + 2)]);
        const follower = logOf([...shared, ...theirs.map((term) => 2 * term + 3)]);
        let previous = leader.lastIndex;
        let exchanges = 0;
        while (follower.accept(previous, leader.termAt(previous) ?? 0, []) === undefined) {
          const hint = follower.findConflictByTerm(previous, leader.termAt(previous) ?? 0);
          const next = hint.term > 0 ? leader.findConflictByTerm(hint.index, hint.term).index : hint.index;
          expect(next).toBeLessThan(previous);
          previous = next;
          exchanges += 1;
        }
        expect(previous).toBeGreaterThanOrEqual(Math.min(shared.length, leader.lastIndex));
        expect(exchanges).toBeLessThanOrEqual(12);
      }),
    );
  });
});

describe('what the disk holds', () => {
  test('an entry that was cut while its write was under way is not taken for durable', () => {
    const log = logOf([]);
    for (const index of [1, 2, 3]) log.append(entry(index, 1));
    expect(log.unstable()).toHaveLength(3);
    log.accept(1, 1, [entry(2, 2)]);
    log.stableTo(3, 1);
    expect(log.stable).toBe(0);
    log.stableTo(2, 2);
    expect(log.stable).toBe(2);
  });

  test('a stored log with a gap is refused', () => {
    expect(
      () => new RaftLog({ snapshot: undefined, entries: [entry(1, 1), entry(3, 1)], commit: 0 }, bootstrap),
    ).toThrow('gap');
  });
});

describe('§7 snapshots', () => {
  test('the tail before a snapshot stays readable, what is before it is gone', () => {
    const log = logOf([1, 1, 2, 2, 3, 3]);
    log.commitTo(6);
    log.takeCommitted(100);
    log.compact(log.snapshotAt(5), log.tailFrom(5, 2, 1_000));
    expect([2, 3, 4, 6].map((index) => log.termAt(index))).toEqual([undefined, 2, 2, 3]);
    expect(log.firstIndex).toBe(4);
    expect(log.snapshot).toMatchObject({ index: 5, term: 3 });
  });

  test('row 38: an older snapshot than the last changes nothing', () => {
    const log = logOf([1, 1, 2, 2]);
    log.commitTo(4);
    log.takeCommitted(100);
    const early = log.snapshotAt(2);
    log.compact(log.snapshotAt(4), 5);
    log.compact(early, 1);
    expect(log.snapshot?.index).toBe(4);
  });

  test('a tail is bounded by entries and by bytes', () => {
    const log = logOf([1, 1, 1, 1, 1]);
    expect(log.tailFrom(4, 2, 1_000)).toBe(3);
    expect(log.tailFrom(4, 100, 7)).toBe(3);
    expect(log.tailFrom(4, 0, 1_000)).toBe(5);
  });

  test('a node starts from a snapshot and a tail that begins before it', () => {
    const snapshot = { index: 5, term: 2, configuration: bootstrap };
    const entries = [entry(4, 1), entry(5, 2), entry(6, 2)];
    const log = new RaftLog({ snapshot, entries, commit: 0 }, bootstrap);
    expect([log.firstIndex, log.lastIndex, log.commit, log.applied]).toEqual([5, 6, 5, 5]);
  });
});

describe('§6: the configuration in force is the latest in the log', () => {
  const change = (index: number, voters: number[]): Entry => {
    const data = encodeConfiguration({ voters, outgoing: [], learners: [] });
    return { index, term: 1, kind: 'configuration', data };
  };

  test('from the moment it is appended, and no longer when it is cut', () => {
    const log = logOf([1]);
    log.append(change(2, [1, 2]));
    expect(log.configuration.voters).toEqual([1, 2]);
    log.accept(1, 1, [entry(2, 2)]);
    expect(log.configuration.voters).toEqual([1, 2, 3]);
  });

  test('a snapshot carries the one at its index, not a later one', () => {
    const log = logOf([1]);
    log.append(change(2, [1, 2]));
    log.append(entry(3, 1));
    log.append(change(4, [1, 2, 3, 4]));
    log.stableTo(4, 1);
    log.commitTo(4);
    log.takeCommitted(10);
    const snapshot = log.snapshotAt(3);
    expect(snapshot.configuration.voters).toEqual([1, 2]);
    log.compact(snapshot, 4);
    expect(log.configuration.voters).toEqual([1, 2, 3, 4]);
  });
});
