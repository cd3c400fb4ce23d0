import { resolve } from 'node:path';
import { parseOptions, positiveNumber, UsageError, wholeNumber } from '../command-line.ts';
import { type Mutant, mutantNamed } from '../simulation/mutants/mutants.ts';
import { type Cell, cells, smokeCells } from './cells.ts';
import type { NetworkKind } from './network/network.ts';

export const usage = `usage: npm run chaos -- [options]

  --list               print the cells, all or the chosen ones, and what they do
  --cell NAME          only cells of this name; 'kill' takes all whose name contains it; may be given more than once
  --minutes N          end after N minutes (default 5; nightly 120): begin again from the first cell while there is time
  --once               every chosen cell once, however long it takes
  --profile NAME       smoke (the default): one of each kind; nightly: all cells
  --network KIND       namespaces or proxies; left out: namespaces where the host allows them
  --fault-seconds N    how long a fault lasts (default 6)
  --seed N             choices of the faults (default: from the clock)
  --mutant NAME        a wrong rule in the nodes (npm run sim:mutants -- --list): does a cell find it?
  --out DIRECTORY      of the report and of the directories of runs that failed (default: naru-chaos in the temporary directory,
                       with a number behind it while another run uses that)

Exit status 1: a promise was broken, or nothing ran. 2: wrong arguments. 130: interrupted.
`;

export interface ChaosOptions {
  readonly kind: 'run';
  readonly cells: readonly Cell[];
  /** Infinity: every cell once. */
  readonly limitMs: number;
  readonly network: NetworkKind | undefined;
  readonly faultMs: number;
  readonly seed: number | undefined;
  readonly mutant: Mutant | undefined;
  /** Undefined: the usual one. */
  readonly directory: string | undefined;
}

export type Asked =
  | ChaosOptions
  | { readonly kind: 'list'; readonly cells: readonly Cell[] }
  | { readonly kind: 'help' };

const minutesDefault = { smoke: '5', nightly: '120' } as const;

/** Throws a UsageError. */
export function parseArguments(argv: readonly string[]): Asked {
  const values = parseOptions(argv, {
    list: { type: 'boolean' },
    help: { type: 'boolean' },
    once: { type: 'boolean', default: false },
    cell: { type: 'string', multiple: true },
    minutes: { type: 'string' },
    profile: { type: 'string' },
    network: { type: 'string' },
    'fault-seconds': { type: 'string', default: '6' },
    seed: { type: 'string' },
    mutant: { type: 'string' },
    out: { type: 'string' },
  });
  if (values.help) return { kind: 'help' };
  const profile = oneOf('profile', values.profile, ['smoke', 'nightly']);
  if (values.cell !== undefined && profile !== undefined)
    throw new UsageError('--cell and --profile both choose cells');
  if (values.once && values.minutes !== undefined)
    throw new UsageError('--once takes as long as it takes: no --minutes');
  const chosen = values.cell?.flatMap(cellsNamed) ?? (profile === 'nightly' ? cells : smokeCells.flatMap(cellsNamed));
  const once = new Set(chosen);
  if (values.list)
    return { kind: 'list', cells: values.cell === undefined && profile === undefined ? cells : [...once] };
  const minutes = positiveNumber('minutes', values.minutes ?? minutesDefault[profile ?? 'smoke']);
  return {
    kind: 'run',
    cells: [...once],
    limitMs: values.once ? Number.POSITIVE_INFINITY : minutes * 60_000,
    network: oneOf('network', values.network, ['namespaces', 'proxies']),
    faultMs: 1_000 * positiveNumber('fault-seconds', values['fault-seconds']),
    seed: values.seed === undefined ? undefined : wholeNumber('seed', values.seed, 0),
    mutant: values.mutant === undefined ? undefined : mutantNamed(values.mutant),
    directory: values.out === undefined ? undefined : resolve(values.out),
  };
}

/** The one of this name, or all whose name contains it. */
function cellsNamed(name: string): readonly Cell[] {
  const exact = cells.filter((cell) => cell.name === name);
  const found = exact.length > 0 ? exact : cells.filter((cell) => cell.name.includes(name));
  if (name === '' || found.length === 0) {
    throw new UsageError(
      `no cell is called '${name}', and no name contains it; --list names the ${cells.length} cells`,
    );
  }
  return found;
}

function oneOf<T extends string>(option: string, text: string | undefined, allowed: readonly T[]): T | undefined {
  if (text === undefined || allowed.includes(text as T)) return text as T | undefined;
  throw new UsageError(`--${option} is ${allowed.join(' or ')}, not '${text}'`);
}
