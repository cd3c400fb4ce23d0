import { parseOptions, positiveNumber, refuseTogether, UsageError, wholeNumber } from '../../command-line.ts';

export const usage = `npm run sim -- --seeds 1000 [--from 1|commit] [--minutes 10] [--workers 2]   many seeds
npm run sim -- --seed 7 [--trace | --minimise] [--mutant NAME]        one seed, told by node with --trace
   --seeds       how many; 100 when nothing is said, with --minutes as many as there is time for
   --from        the first of them, 1 when nothing is said; commit: it follows from the commit, so that each commit has seeds of its own and
                 a failure can be repeated
   --minutes     no seed is begun after so long
   --minimise    the fewest faults and the shortest time with which the seed still fails
   --mutant      a wrong rule in the place of a right one (npm run sim:mutants -- --list)
   --faults 3,17,20   only these of its faults; --time 4000: only so many ms of them
Exit status 1: a promise was broken, or the runs proved too little. 2: wrong arguments. 130: interrupted.`;

export interface Sweep {
  readonly kind: 'sweep';
  readonly from: number | 'commit';
  /** Infinity: as many as there is time for. */
  readonly seeds: number;
  readonly limitMs: number;
  readonly workers: number;
}

export interface OneSeed {
  readonly kind: 'one';
  readonly seed: number;
  readonly how: 'play' | 'trace' | 'minimise';
  readonly mutant: string | undefined;
  /** Ids; undefined: all of them. */
  readonly faults: readonly number[] | undefined;
  readonly faultsMs: number | undefined;
}

export type Asked = Sweep | OneSeed | { readonly kind: 'help' };

const seedsDefault = 100;

/** Throws a UsageError. */
export function parseArguments(argv: readonly string[]): Asked {
  const values = parseOptions(argv, {
    seeds: { type: 'string' },
    from: { type: 'string' },
    minutes: { type: 'string' },
    workers: { type: 'string' },
    seed: { type: 'string' },
    trace: { type: 'boolean' },
    minimise: { type: 'boolean' },
    mutant: { type: 'string' },
    faults: { type: 'string' },
    time: { type: 'string' },
    help: { type: 'boolean' },
  });
  if (values.help) return { kind: 'help' };
  if (values.seed !== undefined) {
    refuseTogether(values, ['seeds', 'from', 'minutes', 'workers'], '--seed plays one seed alone');
    if (values.trace && values.minimise) throw new UsageError('--minimise plays many runs; --trace tells one');
    return {
      kind: 'one',
      seed: wholeNumber('seed', values.seed, 0),
      how: values.minimise ? 'minimise' : values.trace ? 'trace' : 'play',
      mutant: values.mutant,
      faults: values.faults
        ?.split(',')
        .filter(Boolean)
        .map((id) => wholeNumber('faults', id, 0)),
      faultsMs: values.time === undefined ? undefined : wholeNumber('time', values.time, 0),
    };
  }
  refuseTogether(values, ['trace', 'minimise', 'mutant', 'faults', 'time'], 'of one run, which --seed N names');
  return {
    kind: 'sweep',
    from: values.from === 'commit' ? 'commit' : wholeNumber('from', values.from ?? '1', 0),
    seeds: seedsOf(values),
    limitMs:
      values.minutes === undefined ? Number.POSITIVE_INFINITY : 60_000 * positiveNumber('minutes', values.minutes),
    workers: wholeNumber('workers', values.workers ?? '2'),
  };
}

function seedsOf({ seeds, minutes }: { readonly seeds?: string; readonly minutes?: string }): number {
  if (seeds !== undefined) return wholeNumber('seeds', seeds);
  return minutes === undefined ? seedsDefault : Number.POSITIVE_INFINITY;
}
