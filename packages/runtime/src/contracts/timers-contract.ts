import { describe, expect } from 'vitest';
import { sleep } from '../clock.ts';
import { inWorld } from './in-world.ts';
import type { MakeWorld } from './world.ts';

/** What `Clock`, `Timers` and `Random` promise. */
export function timersContract(make: MakeWorld): void {
  const test = inWorld(make);

  describe('timers contract', () => {
    test('a timer never fires early, by the monotonic clock', async ({ runtime, settle }) => {
      for (const delayMs of [0, 0.3, 1, 2.5, 5, 10]) {
        const startMs = runtime.clock.monotonicMs();
        await settle(sleep(runtime.timers, delayMs));
        expect(runtime.clock.monotonicMs() - startMs).toBeGreaterThanOrEqual(delayMs);
      }
    });

    test('timers fire in the order of their deadlines, outside the call that started them', async ({
      runtime,
      pass,
    }) => {
      const fired: string[] = [];
      for (const delayMs of [30, 10, 20]) runtime.timers.after(delayMs, () => fired.push(String(delayMs)));
      runtime.timers.nextTurn(() => fired.push('turn'));
      expect(fired).toEqual([]);
      await pass(60);
      expect(fired).toEqual(['turn', '10', '20', '30']);
    });

    test('turns come in order, each after the promises of the one before', async ({ runtime, pass }) => {
      const seen: string[] = [];
      runtime.timers.nextTurn(async () => {
        seen.push('first');
        for (let step = 0; step < 10; step++) await undefined;
        seen.push('its promises');
      });
      runtime.timers.nextTurn(() => seen.push('second'));
      await pass(5);
      expect(seen).toEqual(['first', 'its promises', 'second']);
    });

    test('a cancelled timer does not fire; cancelling again, or late, does nothing', async ({ runtime, pass }) => {
      let fired = 0;
      const cancelled = runtime.timers.after(5, () => fired++);
      const turn = runtime.timers.nextTurn(() => fired++);
      cancelled.cancel();
      cancelled.cancel();
      turn.cancel();
      const kept = runtime.timers.after(5, () => fired++);
      await pass(30);
      kept.cancel();
      expect(fired).toBe(1);
    });

    test('a delay beyond what the system’s timers hold is not cut short', async ({ runtime, pass }) => {
      let fired = false;
      const timer = runtime.timers.after(2 ** 33, () => {
        fired = true;
      });
      await pass(20);
      timer.cancel();
      expect(fired).toBe(false);
    });

    test('sleep ends with the reason of its signal', async ({ runtime, settle }) => {
      const controller = new AbortController();
      const sleeping = sleep(runtime.timers, 60_000, controller.signal);
      controller.abort(new Error('enough'));
      await expect(settle(sleeping)).rejects.toThrow('enough');
      await expect(settle(sleep(runtime.timers, 1, controller.signal))).rejects.toThrow('enough');
    });

    test('the clocks go forward; the wall clock counts from 1970', async ({ runtime, pass }) => {
      const [monotonicMs, wallMs] = [runtime.clock.monotonicMs(), runtime.clock.wallMs()];
      await pass(15);
      expect(runtime.clock.monotonicMs()).toBeGreaterThanOrEqual(monotonicMs + 14);
      expect(runtime.clock.wallMs()).toBeGreaterThanOrEqual(wallMs + 13);
      expect(wallMs).toBeGreaterThan(1_700_000_000_000);
    });

    test('random numbers keep to their ranges and reach all of them', async ({ runtime }) => {
      const seen = new Set<number>();
      for (let draw = 0; draw < 500; draw++) {
        const float = runtime.random.nextFloat();
        expect(float >= 0 && float < 1).toBe(true);
        seen.add(runtime.random.nextInt(5));
      }
      expect([...seen].sort()).toEqual([0, 1, 2, 3, 4]);
      expect(runtime.random.nextInt(1)).toBe(0);
      expect(runtime.random.nextBytes(16)).toHaveLength(16);
      expect(runtime.random.nextBytes(16)).not.toEqual(runtime.random.nextBytes(16));
    });
  });
}
