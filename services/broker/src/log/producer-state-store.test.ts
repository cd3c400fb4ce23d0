import { batchesOf } from '@naru/record';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import type { PartitionLog } from './partition-log.ts';
import { encodeProducerSnapshot } from './producer-snapshot.ts';
import { ProducerState } from './producer-state.ts';
import { ProducerStateStore } from './producer-state-store.ts';
import { LogWorld } from './testing/log-world.ts';
import { type ProducerBatchFields, producerBatch, producerBatches } from './testing/producer-batches.ts';

const of = (sequence: number, count = 1, producerId = 7): ProducerBatchFields => ({
  producerId,
  epoch: 0,
  sequence,
  count,
});

async function opened(seed: string): Promise<{ world: LogWorld; log: PartitionLog }> {
  const world = new LogWorld(seed);
  const log = await world.open();
  await world.complete(log.leaderEpochs.assign(0, 0));
  return { world, log };
}

/** What matters of a state: when somebody wrote last is told by the clock, not by the log. */
function told(state: ProducerState): unknown {
  return [...state.entries()].map(({ lastActiveMs: _, ...entry }) => entry).sort((a, b) => a.producerId - b.producerId);
}

function snapshots(world: LogWorld): string[] {
  return [...world.node.disk.files()].map(([path]) => path).filter((path) => path.endsWith('.snapshot'));
}

/** Enough batches for some segments. */
function fill(log: PartitionLog, from = 0, batches = 30): number {
  for (let i = 0; i < batches; i++) log.appendAsLeader(producerBatch(of(from + i * 3, 3)), 0, 0);
  return from + batches * 3;
}

describe('row 39: after a stop the producers are known as before', () => {
  test.each(['clean', 'kill', 'power'])('%s', async (how) => {
    const { world, log } = await opened(`stop-${how}`);
    fill(log);
    log.appendAsLeader(producerBatch(of(0, 5, 8)), 0, 0);
    const before = told(log.producers);
    await world.complete(log.flush());
    if (how === 'clean') await world.complete(world.manager.close(1));
    world.node.losePower(how === 'power' ? { unsynced: 'lost' } : {});
    const again = await world.open();
    expect(told(again.producers)).toEqual(before);
    expect(again.producers.judge(producerBatch(of(0, 5, 8)))).toMatchObject({ kind: 'duplicate', baseOffsets: [90] });
  });

  test('after a crash the batches that recovery reads are not read again', async () => {
    const { world, log } = await opened('once');
    fill(log);
    await world.complete(log.flush());
    fill(log, 90, 3);
    const before = told(log.producers);
    world.node.crash();
    const rebuild = vi.spyOn(ProducerStateStore.prototype, 'rebuild');
    const again = await world.open();
    expect(told(again.producers)).toEqual(before);
    expect(rebuild).not.toHaveBeenCalled();
    rebuild.mockRestore();
  });

  test('also without a readable snapshot', async () => {
    const { world, log } = await opened('unreadable');
    fill(log);
    await world.complete(log.flush());
    const before = told(log.producers);
    expect(snapshots(world).length).toBeGreaterThan(0);
    world.node.crash();
    for (const path of snapshots(world)) world.node.disk.truncateFile(path, 20);
    const again = await world.open();
    expect(told(again.producers)).toEqual(before);
    expect(snapshots(world)).toEqual([]);
  });

  test('a follower knows what its leader knows', async () => {
    const { log } = await opened('leader');
    const { world, log: follower } = await opened('follower');
    const run = producerBatches([of(0, 3), of(3, 2), of(5, 1)]);
    log.appendAsLeader(run, 0, 0);
    follower.appendAsFollower(run);
    expect(told(follower.producers)).toEqual(told(log.producers));
    world.node.crash();
    expect(told((await world.open()).producers)).toEqual(told(log.producers));
  });
});

test('a snapshot of batches that a power cut took is not believed: their successors are new', async () => {
  const { world, log } = await opened('beyond');
  fill(log, 0, 10);
  await world.complete(log.flush());
  const end = log.logEndOffset;
  world.node.crash();
  // Of a state that never was: everything up to sequence number 999 is said to be written.
  const stale = new ProducerState();
  stale.appended(producerBatch(of(0, 1_000)), 0);
  const disk = world.node.restart().disk;
  const path = world.path(`${String(end + 1).padStart(20, '0')}.snapshot`);
  await world.complete(disk.replaceFile(path, encodeProducerSnapshot(stale.entries())));
  const again = await world.open();
  expect(snapshots(world)).not.toContain(path);
  expect(again.producers.judge(producerBatch(of(30)))).toEqual({ kind: 'new' });
});

