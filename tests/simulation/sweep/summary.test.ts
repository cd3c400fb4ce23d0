import { describe, expect, test } from 'vitest';
import type { RunReport } from '../swarm/run.ts';
import { addedKinds, ambushKinds, faultKinds } from '../swarm/schedule.ts';
import { Summary } from './summary.ts';

/** A run in which everything happened. */
const full: RunReport = {
  seed: 0,
  traceHash: '0123456789abcdef',
  violation: undefined,
  simulatedMs: 20_000,
  events: 100_000,
  acked: 5_000,
  sent: 5_000,
  polled: 9_000,
  elections: 9,
  isrChanges: 20,
  truncations: 2,
  coordinatorTerms: 3,
  generations: 4,
  epochs: 2,
  protocolChanges: 1,
  commits: 100,
  cleaned: 50,
  registers: 200,
  faults: Object.fromEntries([...faultKinds, ...addedKinds, ...ambushKinds].map((kind) => [kind, 1])),
  recoveredMs: 900,
};

function sweepOf(count: number, of: (seed: number) => Partial<RunReport> = () => ({})): Summary {
  const summary = new Summary();
  for (let seed = 1; seed <= count; seed++) summary.add({ ...full, seed, ...of(seed) });
  return summary;
}

describe('a sweep that proves too little fails', () => {
  test('all kinds of faults, and everything else that has to happen', () => {
    expect(sweepOf(300).vacuity).toBeUndefined();
    const { clog: _, ...others } = full.faults;
    expect(sweepOf(149, () => ({ faults: others })).vacuity).toBeUndefined();
    expect(sweepOf(150, () => ({ faults: others })).vacuity).toBe('never in effect in 150 runs: clog');
    expect(sweepOf(20, () => ({ truncations: 0 })).vacuity).toBe('no truncations in 20 runs');
  });

  test('one run in twenty may have too few acknowledged records, elections or faults, another may not', () => {
    const poor: readonly Partial<RunReport>[] = [{ acked: 99 }, { elections: 1 }, { faults: { clog: 9 } }];
    for (const one of poor) {
      expect(sweepOf(40, (seed) => (seed <= 2 ? one : {})).vacuity).toBeUndefined();
      expect(sweepOf(40, (seed) => (seed <= 3 ? one : {})).vacuity).toBe('3 of 40 runs proved nothing: 1 2 3');
    }
  });

  test('of a few runs one at least has to be worth something', () => {
    expect(sweepOf(2, (seed) => (seed === 1 ? { acked: 0 } : {})).vacuity).toBeUndefined();
    expect(sweepOf(2, () => ({ acked: 0 })).vacuity).toBe('2 of 2 runs proved nothing: 1 2');
  });

  test('a run that broke a promise is a failure, not a vacuous one', () => {
    const summary = sweepOf(1, () => ({ acked: 0, violation: { invariant: 'C1', message: 'C1: gone' } }));
    expect(summary.failures.map(({ seed }) => seed)).toEqual([1]);
    expect(summary.vacuity).toBeUndefined();
  });
});

test('what is summed up: seeds, simulated hours, events, acknowledged records, elections, faults by kind, seeds per second', () => {
  const lines = sweepOf(20).lines(10_000).join('\n');
  expect(lines).toMatch(/^seeds +20, 0 with a violation$/m);
  expect(lines).toMatch(/10\.0 s, 2\.00 seeds\/s$/m);
  expect(lines).toMatch(/^simulated +0\.11 hours$/m);
  expect(lines).toMatch(/^events +2000000, median 100000 a seed$/m);
  expect(lines).toMatch(/^acknowledged +100000 records/m);
  expect(lines).toMatch(/^elections +180 of partitions/m);
  expect(lines).toMatch(/^faults .*clog 20/m);
  expect(new Summary().lines(1)).toEqual(['no seed was played']);
});
