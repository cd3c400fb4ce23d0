import { batchesOf, validateBatch } from '@naru/record';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatCheckpoint } from './checkpoint-file.ts';
import type { PartitionLog } from './partition-log.ts';
import { batch, dataDirectory, LogWorld, readAll, topicId } from './testing/log-world.ts';

/** A world whose log has `batches` batches of three records in epoch 0, all flushed. */
async function flushedWorld(seed: string, batches: number) {
  const world = new LogWorld(seed);
  const log = await world.open();
  await world.complete(log.leaderEpochs.assign(0, 0));
  for (let i = 0; i < batches; i++) log.appendAsLeader(batch(3), 0, 0);
  await world.complete(log.flush());
  return { world, log };
}

/** The last segment's file and size. */
function lastSegment(world: LogWorld): { path: string; size: number } {
  const [path, size] = [...world.node.disk.files()].filter(([name]) => name.endsWith('.log')).at(-1) as [
    string,
    number,
  ];
  return { path, size };
}

describe('after kill -9', () => {
  test("what a failed sync left in the page cache alone is written once more before it counts as durable (row 56, ATC '20)", async () => {
    const world = new LogWorld('clean pages that are on no disk');
    let log = await world.open();
    await world.complete(log.assignEpoch(0, 0));
    log.appendAsLeader(batch(3), 0, 0);
    world.node.disk.failSyncs('.log', 1);
    await expect(world.complete(log.flush())).rejects.toMatchObject({ code: 'failed' });
    world.node.crash();
    log = await world.open();
    expect(log.flushedOffset).toBe(3);
    world.node.losePower({ unsynced: 'lost' });
    expect((await world.open()).logEndOffset).toBe(3);
  });

  test('the log is what it was, and durable before it is used', async () => {
    const { world, log } = await flushedWorld('kill', 20);
    log.appendAsLeader(batch(2), 0, 0);
    const before = await readAll(world, log);
    world.node.crash();
    const again = await world.open();
    expect((await readAll(world, again)).equals(before)).toBe(true);
    // Row 60: what was read from the page cache was synced before it counts as flushed.
    expect(again.flushedOffset).toBe(again.logEndOffset);
    world.node.losePower({ unsynced: 'lost' });
    const third = await world.open();
    expect((await readAll(world, third)).equals(before)).toBe(true);
  });
});

