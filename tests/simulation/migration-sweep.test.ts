import type { ConsumerOptions } from '@naru/client';
import { describe, test } from 'vitest';
import { sessionTimeoutMs, sweepGroups, sweepSeeds } from './group-sweep.ts';

const classic = { sessionTimeoutMs, heartbeatIntervalMs: 500, rebalanceTimeoutMs: 10_000 };
const kinds: readonly ConsumerOptions<Buffer, Buffer>[] = [
  { ...classic, partitionAssignmentStrategy: ['cooperative-sticky'] },
  { ...classic, partitionAssignmentStrategy: ['cooperative-sticky'] },
  { groupProtocol: 'consumer', rebalanceTimeoutMs: 10_000 },
];
const eager: readonly ConsumerOptions<Buffer, Buffer>[] = kinds.map((kind) => {
  return 'groupProtocol' in kind ? kind : { ...classic, partitionAssignmentStrategy: ['range'] };
});

describe('a group whose members change between the protocols, again and again, under faults (KIP-848)', () => {
  // Others: GROUP_SEEDS=1000-1200.
  test.each(sweepSeeds([1, 2, 3, 2_151, 3_123, 3_168]))(
    'nothing is passed over, nothing is at two members, all goes on after the last fault (G1, G6), seed %i',
    (seed) =>
      sweepGroups(`migration-${seed}`, (random) => {
        const own = random.nextInt(2) === 0 ? kinds : eager;
        return () => own[random.nextInt(own.length)] as ConsumerOptions<Buffer, Buffer>;
      }),
  );
});
