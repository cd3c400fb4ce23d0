import { compressions, readBatchHeader } from '@naru/record';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { PartitionLog } from './partition-log.ts';
import { logSuffix } from './segment.ts';
import {
  batchesIn,
  compactConfig,
  type KeyedRecord,
  keyedBatch,
  recordsOf,
  type StoredRecord,
  tableOf,
} from './testing/compacted-log.ts';
import { batch, dataDirectory, LogWorld, readAll } from './testing/log-world.ts';

async function openLeader(world: LogWorld): Promise<PartitionLog> {
  // What is read is what is on the disk.
  world.tailBytes = 0;
  const log = await world.open();
  await world.complete(log.leaderEpochs.assign(0, 0));
  return log;
}

function append(log: PartitionLog, records: readonly KeyedRecord[], compression = compressions[0] as 'none'): void {
  log.appendAsLeader(keyedBatch(records, { compression }), log.latestEpoch, 0);
}

/** `count` records over `keys` keys, in small batches over several segments, and durable. */
async function fill(world: LogWorld, log: PartitionLog, count: number, keys: number): Promise<void> {
  for (let i = 0; i < count; i += 2) {
    append(
      log,
      [0, 1].map((more) => ({ key: `k${(i + more) % keys}`, value: `${i + more}`.padEnd(40, '.') })),
    );
  }
  await world.complete(log.flush());
}

/** Rolls, so that everything that was appended can be cleaned, and cleans. */
async function cleanAll(world: LogWorld, log: PartitionLog): Promise<void> {
  await world.simulation.runFor(10);
  log.updateConfig({ ...log.config, 'segment.ms': 1 });
  await world.complete(world.manager.compact());
}

function logFiles(world: LogWorld, suffix = logSuffix): string[] {
  return [...world.node.disk.files().keys()].filter((path) => path.endsWith(suffix));
}

describe('L9', () => {
  test('the last record of every key stays at its offset; closed segments become one', async () => {
    const world = new LogWorld('l9', compactConfig);
    const log = await openLeader(world);
    await fill(world, log, 200, 5);
    const before = await recordsOf(world, log);
    const segmentsBefore = log.segmentsCount;
    await cleanAll(world, log);
    const after = await recordsOf(world, log);
    expect(after).toEqual(before.slice(-5));
    append(log, [{ key: 'k0', value: 'again' }]);
    await cleanAll(world, log);
    expect(log.segmentsCount).toBeLessThan(segmentsBefore / 2);
    expect([log.logStartOffset, log.logEndOffset]).toEqual([0, 201]);
    const path = `${dataDirectory}/cleaner-offset-checkpoint`;
    expect(Buffer.from(world.node.disk.contentOf(path)).toString()).toBe('0\n1\ntopic 0 201\n');
  });

  test('row 48: nothing at or above the high watermark is touched, nor the segment that is appended to', async () => {
    const world = new LogWorld('bounds', compactConfig);
    const log = await openLeader(world);
    await fill(world, log, 200, 1);
    const before = await recordsOf(world, log);
    world.highWatermark = 100;
    await world.complete(world.manager.compact());
    const after = await recordsOf(world, log);
    expect(after.filter((record) => record.offset >= 100)).toEqual(before.slice(100));
    expect(after.length).toBeLessThan(before.length - 50);
    world.highWatermark = undefined;
    await world.complete(world.manager.compact());
    const activeBase = Number(
      logFiles(world)
        .at(-1)
        ?.match(/(\d{20})\.log/)?.[1],
    );
    const last = await recordsOf(world, log);
    expect(last.filter((record) => record.offset >= activeBase)).toEqual(before.slice(activeBase));
    expect(last.filter((record) => record.offset < activeBase).length).toBe(1);
  });

  test('a map that holds a few keys cleans the same in several passes', async () => {
    const world = new LogWorld('small-map', compactConfig);
    world.cleaner = { ...world.cleaner, dedupeBufferBytes: 1 };
    const log = await openLeader(world);
    await fill(world, log, 300, 60);
    const before = await recordsOf(world, log);
    await cleanAll(world, log);
    expect(world.manager.cleanerCounts?.passes).toBeGreaterThan(4);
    expect(tableOf(await recordsOf(world, log))).toEqual(tableOf(before));
    // What the passes saw only one side of is left to the next ones; what a pass knew is gone.
    expect((await recordsOf(world, log)).length).toBeLessThan(before.length);
  });

  test('min.compaction.lag.ms: what is young stays; max.compaction.lag.ms: what is old goes whatever the ratio', async () => {
    const world = new LogWorld('lag', { ...compactConfig, 'min.cleanable.dirty.ratio': 1 });
    const log = await openLeader(world);
    await world.simulation.runFor(10_000);
    const nowMs = world.node.runtime.clock.wallMs();
    for (let i = 0; i < 60; i++) append(log, [{ key: 'k', value: `${i}`.padEnd(60), timestampMs: nowMs - 5_000 }]);
    await world.complete(log.flush());
    await world.complete(world.manager.compact());
    expect((await recordsOf(world, log)).length).toBe(60);
    const lag = { ...log.config, 'max.compaction.lag.ms': 1_000 };
    log.updateConfig({ ...lag, 'min.compaction.lag.ms': 1e9 });
    await world.complete(world.manager.compact());
    expect((await recordsOf(world, log)).length).toBe(60);
    log.updateConfig(lag);
    await world.complete(world.manager.compact());
    expect((await recordsOf(world, log)).length).toBeLessThan(30);
  });

  test('tombstones stay for delete.retention.ms after their first cleaning, then go', async () => {
    const world = new LogWorld('tombstones', compactConfig);
    const log = await openLeader(world);
    append(log, [
      { key: 'gone', value: 'x' },
      { key: 'here', value: 'y' },
    ]);
    append(log, [{ key: 'gone', value: null }]);
    await cleanAll(world, log);
    expect((await recordsOf(world, log)).map(({ offset }) => offset)).toEqual([1, 2]);
    append(log, [{ key: 'other', value: 'z' }]);
    await cleanAll(world, log);
    expect((await recordsOf(world, log)).map(({ offset }) => offset)).toEqual([1, 2, 3]);
    await world.simulation.runFor(2_000);
    append(log, [{ key: 'last', value: 'z' }]);
    await cleanAll(world, log);
    expect((await recordsOf(world, log)).map(({ offset }) => offset)).toEqual([1, 3, 4]);
  });

  test('policy delete is not compacted, policy compact is not deleted, both are', async () => {
    for (const policy of [['delete'], ['compact'], ['compact', 'delete']] as const) {
      const world = new LogWorld('policies', { ...compactConfig, 'cleanup.policy': policy, 'retention.ms': 5_000 });
      const log = await openLeader(world);
      await fill(world, log, 100, 2);
      await world.complete(world.manager.compact());
      const isCompacted = (await recordsOf(world, log)).length < 100;
      expect(isCompacted).toBe((policy as readonly string[]).includes('compact'));
      await world.complete(log.applyRetention(world.node.runtime.clock.wallMs() + 1e9, log.logEndOffset));
      expect(log.logStartOffset > 0).toBe((policy as readonly string[]).includes('delete'));
    }
  });
});

