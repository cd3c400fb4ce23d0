import { drawParameters } from '../swarm/parameters.ts';
import { runSeed } from '../swarm/run.ts';

// Connections break by the thousand, and each error would collect a stack that nobody reads; `--seed` shows them.
Error.stackTraceLimit = 0;

/** A process of its own that plays one seed after the other, as its parent asks. */
process.on('message', (seed: number) => {
  void runSeed(drawParameters(seed)).then((report) => process.send?.(report));
});
process.on('disconnect', () => process.exit());
// Ctrl-C reaches the whole group of processes; the parent decides what it means.
process.on('SIGINT', () => {});
