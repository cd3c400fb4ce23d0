import { randomBytes, randomInt } from 'node:crypto';
import type { Random } from '../random.ts';

export const nodeRandom: Random = {
  nextFloat: () => Math.random(),
  nextInt: (maxExclusive) => randomInt(maxExclusive),
  nextBytes: (length) => new Uint8Array(randomBytes(length)),
};