const someRecord = fc.record({
  key: fc.nat(7).map((number) => `k${number}`),
  value: fc.oneof({ weight: 4, arbitrary: fc.string({ maxLength: 40 }) }, { weight: 1, arbitrary: fc.constant(null) }),
  timestampMs: fc.integer({ min: 0, max: 100_000 }),
  headers: fc.constantFrom([], [['h', Buffer.from('1')] as const], [['empty', null] as const]),
});
const operation = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      records: fc.array(someRecord, { minLength: 1, maxLength: 5 }),
      compression: fc.constantFrom(...compressions),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('clean' as const), part: fc.double({ min: 0, max: 1, noNaN: true }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 3_000 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('epoch' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('stop' as const), how: fc.constantFrom('clean', 'crash', 'power') }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose epochs' as const) }) },
);

describe('against a naive model', () => {
  test('L1, L2, L8, L9: whatever is appended, cleaned, waited for and crashed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 60 }), fc.nat(), async (operations, seed) => {
        const world = new LogWorld(seed, compactConfig);
        world.cleaner = { ...world.cleaner, dedupeBufferBytes: seed % 3 === 0 ? 1 : 100_000 };
        let log = await openLeader(world);
        const all: StoredRecord[] = [];
        let cleanTo = 0;
        for (const step of operations) {
          switch (step.kind) {
            case 'append': {
              const { baseOffset } = log.appendAsLeader(keyedBatch(step.records, step), log.latestEpoch, 0);
              all.push(...step.records.map((record, i) => ({ ...record, offset: baseOffset + i })));
              break;
            }
            case 'clean':
              await world.complete(log.flush());
              world.highWatermark = Math.floor(log.logEndOffset * step.part);
              await cleanAll(world, log);
              log.updateConfig(compactConfig);
              cleanTo = Math.max(cleanTo, world.highWatermark);
              break;
            case 'wait':
              await world.simulation.runFor(step.ms);
              break;
            case 'epoch':
              await world.complete(log.leaderEpochs.assign(log.latestEpoch + 1, log.logEndOffset));
              break;
            case 'lose epochs':
            case 'stop': {
              await world.complete(log.flush());
              const how = step.kind === 'stop' ? step.how : 'crash';
              if (how === 'clean') await world.complete(world.manager.close(1));
              if (how === 'power') world.node.losePower();
              else world.node.crash();
              if (step.kind === 'lose epochs') world.node.disk.truncateFile(world.path('leader-epoch-checkpoint'), 0);
              log = await world.open();
              await world.complete(log.leaderEpochs.assign(log.latestEpoch + 1, log.logEndOffset));
              break;
            }
          }
          expect(log.state.kind).toBe('open');
        }
        await expectCleaned(world, log, all, cleanTo);
      }),
      { numRuns: 60 },
    );
  }, 120_000);
});

