import { readFileSync } from 'node:fs';
import { queryObjects } from 'node:v8';
import { describe, expect, test } from 'vitest';
import { mutants } from './mutants/mutants.ts';
import { withWrongLine } from './mutants/wrong-line.ts';
import { seedsThatFailed } from './seeds.ts';
import { drawParameters } from './swarm/parameters.ts';
import { type RunReport, runSeed } from './swarm/run.ts';
import { Story } from './swarm/story.ts';
import { World } from './swarm/world.ts';
import { isVacuous } from './sweep/summary.ts';
import { playInWorkers } from './sweep/workers.ts';

/** The same for everybody, so that a run can be repeated. More with NARU_SEEDS=300, others with NARU_SEEDS_FROM=5000. */
const freshSeeds = Number(process.env.NARU_SEEDS ?? 50);
const firstFresh = Number(process.env.NARU_SEEDS_FROM ?? 2_000);
/** No new seed is begun after so long, for machines that are busy with other things. */
const beginMsMax = 60_000;

async function play(seeds: readonly number[], beginMs: number): Promise<RunReport[]> {
  const reports: RunReport[] = [];
  const waiting = [...seeds];
  const startedMs = performance.now();
  await playInWorkers({
    workers: 2,
    nextSeed: () => (performance.now() - startedMs < beginMs ? waiting.shift() : undefined),
    onReport: (report) => {
      reports.push(report);
      return true;
    },
  });
  return reports;
}

function failures(reports: readonly RunReport[]): string[] {
  return reports
    .filter(({ violation }) => violation !== undefined)
    .map(({ seed, violation }) => `seed ${seed}: ${violation?.message}\n  npm run sim -- --seed ${seed} --trace`);
}

describe('whole clusters under a seed', () => {
  test('seeds that once failed keep all promises', { timeout: 180_000 }, async () => {
    expect(
      failures(
        await play(
          seedsThatFailed.map(({ seed }) => seed),
          Number.POSITIVE_INFINITY,
        ),
      ),
    ).toEqual([]);
  });

  test('fresh seeds keep all promises, and do enough to prove something', { timeout: 180_000 }, async () => {
    const reports = await play(
      Array.from({ length: freshSeeds }, (_, index) => firstFresh + index),
      beginMsMax,
    );
    expect(failures(reports)).toEqual([]);
    expect(reports.filter(isVacuous).length).toBeLessThanOrEqual(1 + 0.1 * reports.length);
  });

  test('the same seed is the same run, event for event, in another process and told as a story', {
    timeout: 60_000,
  }, async () => {
    const seed = 21;
    const lines: string[] = [];
    const told = await runSeed(drawParameters(seed), new Story((line) => lines.push(line)));
    const again = await runSeed(drawParameters(seed));
    const [elsewhere] = await play([seed], Number.POSITIVE_INFINITY);
    expect(again).toEqual(told);
    expect(elsewhere).toEqual(JSON.parse(JSON.stringify(told)));
    expect(lines.length).toBeGreaterThan(50);
  });

  // A sweep's worker plays hundreds of them. Group members die in these runs while they wait for the next heartbeat.
  test('nothing of a run is kept after its end', { timeout: 120_000 }, async () => {
    for (const seed of [60_006, 60_009]) await runSeed(drawParameters(seed));
    expect(queryObjects(World, { format: 'count' })).toBe(0);
  });
});

describe('mutants', () => {
  test.each(mutants)('$name still stands exactly once in $file', (mutant) => {
    const text = readFileSync(new URL(`../../${mutant.file}`, import.meta.url), 'utf8');
    expect(withWrongLine(mutant, text)).not.toBe(text);
  });

  test('there are at least 20, each with the row or invariant that must catch it, and a seed that does', () => {
    expect(mutants.length).toBeGreaterThanOrEqual(20);
    expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length);
    for (const { guard } of mutants) expect(guard).toMatch(/[LRCZG]\d/);
    expect(mutants.filter(({ known }) => known === undefined)).toEqual([]);
  });
});
