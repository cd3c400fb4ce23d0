/** `npm run chaos -- [--minutes N] [--cell NAME] [--list] …`: see tests/README.md. */
import { interruptedStatus, interruption, runCommand } from '../command-line.ts';
import { type ChaosOptions, parseArguments, usage } from './arguments.ts';
import type { Cell } from './cells.ts';
import { ChaosRun } from './run/chaos-run.ts';
import { OutDirectory } from './run/out-directory.ts';

function list(cells: readonly Cell[]): void {
  const width = Math.max(...cells.map((cell) => cell.name.length));
  for (const { name, workload, fault } of cells) {
    const needs = fault.needs.length > 0 ? ` [needs ${fault.needs.join(', ')}]` : '';
    console.log(`${name.padEnd(width)}  ${fault.doc}; ${workload.doc}${needs}`);
  }
  console.log(`${cells.length} cells`);
}

async function wreakHavoc(options: ChaosOptions, signal: AbortSignal): Promise<number> {
  const out = options.directory === undefined ? OutDirectory.usual() : new OutDirectory(options.directory);
  let run: ChaosRun | undefined;
  try {
    run = new ChaosRun(options, out);
    const interrupted = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve());
    });
    await Promise.race([run.run(), interrupted]);
    if (signal.aborted) await run.interrupt();
    run.summarize();
    return signal.aborted ? interruptedStatus : run.isGood ? 0 : 1;
  } finally {
    await run?.close();
    out.close();
  }
}

await runCommand(() => {
  const asked = parseArguments(process.argv.slice(2));
  const signal = interruption();
  switch (asked.kind) {
    case 'help':
      console.log(usage.trimEnd());
      return 0;
    case 'list':
      list(asked.cells);
      return 0;
    case 'run':
      return wreakHavoc(asked, signal);
  }
});
