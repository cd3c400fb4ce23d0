import { interruptedStatus, interruption, runCommand } from '../../command-line.ts';
import { type OneSeed, parseArguments, usage } from './arguments.ts';

/** The wrong rule has to stand in its file before anything loads that file. */
async function playOne(asked: OneSeed): Promise<boolean> {
  if (asked.mutant !== undefined) {
    const { inject } = await import('../mutants/inject.ts');
    inject(asked.mutant);
  }
  const { minimiseOne, tellOne } = await import('./one-seed.ts');
  return asked.how === 'minimise' ? minimiseOne(asked) : tellOne(asked);
}

await runCommand(async () => {
  const asked = parseArguments(process.argv.slice(2));
  switch (asked.kind) {
    case 'help':
      console.log(usage);
      return 0;
    case 'one':
      interruption().addEventListener('abort', () => process.exit(interruptedStatus));
      return (await playOne(asked)) ? 0 : 1;
    case 'sweep': {
      const { sweep } = await import('./sweep.ts');
      const signal = interruption();
      const isGood = await sweep(asked, signal);
      return signal.aborted ? interruptedStatus : isGood ? 0 : 1;
    }
  }
});
