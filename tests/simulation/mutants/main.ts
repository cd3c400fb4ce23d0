import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  interruptedStatus,
  interruption,
  parseOptions,
  positiveNumber,
  runCommand,
  wholeNumber,
} from '../../command-line.ts';
import { drawParameters } from '../swarm/parameters.ts';
import type { RunReport } from '../swarm/run.ts';
import { playInWorkers } from '../sweep/workers.ts';
import { type Mutant, mutantNamed, mutants } from './mutants.ts';
import { withWrongLine } from './wrong-line.ts';

const usage = `npm run sim:mutants -- [--only NAME,NAME] [--seeds 1000] [--from 1] [--fresh] [--workers 2] [--minutes 60] [--list]
Every wrong rule must be found by some seed. Tried are the seed that is known to find it, the seeds of its weather and group, then the others; a few seeds of each
mutant in turn, so that one that hides keeps no other waiting.
  --fresh      forget what is known: how many seeds does it take?
  --minutes    no new seed after so long
npm run sim -- --seed N --mutant NAME --trace tells how one was found; --minimise in its place: with how few faults.
Exit status 1: one was not found. 2: wrong arguments. 130: interrupted.`;

interface Options {
  readonly only: readonly Mutant[] | undefined;
  readonly seeds: number;
  readonly from: number;
  readonly isFresh: boolean;
  readonly workers: number;
  readonly deadlineMs: number;
}

/** A mutant that is looked for. */
interface Hunt {
  readonly mutant: Mutant;
  readonly seeds: Iterator<number, undefined>;
  played: number;
}

/** Seeds of a mutant before it is another one's turn. */
const turnSeeds = 12;

/** The order in which seeds are tried. */
function* seedsFor({ known, weather, protocol }: Mutant, options: Options): Generator<number, undefined> {
  const { from, seeds } = options;
  const isFresh = options.isFresh || known === undefined;
  if (!isFresh) yield known.seed;
  const all = Array.from({ length: seeds }, (_, index) => from + index);
  const rest = isFresh ? all : all.filter((seed) => seed !== known.seed);
  const isLikely = (seed: number): boolean => {
    const drawn = drawParameters(seed);
    return (
      drawn.weather === (weather ?? drawn.weather) && (protocol ?? drawn.group?.protocol) === drawn.group?.protocol
    );
  };
  yield* rest.filter(isLikely);
  yield* rest.filter((seed) => !isLikely(seed));
}

/** One turn: the first seed that fails and keeps all promises without the mutant; `ended` when there are no more seeds. */
async function takeTurn(hunt: Hunt, deadlineMs: number, signal: AbortSignal): Promise<RunReport | 'ended' | undefined> {
  const { mutant, seeds } = hunt;
  const isOver = (): boolean => signal.aborted || performance.now() > deadlineMs;
  const failed: RunReport[] = [];
  let left = turnSeeds;
  let isAtEnd = false;
  const nextSeed = (): number | undefined => {
    if (left-- === 0 || isOver()) return undefined;
    const { value } = seeds.next();
    isAtEnd = value === undefined;
    return value;
  };
  await playInWorkers({
    workers: 1,
    execArgv: ['--import', fileURLToPath(new URL('./preload.ts', import.meta.url))],
    env: { NARU_MUTANT: mutant.name },
    nextSeed,
    signal,
    onReport: (report) => {
      // A process that never played is a broken mutant, not a found one.
      if (report.events === 0) throw new Error(`${mutant.name}: ${report.violation?.message}`);
      hunt.played++;
      if (report.violation !== undefined) failed.push(report);
      return failed.length === 0;
    },
  });
  for (const report of failed) {
    if (!(await failsAnyway(report.seed))) return report;
    console.log(`seed ${report.seed} fails without ${mutant.name}, too: npm run sim -- --seed ${report.seed}`);
  }
  return isAtEnd || isOver() ? 'ended' : undefined;
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

function tell({ mutant, played }: Hunt, found: RunReport | undefined, isFresh: boolean): void {
  const { known, name, guard } = mutant;
  const fresh = known === undefined ? '' : `, ${known.taken} from a fresh start`;
  const outcome =
    found === undefined
      ? `NOT FOUND in ${played}`
      : `found, seed ${found.seed}, ${played} played${isFresh ? '' : fresh}`;
  const text = found?.violation?.message.split('\n')[0]?.slice(0, 100) ?? '';
  console.log(`${name.padEnd(46)} ${outcome.padEnd(52)} [${guard}]  ${text}`);
}

/** How many of them were found. */
async function huntAll(wanted: readonly Mutant[], options: Options, signal: AbortSignal): Promise<number> {
  const waiting: Hunt[] = wanted.map((mutant) => ({ mutant, seeds: seedsFor(mutant, options), played: 0 }));
  let foundCount = 0;
  const huntOn = async (): Promise<void> => {
    for (let hunt = waiting.shift(); hunt !== undefined; hunt = waiting.shift()) {
      const outcome = await takeTurn(hunt, options.deadlineMs, signal);
      // What was not looked for to the end is neither found nor not found.
      if (signal.aborted) return;
      if (outcome === undefined) {
        waiting.push(hunt);
        continue;
      }
      const found = outcome === 'ended' ? undefined : outcome;
      tell(hunt, found, options.isFresh);
      if (found !== undefined) foundCount++;
    }
  };
  await Promise.all(Array.from({ length: options.workers }, huntOn));
  return foundCount;
}

function list(): void {
  for (const { name, file, guard } of mutants) console.log(`${name.padEnd(56)} ${file}   ${guard}`);
}

await runCommand(async () => {
  const values = parseOptions(process.argv.slice(2), {
    only: { type: 'string' },
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    fresh: { type: 'boolean', default: false },
    workers: { type: 'string', default: '2' },
    minutes: { type: 'string', default: '60' },
    list: { type: 'boolean' },
    help: { type: 'boolean' },
  });
  const options: Options = {
    only: values.only?.split(',').map(mutantNamed),
    seeds: wholeNumber('seeds', values.seeds),
    from: wholeNumber('from', values.from, 0),
    isFresh: values.fresh,
    workers: wholeNumber('workers', values.workers),
    deadlineMs: 60_000 * positiveNumber('minutes', values.minutes),
  };
  if (values.help) console.log(usage);
  else if (values.list) list();
  if (values.help || values.list) return 0;
  for (const mutant of mutants) {
    withWrongLine(mutant, readFileSync(new URL(`../../../${mutant.file}`, import.meta.url), 'utf8'));
  }
  const wanted = options.only ?? mutants;
  const signal = interruption();
  const foundCount = await huntAll(wanted, options, signal);
  const seconds = (performance.now() / 1_000).toFixed(0);
  console.log(
    `${signal.aborted ? 'interrupted: ' : ''}${foundCount} of ${wanted.length} mutants found in ${seconds} s`,
  );
  return signal.aborted ? interruptedStatus : foundCount === wanted.length ? 0 : 1;
});
