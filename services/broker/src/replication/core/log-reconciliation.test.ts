import { describe, expect, test } from 'vitest';
import { type EpochEnd, reconcile, truncationPoint } from './log-reconciliation.ts';

/** A log as the epoch of each of its records. */
class Log {
  readonly epochs: readonly number[];
  readonly start: number;

  constructor(epochs: readonly number[], start = 0) {
    this.epochs = epochs;
    this.start = start;
  }

  get end(): number {
    return this.start + this.epochs.length;
  }

  endOf(epoch: number): EpochEnd | undefined {
    let end: EpochEnd | undefined;
    for (const [i, e] of this.epochs.entries()) {
      if (e <= epoch) end = { epoch: e, endOffset: this.start + i + 1 };
    }
    return end;
  }
}

function ask(follower: Log, leader: Log) {
  return reconcile(
    { fetchOffset: follower.end, lastFetchedEpoch: follower.epochs.at(-1) ?? -1 },
    { logStartOffset: leader.start, logEndOffset: leader.end, endOf: (epoch) => leader.endOf(epoch) },
  );
}

/** Cuts and asks again until both agree; the cuts on the way. */
function cuts(follower: Log, leader: Log): readonly number[] {
  const made: number[] = [];
  for (let log = follower; made.length < 20; ) {
    const answer = ask(log, leader);
    if (answer.kind !== 'diverging') return made;
    const to = truncationPoint(answer.end, log.endOf(answer.end.epoch), log.start);
    made.push(to);
    log = new Log(log.epochs.slice(0, to - log.start), log.start);
  }
  throw new Error('the logs never agree');
}

describe('a follower comes back to its leader by leader epoch', () => {
  test('row 1, KIP-101 scenario 1: nothing is cut when the log is a prefix, however old the high watermark', () => {
    expect(ask(new Log([1, 1]), new Log([1, 1, 1])).kind).toBe('consistent');
  });

  test('row 2, KIP-101 scenario 2: another record at the same offset is cut although the lengths are equal', () => {
    expect(cuts(new Log([1, 1]), new Log([1, 2]))).toEqual([1]);
  });

  test('row 3, KIP-279: an epoch that the leader never had is followed down to the last common one', () => {
    expect(cuts(new Log([1, 1, 3, 3]), new Log([1, 1, 2, 4]))).toEqual([2]);
    expect(cuts(new Log([0, 2, 4, 4]), new Log([0, 1, 3, 5])), 'step by step').toEqual([2, 1]);
  });

  test('a follower that is longer in the same epoch is cut to the end of that epoch', () => {
    expect(cuts(new Log([1, 1, 1]), new Log([1, 2]))).toEqual([1]);
  });

  test('row 3: a follower all of whose log is younger loses all of it', () => {
    expect(cuts(new Log([5, 5]), new Log([3, 3, 6]))).toEqual([0]);
  });

  test('a follower below the log start, or with epochs that retention has removed, starts over', () => {
    expect(ask(new Log([1]), new Log([1, 1], 5)).kind).toBe('out-of-range');
    expect(ask(new Log([1, 1], 5), new Log([2, 2], 5)).kind).toBe('out-of-range');
    expect(ask(new Log([], 9), new Log([1], 5)).kind).toBe('out-of-range');
  });

  test('an empty follower fetches from the log start', () => {
    expect(ask(new Log([]), new Log([1, 2])).kind).toBe('consistent');
  });
});
