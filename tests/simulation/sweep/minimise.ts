import type { Parameters } from '../swarm/parameters.ts';
import { type RunReport, runSeed } from '../swarm/run.ts';
import type { Fault } from '../swarm/schedule.ts';

/** Runs it may take. */
const runsMax = 200;

/** A run that breaks a promise. */
export interface Found {
  readonly parameters: Parameters;
  readonly report: RunReport;
}

/**
 * Fewer faults and less time that break the same invariant still: halves of the schedule are left out first, then quarters, then single faults
 * (delta debugging, Zeller); at last the end of the time in which nothing was needed.
 */
export async function minimise(
  failing: Found,
  invariant: string,
  say: (runs: number, found: Parameters) => void,
): Promise<Found> {
  const { parameters } = failing;
  let runs = 1;
  let best = failing;
  const fails = async (candidate: Parameters): Promise<boolean> => {
    runs++;
    const report = await runSeed(candidate);
    if (report.violation?.invariant !== invariant) return false;
    best = { parameters: candidate, report };
    say(runs, candidate);
    return true;
  };
  let { faults } = parameters;
  for (let size = Math.ceil(faults.length / 2); size >= 1 && runs < runsMax; ) {
    let wasShortened = false;
    for (let start = 0; start < faults.length && runs < runsMax; ) {
      const without: readonly Fault[] = [...faults.slice(0, start), ...faults.slice(start + size)];
      if (await fails({ ...parameters, faults: without })) {
        faults = without;
        wasShortened = true;
      } else start += size;
    }
    if (size === 1 && !wasShortened) break;
    size = size === 1 ? 1 : Math.ceil(size / 2);
  }
  for (const faultsMs of [0.25, 0.5, 0.75].map((share) => Math.ceil(parameters.faultsMs * share))) {
    if (await fails({ ...parameters, faults: faults.filter(({ atMs }) => atMs < faultsMs), faultsMs })) break;
  }
  return best;
}