describe('row 57', () => {
  test('a last batch that ends at any byte is a torn tail and is cut', async () => {
    for (let missing = 1; missing < 200; missing += 13) {
      const { world, log } = await flushedWorld(`torn-${missing}`, 10);
      const before = await readAll(world, log);
      const { path, size } = lastSegment(world);
      world.node.crash();
      world.node.disk.truncateFile(path, size - missing);
      const again = await world.open();
      expect([again.state.kind, again.logEndOffset]).toEqual(['open', 27]);
      expect(before.subarray(0, again.sizeBytes).equals(await readAll(world, again))).toBe(true);
    }
  });

  test('zeros after the last batch are a torn tail (row 61)', async () => {
    const { world, log } = await flushedWorld('zeros', 10);
    const { path, size } = lastSegment(world);
    const file = await world.complete(world.node.runtime.disk.open(path));
    file.truncate(size + 700);
    world.node.crash();
    const again = await world.open();
    expect([again.state.kind, again.logEndOffset]).toEqual(['open', log.logEndOffset]);
    expect(world.node.disk.files().get(path)).toBe(size);
  });

  test('a bad batch with valid ones after it is damage: nothing is cut, nothing bad is served', async () => {
    const { world } = await flushedWorld('middle', 30);
    const files = world.node.disk.files();
    world.node.crash();
    world.node.disk.flipBit(world.path('00000000000000000000.log'), 8 * 400);
    const again = await world.open();
    expect(again.damage).toMatchObject({ offset: 3, reason: expect.stringContaining('valid batches follow') });
    expect([again.logEndOffset, again.flushedOffset]).toEqual([3, 3]);
    const intact = { endOffset: 3, leaderEpoch: 0, beyondRecoveryPoint: true };
    expect(world.manager.damaged).toEqual(new Map([[`${topicId}:0`, intact]]));
    for (const [path, size] of files) if (path.endsWith('.log')) expect(world.node.disk.files().get(path)).toBe(size);
    expect(() => again.appendAsLeader(batch(1), 0, 0)).toThrow(expect.objectContaining({ code: 'damaged' }));
  });

  test('damage stays known over clean and unclean stops until a cut repairs it', async () => {
    const { world } = await flushedWorld('known', 30);
    world.node.crash();
    world.node.disk.flipBit(world.path('00000000000000000000.log'), 8 * 400);
    await world.open();
    await world.complete(world.manager.close(5));
    expect((await world.open()).damage).toMatchObject({ offset: 3 });
    expect(world.manager.cleanShutdownEpoch).toBeUndefined();
    world.node.crash();
    const damaged = await world.open();
    expect(damaged.damage).toMatchObject({ offset: 3 });
    await world.complete(damaged.truncateTo(damaged.logEndOffset));
    expect(damaged.state.kind).toBe('open');
    damaged.appendAsLeader(batch(3), 0, 0);
    await world.complete(damaged.flush());
    world.node.losePower();
    const repaired = await world.open();
    expect([repaired.state.kind, repaired.logEndOffset]).toEqual(['open', 6]);
  });

  test('damage in the synced part is told from damage beyond the recovery point, and stays so through crashes', async () => {
    const { world, log } = await flushedWorld('where', 10);
    await world.complete(world.manager.checkpoint());
    for (let i = 0; i < 10; i++) log.appendAsLeader(batch(3), 0, 0);
    world.node.losePower({ unsynced: 'kept' });
    const segments = [...world.node.disk.files().keys()].filter((name) => name.endsWith('.log'));
    const flip = (index: number) => world.node.disk.flipBit(segments.at(index) as string, 8 * 1_000);
    const where = async () => (await world.open()).damage?.beyondRecoveryPoint;
    // A hole in what was never synced.
    flip(-2);
    expect(await where()).toBe(true);
    await world.complete(world.manager.checkpoint());
    world.node.losePower({ unsynced: 'lost' });
    expect(await where(), 'the mark says what it was').toBe(true);
    world.node.crash();
    flip(0);
    expect(await where()).toBeUndefined();
    world.node.crash();
    flip(0);
    expect(await where(), 'what was found once is not forgotten').toBeUndefined();
  });

  test('without a readable recovery point no damage is taken for unsynced writes', async () => {
    const { world } = await flushedWorld('no recovery point', 10);
    await world.complete(world.manager.checkpoint());
    world.node.crash();
    world.node.disk.truncateFile(`${dataDirectory}/recovery-point-offset-checkpoint`, 3);
    world.node.disk.flipBit(world.path('00000000000000000000.log'), 8 * 400);
    const again = await world.open();
    expect([again.damage?.offset, again.damage?.beyondRecoveryPoint]).toEqual([3, undefined]);
  });

  test('a bad last batch below the recovery point is damage, not a torn tail', async () => {
    const { world, log } = await flushedWorld('below', 10);
    await world.complete(world.manager.checkpoint());
    const { path, size } = lastSegment(world);
    world.node.crash();
    world.node.disk.truncateFile(path, size - 5);
    const again = await world.open();
    expect(again.damage).toMatchObject({ offset: 27, reason: expect.stringContaining('below the recovery point') });
    expect(world.node.disk.files().get(path)).toBe(size - 5);
    expect(log.logEndOffset).toBe(30);
  });

  test('a log that ends below its recovery point is damaged, also when all files are gone', async () => {
    const { world } = await flushedWorld('gone', 4);
    await world.complete(world.manager.checkpoint());
    const { path } = lastSegment(world);
    world.node.crash();
    const disk = world.node.restart().disk;
    await world.complete(disk.remove(path));
    const again = await world.open();
    expect(again.damage).toMatchObject({ offset: 0, reason: expect.stringContaining('below the recovery point 12') });
  });

  test('a hole between segments is damage', async () => {
    const { world } = await flushedWorld('hole', 30);
    const paths = [...world.node.disk.files().keys()].filter((name) => name.endsWith('.log'));
    expect(paths.length).toBeGreaterThan(2);
    world.node.crash();
    await world.complete(world.node.restart().disk.remove(paths[1] as string));
    const again = await world.open();
    expect(again.state.kind).toBe('damaged');
    expect(again.logEndOffset).toBe(24);
  });
});

