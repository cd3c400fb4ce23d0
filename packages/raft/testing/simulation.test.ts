import { describe, expect, test } from 'vitest';
import { InvariantViolation } from './checkers.ts';
import {
  forgetsItsVote,
  leaderCountsItselfBeforeSync,
  promisesBeforeSync,
  type Rules,
  readsWithoutQuorum,
  soundRules,
} from './rules.ts';
import { Simulation } from './simulation.ts';

const seeds = Number(process.env.RAFT_SEEDS ?? 60);
const firstSeed = Number(process.env.RAFT_FIRST_SEED ?? 1);

function runSeed(seed: number, rules: Rules) {
  const size = seed % 2 === 0 ? 3 : 5;
  return new Simulation({ seed, size, steps: 4_000, rules, changesMembers: seed % 3 === 0 }).run();
}

describe('Z1–Z6, Z15, row 28 under lost, doubled and reordered messages, crashes and changing members', () => {
  test(`${seeds} seeds keep every invariant, and something happened in them`, () => {
    const total = { committed: 0, terms: 0, reads: 0, snapshotsInstalled: 0, crashes: 0, configurations: 0 };
    for (let seed = firstSeed; seed < firstSeed + seeds; seed += 1) {
      try {
        const report = runSeed(seed, soundRules);
        for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += report[key];
      } catch (error) {
        throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error });
      }
    }
    expect(total.committed).toBeGreaterThan(seeds * 20);
    expect(total.terms).toBeGreaterThan(seeds * 3);
    expect(total.reads).toBeGreaterThan(seeds);
    expect(total.snapshotsInstalled).toBeGreaterThan(seeds / 10);
    expect(total.crashes).toBeGreaterThan(seeds * 5);
    expect(total.configurations).toBeGreaterThan(seeds / 10);
  });

  test('the same seed is the same run', () => {
    expect(runSeed(7, soundRules)).toEqual(runSeed(7, soundRules));
  });
});

describe('the checkers find a node that breaks a rule', () => {
  for (const rules of [leaderCountsItselfBeforeSync, promisesBeforeSync, forgetsItsVote, readsWithoutQuorum]) {
    test(rules.name, () => {
      expect(firstDetection(rules)).toBeDefined();
    });
  }
});

function firstDetection(rules: Rules): number | undefined {
  for (let seed = 1; seed <= 300; seed += 1) {
    try {
      runSeed(seed, rules);
    } catch (error) {
      const assertion = error instanceof Error && error.name === 'AssertionError';
      if (process.env.RAFT_TELL) console.log(rules.name, seed, String(error));
      if (error instanceof InvariantViolation || assertion) return seed;
      throw error;
    }
  }
  return undefined;
}