/** L9: nothing is invented, renumbered or changed; above the clean point nothing is missing; what a reader from the start ends with is the same. */
async function expectCleaned(
  world: LogWorld,
  log: PartitionLog,
  all: readonly StoredRecord[],
  cleanTo: number,
): Promise<void> {
  const bytes = await readAll(world, log);
  const kept = await recordsOf(world, log);
  const byOffset = new Map(all.map((record) => [record.offset, record]));
  for (const record of kept) expect(record).toEqual(byOffset.get(record.offset));
  expect(kept.filter(({ offset }) => offset >= cleanTo)).toEqual(all.filter(({ offset }) => offset >= cleanTo));
  expect(tableOf(kept)).toEqual(tableOf(all));
  const isThere = new Set(kept.map(({ offset }) => offset));
  const last = new Map(all.map((record) => [record.key, record]));
  for (const record of last.values()) if (record.value !== null) expect(isThere.has(record.offset)).toBe(true);
  // L1, L2
  let [nextOffset, epoch] = [0, -1];
  for (const header of batchesIn(bytes).map((each) => readBatchHeader(each))) {
    expect(header.baseOffset).toBeGreaterThanOrEqual(nextOffset);
    if (header.partitionLeaderEpoch > epoch) {
      epoch = header.partitionLeaderEpoch;
      expect(log.leaderEpochs.entries).toContainEqual({ epoch, startOffset: header.baseOffset });
    }
    expect(log.leaderEpochs.epochOf(header.baseOffset)).toBe(header.partitionLeaderEpoch);
    nextOffset = header.lastOffset + 1;
  }
  await expectScans(world, log, bytes, kept);
}

/** L8: from every offset the log serves what a scan of all of it finds, and so for times. */
async function expectScans(
  world: LogWorld,
  log: PartitionLog,
  bytes: Uint8Array,
  kept: readonly StoredRecord[],
): Promise<void> {
  const headers = batchesIn(bytes).map((each) => readBatchHeader(each));
  for (let offset = log.logStartOffset; offset < log.logEndOffset; offset++) {
    const result = await world.complete(log.read(offset, 1, log.logEndOffset));
    const wanted = headers.find((header) => header.lastOffset >= offset);
    expect(result).toMatchObject({ kind: 'batches', firstOffset: wanted?.baseOffset });
  }
  for (const { timestampMs } of kept.slice(0, 10)) {
    const first = kept.find((record) => record.timestampMs >= timestampMs);
    expect(await world.complete(log.offsetForTimestamp(timestampMs))).toMatchObject({ offset: first?.offset });
  }
  const largest = Math.max(-1, ...kept.map((record) => record.timestampMs));
  const found = await world.complete(log.maxTimestampOffset());
  expect(found?.timestampMs ?? -1).toBe(largest);
}

