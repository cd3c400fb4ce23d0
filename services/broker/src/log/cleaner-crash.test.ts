import { describe, expect, test } from 'vitest';
import { LogManager } from './log-manager.ts';
import type { PartitionLog } from './partition-log.ts';
import { compactConfig, keyedBatch, recordsIn, recordsOf, type StoredRecord } from './testing/compacted-log.ts';
import { LogWorld, readAll } from './testing/log-world.ts';

const smallSegments = { ...compactConfig, 'segment.bytes': 400 };
const largerSegments = { ...compactConfig, 'segment.bytes': 1_300 };

/** Each with other luck of the disk. */
const runsPerEvent = 2;

/** Segments that are swapped three and four at a time, for one; the recovery point is old or new. */
async function dirtyWorld(seed: string): Promise<{ world: LogWorld; log: PartitionLog; before: Buffer }> {
  const world = new LogWorld(seed, smallSegments);
  const log = await world.open();
  // What is read is what is on the disk.
  world.tailBytes = 0;
  await world.complete(log.leaderEpochs.assign(0, 0));
  for (let i = 0; i < 40; i++) {
    const records = [{ key: `k${i % 5}`, value: `${i}`.padEnd(50 + (i % 3) * 40, '.') }];
    log.appendAsLeader(keyedBatch(records, { compression: i % 2 === 0 ? 'none' : 'lz4' }), 0, 0);
  }
  await world.complete(log.flush());
  if (seed.length % 2 === 0) await world.complete(world.manager.checkpoint());
  world.config = largerSegments;
  log.updateConfig(largerSegments);
  return { world, log, before: await readAll(world, log) };
}

/** What the log holds when nothing goes wrong. */
async function cleanedContent(): Promise<Buffer> {
  const { world, log } = await dirtyWorld('reference');
  await world.complete(world.manager.compact());
  return readAll(world, log);
}

for (const how of ['power cut', 'kill', 'kill, then power cut during the recovery'] as const) {
  test(`row 61: a ${how} at every event of a cleaning leaves old or new content of every segment, never less`, async () => {
    const after = recordsIn(await cleanedContent());
    let runs = 0;
    for (let isOver = false; !isOver; runs++) {
      const events = Math.floor(runs / runsPerEvent);
      const { world, before } = await dirtyWorld(`${how}-${runs}${runs % 2 === 0 ? '-' : ''}`);
      const start = world.simulation.eventCount;
      void world.manager.compact().then(() => {
        isOver = true;
      });
      await world.simulation.runUntil(() => isOver || world.simulation.eventCount >= start + events);
      if (how === 'power cut') world.node.losePower();
      else world.node.crash();
      if (how === 'kill, then power cut during the recovery') await cutDuringRecovery(world, runs % 67);
      const again = await world.open();
      expect(again.state.kind).toBe('open');
      const all = recordsIn(before);
      expect(again.logEndOffset).toBe(all.length);
      const kept = await recordsOf(world, again);
      // Old or new, segment by segment: at least what the cleaning keeps, at most what was there.
      expectWithin(after, kept);
      expectWithin(kept, all);
      if (isOver) expect(kept).toEqual(after);
      const left = [...world.node.disk.files().keys()].filter((path) => /\.(cleaned|swap|deleted)$/.test(path));
      expect(left).toEqual([]);
      await world.complete(world.manager.compact());
      const cleanedAgain = await recordsOf(world, again);
      expectWithin(after, cleanedAgain);
      expectWithin(cleanedAgain, kept);
    }
    expect(runs).toBeGreaterThan(60 * runsPerEvent);
  }, 120_000);
}

describe('what the disk does to a swap', () => {
  /** Killed right after step 2: the swap file counts, nothing else has happened. */
  async function killedBeforeDeletion(seed: string): Promise<{ world: LogWorld; before: Buffer; swap: string }> {
    const { world, before } = await dirtyWorld(seed);
    const swapFile = (): string | undefined =>
      [...world.node.disk.files().keys()].find((path) => path.endsWith('.swap'));
    void world.manager.compact();
    await world.simulation.runUntil(() => swapFile() !== undefined);
    const swap = swapFile() as string;
    world.node.crash();
    return { world, before, swap };
  }

  test('a swap file that is damaged gives way to the old segments', async () => {
    const { world, before, swap } = await killedBeforeDeletion('flipped');
    world.node.disk.flipBit(swap, 800);
    const log = await world.open();
    expect(log.state.kind).toBe('open');
    expect((await readAll(world, log)).equals(before)).toBe(true);
  });

  test('row 57: when the old segments are gone, too, the log is damaged, not shorter', async () => {
    const { world, swap } = await killedBeforeDeletion('flipped-and-gone');
    world.node.restart();
    const { disk } = world.node.runtime;
    await world.complete(disk.remove(swap.slice(0, -'.swap'.length)));
    world.node.disk.flipBit(swap, 800);
    const log = await world.open();
    expect(log.state.kind).toBe('damaged');
    const kept = swap.slice(0, -'.swap'.length);
    expect(world.node.disk.contentOf(kept).length).toBeGreaterThan(100);
    world.node.crash();
    expect((await world.open()).state.kind).toBe('damaged');
  });

  test('row 56: a sync of the cleaner that fails ends the log until the next start, and loses nothing', async () => {
    const { world, log, before } = await dirtyWorld('failed-sync');
    world.node.disk.failSyncs('.cleaned');
    await world.complete(world.manager.compact());
    expect(log.state.kind).toBe('failed');
    expect(world.failures.length).toBe(1);
    world.node.crash();
    const again = await world.open();
    expect((await readAll(world, again)).equals(before)).toBe(true);
    await world.complete(world.manager.compact());
    expect(recordsIn(await readAll(world, again))).toEqual(recordsIn(await cleanedContent()));
  });

  test('row 21: a damaged batch is neither judged nor copied: the log says that it is damaged', async () => {
    const { world, log } = await dirtyWorld('damaged-batch');
    world.node.disk.flipBit(world.path(`${'0'.repeat(20)}.log`), 900);
    await world.complete(world.manager.compact());
    expect(log.state.kind).toBe('damaged');
    expect([...world.node.disk.files().keys()].filter((path) => /cleaned|swap/.test(path))).toEqual([]);
  });
});

function expectWithin(some: readonly StoredRecord[], all: readonly StoredRecord[]): void {
  const there = new Set(all.map((record) => JSON.stringify(record)));
  expect(some.filter((record) => !there.has(JSON.stringify(record)))).toEqual([]);
}

/** Starts, and loses power after some events of the start. */
async function cutDuringRecovery(world: LogWorld, events: number): Promise<void> {
  const start = world.simulation.eventCount + events;
  world.node.restart();
  let isOver = false;
  void LogManager.open(world.managerOptions()).then(() => {
    isOver = true;
  });
  await world.simulation.runUntil(() => isOver || world.simulation.eventCount >= start);
  world.node.losePower();
}
