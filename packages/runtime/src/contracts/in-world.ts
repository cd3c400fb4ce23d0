import { test } from 'vitest';
import type { MakeWorld, World } from './world.ts';

/** A test that gets a world and leaves nothing of it behind. */
export function inWorld(make: MakeWorld): (title: string, body: (world: World) => Promise<void>) => void {
  return (title, body) =>
    test(title, async () => {
      const world = await make();
      try {
        await body(world);
      } finally {
        await world.dispose();
      }
    });
}
