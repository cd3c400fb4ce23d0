import type { Random } from '@naru/runtime';

/** Share by which a pause varies, so that clients that failed together do not come back together. */
const jitter = 0.2;

/** Milliseconds before retry number `attempt` (1 is the first): doubles from `firstMs` up to `maxMs`, ± 20 % (KIP-580). */
export function backoffMs(attempt: number, firstMs: number, maxMs: number, random: Random): number {
  const pause = Math.min(maxMs, firstMs * 2 ** Math.min(attempt - 1, 30));
  return pause * (1 - jitter + 2 * jitter * random.nextFloat());
}