describe('what can be built again', () => {
  test('L8: missing, truncated and senseless indexes are rebuilt from the batches', async () => {
    const { world, log } = await flushedWorld('indexes', 60);
    const before = await readAll(world, log);
    await world.complete(world.manager.close(1));
    const disk = world.node.runtime.disk;
    const indexes = [...world.node.disk.files().keys()].filter((name) => name.endsWith('index'));
    expect(indexes.length).toBeGreaterThan(6);
    for (const [i, path] of indexes.entries()) {
      if (i % 3 === 0) await world.complete(disk.remove(path));
      if (i % 3 === 1) world.node.disk.truncateFile(path, 5);
      if (i % 3 === 2) for (let bit = 3; bit < 90; bit += 17) world.node.disk.flipBit(path, bit);
    }
    const again = await world.open();
    expect(again.logEndOffset).toBe(log.logEndOffset);
    expect((await readAll(world, again)).equals(before)).toBe(true);
    expect(again.state.kind).toBe('open');
  });

  test('row 62: a lost or unreadable epoch checkpoint is rebuilt from the batches', async () => {
    for (const loss of ['removed', 'garbled'] as const) {
      const { world, log } = await flushedWorld(`epochs-${loss}`, 20);
      await world.complete(log.leaderEpochs.assign(5, 60));
      log.appendAsLeader(batch(3), 5, 0);
      await world.complete(log.flush());
      await world.complete(world.manager.checkpoint());
      world.node.crash();
      const disk = world.node.restart().disk;
      const path = world.path('leader-epoch-checkpoint');
      await world.complete(loss === 'removed' ? disk.remove(path) : disk.replaceFile(path, Buffer.from('0\n9\nx')));
      const again = await world.open();
      expect(again.leaderEpochs.entries).toEqual([
        { epoch: 0, startOffset: 0 },
        { epoch: 5, startOffset: 60 },
      ]);
    }
  });

  test('row 62: an assigned epoch survives a power loss although nothing was appended in it', async () => {
    const { world, log } = await flushedWorld('assigned', 2);
    await world.complete(log.leaderEpochs.assign(8, 6));
    world.node.losePower({ unsynced: 'lost' });
    expect((await world.open()).leaderEpochs.entries.at(-1)).toEqual({ epoch: 8, startOffset: 6 });
  });
});

test('row 62: epochs that a follower met in batches are as durable as the batches', async () => {
  const world = new LogWorld('follower-epochs');
  await world.start();
  const leader = await world.log('leader', 'BBBBBBBBBBBBBBBBBBBBBB');
  const log = await world.log();
  await world.complete(log.leaderEpochs.assign(1, 0));
  for (const epoch of [2, 5, 6]) {
    await world.complete(leader.leaderEpochs.assign(epoch, leader.logEndOffset));
    for (let i = 0; i < 12; i++) leader.appendAsLeader(batch(3), epoch, 0);
  }
  log.appendAsFollower(await readAll(world, leader));
  log.appendAsFollower(await followUp(world, leader));
  await world.complete(log.flush());
  await world.complete(world.manager.checkpoint());
  const { entries } = log.leaderEpochs;
  expect(entries.map(({ epoch }) => epoch)).toEqual([2, 5, 6, 7]);
  world.node.losePower({ unsynced: 'lost' });
  expect((await world.open()).leaderEpochs.entries).toEqual(entries);
});

