import { describe, expect, test } from 'vitest';
import { type Disk, isDiskError } from '../disk.ts';
import type { StoreOperation } from '../store.ts';
import type { SimulatedNode } from './node.ts';
import { createSimulation, type Simulation } from './simulation.ts';

const text = (value: string): Uint8Array => Buffer.from(value);

/** Runs a story under many seeds and counts how it ended. */
async function outcomes(
  seeds: number,
  story: (simulation: Simulation, node: SimulatedNode) => Promise<string>,
): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (let seed = 0; seed < seeds; seed++) {
    const simulation = createSimulation({ seed });
    const outcome = await story(simulation, simulation.addNode('a'));
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  }
  return counts;
}

async function setUp(simulation: Simulation, disk: Disk): Promise<void> {
  const prepare = async (): Promise<void> => {
    await disk.makeDirectory('/d');
    const file = await disk.open('/d/log', { create: true });
    file.append([text('synced|')]);
    await file.sync();
    await disk.syncDirectory('/d');
  };
  await simulation.complete(prepare());
}

function contentOf(node: SimulatedNode, path: string): string {
  return node.disk.files().has(path) ? Buffer.from(node.disk.contentOf(path)).toString().replaceAll('\0', '0') : 'gone';
}

describe('a power cut and the content of files', () => {
  test('what was synced stays; what was not is kept, lost, torn or has holes (ALICE, row 61)', async () => {
    const seen = await outcomes(300, async (simulation, node) => {
      await setUp(simulation, node.runtime.disk);
      const file = node.runtime.disk.openNow('/d/log');
      file.append([text('first|')]);
      file.append([text('second')]);
      node.losePower();
      return contentOf(node, '/d/log');
    });
    for (const content of seen.keys()) {
      expect(content.startsWith('synced|')).toBe(true);
      expect('synced|first|second'.length).toBeGreaterThanOrEqual(content.length);
    }
    const contents = [...seen.keys()];
    expect(contents).toEqual(
      expect.arrayContaining(['synced|', 'synced|first|', 'synced|first|second', 'synced|000000second']),
    );
    expect(contents.some((content) => /^synced\|first\|s(e(c(o(n)?)?)?)?$/.test(content))).toBe(true);
    expect(contents.some((content) => /^synced\|f(i(r(s(t)?)?)?)?$/.test(content))).toBe(true);
  });

  test('a kill alone loses nothing: the page cache outlives the process', async () => {
    const simulation = createSimulation({ seed: 1 });
    const node = simulation.addNode('a');
    await setUp(simulation, node.runtime.disk);
    node.runtime.disk.openNow('/d/log').append([text('unsynced')]);
    node.crash();
    await simulation.runFor(1_000);
    const { disk } = node.restart();
    expect(Buffer.from(disk.openNow('/d/log').readNow(0, 100)).toString()).toBe('synced|unsynced');
    node.losePower({ unsynced: 'lost' });
    expect(contentOf(node, '/d/log')).toBe('synced|');
  });

  test('a sync covers what was written before the call, not what came while it ran', async () => {
    const simulation = createSimulation({ seed: 1 });
    const node = simulation.addNode('a');
    await setUp(simulation, node.runtime.disk);
    const file = node.runtime.disk.openNow('/d/log');
    file.append([text('before')]);
    const sync = file.sync();
    file.append([text('during')]);
    await simulation.complete(sync);
    node.losePower({ unsynced: 'lost' });
    expect(contentOf(node, '/d/log')).toBe('synced|before');
  });

  test('a sync that had not answered has promised nothing', async () => {
    const simulation = createSimulation({ seed: 1 });
    const node = simulation.addNode('a');
    await setUp(simulation, node.runtime.disk);
    const file = node.runtime.disk.openNow('/d/log');
    file.append([text('unanswered')]);
    void file.sync();
    node.losePower({ unsynced: 'lost' });
    expect(contentOf(node, '/d/log')).toBe('synced|');
  });

  test('an unsynced truncation can come undone', async () => {
    const seen = await outcomes(60, async (simulation, node) => {
      await setUp(simulation, node.runtime.disk);
      node.runtime.disk.openNow('/d/log').truncate(3);
      node.losePower();
      return contentOf(node, '/d/log');
    });
    expect([...seen.keys()].sort()).toEqual(['syn', 'synced|']);
  });

  test('large writes tear by sectors, too: later ones may be there without earlier ones', async () => {
    const seen = await outcomes(80, async (simulation, node) => {
      await setUp(simulation, node.runtime.disk);
      const file = node.runtime.disk.openNow('/d/log');
      file.append([new Uint8Array(4_096).fill(120)]);
      node.losePower();
      const content = contentOf(node, '/d/log').slice(7);
      return /0x/.test(content)
        ? 'hole before data'
        : content.length === 4_096 && !content.includes('0')
          ? 'whole'
          : 'cut';
    });
    expect([...seen.keys()].sort()).toEqual(['cut', 'hole before data', 'whole']);
  });
});

