import type { Configuration, Entry, EntryKind, SnapshotMeta } from '@naru/raft';
import type { Store, StoreOperation } from '@naru/runtime';
import { createSimulation } from '@naru/runtime/simulated';
import { describe, expect, test } from 'vitest';
import { RaftStorage } from './raft-storage.ts';

const configuration: Configuration = { voters: [1, 2, 3], outgoing: [], learners: [] };

function entry(index: number, term: number, kind: EntryKind = 'command'): Entry {
  return { index, term, kind, data: Buffer.from(`${index}.${term}`) };
}

function entries(from: number, to: number, term: number): Entry[] {
  return Array.from({ length: to - from + 1 }, (_, at) => entry(from + at, term));
}

function snapshotAt(index: number, term: number): SnapshotMeta {
  return { index, term, configuration };
}

class Fixture {
  readonly sim = createSimulation({ seed: 1 });
  readonly node = this.sim.addNode('c1');
  store!: Store;

  async open(snapshot?: SnapshotMeta): ReturnType<typeof RaftStorage.open> {
    this.store = await this.sim.complete(this.node.runtime.stores.open('/raft'));
    return this.sim.complete(RaftStorage.open(this.store, snapshot));
  }

  async reopen(snapshot?: SnapshotMeta): ReturnType<typeof RaftStorage.open> {
    this.node.losePower();
    this.node.restart();
    return this.open(snapshot);
  }

  /** Damage, made durable. */
  async damage(operations: readonly StoreOperation[]): Promise<void> {
    await this.sim.complete(this.store.batch(operations, { sync: true }));
  }

  do<Value>(promise: Promise<Value>): Promise<Value> {
    return this.sim.complete(promise);
  }
}

const state = { term: 2, vote: 1, commit: 0 };

describe('one round is there as a whole or not at all', () => {
  test('what was written comes back, with kinds and bytes', async () => {
    const fixture = new Fixture();
    const { storage, recovered } = await fixture.open();
    expect(recovered).toEqual({ hardState: { term: 0, vote: 0, commit: 0 }, entries: [] });
    const written = [entry(1, 1, 'noop'), entry(2, 1, 'configuration'), entry(3, 2)];
    await fixture.do(storage.write(written, state));
    const again = await fixture.reopen();
    expect(again.recovered.hardState).toEqual(state);
    const plain = again.recovered.entries.map(({ data, ...rest }) => ({ ...rest, data: Buffer.from(data).toString() }));
    expect(plain).toEqual(written.map((each) => ({ ...each, data: each.data.toString() })));
  });

  test('§5.3: a shorter log takes the place of a longer one for good', async () => {
    const fixture = new Fixture();
    const { storage } = await fixture.open();
    await fixture.do(storage.write(entries(1, 9, 1), { ...state, term: 1 }));
    await fixture.do(storage.write(entries(4, 5, 2), state));
    const { recovered } = await fixture.reopen();
    expect(recovered.entries.map(({ index, term }) => `${index}/${term}`)).toEqual(['1/1', '2/1', '3/1', '4/2', '5/2']);
  });

  test('row 37: term and vote without an entry are as durable', async () => {
    const fixture = new Fixture();
    const { storage } = await fixture.open();
    await fixture.do(storage.write([], { term: 7, vote: 3, commit: 0 }));
    const { recovered } = await fixture.reopen();
    expect(recovered.hardState).toEqual({ term: 7, vote: 3, commit: 0 });
  });
});

describe('rows 57 and 63: what contradicts itself is corruption, and nothing is cut', () => {
  const key = (index: number): string => `log/${String(index).padStart(16, '0')}`;

  async function damaged(operations: (store: Store) => Promise<readonly StoreOperation[]>): Promise<unknown> {
    const fixture = new Fixture();
    const { storage } = await fixture.open();
    await fixture.do(storage.write(entries(1, 9, 1), state));
    await fixture.damage(await fixture.do(operations(fixture.store)));
    return fixture.reopen();
  }

  test('an entry is missing in the middle', async () => {
    await expect(damaged(async () => [{ kind: 'delete', key: key(4) }])).rejects.toThrow('entry 4 is missing');
  });

  test('the last entries are missing', async () => {
    await expect(damaged(async () => [{ kind: 'delete', key: key(9) }])).rejects.toThrow('it ends at 8 instead of 9');
  });

  test('the first entries are missing and no snapshot holds them', async () => {
    await expect(damaged(async () => [{ kind: 'delete', key: key(1) }])).rejects.toThrow('it begins at 2');
  });

  test('any bit of an entry is flipped', async () => {
    for (const at of [0, 3, 4, 12, 13]) {
      const flipped = damaged(async (store) => {
        const value = Buffer.from((await store.get(key(5))) ?? []);
        value[at] = (value[at] ?? 0) ^ 1;
        return [{ kind: 'put', key: key(5), value }];
      });
      await expect(flipped).rejects.toThrow('is damaged');
    }
  });

  test('term and vote are damaged or gone', async () => {
    await expect(damaged(async () => [{ kind: 'put', key: 'state', value: Buffer.from('x') }])).rejects.toThrow(
      'term and vote',
    );
    await expect(damaged(async () => [{ kind: 'delete', key: 'state' }])).rejects.toThrow('is damaged');
  });
});

describe('snapshots', () => {
  test('entries that a snapshot covers are removed, the tail before it stays', async () => {
    const fixture = new Fixture();
    const { storage } = await fixture.open();
    await fixture.do(storage.write(entries(1, 9, 1), state));
    await fixture.do(storage.removeBefore(5));
    await fixture.do(storage.write(entries(10, 10, 2), state));
    const { recovered } = await fixture.reopen(snapshotAt(7, 1));
    expect(recovered.entries.map(({ index }) => index)).toEqual([5, 6, 7, 8, 9, 10]);
  });

  test('row 31: a crash between the snapshot file and the removal of the log: the snapshot wins over a log that contradicts it', async () => {
    const fixture = new Fixture();
    const { storage } = await fixture.open();
    await fixture.do(storage.write(entries(1, 9, 1), state));
    const { storage: after, recovered } = await fixture.reopen(snapshotAt(20, 2));
    expect(recovered).toEqual({ hardState: { term: 2, vote: 1, commit: 20 }, entries: [] });
    await fixture.do(after.write(entries(21, 22, 2), state));
    const again = await fixture.reopen(snapshotAt(20, 2));
    expect(again.recovered.entries.map(({ index }) => index)).toEqual([21, 22]);
  });

  test('the same on a node that never had a log', async () => {
    const fixture = new Fixture();
    const { storage, recovered } = await fixture.open(snapshotAt(20, 2));
    expect(recovered.hardState).toEqual({ term: 2, vote: 0, commit: 20 });
    await fixture.do(storage.write(entries(21, 21, 2), state));
  });

  test('replace: the log after an installed snapshot is what came with it', async () => {
    const fixture = new Fixture();
    const { storage } = await fixture.open();
    await fixture.do(storage.write(entries(1, 9, 1), state));
    await fixture.do(storage.replace(snapshotAt(20, 2), entries(21, 23, 2), state));
    const { recovered } = await fixture.reopen(snapshotAt(20, 2));
    expect(recovered.entries.map(({ index }) => index)).toEqual([21, 22, 23]);
  });
});
