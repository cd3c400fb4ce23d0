import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { drawParameters } from '../swarm/parameters.ts';
import type { RunReport } from '../swarm/run.ts';
import { playInWorkers } from '../sweep/workers.ts';
import { type Mutant, mutants } from './mutants.ts';
import { withWrongLine } from './wrong-line.ts';

const usage = `npm run sim:mutants -- [--only NAME,NAME] [--seeds 1000] [--from 1] [--fresh] [--workers 2] [--minutes 60] [--list]
Every wrong rule must be found by some seed. Tried are the seed that is known to find it, the seeds of its weather, then the others.
  --fresh      forget what is known: how many seeds does it take?
  --minutes    no new seed after so long
Exit status 1: one was not found.`;

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    fresh: { type: 'boolean', default: false },
    workers: { type: 'string', default: '2' },
    minutes: { type: 'string', default: 'Infinity' },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

interface Hunt {
  readonly mutant: Mutant;
  readonly seeds: number;
  readonly found: RunReport | undefined;
}

/** The order in which seeds are tried. */
function* seedsFor({ known, weather }: Mutant): Iterable<number> {
  const from = Number(options.from);
  const isFresh = options.fresh || known === undefined;
  if (!isFresh) yield known.seed;
  const all = Array.from({ length: Number(options.seeds) }, (_, index) => from + index);
  const rest = isFresh ? all : all.filter((seed) => seed !== known.seed);
  if (weather === undefined) yield* rest;
  else {
    const isOfIt = (seed: number): boolean => drawParameters(seed).weather === weather;
    yield* rest.filter(isOfIt);
    yield* rest.filter((seed) => !isOfIt(seed));
  }
}

/** Until a seed fails that keeps all promises without the mutant. */
async function hunt(mutant: Mutant): Promise<Hunt> {
  const deadlineMs = Number(options.minutes) * 60_000;
  const seeds = seedsFor(mutant)[Symbol.iterator]();
  let played = 0;
  for (;;) {
    let failed: RunReport | undefined;
    await playInWorkers({
      workers: 1,
      execArgv: ['--import', fileURLToPath(new URL('./inject.ts', import.meta.url))],
      env: { NARU_MUTANT: mutant.name },
      nextSeed: () => (performance.now() < deadlineMs ? seeds.next().value : undefined),
      onReport: (report) => {
        // A process that never played is a broken mutant, not a found one.
        if (report.events === 0) throw new Error(`${mutant.name}: ${report.violation?.message}`);
        played++;
        if (report.violation !== undefined) failed = report;
        return failed === undefined;
      },
    });
    if (failed === undefined || !(await failsAnyway(failed.seed))) return { mutant, seeds: played, found: failed };
    console.log(`seed ${failed.seed} fails without ${mutant.name}, too: npm run sim -- --seed ${failed.seed}`);
  }
}

async function failsAnyway(seed: number): Promise<boolean> {
  const waiting = [seed];
  let fails = false;
  await playInWorkers({
    workers: 1,
    nextSeed: () => waiting.pop(),
    onReport: ({ violation }) => {
      fails = violation !== undefined;
      return true;
    },
  });
  return fails;
}

function tell({ mutant, seeds, found }: Hunt): void {
  const { known, name, guard } = mutant;
  const fresh = known === undefined ? '' : `, ${known.taken} from a fresh start`;
  const outcome =
    found === undefined
      ? `NOT FOUND in ${seeds}`
      : `found, seed ${found.seed}, ${seeds} played${options.fresh ? '' : fresh}`;
  const text = found?.violation?.message.split('\n')[0]?.slice(0, 100) ?? '';
  console.log(`${name.padEnd(46)} ${outcome.padEnd(52)} [${guard}]  ${text}`);
}

async function main(): Promise<void> {
  const names = options.only?.split(',');
  const wanted = mutants.filter(({ name }) => names?.includes(name) ?? true);
  const unknown = names?.filter((name) => !mutants.some((mutant) => mutant.name === name)) ?? [];
  if (unknown.length > 0) throw new Error(`no such mutant: ${unknown} (--list names them)`);
  for (const mutant of mutants) {
    withWrongLine(mutant, readFileSync(new URL(`../../../${mutant.file}`, import.meta.url), 'utf8'));
  }
  const waiting = [...wanted];
  let foundCount = 0;
  const huntOn = async (): Promise<void> => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const outcome = await hunt(mutant);
      tell(outcome);
      if (outcome.found !== undefined) foundCount++;
    }
  };
  await Promise.all(Array.from({ length: Number(options.workers) }, huntOn));
  console.log(`${foundCount} of ${wanted.length} mutants found in ${(performance.now() / 1_000).toFixed(0)} s`);
  process.exitCode = foundCount === wanted.length ? 0 : 1;
}

if (options.help) console.log(usage);
else if (options.list)
  for (const { name, file, guard } of mutants) console.log(`${name.padEnd(46)} ${file}   ${guard}`);
else await main();
