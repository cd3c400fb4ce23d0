import { UsageError } from '../../command-line.ts';
import { drawParameters, type Parameters } from '../swarm/parameters.ts';
import { runSeed } from '../swarm/run.ts';
import { Story } from '../swarm/story.ts';
import type { OneSeed } from './arguments.ts';
import { minimise } from './minimise.ts';

/** Plays it once; false: a promise was broken. */
export async function tellOne(asked: OneSeed): Promise<boolean> {
  const parameters = parametersOf(asked);
  const report = await runSeed(parameters, new Story(asked.how === 'trace' ? (line) => console.log(line) : undefined));
  console.log(describe(parameters));
  const { violation: _, traceHash: __, ...counts } = report;
  console.log(`\n${plain(counts)}`);
  if (report.violation !== undefined) console.log(`\nVIOLATION ${report.violation.message}`);
  console.log(`trace hash ${report.traceHash}`);
  return report.violation === undefined;
}

/** False: it fails, and with how little is told. */
export async function minimiseOne(asked: OneSeed): Promise<boolean> {
  const parameters = parametersOf(asked);
  const first = await runSeed(parameters);
  if (first.violation === undefined) {
    console.log(`seed ${asked.seed} breaks no promise: there is nothing to minimise`);
    return true;
  }
  console.log(first.violation.message);
  const say = (runs: number, found: Parameters): void =>
    console.log(`${runs} runs: ${found.faults.length} faults, ${found.faultsMs} ms: ${commandFor(asked, found)}`);
  const found = await minimise({ parameters, report: first }, first.violation.invariant, say);
  console.log(`\n${found.report.violation?.message}\n${describe(found.parameters)}`);
  console.log(`${commandFor(asked, found.parameters)} --trace`);
  return false;
}

function parametersOf({ seed, faults: wanted, faultsMs }: OneSeed): Parameters {
  const drawn = drawParameters(seed);
  const unknown = wanted?.filter((id) => !drawn.faults.some((fault) => fault.id === id)) ?? [];
  if (unknown.length > 0) {
    throw new UsageError(`seed ${seed} has no faults ${unknown.join(', ')}, it has 0 to ${drawn.faults.length - 1}`);
  }
  return {
    ...drawn,
    faultsMs: faultsMs ?? drawn.faultsMs,
    faults: wanted === undefined ? drawn.faults : drawn.faults.filter(({ id }) => wanted.includes(id)),
  };
}

/** What the run was: a line for each parameter, and for each of several. */
function describe({ faults, ...rest }: Parameters): string {
  const lines = Object.entries(rest).flatMap(([name, value]) =>
    Array.isArray(value) ? value.map((one, i) => `${name} ${i + 1}: ${plain(one)}`) : `${name}: ${plain(value)}`,
  );
  const struck = faults.map(({ id, kind, atMs }) => `#${id} ${kind} ${atMs}`);
  return [...lines, `${faults.length} faults, each at its ms: ${struck.join(', ')}`].join('\n');
}

/** `key=value` and so on, what is in it in parentheses. */
function plain(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  const entries = Object.entries(value).map(([key, one]) => {
    const text = plain(one);
    return `${key}=${typeof one === 'object' ? `(${text})` : text}`;
  });
  return entries.join(' ');
}

function commandFor({ seed, mutant }: OneSeed, { faults, faultsMs }: Parameters): string {
  const ids = faults.map(({ id }) => id).join(',');
  return `npm run sim -- --seed ${seed}${mutant === undefined ? '' : ` --mutant ${mutant}`} --faults ${ids || "''"} --time ${faultsMs}`;
}
