import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { RunReport } from '../swarm/run.ts';
import { playInWorkers } from '../sweep/workers.ts';
import { type Mutant, mutants } from './mutants.ts';
import { withWrongLine } from './wrong-line.ts';

const usage = `npm run sim:mutants -- [--only NAME,NAME] [--seeds 1000] [--from 1] [--workers 2] [--list]
Every wrong rule must be found by some seed. Exit status 1: one was not.`;

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    workers: { type: 'string', default: '2' },
    minutes: { type: 'string' },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

interface Hunt {
  readonly seeds: number;
  readonly found: RunReport | undefined;
}

async function hunt(mutant: Mutant, deadlineMs: number): Promise<Hunt> {
  let seed = Number(options.from);
  const end = seed + Number(options.seeds);
  let played = 0;
  let found: RunReport | undefined;
  await playInWorkers({
    workers: Number(options.workers),
    execArgv: ['--import', fileURLToPath(new URL('./inject.ts', import.meta.url))],
    env: { NARU_MUTANT: mutant.name },
    nextSeed: () => (seed < end && performance.now() < deadlineMs ? seed++ : undefined),
    onReport: (report) => {
      // A process that never played is a broken mutant, not a found one.
      if (report.events === 0) throw new Error(`${mutant.name}: ${report.violation?.message}`);
      played++;
      if (report.violation !== undefined) found ??= report;
      return found === undefined;
    },
  });
  return { seeds: played, found };
}

function wanted(): readonly Mutant[] {
  const names = options.only?.split(',');
  return names === undefined ? mutants : mutants.filter(({ name }) => names.includes(name));
}

async function main(): Promise<void> {
  for (const mutant of mutants) {
    withWrongLine(mutant, readFileSync(new URL(`../../../${mutant.file}`, import.meta.url), 'utf8'));
  }
  const deadlineMs = Number(options.minutes ?? Number.POSITIVE_INFINITY) * 60_000;
  let missed = 0;
  for (const mutant of wanted()) {
    const { seeds, found } = await hunt(mutant, deadlineMs);
    if (found === undefined) missed++;
    const text = found?.violation?.message.split('\n')[0]?.slice(0, 110) ?? '';
    const outcome = found === undefined ? `NOT FOUND in ${seeds} seeds` : `found after ${seeds} (seed ${found.seed})`;
    console.log(`${mutant.name.padEnd(46)} ${outcome.padEnd(28)} ${text}   [${mutant.guard}]`);
  }
  console.log(`${wanted().length - missed} of ${wanted().length} mutants found`);
  process.exitCode = missed === 0 ? 0 : 1;
}

if (options.help) console.log(usage);
else if (options.list)
  for (const { name, file, guard } of mutants) console.log(`${name.padEnd(46)} ${file}   ${guard}`);
else await main();
