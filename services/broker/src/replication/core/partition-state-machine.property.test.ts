import type { Random } from '@naru/runtime';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ClusterModel } from './testing/cluster-model.ts';

/** xorshift32: small, seeded, enough to choose events. */
function seeded(seed: number): Random {
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1;
  const next = (): number => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
  return {
    nextFloat: () => next() / 2 ** 32,
    nextInt: (max) => next() % max,
    nextBytes: (length) => Uint8Array.from({ length }, () => next() & 0xff),
  };
}

const steps = 1500;

function run(seed: number, brokers: number, minInSyncReplicas: number, flushBeforeAck: boolean) {
  const rules = { minInSyncReplicas, lagTimeMaxMs: 500, flushBeforeAck };
  const model = new ClusterModel(seeded(seed), { brokers, rules });
  for (let i = 0; i < steps; i++) model.step();
  model.heal();
  return model.counters;
}

describe('the partition state machine keeps R1–R6, R8 under crashes, bounces, cuts and lost answers', () => {
  for (const flushBeforeAck of [true, false]) {
    for (const minInSyncReplicas of [1, 2]) {
      it(`with flush.before.ack=${flushBeforeAck}, min.insync.replicas=${minInSyncReplicas}`, () => {
        const total = { elections: 0, isrChanges: 0, truncations: 0, committed: 0, unknownOutcomes: 0 };
        fc.assert(
          fc.property(fc.integer(), (seed) => {
            const counts = run(seed, 3, minInSyncReplicas, flushBeforeAck);
            for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += counts[name];
          }),
          { numRuns: 60 },
        );
        // A run in which nothing happened proves nothing.
        for (const [name, count] of Object.entries(total)) expect(count, name).toBeGreaterThan(20);
      });
    }
  }
});
