import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { RunReport } from '../swarm/run.ts';
import type { Sweep } from './arguments.ts';
import { Summary } from './summary.ts';
import { playInWorkers } from './workers.ts';

const sayEveryMs = 10_000;

/** Plays many seeds and sums them up, also when it is interrupted. False: a promise was broken, or too little was proved. */
export async function sweep({ from, seeds, limitMs, workers }: Sweep, signal: AbortSignal): Promise<boolean> {
  const summary = new Summary();
  const startedMs = performance.now();
  const elapsedMs = (): number => performance.now() - startedMs;
  const first = from === 'commit' ? seedOfCommit() : from;
  let seed = first;
  console.log(`seeds from ${seed}`);
  let saidMs = 0;
  await playInWorkers({
    workers,
    signal,
    nextSeed: () => (seed < first + seeds && elapsedMs() < limitMs ? seed++ : undefined),
    onReport: (report) => {
      summary.add(report);
      if (report.violation !== undefined) tellFailure(report);
      if (elapsedMs() - saidMs > sayEveryMs) {
        saidMs = elapsedMs();
        console.log(`… ${summary.seeds} seeds in ${(saidMs / 1_000).toFixed(0)} s`);
      }
      return true;
    },
  });
  if (signal.aborted) console.log(`interrupted: ${summary.seeds} seeds were played to their end`);
  else if (summary.seeds < seeds && seeds < Number.POSITIVE_INFINITY) {
    console.log(`out of time after ${limitMs / 60_000} minutes: ${summary.seeds} of ${seeds} seeds`);
  }
  for (const line of summary.lines(elapsedMs())) console.log(line);
  if (summary.vacuity !== undefined) console.log(`VACUOUS ${summary.vacuity}`);
  writeCounts(summary);
  return summary.failures.length === 0 && summary.vacuity === undefined;
}

/** Between a million and a thousand millions. */
function seedOfCommit(): number {
  const cwd = fileURLToPath(new URL('.', import.meta.url));
  const hash = execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8', cwd });
  return 1_000_000 + (Number.parseInt(hash.slice(0, 8), 16) % 999_000_000);
}

function tellFailure({ seed, violation }: RunReport): void {
  console.log(`VIOLATION in seed ${seed}: ${violation?.message.split('\n').slice(0, 3).join('\n  ')}`);
  console.log(`  npm run sim -- --seed ${seed} --trace`);
}

/** For `scripts/ci.ts`. */
function writeCounts({ seeds, failures, vacuity }: Summary): void {
  const { NARU_TEST_REPORT: report } = process.env;
  if (report === undefined) return;
  const lines = failures.map(({ seed, violation }) => `seed ${seed}: ${violation?.message ?? ''}`);
  if (vacuity !== undefined) lines.push(vacuity);
  const numPassedTests = seeds - failures.length;
  writeFileSync(
    report,
    JSON.stringify({ numPassedTests, numFailedTests: lines.length, numPendingTests: 0, failures: lines }),
  );
}
