import { SeededRandom } from '@naru/runtime/simulated';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AssignableBroker, assignReplicas } from './assignment.ts';

const noRack = (id: number): AssignableBroker => ({ id, rack: undefined });

function assigned(...args: Parameters<typeof assignReplicas>): readonly (readonly number[])[] {
  const result = assignReplicas(...args);
  expect(result.ok).toBe(true);
  return result.ok ? result.replicas : [];
}

function counts(values: readonly number[], ids: readonly number[]): number[] {
  return ids.map((id) => values.filter((value) => value === id).length);
}

const spread = (numbers: readonly number[]): number => Math.max(...numbers) - Math.min(...numbers);

const cluster = fc.record({
  ids: fc.uniqueArray(fc.nat(100), { minLength: 1, maxLength: 12 }),
  racks: fc.integer({ min: 0, max: 4 }),
  partitions: fc.integer({ min: 1, max: 60 }),
  factor: fc.integer({ min: 1, max: 5 }),
  seed: fc.integer({ min: 1, max: 1_000_000 }),
});

describe('replica assignment', () => {
  it('refuses a replication factor above the registered brokers', () => {
    const request = { brokers: [1, 2, 3].map(noRack), partitions: 1, replicationFactor: 4 };
    expect(assignReplicas(request, new SeededRandom('1'))).toEqual({ ok: false, registered: 3 });
  });

  it('gives every partition different replicas and spreads leaders and replicas evenly', () => {
    fc.assert(
      fc.property(cluster, ({ ids, partitions, factor, seed }) => {
        fc.pre(factor <= ids.length);
        const replicas = assigned(
          { brokers: ids.map(noRack), partitions, replicationFactor: factor },
          new SeededRandom(`${seed}`),
        );
        expect(replicas).toHaveLength(partitions);
        for (const list of replicas) expect(new Set(list).size).toBe(factor);
        expect(
          spread(
            counts(
              replicas.map((list) => list[0] as number),
              ids,
            ),
          ),
        ).toBeLessThanOrEqual(1);
        // Every whole round of the ring gives each broker as many replicas; only the last, partial round can differ.
        expect(spread(counts(replicas.flat(), ids))).toBeLessThanOrEqual(factor);
      }),
    );
  });

  it('spreads the followers of one leader over all other brokers', () => {
    const brokers = [1, 2, 3, 4, 5].map(noRack);
    const replicas = assigned({ brokers, partitions: 20, replicationFactor: 2 }, new SeededRandom('7'));
    const followers = replicas.filter((list) => list[0] === 1).map((list) => list[1]);
    expect([...followers].sort()).toEqual([2, 3, 4, 5]);
  });

  it('uses a rack twice for a partition only when it has used all of them', () => {
    fc.assert(
      fc.property(cluster, ({ ids, racks, partitions, factor, seed }) => {
        fc.pre(factor <= ids.length && racks > 0);
        const brokers = ids.map((id, index) => ({ id, rack: `rack-${index % racks}` }));
        const rackOf = new Map(brokers.map(({ id, rack }) => [id, rack]));
        const replicas = assigned({ brokers, partitions, replicationFactor: factor }, new SeededRandom(`${seed}`));
        const rackCount = new Set(rackOf.values()).size;
        for (const list of replicas) {
          expect(new Set(list).size).toBe(factor);
          expect(new Set(list.map((id) => rackOf.get(id))).size).toBe(Math.min(factor, rackCount));
        }
        expect(
          spread(
            counts(
              replicas.map((list) => list[0] as number),
              ids,
            ),
          ),
        ).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('ignores racks that not every broker names', () => {
    const brokers = [{ id: 1, rack: 'a' }, { id: 2, rack: 'a' }, noRack(3)];
    const mixed = assigned({ brokers, partitions: 6, replicationFactor: 2 }, new SeededRandom('3'));
    const plain = assigned(
      { brokers: [1, 2, 3].map(noRack), partitions: 6, replicationFactor: 2 },
      new SeededRandom('3'),
    );
    expect(mixed).toEqual(plain);
  });

  it('continues the pattern for added partitions', () => {
    const brokers = [1, 2, 3].map(noRack);
    const first = assigned({ brokers, partitions: 4, replicationFactor: 2 }, new SeededRandom('5'));
    const startBroker = first[0]?.[0];
    const added = assigned(
      { brokers, partitions: 5, replicationFactor: 2, firstPartition: 4, startBroker },
      new SeededRandom('9'),
    );
    const leaders = [...first, ...added].map((list) => list[0] as number);
    expect(counts(leaders, [1, 2, 3])).toEqual([3, 3, 3]);
  });
});
