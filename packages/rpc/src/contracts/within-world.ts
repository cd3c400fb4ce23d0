import { Pair, type TransportWorld } from './transport-world.ts';

/** Runs one case in a world of its own and takes the world down afterwards. */
export function within(make: () => Promise<TransportWorld>, body: (pair: Pair) => Promise<void>): () => Promise<void> {
  return async () => {
    const world = await make();
    const pair = new Pair(world);
    try {
      await world.run(async () => {
        try {
          await body(pair);
        } finally {
          await pair.stop();
        }
      });
    } finally {
      await world.close();
    }
  };
}
