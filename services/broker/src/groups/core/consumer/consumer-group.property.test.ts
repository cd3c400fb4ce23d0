import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { partitionKey } from './partition-set.ts';
import { ConsumerGroupWorld, type WorldMember } from './testing/consumer-group-world.ts';

type Step =
  | {
      readonly kind: 'member';
      readonly instance: number;
      readonly topics: readonly string[];
      readonly classic: 'eager' | 'cooperative' | undefined;
    }
  | { readonly kind: 'heartbeat' | 'delay' | 'adopt' | 'lose' | 'leave' | 'away' | 'vanish'; readonly member: number }
  | { readonly kind: 'subscribe'; readonly member: number; readonly topics: readonly string[] }
  | { readonly kind: 'assignor'; readonly member: number; readonly name: string }
  | { readonly kind: 'topic'; readonly name: string; readonly partitions: number }
  | { readonly kind: 'advance'; readonly ms: number }
  | { readonly kind: 'commit' | 'refuse' | 'take' | 'arrive' }
  | { readonly kind: 'fail-over'; readonly survivors: number };

const member = fc.nat({ max: 7 });
const topics = fc.constantFrom(['a'], ['a', 'b'], ['b'], ['a', 'b', 'c']);
const classic = fc.constantFrom(undefined, 'eager' as const, 'cooperative' as const);
const of = <const Kind extends string>(...kinds: Kind[]) => fc.record({ kind: fc.constantFrom(...kinds), member });
const plain = <const Kind extends string>(...kinds: Kind[]) => fc.record({ kind: fc.constantFrom(...kinds) });
const kind = <const Kind extends string>(name: Kind) => fc.constant(name);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: kind('member'), instance: fc.nat({ max: 4 }), topics, classic }) },
  { weight: 14, arbitrary: of('heartbeat') },
  { weight: 8, arbitrary: of('adopt') },
  { weight: 2, arbitrary: of('lose', 'leave', 'away', 'vanish', 'delay') },
  { weight: 1, arbitrary: fc.record({ kind: kind('subscribe'), member, topics }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: kind('assignor'), member, name: fc.constantFrom('', 'range', 'uniform') }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: kind('topic'),
      name: fc.constantFrom('a', 'b', 'c'),
      partitions: fc.nat({ max: 6 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: kind('advance'), ms: fc.nat({ max: 15_000 }) }) },
  { weight: 12, arbitrary: plain('commit') },
  { weight: 1, arbitrary: plain('refuse', 'take', 'arrive') },
  { weight: 1, arbitrary: fc.record({ kind: kind('fail-over'), survivors: fc.nat({ max: 3 }) }) },
);

function apply(world: ConsumerGroupWorld, one: Step): void {
  switch (one.kind) {
    case 'member':
      // Three of five are dynamic, two share the static instances i0 and i1.
      world.addMember(one.instance < 3 ? '' : `i${one.instance - 3}`, one.topics, one.classic);
      return;
    case 'topic':
      world.setTopic(one.name, one.partitions);
      return;
    case 'advance':
      world.advance(one.ms);
      return;
    case 'commit':
      world.commitWrite();
      return;
    case 'arrive':
      world.arrive();
      return;
    case 'refuse':
    case 'take':
      world.isRefusing = one.kind === 'refuse';
      return;
    case 'fail-over':
      world.failOver(one.survivors);
      return;
    default: {
      const chosen = world.members[one.member % Math.max(1, world.members.length)];
      if (chosen !== undefined) applyTo(world, chosen, one);
    }
  }
}

function applyTo(world: ConsumerGroupWorld, chosen: WorldMember, one: Extract<Step, { member: number }>): void {
  switch (one.kind) {
    case 'heartbeat':
      world.heartbeat(chosen);
      return;
    case 'delay':
      world.delay(chosen);
      return;
    case 'adopt':
      world.adopt(chosen);
      return;
    case 'lose':
      world.loseAnswer(chosen);
      return;
    case 'leave':
    case 'away':
      world.leave(chosen, one.kind === 'away');
      return;
    case 'vanish':
      world.vanish(chosen);
      return;
    case 'subscribe':
      chosen.topics = one.topics;
      return;
    case 'assignor':
      chosen.assignor = one.name;
      return;
  }
}

function settle(world: ConsumerGroupWorld): void {
  world.isRefusing = false;
  for (let round = 0; round < 60; round++) {
    for (const one of world.members) {
      world.heartbeat(one);
      world.adopt(one);
    }
    while (world.writesCount > 0) world.commitWrite();
    world.advance(1_000);
  }
}

function run(steps: readonly Step[]): ConsumerGroupWorld {
  const world = new ConsumerGroupWorld();
  for (const one of steps) apply(world, one);
  return world;
}

const steps = fc.array(step, { maxLength: 150, size: 'max' });

describe('a group that the coordinator assigns, under members of both protocols that come, hang and go, lost answers, and coordinators that die (KIP-848)', () => {
  test('no partition has two owners, and what is told is durable (G1, G2, row 52)', () => {
    fc.assert(
      fc.property(steps, (all) => void run(all)),
      { numRuns: 500 },
    );
  });

  test('after quiet every partition has an owner, evenly, and the group is stable (G1)', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const world = run(all);
        settle(world);
        const held = (one: WorldMember): boolean => world.group.state.members.has(one.memberId);
        const alive = world.members.filter((one) => !one.isGone && held(one));
        const wanted = new Set(alive.flatMap((one) => one.topics));
        const expected = [...world.topics]
          .filter(([name]) => wanted.has(name))
          .flatMap(([, { id, partitions }]) => Array.from({ length: partitions }, (_, i) => partitionKey(id, i)));
        expect(alive.flatMap(({ owned }) => [...owned]).sort()).toEqual(expected.sort());
        expect(world.group.name).toBe(alive.length === 0 ? 'Empty' : 'Stable');
        if (new Set(alive.map((one) => one.topics.join())).size !== 1 || world.group.assignor !== 'uniform') return;
        const sizes = alive.map(({ owned }) => owned.size);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      }),
      { numRuns: 300 },
    );
  });

  test('what a new coordinator makes of the log is what the old one had (G8)', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const world = run(all);
        while (world.writesCount > 0) world.commitWrite();
        expect(world.replayed().state.records('g')).toEqual(world.group.state.records('g'));
      }),
      { numRuns: 300 },
    );
  });
});
