import { randomBytes, randomInt } from 'node:crypto';
import type { Random } from '../random.ts';

/** The system's generator: nodes that start in the same moment, or from the same image, must not draw the same numbers. */
export const nodeRandom: Random = {
  nextFloat: () => randomInt(2 ** 47) / 2 ** 47,
  nextInt: (maxExclusive) => randomInt(maxExclusive),
  nextBytes: (length) => randomBytes(length),
};
