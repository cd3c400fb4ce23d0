import { batchesOf, setBaseOffset } from '@naru/record';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LogTail, TailBudget } from './log-tail.ts';
import { batch } from './testing/log-world.ts';

/** A run of batches that begins at `baseOffset`. */
function run(baseOffset: number, counts: readonly number[]): { bytes: Uint8Array; nextOffset: number } {
  const bytes = Buffer.concat(counts.map((count) => batch(count)));
  let nextOffset = baseOffset;
  for (const { position, header } of batchesOf(bytes)) {
    setBaseOffset(bytes, position, nextOffset);
    nextOffset += header.recordsCount;
  }
  return { bytes, nextOffset };
}

test('what the tail serves is what a list of all batches would, or it says that it has it no more', () => {
  const counts = fc.array(fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }), { maxLength: 12 });
  fc.assert(
    fc.property(
      counts,
      fc.nat(3_000),
      fc.nat(60),
      fc.nat(1_500),
      fc.nat(70),
      (runs, budget, offset, maxBytes, upTo) => {
        const tail = new LogTail(new TailBudget(budget));
        let nextOffset = 0;
        const all: Uint8Array[] = [];
        for (const each of runs) {
          const made = run(nextOffset, each);
          tail.push(nextOffset, made.nextOffset, made.bytes);
          nextOffset = made.nextOffset;
          all.push(...[...batchesOf(made.bytes)].map(({ bytes }) => bytes));
        }
        const bound = Math.min(upTo, nextOffset);
        const served = tail.read(offset, maxBytes, bound);
        const isHeld = tail.startOffset !== undefined && offset >= tail.startOffset && offset < nextOffset;
        expect(served !== undefined).toBe(isHeld);
        if (served === undefined) return;
        let size = 0;
        const wanted = all.filter((bytes) => {
          const { header } = [...batchesOf(bytes)][0] as { header: { lastOffset: number } };
          return header.lastOffset >= offset && header.lastOffset < bound;
        });
        const fitting = wanted.filter((bytes, i) => {
          size += bytes.length;
          return i === 0 || size <= maxBytes;
        });
        expect(Buffer.concat(served.records).equals(Buffer.concat(fitting))).toBe(true);
        expect(served.sizeBytes).toBe(Buffer.concat(fitting).length);
      },
    ),
    { numRuns: 500 },
  );
});

test('C7: a cut in the middle of a run leaves no hole in the tail: what is only on the disk is not passed over', () => {
  const tail = new LogTail(new TailBudget(1_000_000));
  const [first, second] = [run(0, [2]), run(2, [3, 4])];
  tail.push(0, 2, first.bytes);
  tail.push(2, 9, second.bytes);
  tail.truncateTo(5);
  const after = run(5, [1]);
  tail.push(5, 6, after.bytes);
  // 2, 3 and 4 are in the log still, and went from memory with the run that was cut.
  for (const offset of [0, 2, 4]) expect(tail.read(offset, 10_000, 6)).toBeUndefined();
  expect(tail.read(5, 10_000, 6)).toMatchObject({ firstOffset: 5, nextOffset: 6 });
});

test('small runs are served as one, large ones as they are', () => {
  const tail = new LogTail(new TailBudget(1_000_000));
  const [small, next] = [batch(1), batch(1)];
  setBaseOffset(next, 0, 1);
  tail.push(0, 1, small);
  tail.push(1, 2, next);
  expect(tail.read(0, 100_000, 2)?.records).toEqual([Buffer.concat([small, next])]);
  const large = [2, 3].map((offset) => {
    const bytes = batch(1, { valueBytes: 10_000 });
    setBaseOffset(bytes, 0, offset);
    tail.push(offset, offset + 1, bytes);
    return bytes;
  });
  const { records = [] } = tail.read(2, 100_000, 4) ?? {};
  expect(records.map((run) => run.buffer)).toEqual(large.map((run) => run.buffer));
});

test('one budget serves all tails: the oldest batches of any of them go first', () => {
  const { bytes, nextOffset } = run(0, [2]);
  const budget = new TailBudget(5 * (bytes.length + 200));
  const [quiet, busy] = [new LogTail(budget), new LogTail(budget)];
  quiet.push(0, nextOffset, bytes);
  for (let i = 0; i < 20; i++) busy.push(i * nextOffset, (i + 1) * nextOffset, bytes);
  expect(quiet.startOffset).toBeUndefined();
  expect(busy.read(19 * nextOffset, 10_000, 1_000)).toBeDefined();
  expect(budget.usedBytes).toBeLessThanOrEqual(5 * (bytes.length + 200));
  busy.clear();
  expect(budget.usedBytes).toBe(0);
});

test('a cut gives its memory back, and a small part of a large buffer does not keep the buffer alive', () => {
  const budget = new TailBudget(1_000_000);
  const tail = new LogTail(budget);
  const { bytes } = run(0, [2]);
  const inLarge = Buffer.concat([bytes, Buffer.alloc(1_000_000)]).subarray(0, bytes.length);
  tail.push(0, 2, inLarge);
  tail.push(2, 4, run(2, [2]).bytes);
  const [kept] = tail.read(0, 10_000, 2)?.records ?? [];
  expect(kept?.buffer).not.toBe(inLarge.buffer);
  expect(kept?.buffer.byteLength).toBeLessThan(inLarge.buffer.byteLength);
  tail.truncateTo(2);
  expect(tail.read(2, 10_000, 4)).toBeUndefined();
  tail.truncateTo(0);
  expect(budget.usedBytes).toBe(0);
});
