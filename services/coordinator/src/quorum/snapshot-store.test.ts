import type { Configuration, SnapshotMeta } from '@naru/raft';
import { createSimulation } from '@naru/runtime/simulated';
import { describe, expect, test } from 'vitest';
import { SnapshotStore } from './snapshot-store.ts';

const configuration: Configuration = {
  voters: [1, 2],
  outgoing: [],
  learners: [3],
  addresses: { 1: { peer: 'a:1', client: 'a:2' } },
};

function meta(index: number): SnapshotMeta {
  return { index, term: 3, configuration };
}

const directory = '/snapshots';

function world() {
  const sim = createSimulation({ seed: 5 });
  const node = sim.addNode('c1');
  const open = () => sim.complete(SnapshotStore.open(node.runtime, directory));
  return { sim, node, open };
}

describe('snapshot files', () => {
  test('what was saved comes back after a power cut, and the older one is gone', async () => {
    const { sim, node, open } = world();
    const { store } = await open();
    await sim.complete(store.save(meta(10), [Buffer.from('ten')]));
    await sim.complete(store.save(meta(20), [Buffer.from('twen'), Buffer.from('ty')]));
    node.losePower();
    node.restart();
    const { newest } = await open();
    expect(newest?.meta).toEqual(meta(20));
    expect(Buffer.from(newest?.state ?? []).toString()).toBe('twenty');
    expect([...node.disk.files().keys()]).toEqual([`${directory}/0000000000000020-3.snapshot`]);
  });

  test('row 38: an older one than the newest changes nothing', async () => {
    const { sim, open } = world();
    const { store } = await open();
    await sim.complete(store.save(meta(20), [Buffer.from('new')]));
    await sim.complete(store.save(meta(10), [Buffer.from('old')]));
    expect((await sim.complete(store.read()))?.meta.index).toBe(20);
  });

  test('rows 31 and 61: a power cut at any moment of saving leaves the old one or the new one, whole', async () => {
    for (let at = 0; at < 40; at += 1) {
      const { sim, node, open } = world();
      const { store } = await open();
      await sim.complete(store.save(meta(10), [Buffer.from('old')]));
      let saved = false;
      void store.save(meta(20), [Buffer.alloc(10_000, 7)]).then(
        () => {
          saved = true;
        },
        () => {},
      );
      await sim.runFor(at * 0.1);
      node.losePower();
      node.restart();
      const { newest } = await open();
      const index = newest?.meta.index;
      expect(index === 20 || (index === 10 && !saved), `${index} after ${at}`).toBe(true);
    }
  });

  test('row 57: a damaged snapshot is not passed over for an older state', async () => {
    const { sim, node, open } = world();
    const { store } = await open();
    await sim.complete(store.save(meta(10), [Buffer.from('state')]));
    node.disk.flipBit(`${directory}/0000000000000010-3.snapshot`, 250 * 8);
    node.disk.flipBit(`${directory}/0000000000000010-3.snapshot`, 20 * 8);
    await expect(open()).rejects.toThrow('is damaged');
  });
});
