import fc from 'fast-check';
import type { Command, WriteStep } from '../command.ts';
import { sessionIdOf } from '../sessions.ts';

/** Commands over a small world, so that they often meet: four names, two levels, the first few sessions. */

const name = fc.constantFrom('a', 'b', 'c', 'd-');
const path = fc.oneof(
  { weight: 3, arbitrary: name.map((a) => `/${a}`) },
  { weight: 3, arbitrary: fc.tuple(name, name).map(([a, b]) => `/${a}/${b}`) },
  { weight: 1, arbitrary: fc.tuple(name, name, name).map((names) => `/${names.join('/')}`) },
);
const anyPath = fc.oneof({ weight: 9, arbitrary: path }, { weight: 1, arbitrary: fc.constant('/') });
const data = fc.uint8Array({ maxLength: 8 });
const version = fc.oneof({ weight: 2, arbitrary: fc.constant(-1) }, { weight: 1, arbitrary: fc.nat(3) });
const session = fc.integer({ min: 1, max: 6 }).map(sessionIdOf);
const timeMs = fc.nat(1_000_000);

export const arbitraryStep: fc.Arbitrary<WriteStep> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('create' as const),
      path,
      data,
      ephemeral: fc.boolean(),
      sequential: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), path: anyPath, version }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('set-data' as const), path: anyPath, data, version }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('check' as const),
      path: anyPath,
      version,
      czxid: fc.constantFrom(0, 0, 5, 9),
    }),
  },
);

const password = fc.constantFrom(new Uint8Array([1]), new Uint8Array([2]));

export const arbitraryCommand: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('create-session' as const), timeMs, password, timeoutMs: fc.nat(9_000) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('attach-session' as const), timeMs, session, password }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('close-session' as const), timeMs, session }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('expire-session' as const),
      timeMs,
      session,
      touches: fc.nat(2),
      term: fc.constantFrom(1, 1, 2),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      timeMs,
      session,
      steps: fc.array(arbitraryStep, { minLength: 1, maxLength: 4 }),
    }),
  },
);

/** The first sessions are there, so that writes have someone to belong to. */
export const arbitraryCommands: fc.Arbitrary<readonly Command[]> = fc
  .array(arbitraryCommand, { maxLength: 60 })
  .map((commands) => [
    ...Array.from(
      { length: 3 },
      () => ({ kind: 'create-session', timeMs: 1, password: new Uint8Array([1]), timeoutMs: 6_000 }) as const,
    ),
    ...commands,
  ]);