async function followUp(world: LogWorld, leader: PartitionLog): Promise<Uint8Array> {
  const from = leader.logEndOffset;
  await world.complete(leader.leaderEpochs.assign(7, from));
  leader.appendAsLeader(batch(3), 7, 0);
  return readAll(world, leader, from);
}

describe('power loss at every event', () => {
  /** A life of the log with every kind of change; `acked` is what was promised as durable, `floor` what a cut left of it. */
  async function life(
    log: PartitionLog,
    promises: { acked: number; history: Uint8Array[] },
    world: LogWorld,
  ): Promise<void> {
    const append = (epoch: number, count: number): void => {
      const bytes = batch(count);
      log.appendAsLeader(bytes, epoch, 0);
      promises.history.push(bytes);
    };
    const flush = async (): Promise<void> => {
      await log.flush();
      promises.acked = log.flushedOffset;
    };
    await log.leaderEpochs.assign(1, log.logEndOffset);
    for (let i = 0; i < 12; i++) {
      append(1, 3);
      if (i % 2) await flush();
    }
    await world.manager.checkpoint();
    promises.acked = Math.min(promises.acked, 12);
    await log.truncateTo(12);
    promises.history.length = 4;
    await log.leaderEpochs.assign(2, log.logEndOffset);
    for (let i = 0; i < 10; i++) {
      append(2, 4);
      const flushed = flush();
      append(2, 1);
      await flushed;
    }
    await log.deleteRecordsBefore(30);
    await flush();
    await world.manager.checkpoint();
  }

  test('whatever was promised is there, nothing bad is served, and the log goes on', async () => {
    let outcomes = { open: 0, damaged: 0 };
    for (let stopAt = 1; stopAt < 300; stopAt++) {
      const world = new LogWorld(`power-${stopAt}`);
      const log = await world.open();
      const promises = { acked: 0, history: [] as Uint8Array[] };
      const start = world.simulation.eventCount;
      let isOver = false;
      void life(log, promises, world).then(() => {
        isOver = true;
      });
      await world.simulation.runUntil(() => isOver || world.simulation.eventCount >= start + (stopAt % 100));
      world.node.losePower();
      const again = await world.open();
      expect(again.logEndOffset, `seed ${stopAt}`).toBeGreaterThanOrEqual(promises.acked);
      const served = await readAll(world, again);
      expectPrefix(served, Buffer.concat(promises.history), `seed ${stopAt}`);
      outcomes = { ...outcomes, [again.state.kind]: outcomes[again.state.kind as 'open'] + 1 };
      if (again.state.kind === 'damaged') await world.complete(again.truncateTo(again.logEndOffset));
      await world.complete(again.leaderEpochs.assign(99, again.logEndOffset));
      again.appendAsLeader(batch(2), 99, 0);
      await world.complete(again.flush());
      world.node.losePower();
      const third = await world.open();
      expect([third.state.kind, third.logEndOffset], `seed ${stopAt}`).toEqual(['open', again.logEndOffset]);
    }
    expect(outcomes.open).toBeGreaterThan(200);
    expect(outcomes.damaged).toBeGreaterThan(0);
  }, 60_000);
});

/** `served` continues `history` from some batch on, whole batches only, and every CRC is right (L4). */
function expectPrefix(served: Buffer, history: Buffer, message: string): void {
  let at = 0;
  for (const { header, bytes, position } of batchesOf(served)) {
    expect(validateBatch(served, position, { maxBatchBytes: 1e6, source: 'log' }).kind, message).toBe('valid');
    const found = history.indexOf(bytes);
    expect(found, `${message}: the batch at ${header.baseOffset} was never appended`).toBeGreaterThanOrEqual(at);
    at = found;
  }
}

