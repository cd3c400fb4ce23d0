import { describe, test } from 'vitest';
import { sessionTimeoutMs, sweepGroups, sweepSeeds } from './group-sweep.ts';

/** Frozen in the middle of a cooperative join (3); frozen or cut off while it closes (83, 102, 116, 124): its partitions were at others already. */
const onceFailed = [3, 83, 102, 116, 124];
const strategies = ['range', 'cooperative-sticky', 'sticky'] as const;

describe('consumer groups under faults', () => {
  // Others: GROUP_SEEDS=1000-1200.
  test.each(sweepSeeds(onceFailed))(
    'nothing is passed over, nothing is at two members, all goes on after the last fault (G1, G6), seed %i',
    (seed) =>
      sweepGroups(`groups-${seed}`, (random) => ({
        partitionAssignmentStrategy: strategies[random.nextInt(strategies.length)] as string,
        sessionTimeoutMs,
        heartbeatIntervalMs: 500,
      })),
  );
});