describe('a power cut and names', () => {
  test('a created, a removed and a renamed name are safe only after the directory’s sync (row 61)', async () => {
    const seen = await outcomes(80, async (simulation, node) => {
      const { disk } = node.runtime;
      await setUp(simulation, disk);
      await simulation.complete(disk.rename('/d/log', '/d/log.old'));
      const file = await simulation.complete(disk.open('/d/new', { create: true }));
      await simulation.complete(file.sync());
      node.losePower();
      return [...node.disk.files().keys()].join(' ');
    });
    expect([...seen.keys()].sort()).toEqual(['/d/log', '/d/log /d/new', '/d/log.old', '/d/log.old /d/new'].sort());
  });

  test('after the sync of the directory they stay', async () => {
    const seen = await outcomes(20, async (simulation, node) => {
      const { disk } = node.runtime;
      await setUp(simulation, disk);
      await simulation.complete(disk.rename('/d/log', '/d/log.old'));
      await simulation.complete(disk.syncDirectory('/d'));
      node.losePower();
      return contentOf(node, '/d/log.old');
    });
    expect([...seen.keys()]).toEqual(['synced|']);
  });

  test('a rename between directories loses no file, but may leave it in both until both are synced', async () => {
    const seen = await outcomes(60, async (simulation, node) => {
      const { disk } = node.runtime;
      await setUp(simulation, disk);
      await simulation.complete(disk.makeDirectory('/e'));
      await simulation.complete(disk.rename('/d/log', '/e/log'));
      if (simulation.random.chance(0.5)) await simulation.complete(disk.syncDirectory('/e'));
      node.losePower();
      return [...node.disk.files().keys()].join(' ');
    });
    expect([...seen.keys()].sort()).toEqual(['/d/log', '/d/log /e/log', '/e/log']);
  });

  test('a removal cut short leaves some of the directory', async () => {
    const seen = await outcomes(60, async (simulation, node) => {
      const { disk } = node.runtime;
      await setUp(simulation, disk);
      for (const name of ['a', 'b', 'c']) await simulation.complete(disk.replaceFile(`/d/${name}`, text(name)));
      const start = simulation.eventCount;
      void disk.remove('/d');
      await simulation.runUntil(() => simulation.eventCount >= start + 2);
      node.crash();
      return String(node.disk.files().size);
    });
    expect([...seen.keys()]).toEqual(['1']);
  });

  test('replaceFile: at whatever event the power goes, the old or the new content is there, whole', async () => {
    const seen = new Set<string>();
    for (let events = 0; events < 12; events++) {
      for (let seed = 0; seed < 20; seed++) {
        const simulation = createSimulation({ seed });
        const node = simulation.addNode('a');
        await setUp(simulation, node.runtime.disk);
        await simulation.complete(node.runtime.disk.replaceFile('/d/checkpoint', text('old')));
        const start = simulation.eventCount;
        let done = false;
        void node.runtime.disk.replaceFile('/d/checkpoint', text('new')).then(() => {
          done = true;
        });
        await simulation.runUntil(() => done || simulation.eventCount >= start + events);
        node.losePower();
        const content = contentOf(node, '/d/checkpoint');
        expect(done ? ['new'] : ['old', 'new']).toContain(content);
        seen.add(content);
      }
    }
    expect([...seen].sort()).toEqual(['new', 'old']);
  });
});