describe('while others work', () => {
  test('a reader that began before the swap goes on, and one at a removed offset gets the next batch', async () => {
    const world = new LogWorld('readers', compactConfig);
    const log = await openLeader(world);
    await fill(world, log, 200, 5);
    const [early] = log.sealedSegments;
    const before = await readAll(world, log, 0);
    let read: Uint8Array | undefined;
    const reading = early?.use(async () => {
      await early.content();
      await world.node.runtime.disk.stat('/');
      await new Promise<void>((resolve) => world.node.runtime.timers.after(20, resolve));
      read = await (await early.file()).read(0, early.sizeBytes);
    });
    await world.complete(Promise.all([reading, world.manager.compact()]));
    expect(Buffer.from(read as Uint8Array).equals(before.subarray(0, early?.sizeBytes))).toBe(true);
    expect(logFiles(world, '.deleted').length).toBeGreaterThan(0);
    const next = await world.complete(log.read(3, 1_000, log.logEndOffset));
    expect(next).toMatchObject({ kind: 'batches' });
    if (next.kind === 'batches') expect(next.firstOffset).toBeGreaterThan(3);
    await world.simulation.runFor(1_000);
    expect(logFiles(world, '.deleted')).toEqual([]);
  });

  test('a log that is cut, deleted from, appended to or closed while it is cleaned stays right', async () => {
    for (const change of ['cut', 'delete', 'append', 'close'] as const) {
      for (let afterEvents = 1; afterEvents < 60; afterEvents += 3) {
        const world = new LogWorld(`${change}-${afterEvents}`, { ...compactConfig, 'segment.bytes': 700 });
        const log = await openLeader(world);
        await fill(world, log, 120, 4);
        const all = await recordsOf(world, log);
        const start = world.simulation.eventCount;
        const cleaning = world.manager.compact();
        await world.simulation.runUntil(() => world.simulation.eventCount >= start + afterEvents);
        if (change === 'cut') await world.complete(log.truncateTo(30));
        if (change === 'delete') await world.complete(log.deleteRecordsBefore(60));
        if (change === 'append') append(log, [{ key: 'new', value: 'n' }]);
        if (change === 'close') await world.complete(world.manager.close(1));
        await world.complete(cleaning);
        if (change === 'close') {
          const again = await world.open();
          expect([again.state.kind, again.logEndOffset]).toEqual(['open', 120]);
          expect(tableOf(await recordsOf(world, again))).toEqual(tableOf(all));
          continue;
        }
        const kept = await recordsOf(world, log);
        expect(log.state.kind).toBe('open');
        const left = all.filter(({ offset }) =>
          change === 'cut' ? offset < log.logEndOffset : offset >= log.logStartOffset,
        );
        expect(tableOf(kept.filter(({ key }) => key !== 'new'))).toEqual(tableOf(left));
        // And the next round finds it in order.
        await world.complete(log.flush());
        await cleanAll(world, log);
        expect(tableOf((await recordsOf(world, log)).filter(({ key }) => key !== 'new'))).toEqual(tableOf(left));
      }
    }
  });

  test('a cut takes back how far the log is clean: a tombstone after it must not go before what it deletes', async () => {
    const world = new LogWorld('lowered', compactConfig);
    const log = await openLeader(world);
    await fill(world, log, 100, 5);
    await cleanAll(world, log);
    await world.complete(log.truncateTo(60));
    const path = `${dataDirectory}/cleaner-offset-checkpoint`;
    const cleanedTo = (): number =>
      Number(Buffer.from(world.node.disk.contentOf(path)).toString().trim().split(' ').at(-1));
    expect(cleanedTo()).toBeLessThanOrEqual(60);
    expect(cleanedTo()).toBe(log.logEndOffset);
  });

  test('the event loop gets its turns, and the I/O limit is kept', async () => {
    const world = new LogWorld('slices', { ...compactConfig, 'segment.bytes': 4_000_000 });
    world.cleaner = { ...world.cleaner, ioBytesPerSecondMax: 2_000_000 };
    const log = await openLeader(world);
    for (let i = 0; i < 90; i++) append(log, [{ key: `k${i % 9}`, value: 'x'.repeat(100_000) }]);
    await world.complete(log.flush());
    const startMs = world.node.runtime.clock.monotonicMs();
    await world.complete(world.manager.compact());
    const readBytes = world.manager.cleanerCounts?.readBytes ?? 0;
    expect(readBytes).toBeGreaterThan(10_000_000);
    expect(world.node.runtime.clock.monotonicMs() - startMs).toBeGreaterThan((readBytes / 2_000_000) * 1_000 - 1_100);
  });

  test('a full disk is waited out; a batch that cannot be read stops the cleaning of its log alone', async () => {
    const world = new LogWorld('full', compactConfig);
    const log = await openLeader(world);
    await fill(world, log, 100, 2);
    world.node.disk.fillUpAfter(10);
    await world.complete(world.manager.compact());
    expect([log.state.kind, (await recordsOf(world, log)).length]).toEqual(['open', 100]);
    expect(logFiles(world, '.cleaned')).toEqual([]);
    world.node.disk.fillUpAfter(Number.POSITIVE_INFINITY);
    await world.complete(world.manager.compact());
    expect((await recordsOf(world, log)).length).toBeLessThan(50);
  });
});

