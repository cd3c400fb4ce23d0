import { describe, test } from 'vitest';
import { sweepGroups, sweepSeeds } from './group-sweep.ts';

const assignors = ['', 'uniform', 'range'] as const;

describe('groups with a server-side assignor under faults (KIP-848)', () => {
  // Others: GROUP_SEEDS=1000-1200.
  test.each(sweepSeeds([1, 2, 3]))(
    'nothing is passed over, nothing is at two members, all goes on after the last fault (G1, G6), seed %i',
    (seed) =>
      sweepGroups(`server-assigned-${seed}`, (random) => ({
        groupProtocol: 'consumer',
        groupRemoteAssignor: assignors[random.nextInt(assignors.length)] as string,
      })),
  );
});
