import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Group } from './group.ts';
import { GroupWorld } from './testing/group-world.ts';

type Step =
  | { readonly kind: 'client'; readonly instance: number }
  | { readonly kind: 'act' | 'commit' | 'leave' | 'forget'; readonly client: number }
  | { readonly kind: 'advance'; readonly ms: number }
  | { readonly kind: 'commit-write' | 'fail-write' }
  | { readonly kind: 'fail-over'; readonly survivors: number };

const client = fc.nat({ max: 7 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('client' as const), instance: fc.nat({ max: 4 }) }) },
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('act' as const), client }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('commit' as const, 'leave', 'forget'), client }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('advance' as const), ms: fc.nat({ max: 15_000 }) }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('commit-write' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('fail-write' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('fail-over' as const), survivors: fc.nat({ max: 3 }) }) },
);

function run(world: GroupWorld, steps: readonly Step[]): void {
  for (const one of steps) apply(world, one);
}

function apply(world: GroupWorld, one: Step): void {
  switch (one.kind) {
    case 'client':
      // Three of five are dynamic, two share the static instances i0 and i1.
      world.addClient(one.instance < 3 ? '' : `i${one.instance - 3}`);
      return;
    case 'act':
    case 'commit':
    case 'leave':
    case 'forget': {
      const chosen = world.clients[one.client % Math.max(1, world.clients.length)];
      if (chosen === undefined) return;
      if (one.kind === 'act') world.act(chosen);
      else if (one.kind === 'commit') world.commit(chosen);
      else if (one.kind === 'leave') world.leave(chosen);
      else chosen.next = 'nothing';
      return;
    }
    case 'advance':
      world.advance(one.ms);
      return;
    case 'commit-write':
      world.commitWrite();
      return;
    case 'fail-write':
      world.failWrite();
      return;
    case 'fail-over':
      world.failOver(one.survivors);
      return;
  }
}

/** Everybody who lives goes on, everything that is written is replicated, until nothing changes any more. */
function settle(world: GroupWorld): void {
  for (let round = 0; round < 200; round++) {
    for (const one of world.clients) world.act(one);
    while (world.writesCount > 0) world.commitWrite();
    world.advance(1_000);
  }
}

function view(group: Group) {
  const members = [...group.members].map(({ id, instanceId, assignment }) => ({
    id,
    instanceId,
    assignment: Buffer.from(assignment).toString(),
  }));
  return { generation: group.generation, leader: group.leader, protocol: group.protocol, members };
}

const steps = fc.array(step, { maxLength: 120, size: 'max' });

describe('a group under members that come, hang and go, writes that fail, and coordinators that die', () => {
  test('generations are durable before they are told, and never told twice (G2); the old are refused (G4, row 52)', () => {
    fc.assert(
      fc.property(steps, fc.constantFrom(0, 3_000), (all, delayMs) => run(new GroupWorld(delayMs), all)),
      { numRuns: 300 },
    );
  });

  test('after quiet everybody who lives has an assignment of one generation, and nobody has the same (G1)', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const world = new GroupWorld();
        run(world, all);
        settle(world);
        const alive = world.clients.filter(({ next }) => next !== 'nothing');
        expect(world.group.state).toBe(alive.length === 0 ? 'Empty' : 'Stable');
        for (const one of alive) {
          expect(one).toMatchObject({ next: 'stay', generation: world.group.generation });
          expect(one.assignment).toMatch(/^\d+\/.+/);
        }
        const shares = alive.map(({ assignment }) => assignment);
        expect(new Set(shares).size).toBe(alive.length);
      }),
      { numRuns: 300 },
    );
  });

  test('what a new coordinator makes of the log is what the old one had (G8)', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const world = new GroupWorld();
        run(world, all);
        settle(world);
        expect(view(world.replayed())).toEqual(view(world.group));
      }),
      { numRuns: 300 },
    );
  });

  test('everybody who waits is answered exactly once, at the latest when the coordinator ends', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const world = new GroupWorld();
        run(world, all);
        world.end();
        expect(world.waitingCount).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});
