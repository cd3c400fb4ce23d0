import { describe, expect, test } from 'vitest';
import { Workload } from './testing/workload.ts';

const seeds = Number(process.env.QUORUM_SEEDS ?? 8);
const firstSeed = Number(process.env.QUORUM_FIRST_SEED ?? 1);

describe('Z4, Z6, Z7 while processes die, power fails, links break and processes pause', () => {
  for (let seed = firstSeed; seed < firstSeed + seeds; seed += 1) {
    test(`seed ${seed}`, async () => {
      const report = await new Workload(seed, seed % 3 === 0 ? 5 : 3).run(20_000);
      expect(report.acknowledged).toBeGreaterThan(50);
      expect(report.faults).toBeGreaterThan(10);
    });
  }

  for (let seed = firstSeed; seed < firstSeed + seeds / 2; seed += 1) {
    test(`row 34: members change, too, seed ${seed}`, async () => {
      const report = await new Workload(1_000 + seed, 3, true).run(20_000);
      expect(report.acknowledged).toBeGreaterThan(50);
      expect(report.changes).toBeGreaterThan(0);
    });
  }

  test('the same seed is the same run', async () => {
    expect(await new Workload(99, 3).run(5_000)).toEqual(await new Workload(99, 3).run(5_000));
  });
});