describe('random lives', () => {
  const operation = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('append' as const),
        counts: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 }),
      }),
    },
    { weight: 3, arbitrary: fc.constant({ kind: 'flush' as const }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('truncate' as const),
        part: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('delete' as const), part: fc.double({ min: 0, max: 1, noNaN: true }) }),
    },
    { weight: 1, arbitrary: fc.constant({ kind: 'checkpoint' as const }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('start over' as const), skip: fc.integer({ min: -60, max: 50 }) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('full' as const), room: fc.nat(400) }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'broken sync' as const }) },
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant('read' as const),
        part: fc.double({ min: 0, max: 1, noNaN: true }),
        maxBytes: fc.nat(3_000),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('stop' as const),
        how: fc.constantFrom('clean' as const, 'kill' as const, 'power' as const),
      }),
    },
  );

  test('the log serves what a plain list of batches would, through stops of every kind', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.array(operation, { minLength: 5, maxLength: 40 }), async (seed, operations) => {
        const world = new LogWorld(seed);
        world.tailBytes = [0, 1_000, 1_000_000][Math.abs(seed) % 3] as number;
        let log = await world.open();
        let model: { base: number; last: number; bytes: Uint8Array }[] = [];
        let epoch = 0;
        let start = 0;
        let durable = 0;
        await world.complete(log.leaderEpochs.assign(epoch, 0));
        const beginEpoch = async (): Promise<void> => {
          epoch++;
          await world.complete(log.leaderEpochs.assign(epoch, log.logEndOffset));
        };
        /** What was flushed is there; of the rest an intact part. */
        const losePower = async (): Promise<void> => {
          world.node.losePower();
          log = await world.open();
          expect(log.logEndOffset).toBeGreaterThanOrEqual(durable);
          model = model.filter((entry) => entry.last < log.logEndOffset);
          if (log.state.kind !== 'damaged') return;
          await world.complete(log.truncateTo(log.logEndOffset));
          // A hole in what was never synced, below the log start offset: the log ends before it.
          start = Math.min(start, log.logEndOffset);
        };
        for (const operation of operations) {
          switch (operation.kind) {
            case 'append': {
              const run = operation.counts.map((count) => batch(count));
              const bytes = Buffer.concat(run);
              log.appendAsLeader(bytes, epoch, 0);
              for (const view of batchesOf(bytes))
                model.push({ base: view.header.baseOffset, last: view.header.lastOffset, bytes: view.bytes });
              break;
            }
            case 'full': {
              world.node.disk.fillUpAfter(operation.room);
              const bytes = Buffer.concat([batch(1), batch(1)]);
              try {
                log.appendAsLeader(bytes, epoch, 0);
                for (const { header, bytes: whole } of batchesOf(bytes))
                  model.push({ base: header.baseOffset, last: header.lastOffset, bytes: whole });
              } catch (error) {
                expect(error).toMatchObject({ code: 'full' });
              }
              world.node.disk.fillUpAfter(Number.POSITIVE_INFINITY);
              break;
            }
            case 'broken sync': {
              world.node.disk.failSyncs('.log', 1);
              const bytes = batch(1);
              const { baseOffset, lastOffset } = log.appendAsLeader(bytes, epoch, 0);
              model.push({ base: baseOffset, last: lastOffset, bytes });
              await expect(world.complete(log.flush())).rejects.toMatchObject({ code: 'failed' });
              await losePower();
              durable = log.logEndOffset;
              await beginEpoch();
              break;
            }
            case 'read': {
              const offset = start + Math.floor((log.logEndOffset - start) * operation.part);
              const result = await world.complete(log.read(offset, operation.maxBytes, log.logEndOffset));
              if (result.kind !== 'batches') throw new Error(result.kind);
              const holding = model.findIndex((entry) => entry.last >= offset);
              const served = Buffer.concat(result.records);
              const expected = holding < 0 ? [] : model.slice(holding).map((entry) => entry.bytes);
              expect(Buffer.concat(expected).subarray(0, served.length).equals(served)).toBe(true);
              expect(served.length > 0).toBe(holding >= 0);
              break;
            }
            case 'flush':
              await world.complete(log.flush());
              durable = log.logEndOffset;
              break;
            case 'truncate': {
              const offset = start + Math.floor((log.logEndOffset - start) * operation.part);
              await world.complete(log.truncateTo(offset));
              model = model.filter((entry) => entry.last >= start && entry.last < offset);
              durable = Math.min(durable, log.logEndOffset);
              await beginEpoch();
              break;
            }
            case 'delete': {
              const offset = start + Math.floor((log.logEndOffset - start) * operation.part);
              await world.complete(log.deleteRecordsBefore(offset));
              start = Math.max(start, offset);
              break;
            }
            case 'checkpoint':
              await world.complete(world.manager.checkpoint());
              durable = log.logEndOffset;
              break;
            case 'start over':
              start = Math.max(0, log.logEndOffset + operation.skip);
              await world.complete(log.truncateFullyAndStartAt(start));
              model = [];
              durable = start;
              await beginEpoch();
              break;
            case 'stop': {
              if (operation.how === 'clean') await world.complete(world.manager.close(1));
              if (operation.how === 'power') await losePower();
              else {
                world.node.crash();
                log = await world.open();
              }
              durable = log.logEndOffset;
              await beginEpoch();
              break;
            }
          }
          model = model.filter((entry) => entry.last >= start);
          expect(log.logStartOffset).toBe(start);
          expect(log.logEndOffset).toBe(model.length === 0 ? log.logEndOffset : (model.at(-1)?.last as number) + 1);
          expect(log.flushedOffset).toBeLessThanOrEqual(log.logEndOffset);
        }
        const expected = Buffer.concat(model.filter((entry) => entry.last >= start).map((entry) => entry.bytes));
        expect((await readAll(world, log)).equals(expected)).toBe(true);
        expectEpochsMatch(log, await readAll(world, log));
      }),
      { numRuns: 100 },
    );
  }, 120_000);
});