describe('followers', () => {
  async function cleanedLeader(world: LogWorld): Promise<PartitionLog> {
    const leader = await openLeader(world);
    await fill(world, leader, 100, 3);
    await cleanAll(world, leader);
    await world.complete(leader.leaderEpochs.assign(4, leader.logEndOffset));
    await fill(world, leader, 20, 3);
    return leader;
  }

  async function follow(world: LogWorld, leader: PartitionLog, follower: PartitionLog): Promise<void> {
    while (follower.logEndOffset < leader.logEndOffset) {
      const fetchOffset = follower.logEndOffset;
      const result = await world.complete(leader.read(fetchOffset, 300, leader.logEndOffset));
      if (result.kind !== 'batches') throw new Error(result.kind);
      for (const records of result.records) {
        const fetched = { fetchOffset: follower.logEndOffset };
        expect(follower.appendAsFollower(records.slice(), fetched).kind).toBe('appended');
      }
    }
  }

  test('L1: a follower takes the holes of a cleaned leader, and only as the answer to its fetch', async () => {
    const world = new LogWorld('follow', compactConfig);
    const leader = await cleanedLeader(world);
    const other = new LogWorld('follower', compactConfig);
    const follower = await other.open();
    const hole = await readAll(world, leader, 90);
    expect(follower.appendAsFollower(hole.slice()).kind).toBe('unexpected-offset');
    expect(follower.appendAsFollower(hole.slice(), { fetchOffset: 7 }).kind).toBe('unexpected-offset');
    await follow(world, leader, follower);
    await other.complete(follower.flush());
    expect((await readAll(other, follower)).equals(await readAll(world, leader))).toBe(true);
    expect(follower.leaderEpochs.entries).toEqual(leader.leaderEpochs.entries);
    for (const how of ['crash', 'power', 'clean'] as const) {
      if (how === 'clean') await other.complete(other.manager.close(1));
      if (how === 'power') other.node.losePower();
      else other.node.crash();
      const again = await other.open();
      expect([again.state.kind, again.logEndOffset]).toEqual(['open', leader.logEndOffset]);
      expect((await readAll(other, again)).equals(await readAll(world, leader))).toBe(true);
    }
  });

  test('row 60: a killed follower that never flushed its holes opens with them', async () => {
    const world = new LogWorld('unflushed', compactConfig);
    const leader = await cleanedLeader(world);
    const other = new LogWorld('unflushed-follower', compactConfig);
    await follow(world, leader, await other.open());
    other.node.crash();
    const again = await other.open();
    expect([again.state.kind, again.logEndOffset]).toEqual(['open', leader.logEndOffset]);
  });

  test('a cut into a hole ends at the batch before it, and the follower goes on from there', async () => {
    const world = new LogWorld('cut-hole', compactConfig);
    const leader = await cleanedLeader(world);
    const other = new LogWorld('cut-hole-follower', compactConfig);
    const follower = await other.open();
    await follow(world, leader, follower);
    for (const offset of [110, 99, 50, 2]) {
      await other.complete(follower.truncateTo(offset));
      expect(follower.logEndOffset).toBeLessThanOrEqual(offset);
      await follow(world, leader, follower);
      expect((await readAll(other, follower)).equals(await readAll(world, leader))).toBe(true);
    }
  });

  test('a log that was never compacted still refuses a hole on its disk (row 57)', async () => {
    const world = new LogWorld('no-holes');
    const log = await openLeader(world);
    for (let i = 0; i < 3; i++) log.appendAsLeader(batch(1), 0, 0);
    await world.complete(log.flush());
    await world.complete(world.manager.checkpoint());
    world.node.crash();
    // The base offset is not covered by the CRC: 1 becomes 3.
    const path = world.path(`${'0'.repeat(20)}.log`);
    const size = world.node.disk.contentOf(path).length / 3;
    world.node.disk.flipBit(path, (size + 7) * 8 + 1);
    const again = await world.open();
    expect(again.state.kind).toBe('damaged');
  });
});

test('rows 39, 40: the last batch of a producer stays, so that its sequence numbers are known without a snapshot', async () => {
  const world = new LogWorld('producer', compactConfig);
  const log = await openLeader(world);
  const send = (baseSequence: number): void => {
    log.appendAsLeader(keyedBatch([{ key: 'k', value: 'v' }], { producerId: 7, baseSequence }), 0, 0);
  };
  for (let i = 0; i < 5; i++) send(i);
  await fill(world, log, 100, 1);
  append(log, [{ key: 'k', value: 'last' }]);
  await cleanAll(world, log);
  await world.complete(world.manager.close(1));
  for (const path of [...world.node.disk.files().keys()]) {
    if (path.endsWith('.snapshot')) await world.complete(world.node.runtime.disk.remove(path));
  }
  const again = await world.open();
  const [entry] = [...again.producers.entries()];
  expect(entry).toMatchObject({ producerId: 7, lastSequence: 4, runs: [{ baseOffset: 4, recordsCount: 1 }] });
});