test('a cut takes the producers back to where they were', async () => {
  const { world, log } = await opened('cut');
  fill(log);
  await world.complete(log.flush());
  await world.complete(log.truncateTo(40));
  expect(log.logEndOffset).toBe(39);
  const expected = { kind: 'out-of-order-sequence' };
  expect(log.producers.judge(producerBatch(of(42)))).toEqual(expected);
  expect(log.producers.judge(producerBatch(of(39)))).toEqual({ kind: 'new' });
  expect(snapshots(world).every((path) => Number(path.slice(-29, -9)) <= 39)).toBe(true);
  world.node.losePower();
  const again = await world.open();
  expect(again.producers.judge(producerBatch(of(42)))).toEqual(expected);
  await world.complete(again.truncateFullyAndStartAt(100));
  expect(again.producers.size).toBe(0);
  expect(snapshots(world)).toEqual([]);
});

test('row 41, KAFKA-7190: retention deletes records, not what is known of their producers', async () => {
  const { world, log } = await opened('retention');
  const next = fill(log);
  await world.complete(log.flush());
  log.updateConfig({ ...log.config, 'retention.ms': 1 });
  await world.complete(log.applyRetention(10_000, log.logEndOffset));
  expect(log.logStartOffset).toBe(log.logEndOffset);
  expect(snapshots(world).length).toBe(1);
  world.node.losePower({ unsynced: 'lost' });
  const again = await world.open();
  expect(again.producers.judge(producerBatch(of(next - 3, 3)))).toMatchObject({ kind: 'duplicate', baseOffsets: [87] });
  expect(again.producers.judge(producerBatch(of(next)))).toEqual({ kind: 'new' });
});

test('producer.id.expiration.ms: silent producers expire with the retention check', async () => {
  const { world, log } = await opened('expiry');
  fill(log, 0, 1);
  await world.simulation.runFor(86_400_000);
  await world.complete(world.manager.applyRetention());
  expect(log.producers.judge(producerBatch(of(0, 3)))).toMatchObject({ baseOffsets: [-1] });
});

const operation = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      producerId: fc.integer({ min: 0, max: 3 }),
      counts: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('flush' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom('truncate' as const, 'delete' as const),
      part: fc.double({ min: 0, max: 1, noNaN: true }),
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

/** The state that reading every batch from the beginning gives. */
function replayed(batches: readonly Uint8Array[]): ProducerState {
  const state = new ProducerState();
  for (const bytes of batches) state.appended(bytes, 0);
  return state;
}

test('C4: after stops, cuts and deletions of every kind the state is that of a replay of all batches', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), fc.array(operation, { minLength: 5, maxLength: 40 }), async (seed, operations) => {
      const { world, log: first } = await opened(String(seed));
      let log = first;
      let epoch = 0;
      let batches: Uint8Array[] = [];
      const keep = (end: number): void => {
        batches = batches.filter((bytes) => (batchesOf(bytes).next().value?.header.lastOffset ?? 0) < end);
      };
      for (const step of operations) {
        switch (step.kind) {
          case 'append': {
            const { producerId, counts } = step;
            let sequence = 0;
            for (const entry of log.producers.entries())
              if (entry.producerId === producerId) sequence = entry.lastSequence + 1;
            const fields = counts.map((count) => {
              const each = of(sequence, count, producerId);
              sequence += count;
              return each;
            });
            const records = producerBatches(fields);
            expect(log.producers.judge(records)).toEqual({ kind: 'new' });
            log.appendAsLeader(records, epoch, 0);
            for (const { bytes } of batchesOf(records)) batches.push(bytes);
            break;
          }
          case 'flush':
            await world.complete(log.flush());
            break;
          case 'truncate': {
            const { logStartOffset, logEndOffset } = log;
            const to = logStartOffset + Math.floor((logEndOffset - logStartOffset) * step.part);
            await world.complete(log.truncateTo(to));
            // A cut that falls before the log start leaves nothing, and nothing known.
            if (log.logEndOffset === log.logStartOffset && log.logEndOffset < logEndOffset && log.producers.size === 0)
              batches = [];
            keep(log.logEndOffset);
            epoch++;
            await world.complete(log.leaderEpochs.assign(epoch, log.logEndOffset));
            break;
          }
          case 'delete':
            await world.complete(log.flush());
            await world.complete(log.deleteRecordsBefore(Math.floor(log.logEndOffset * step.part)));
            break;
          case 'stop':
            if (step.how === 'clean') await world.complete(world.manager.close(1));
            if (step.how === 'power') world.node.losePower();
            else world.node.crash();
            log = await world.open();
            if (log.state.kind === 'damaged') await world.complete(log.truncateTo(log.logEndOffset));
            keep(log.logEndOffset);
            epoch++;
            await world.complete(log.leaderEpochs.assign(epoch, log.logEndOffset));
            break;
        }
        expect(told(log.producers)).toEqual(told(replayed(batches)));
      }
      world.node.crash();
    }),
    { numRuns: 100 },
  );
});