/** L2: the epoch vector is what a scan of the headers says, plus an epoch that was assigned at the end. */
function expectEpochsMatch(log: PartitionLog, bytes: Buffer): void {
  for (const { header } of batchesOf(bytes)) {
    expect(log.leaderEpochs.epochOf(Math.max(header.baseOffset, log.logStartOffset))).toBe(header.partitionLeaderEpoch);
  }
  const starts = log.leaderEpochs.entries.map((entry) => entry.startOffset);
  expect(starts).toEqual([...new Set(starts)].sort((a, b) => a - b));
}

test('a recovery point of an earlier partition of the same name does not make a new one look damaged', async () => {
  const { world } = await flushedWorld('recreated', 10);
  await world.complete(world.manager.checkpoint());
  await world.complete(world.manager.delete(topicId, 0));
  const log = await world.log('topic', 'CCCCCCCCCCCCCCCCCCCCCC');
  await world.complete(log.leaderEpochs.assign(0, 0));
  log.appendAsLeader(batch(1), 0, 0);
  await world.complete(log.flush());
  world.node.losePower();
  await world.start();
  expect((await world.log('topic', 'CCCCCCCCCCCCCCCCCCCCCC')).state.kind).toBe('open');
});

test("checkpoint files have Kafka's text format", async () => {
  const { world } = await flushedWorld('format', 2);
  await world.complete(world.manager.checkpoint());
  const text = (path: string) => Buffer.from(world.node.disk.contentOf(path)).toString();
  expect(text(`${dataDirectory}/recovery-point-offset-checkpoint`)).toBe('0\n1\ntopic 0 6\n');
  expect(text(`${dataDirectory}/replication-offset-checkpoint`)).toBe('0\n1\ntopic 0 6\n');
  expect(text(world.path('leader-epoch-checkpoint'))).toBe('0\n1\n0 0\n');
  expect(text(world.path('partition.metadata'))).toBe(`version: 0\ntopic_id: ${topicId}\n`);
  expect(Buffer.from(formatCheckpoint([])).toString()).toBe('0\n0\n');
});
