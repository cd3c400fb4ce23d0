import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { drawParameters, type Parameters } from '../swarm/parameters.ts';
import { type RunReport, runSeed } from '../swarm/run.ts';
import { Story } from '../swarm/story.ts';
import { minimise } from './minimise.ts';
import { Summary } from './summary.ts';
import { playInWorkers } from './workers.ts';

const usage = `npm run sim -- --seeds 1000 [--from 1|commit] [--minutes 10] [--workers 2]   many seeds
npm run sim -- --seed 7 [--trace]                                     one seed, told by node with --trace
npm run sim -- --seed 7 --minimise                                    fewest faults with which it still fails
   --from commit: the first seed follows from the commit, so that each commit has seeds of its own and a failure can be repeated
   [--faults 3,17,20] [--time 4000]                                   only these of its faults, only so many ms of them
Exit status 1: a promise was broken, or the runs proved too little.`;

const { values: options } = parseArgs({
  options: {
    seeds: { type: 'string' },
    from: { type: 'string', default: '1' },
    minutes: { type: 'string' },
    workers: { type: 'string', default: '2' },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
    minimise: { type: 'boolean', default: false },
    faults: { type: 'string' },
    time: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

function parametersOf(seed: number): Parameters {
  const drawn = drawParameters(seed);
  const wanted = options.faults?.split(',').filter(Boolean).map(Number);
  return {
    ...drawn,
    faultsMs: Number(options.time ?? drawn.faultsMs),
    faults: wanted === undefined ? drawn.faults : drawn.faults.filter(({ id }) => wanted.includes(id)),
  };
}

function describe({ faults, ...rest }: Parameters): string {
  return `${JSON.stringify(rest)}\n${faults.length} faults: ${faults.map(({ id, kind, atMs }) => `#${id} ${kind} ${atMs}`).join(', ')}`;
}

async function playOne(seed: number): Promise<boolean> {
  const parameters = parametersOf(seed);
  const report = await runSeed(parameters, options.trace ? new Story((line) => console.log(line)) : new Story());
  console.log(describe(parameters));
  console.log(JSON.stringify({ ...report, violation: undefined }));
  if (report.violation !== undefined) console.log(`\nVIOLATION ${report.violation.message}`);
  console.log(`trace hash ${report.traceHash}`);
  return report.violation === undefined;
}

async function minimiseOne(seed: number): Promise<boolean> {
  const parameters = parametersOf(seed);
  const first = await runSeed(parameters);
  if (first.violation === undefined) {
    console.log(`seed ${seed} fails nothing`);
    return true;
  }
  console.log(first.violation.message);
  const found = await minimise(parameters, first.violation.invariant, (line) => console.log(line));
  if (found === undefined) return false;
  const ids = found.parameters.faults.map(({ id }) => id).join(',');
  console.log(`${found.report.violation?.message}\n${describe(found.parameters)}`);
  console.log(`npm run sim -- --seed ${seed} --faults ${ids || "''"} --time ${found.parameters.faultsMs} --trace`);
  return false;
}

async function sweep(): Promise<boolean> {
  const summary = new Summary();
  const startedMs = performance.now();
  const elapsedMs = (): number => performance.now() - startedMs;
  const limitMs = Number(options.minutes ?? Number.POSITIVE_INFINITY) * 60_000;
  let seed = options.from === 'commit' ? seedOfCommit() : Number(options.from);
  console.log(`seeds from ${seed}`);
  const end = seed + Number(options.seeds ?? (options.minutes === undefined ? 100 : Number.MAX_SAFE_INTEGER));
  let saidMs = 0;
  await playInWorkers({
    workers: Number(options.workers),
    nextSeed: () => (seed < end && elapsedMs() < limitMs ? seed++ : undefined),
    onReport: (report) => {
      summary.add(report);
      if (report.violation !== undefined) tellFailure(report);
      if (elapsedMs() - saidMs > 10_000) {
        saidMs = elapsedMs();
        console.log(`… ${summary.seeds} seeds in ${(saidMs / 1_000).toFixed(0)} s`);
      }
      return true;
    },
  });
  for (const line of summary.lines(elapsedMs())) console.log(line);
  if (summary.vacuity !== undefined) console.log(`VACUOUS ${summary.vacuity}`);
  const failed = summary.failures.length + (summary.vacuity === undefined ? 0 : 1);
  const { NARU_TEST_REPORT: report } = process.env;
  if (report !== undefined) {
    const numPassedTests = summary.seeds - summary.failures.length;
    const failures = summary.failures.map(({ seed, violation }) => `seed ${seed}: ${violation?.message ?? ''}`);
    if (summary.vacuity !== undefined) failures.push(summary.vacuity);
    writeFileSync(report, JSON.stringify({ numPassedTests, numFailedTests: failed, numPendingTests: 0, failures }));
  }
  return failed === 0;
}

/** Between a million and a thousand millions. */
function seedOfCommit(): number {
  const hash = execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' });
  return 1_000_000 + (Number.parseInt(hash.slice(0, 8), 16) % 999_000_000);
}

function tellFailure({ seed, violation }: RunReport): void {
  console.log(`VIOLATION in seed ${seed}: ${violation?.message.split('\n').slice(0, 3).join('\n  ')}`);
  console.log(`  npm run sim -- --seed ${seed} --trace`);
}

// Who reads only the beginning (`| head`) has seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
if (options.help) console.log(usage);
else {
  const one = options.seed === undefined ? undefined : Number(options.seed);
  const isGood = one === undefined ? await sweep() : options.minimise ? await minimiseOne(one) : await playOne(one);
  process.exitCode = isGood ? 0 : 1;
}
