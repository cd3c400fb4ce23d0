import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SharedMap } from './shared-map.ts';

const key = fc.integer({ min: 0, max: 40 }).map((n) => `topic-${n}`);
const changes = fc.array(fc.tuple(key, fc.option(fc.nat(), { nil: undefined })), { maxLength: 30 });

describe('the shared map', () => {
  it('behaves like a map, leaves older versions alone, and knows what differs between two', () => {
    fc.assert(
      fc.property(fc.array(changes, { maxLength: 6 }), (steps) => {
        let shared = SharedMap.empty<number>();
        let model = new Map<string, number>();
        for (const step of steps) {
          const before = shared;
          const modelBefore = model;
          model = new Map(model);
          shared = shared.with(new Map(step));
          for (const [k, value] of new Map(step)) {
            if (value === undefined) model.delete(k);
            else model.set(k, value);
          }
          expect(new Map(shared)).toEqual(model);
          expect(new Map(before)).toEqual(modelBefore);
          expect(shared.size).toBe(model.size);
          expect([...shared.keys()].sort()).toEqual([...model.keys()].sort());
          expect([...shared.values()].sort()).toEqual([...model.values()].sort());
          const all = new Set([...model.keys(), ...modelBefore.keys()]);
          const differing = [...all].filter((k) => model.get(k) !== modelBefore.get(k));
          expect([...SharedMap.differences(before, shared)].sort()).toEqual(differing.sort());
          for (const k of all) {
            expect(shared.get(k)).toBe(model.get(k));
            expect(shared.has(k)).toBe(model.has(k));
          }
        }
      }),
    );
  });
});
