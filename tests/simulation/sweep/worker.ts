import { drawParameters } from '../swarm/parameters.ts';
import { runSeed } from '../swarm/run.ts';

/** A process of its own that plays one seed after the other, as its parent asks. */
process.on('message', (seed: number) => {
  void runSeed(drawParameters(seed)).then((report) => process.send?.(report));
});
process.on('disconnect', () => process.exit());
