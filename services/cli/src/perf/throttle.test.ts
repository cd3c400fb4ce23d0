import { expect, test } from 'vitest';
import { Throttle } from './throttle.ts';

test('also as fast as possible, the loop gives the sender its turn before the buffer is full', async () => {
  const throttle = new Throttle(-1);
  let hasOtherTurn = false;
  setImmediate(() => {
    hasOtherTurn = true;
  });
  for (let i = 0; i < 1_000; i++) {
    const pause = throttle.afterRecord();
    if (pause !== undefined) await pause;
  }
  expect(hasOtherTurn).toBe(true);
});
