import { describe, expect } from 'vitest';
import { type Store, StoreError, type StoreErrorCode, type StoreOperation } from '../store.ts';
import { inWorld } from './in-world.ts';
import type { MakeWorld, World } from './world.ts';

const put = (key: string, value: string): StoreOperation => ({ kind: 'put', key, value: Buffer.from(value) });
const remove = (key: string): StoreOperation => ({ kind: 'delete', key });

/** What `StoreFactory` and `Store` promise to a process that is not interrupted. */
export function storeContract(make: MakeWorld): void {
  const test = inWorld(make);

  describe('store contract', () => {
    test('get finds what a batch put, and nothing after a delete', async (world) => {
      const store = await open(world);
      await world.settle(store.batch([put('a', '1'), put('b', '2'), remove('missing')], { sync: true }));
      await world.settle(store.batch([remove('a'), put('b', '3')], { sync: false }));
      expect(await world.settle(store.get('a'))).toBeUndefined();
      expect(string(await world.settle(store.get('b')))).toBe('3');
      await world.settle(store.close());
    });

    test('the last operation on a key within a batch wins', async (world) => {
      const store = await open(world);
      await world.settle(store.batch([put('a', '1'), remove('a'), put('a', '2')], { sync: false }));
      expect(string(await world.settle(store.get('a')))).toBe('2');
      await world.settle(store.close());
    });

    test('batches apply in the order of the calls, waited for or not', async (world) => {
      const store = await open(world);
      const batches = Array.from({ length: 50 }, (_, index) =>
        store.batch([put('a', String(index)), put(`k${index}`, '')], { sync: index % 7 === 0 }),
      );
      await world.settle(Promise.all(batches));
      expect(string(await world.settle(store.get('a')))).toBe('49');
      await world.settle(store.close());
    });

    test('entries are those of the half-open range, in order, up to the limit', async (world) => {
      const store = await open(world);
      await world.settle(
        store.batch(
          ['b', 'd', 'a', 'c', 'e'].map((key) => put(key, key)),
          { sync: false },
        ),
      );
      expect(await keys(world, store, 'b', 'e')).toEqual(['b', 'c', 'd']);
      expect(await keys(world, store, 'b', 'e', 2)).toEqual(['b', 'c']);
      expect(await keys(world, store, 'x', 'z')).toEqual([]);
      expect(await keys(world, store, 'e', 'b')).toEqual([]);
      await world.settle(store.close());
    });

    test('keys compare as UTF-8 bytes, also beyond the basic plane', async (world) => {
      const store = await open(world);
      const ordered = ['A', 'a', 'é', '나루', '\uffee', '😀'];
      await world.settle(
        store.batch(
          [...ordered].reverse().map((key) => put(key, '')),
          { sync: false },
        ),
      );
      expect(await keys(world, store, '', '\u{10ffff}')).toEqual(ordered);
      await world.settle(store.close());
    });

    test('an iteration shows the store as it was when it began', async (world) => {
      const store = await open(world);
      await world.settle(store.batch([put('a', '1'), put('b', '1')], { sync: false }));
      const iterator = store.entries({ from: 'a', to: 'z' })[Symbol.asyncIterator]();
      expect((await world.settle(iterator.next())).value?.[0]).toBe('a');
      await world.settle(store.batch([remove('b'), put('c', '1')], { sync: false }));
      expect((await world.settle(iterator.next())).value?.[0]).toBe('b');
      expect((await world.settle(iterator.next())).done).toBe(true);
      await world.settle(store.close());
    });

    test('a value is a copy, on the way in and on the way out', async (world) => {
      const store = await open(world);
      const value = Buffer.from('abc');
      await world.settle(store.batch([{ kind: 'put', key: 'a', value }], { sync: true }));
      value.fill(0);
      (await world.settle(store.get('a')))?.fill(0);
      expect(string(await world.settle(store.get('a')))).toBe('abc');
      await world.settle(store.close());
    });

    test('a store survives its closing, and has one owner at a time', async (world) => {
      const store = await open(world);
      await failsWith('locked', open(world));
      const last = store.batch([put('a', '1')], { sync: true });
      await world.settle(store.close());
      await world.settle(last);
      await failsWith('closed', world.settle(store.batch([put('a', '2')], { sync: true })));
      await failsWith('closed', world.settle(store.get('a')));
      const again = await open(world);
      expect(string(await world.settle(again.get('a')))).toBe('1');
      await world.settle(again.close());
    });
  });
}

function open(world: World): Promise<Store> {
  return world.settle(world.runtime.stores.open(`${world.directory}/store`));
}

function string(bytes: Uint8Array | undefined): string | undefined {
  return bytes && Buffer.from(bytes).toString();
}

function keys(world: World, store: Store, from: string, to: string, limit?: number): Promise<string[]> {
  const collect = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const [key] of store.entries(limit === undefined ? { from, to } : { from, to, limit })) found.push(key);
    return found;
  };
  return world.settle(collect());
}

async function failsWith(code: StoreErrorCode, promise: Promise<unknown>): Promise<void> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(StoreError);
  expect(error).toMatchObject({ code });
}
