import fc from 'fast-check';
import { expect, test } from 'vitest';
import { OffsetMap } from './cleaner-offset-map.ts';

test('gives the last offset of every key, as a map without bounds does, until it is full', () => {
  const key = fc.oneof(
    fc.uint8Array({ maxLength: 3 }),
    fc.nat(300).map((number) => Buffer.from(`key-${number}`)),
  );
  fc.assert(
    fc.property(fc.array(key, { maxLength: 400 }), fc.integer({ min: 1, max: 400 }), (keys, wanted) => {
      const map = new OffsetMap(3_000, wanted);
      const model = new Map<string, number>();
      for (const [offset, bytes] of keys.entries()) {
        const name = Buffer.from(bytes).toString('hex');
        const isFull = !model.has(name) && model.size === map.capacity;
        expect(map.put(bytes, offset)).toBe(!isFull);
        if (!isFull) model.set(name, offset);
      }
      expect(map.size).toBe(model.size);
      for (const bytes of keys) expect(map.get(bytes)).toBe(model.get(Buffer.from(bytes).toString('hex')) ?? -1);
    }),
  );
});

test('memory is bounded, and no larger than what is wanted needs', () => {
  expect(new OffsetMap(128 * 1024 * 1024, 1_000).sizeBytes).toBeLessThan(30_000);
  const map = new OffsetMap(24_000, 1e9);
  expect(map.sizeBytes).toBeLessThanOrEqual(24_000);
  for (let i = 0; i < map.capacity; i++) expect(map.put(Buffer.from(`${i}`), i)).toBe(true);
  expect(map.put(Buffer.from('one more'), 1)).toBe(false);
  expect(map.put(Buffer.from('7'), 5_000)).toBe(true);
  expect(map.get(Buffer.from('7'))).toBe(5_000);
  expect(map.get(Buffer.from('one more'))).toBe(-1);
});

test('offsets beyond 32 bits and the first one', () => {
  const map = new OffsetMap(1_000, 10);
  map.put(Buffer.from('first'), 0);
  map.put(Buffer.from('far'), Number.MAX_SAFE_INTEGER - 1);
  expect([map.get(Buffer.from('first')), map.get(Buffer.from('far'))]).toEqual([0, Number.MAX_SAFE_INTEGER - 1]);
});