describe('a power cut and stores', () => {
  const put = (key: string): StoreOperation => ({ kind: 'put', key, value: text(key) });

  test('synced batches stay; unsynced ones vanish whole and from the end', async () => {
    const seen = await outcomes(60, async (simulation, node) => {
      const store = await simulation.complete(node.runtime.stores.open('/s'));
      await simulation.complete(store.batch([put('a1'), put('a2')], { sync: true }));
      await simulation.complete(store.batch([put('b1'), put('b2')], { sync: false }));
      await simulation.complete(store.batch([put('c1'), { kind: 'delete', key: 'a1' }], { sync: false }));
      node.losePower();
      const after = await simulation.complete(node.restart().stores.open('/s'));
      const keys: string[] = [];
      const collect = async (): Promise<void> => {
        for await (const [key] of after.entries({ from: '', to: 'z' })) keys.push(key);
      };
      await simulation.complete(collect());
      return keys.join(' ');
    });
    expect([...seen.keys()].sort()).toEqual(['a1 a2', 'a1 a2 b1 b2', 'a2 b1 b2 c1']);
  });

  test('a sync covers every batch before it', async () => {
    const simulation = createSimulation({ seed: 1 });
    const node = simulation.addNode('a');
    const store = await simulation.complete(node.runtime.stores.open('/s'));
    await simulation.complete(store.batch([put('a')], { sync: false }));
    await simulation.complete(store.batch([put('b')], { sync: true }));
    node.losePower({ unsynced: 'lost' });
    const after = await simulation.complete(node.restart().stores.open('/s'));
    expect(await simulation.complete(after.get('a'))).toBeDefined();
  });

  test('a failed sync is final for the store, and what it should have saved is gone', async () => {
    const simulation = createSimulation({ seed: 1 });
    const node = simulation.addNode('a');
    const store = await simulation.complete(node.runtime.stores.open('/s'));
    node.disk.failSyncs('/s');
    await expect(simulation.complete(store.batch([put('a')], { sync: true }))).rejects.toMatchObject({ code: 'io' });
    await expect(simulation.complete(store.batch([put('b')], { sync: true }))).rejects.toMatchObject({ code: 'io' });
    node.losePower({ unsynced: 'kept' });
    const after = await simulation.complete(node.restart().stores.open('/s'));
    expect(await simulation.complete(after.get('a'))).toBeUndefined();
  });
});

