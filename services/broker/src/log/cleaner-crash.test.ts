import { expect, test } from 'vitest';
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