describe('faults of the disk', () => {
  test('a failed sync is final: the data stays readable, later syncs fail, a power cut takes it (row 56)', async () => {
    const simulation = createSimulation({ seed: 1 });
    const node = simulation.addNode('a');
    await setUp(simulation, node.runtime.disk);
    const file = node.runtime.disk.openNow('/d/log');
    file.append([text('doomed')]);
    node.disk.failSyncs('/d/log');
    await expect(simulation.complete(file.sync())).rejects.toMatchObject({ code: 'io' });
    await expect(simulation.complete(file.sync())).rejects.toMatchObject({ code: 'io' });
    expect(() => file.append([text('x')])).toThrow();
    // Another handle, as after a restart of the process: the kernel calls the pages clean, and they are not on disk.
    const again = node.runtime.disk.openNow('/d/log');
    expect(Buffer.from(again.readNow(7, 10)).toString()).toBe('doomed');
    await simulation.complete(again.sync());
    node.losePower({ unsynced: 'kept' });
    expect(contentOf(node, '/d/log')).toBe('synced|');
  });

  test('a full disk fails the append and restores the size; room makes it work again', async () => {
    const simulation = createSimulation({ seed: 1 });
    const node = simulation.addNode('a');
    await setUp(simulation, node.runtime.disk);
    const file = node.runtime.disk.openNow('/d/log');
    node.disk.fillUpAfter(10);
    file.append([text('12345')]);
    let error: unknown;
    try {
      file.append([text('1234'), text('56')]);
    } catch (caught) {
      error = caught;
    }
    expect(isDiskError(error, 'full')).toBe(true);
    expect(file.size).toBe(12);
    file.append([text('67890')]);
    node.disk.fillUpAfter(Number.POSITIVE_INFINITY);
    file.append([text('and more')]);
    expect(contentOf(node, '/d/log')).toBe('synced|1234567890and more');
  });

  test('removing files makes room', async () => {
    const simulation = createSimulation({ seed: 1 });
    const node = simulation.addNode('a');
    await setUp(simulation, node.runtime.disk);
    node.disk.fillUpAfter(0);
    await simulation.complete(node.runtime.disk.remove('/d/log'));
    const file = await simulation.complete(node.runtime.disk.open('/d/new', { create: true }));
    file.append([text('7 bytes')]);
    expect(() => file.append([text('8')])).toThrow('no space left');
  });

  test('what a power cut takes away makes room, too', async () => {
    const simulation = createSimulation({ seed: 1 });
    const node = simulation.addNode('a');
    await setUp(simulation, node.runtime.disk);
    node.runtime.disk.openNow('/d/log').append([text('unsynced')]);
    node.losePower({ unsynced: 'lost' });
    node.disk.fillUpAfter(0);
    const { disk } = node.restart();
    await simulation.complete(disk.remove('/d/log'));
    disk.openNow('/d/new', { create: true }).append([text('7 bytes')]);
    expect(() => disk.openNow('/d/new').append([text('8')])).toThrow('no space left');
  });

  test('damage at rest: bits flip and files get shorter, durably', async () => {
    const simulation = createSimulation({ seed: 1 });
    const node = simulation.addNode('a');
    await setUp(simulation, node.runtime.disk);
    node.disk.flipBit('/d/log', 8 * 1);
    node.disk.truncateFile('/d/log', 4);
    node.losePower();
    expect(contentOf(node, '/d/log')).toBe('sxnc');
  });

  test('damage at rest: bits of stored values flip, durably', async () => {
    const simulation = createSimulation({ seed: 1 });
    const node = simulation.addNode('a');
    const store = await simulation.complete(node.runtime.stores.open('/s'));
    await simulation.complete(store.batch([{ kind: 'put', key: 'k', value: text('sync') }], { sync: true }));
    expect(node.disk.storedIn('/s')).toEqual(new Map([['k', 4]]));
    node.disk.flipBitOfStore('/s', 'k', 8 * 1);
    node.losePower();
    const again = await simulation.complete(node.restart().stores.open('/s'));
    expect(Buffer.from((await simulation.complete(again.get('k'))) ?? []).toString()).toBe('sxnc');
    expect(node.disk.storedIn('/elsewhere').size).toBe(0);
  });

  test('a disk is replaced: the next one is empty', async () => {
    const simulation = createSimulation({ seed: 1 });
    const node = simulation.addNode('a');
    await setUp(simulation, node.runtime.disk);
    node.crash();
    node.disk.replace();
    expect(node.disk.files().size).toBe(0);
    expect(await simulation.complete(node.restart().disk.stat('/d'))).toBeUndefined();
  });

  test('reads can fail, one way and the other', async () => {
    const simulation = createSimulation({ seed: 1 });
    const node = simulation.addNode('a');
    await setUp(simulation, node.runtime.disk);
    const file = node.runtime.disk.openNow('/d/log');
    let failures = 0;
    node.disk.failReads('/d/log', 3, () => failures++);
    expect(() => file.readNow(0, 1)).toThrow('input/output error');
    await expect(simulation.complete(file.read(0, 1))).rejects.toMatchObject({ code: 'io' });
    await expect(simulation.complete(node.runtime.disk.readFile('/d/log'))).rejects.toMatchObject({ code: 'io' });
    expect(file.readNow(0, 1)).toHaveLength(1);
    expect(failures).toBe(3);
    node.disk.failReads();
    node.disk.stopFailingReads();
    expect(file.readNow(0, 1)).toHaveLength(1);
  });

  test('a slow disk is one with other times', async () => {
    const simulation = createSimulation({ seed: 1 });
    const node = simulation.addNode('a');
    await setUp(simulation, node.runtime.disk);
    node.disk.times = { ...node.disk.times, sync: { minMs: 5_000, meanMs: 5_000 } };
    const startMs = simulation.nowMs;
    await simulation.complete(node.runtime.disk.openNow('/d/log').sync());
    expect(simulation.nowMs - startMs).toBe(5_000);
  });
});
