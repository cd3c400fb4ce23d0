import { batchesOf, setPartitionLeaderEpoch, validateBatch } from '@naru/record';
import { describe, expect, test } from 'vitest';
import type { StorageError } from './log-errors.ts';
import { batch, LogWorld, readAll, smallConfig } from './testing/log-world.ts';

describe('append', () => {
  test('a leader gives offsets and its epoch in place and keeps the rest of the bytes', async () => {
    const world = new LogWorld('append');
    const log = await world.open();
    await world.complete(log.leaderEpochs.assign(3, 0));
    const two = Buffer.concat([batch(2), batch(3)]);
    expect(log.appendAsLeader(two, 3, 0)).toEqual({ baseOffset: 0, lastOffset: 4, logAppendTimeMs: -1 });
    expect(log.appendAsLeader(batch(1), 3, 0)).toEqual({ baseOffset: 5, lastOffset: 5, logAppendTimeMs: -1 });
    const headers = [...batchesOf(await readAll(world, log))].map(({ header }) => header);
    expect(headers.map((h) => [h.baseOffset, h.lastOffset, h.partitionLeaderEpoch])).toEqual([
      [0, 1, 3],
      [2, 4, 3],
      [5, 5, 3],
    ]);
  });

  test('LogAppendTime sets the timestamps and the CRC stays right', async () => {
    const world = new LogWorld('time', { ...smallConfig, 'message.timestamp.type': 'LogAppendTime' });
    const log = await world.open();
    await world.complete(log.leaderEpochs.assign(0, 0));
    expect(log.appendAsLeader(batch(2), 0, 777).logAppendTimeMs).toBe(777);
    const bytes = await readAll(world, log);
    expect(validateBatch(bytes, 0, { maxBatchBytes: 10_000, source: 'log' })).toMatchObject({
      kind: 'valid',
      header: { maxTimestampMs: 777, timestampType: 'LogAppendTime' },
    });
  });

  test('row 21: a follower refuses a batch with a bad CRC and takes nothing of the answer', async () => {
    const { world, log, bytes } = await twoLogs('crc');
    const bad = Buffer.from(bytes);
    bad[bad.length - 1] = (bad[bad.length - 1] as number) ^ 1;
    expect(log.appendAsFollower(bad)).toMatchObject({ kind: 'invalid-batch', reason: 'bad-crc' });
    expect(log.logEndOffset).toBe(0);
    expect(log.appendAsFollower(bytes)).toMatchObject({ kind: 'appended', firstOffset: 0, lastOffset: 4 });
    expect(await readAll(world, log)).toEqual(bytes);
    expect(log.leaderEpochs.entries).toEqual([
      { epoch: 1, startOffset: 0 },
      { epoch: 4, startOffset: 2 },
    ]);
  });

  test('L1, L2: a follower refuses an offset or an epoch that does not continue the log', async () => {
    const { log, bytes, second } = await twoLogs('order');
    expect(log.appendAsFollower(second)).toEqual({ kind: 'unexpected-offset', expected: 0, found: 2 });
    log.appendAsFollower(bytes);
    expect(log.appendAsFollower(bytes)).toEqual({ kind: 'unexpected-offset', expected: 5, found: 0 });
  });

  test('a full disk refuses the append, leaves the log as it was, and is not final', async () => {
    const world = new LogWorld('full');
    const log = await world.open();
    await world.complete(log.leaderEpochs.assign(0, 0));
    log.appendAsLeader(batch(2), 0, 0);
    world.node.disk.fillUpAfter(10);
    expect(() => log.appendAsLeader(batch(2), 0, 0)).toThrow(expect.objectContaining({ code: 'full' }));
    expect(log.logEndOffset).toBe(2);
    world.node.disk.fillUpAfter(Number.POSITIVE_INFINITY);
    log.appendAsLeader(batch(2), 0, 0);
    await world.complete(log.flush());
    expect([...batchesOf(await readAll(world, log))]).toHaveLength(2);
    expect(log.state.kind).toBe('open');
  });
});

describe('a new leader epoch', () => {
  test('that finds no room on the disk fails the log, as an error of storage: nothing is led without it (rows 56, 62)', async () => {
    const world = new LogWorld('epoch without room');
    const log = await world.open();
    world.node.disk.fillUpAfter(0);
    await expect(world.complete(log.assignEpoch(0, 0))).rejects.toMatchObject({ name: 'StorageError', code: 'failed' });
    expect(log.state.kind).toBe('failed');
  });
});

describe('the leader epoch in a stored batch, which no CRC covers', () => {
  test('is compared with the epoch vector before it is served: a follower would learn a wrong one for ever (rows 21, 62)', async () => {
    const world = new LogWorld('flipped epoch');
    world.tailBytes = 0;
    const log = await world.open();
    await world.complete(log.assignEpoch(3, 0));
    log.appendAsLeader(batch(2), 3, 0);
    await world.complete(log.flush());
    // Byte 13 of the batch: the epoch becomes 524291.
    world.node.disk.flipBit(world.path('00000000000000000000.log'), 8 * 13 + 3);
    expect(await world.complete(log.read(0, 1_000, 2))).toMatchObject({ kind: 'damaged' });
    expect(log.damage?.reason).toContain('leader epoch 524291 instead of 3');
  });

  test('is refused by a follower when it is beyond the epoch of the leader that sent it', async () => {
    const world = new LogWorld('epoch from the future');
    const log = await world.open();
    const records = batch(2);
    setPartitionLeaderEpoch(records, 0, 9);
    expect(log.appendAsFollower(records, { epochMax: 8 })).toMatchObject({ kind: 'unexpected-epoch', found: 9 });
    expect(log.logEndOffset).toBe(0);
    expect(log.appendAsFollower(records, { epochMax: 9 })).toMatchObject({ kind: 'appended' });
  });
});

describe('a cut', () => {
  test('that meets damage below it is refused and the damage told: what has lost records must not count as whole (R8, row 57)', async () => {
    const world = new LogWorld('cut over damage', { ...smallConfig, 'segment.bytes': 1_000_000 });
    const log = await world.open();
    await world.complete(log.assignEpoch(0, 0));
    for (let i = 0; i < 6; i++) log.appendAsLeader(batch(2), 0, 0);
    await world.complete(log.flush());
    world.node.disk.flipBit(world.path('00000000000000000000.log'), 8 * 300);
    await expect(world.complete(log.truncateTo(10))).rejects.toMatchObject({ code: 'damaged' });
    expect(log.logEndOffset).toBe(12);
    expect(log.damage?.offset).toBeLessThan(10);
    expect(world.manager.damaged).toHaveLength(1);
  });
});

describe('flush', () => {
  test('one sync serves everyone who asked before it began', async () => {
    const world = new LogWorld('group');
    const log = await world.open();
    await world.complete(log.leaderEpochs.assign(0, 0));
    log.appendAsLeader(batch(1), 0, 0);
    const first = log.flush();
    expect(log.flush()).toBe(first);
    log.appendAsLeader(batch(1), 0, 0);
    await world.complete(first);
    expect(log.flushedOffset).toBe(2);
  });

  test('an append after a sync began is not counted as durable by it', async () => {
    const world = new LogWorld('late');
    const log = await world.open();
    await world.complete(log.leaderEpochs.assign(0, 0));
    log.appendAsLeader(batch(1), 0, 0);
    const first = log.flush();
    await Promise.resolve();
    await Promise.resolve();
    log.appendAsLeader(batch(1), 0, 0);
    const second = log.flush();
    expect(second).not.toBe(first);
    await world.complete(first);
    expect(log.flushedOffset).toBe(1);
    await world.complete(second);
    expect(log.flushedOffset).toBe(2);
  });

  test('row 56: a failed sync is final for everyone who waits and everyone who comes', async () => {
    const world = new LogWorld('eio');
    const log = await world.open();
    await world.complete(log.leaderEpochs.assign(0, 0));
    log.appendAsLeader(batch(1), 0, 0);
    world.node.disk.failSyncs('.log');
    const waiters = [log.flush(), log.flush()];
    for (const waiter of waiters) await expect(world.complete(waiter)).rejects.toMatchObject({ code: 'failed' });
    await expect(world.complete(log.flush())).rejects.toMatchObject({ code: 'failed' });
    expect(() => log.appendAsLeader(batch(1), 0, 0)).toThrow(expect.objectContaining({ code: 'failed' }));
    expect(log.flushedOffset).toBe(0);
    expect(world.failures.map((failure: StorageError) => failure.code)).toEqual(['failed']);
    expect(log.readNow(0, 1000, 1)).toBeUndefined();
  });
});

describe('read', () => {
  test('KIP-74: the first batch comes whole even when it is larger than asked for', async () => {
    const { world, log } = await filled('kip-74', 30);
    for (const offset of [0, 7, 44]) {
      const result = await world.complete(log.read(offset, 1, log.logEndOffset));
      expect(result).toMatchObject({ kind: 'batches' });
      if (result.kind !== 'batches') return;
      expect(result.records).toHaveLength(1);
      expect(result.firstOffset).toBeLessThanOrEqual(offset);
      expect(result.nextOffset).toBeGreaterThan(offset);
    }
  });

  test('nothing at or above the bound is served, from memory or disk', async () => {
    const { world, log } = await filled('bound', 30);
    for (const tailOf of [log.logEndOffset - 2, 10]) {
      const result = await world.complete(log.read(tailOf - 6, 10_000, tailOf));
      if (result.kind !== 'batches') throw new Error(result.kind);
      expect(result.nextOffset).toBeLessThanOrEqual(tailOf);
    }
    const atBound = await world.complete(log.read(10, 10_000, 10));
    expect(atBound).toEqual({ kind: 'batches', records: [], sizeBytes: 0, firstOffset: 10, nextOffset: 10 });
  });

  test('an offset outside the log is told with the log', async () => {
    const { world, log } = await filled('range', 3);
    await world.complete(log.deleteRecordsBefore(2));
    const expected = { kind: 'out-of-range', logStartOffset: 2, logEndOffset: log.logEndOffset };
    expect(await world.complete(log.read(1, 100, log.logEndOffset))).toEqual(expected);
    expect(await world.complete(log.read(log.logEndOffset + 1, 100, log.logEndOffset))).toEqual(expected);
  });

  test('memory and disk give the same bytes', async () => {
    const { world, log, expected } = await filled('same', 40);
    expect((await readAll(world, log)).equals(expected)).toBe(true);
    for (let offset = 0; offset < log.logEndOffset; offset++) {
      const result = await world.complete(log.read(offset, 500, log.logEndOffset));
      if (result.kind !== 'batches') throw new Error(result.kind);
      expect(result.firstOffset).toBeLessThanOrEqual(offset);
      expect(expected.includes(Buffer.concat(result.records))).toBe(true);
    }
  });

  test('row 21, L4: a batch that was damaged at rest is not served, and the log says that it is damaged', async () => {
    const { world, log } = await filled('rot', 40);
    world.node.disk.flipBit(world.path('00000000000000000000.log'), 8 * 300);
    const result = await world.complete(log.read(0, 10_000, log.logEndOffset));
    const next =
      result.kind === 'batches' ? await world.complete(log.read(result.nextOffset, 10_000, log.logEndOffset)) : result;
    expect(next.kind).toBe('damaged');
    expect(log.state.kind).toBe('damaged');
    expect(() => log.appendAsLeader(batch(1), 0, 0)).toThrow(expect.objectContaining({ code: 'damaged' }));
  });
});

describe('truncation', () => {
  test('a cut takes batches, epochs and later segments away, and appends go on', async () => {
    const { world, log } = await filled('cut', 40);
    const before = await readAll(world, log);
    await world.complete(log.truncateTo(11));
    expect(log.logEndOffset).toBeLessThanOrEqual(11);
    const after = await readAll(world, log);
    expect(before.subarray(0, after.length).equals(after)).toBe(true);
    await world.complete(log.leaderEpochs.assign(9, log.logEndOffset));
    log.appendAsLeader(batch(4), 9, 0);
    await world.complete(log.flush());
    world.node.losePower();
    const again = await world.open();
    expect(again.logEndOffset).toBe(log.logEndOffset);
    expect(again.leaderEpochs.entries.at(-1)).toEqual({ epoch: 9, startOffset: log.logEndOffset - 4 });
  });

  test('row 17, KAFKA-10706: a cut of no data still cuts the epochs', async () => {
    const { world, log } = await filled('no-data', 3);
    const end = log.logEndOffset;
    await world.complete(log.leaderEpochs.assign(7, end));
    expect(log.latestEpoch).toBe(7);
    await world.complete(log.truncateTo(end));
    expect(log.latestEpoch).toBe(0);
    expect(log.logEndOffset).toBe(end);
  });

  test('starting over drops everything and survives a power loss', async () => {
    const { world, log } = await filled('over', 20);
    await world.complete(log.flush());
    await world.complete(world.manager.checkpoint());
    await world.complete(log.truncateFullyAndStartAt(500));
    expect([log.logStartOffset, log.logEndOffset, log.flushedOffset]).toEqual([500, 500, 500]);
    world.node.losePower();
    const again = await world.open();
    expect([again.logStartOffset, again.logEndOffset, again.state.kind]).toEqual([500, 500, 'open']);
  });
});

describe('time', () => {
  test('L8: the offset for a timestamp is that of a linear scan', async () => {
    const world = new LogWorld('times');
    const log = await world.open();
    await world.complete(log.leaderEpochs.assign(0, 0));
    const records: { offset: number; timestampMs: number }[] = [];
    for (let i = 0; i < 60; i++) {
      const timestampMs = 1_000 + ((i * 37) % 50) * 10;
      const { baseOffset } = log.appendAsLeader(batch(2, { timestampMs, compression: i % 3 ? 'none' : 'gzip' }), 0, 0);
      records.push({ offset: baseOffset, timestampMs }, { offset: baseOffset + 1, timestampMs });
    }
    for (let wanted = 990; wanted < 1_520; wanted += 5) {
      const scanned = records.find((record) => record.timestampMs >= wanted);
      const found = await world.complete(log.offsetForTimestamp(wanted));
      expect(found?.offset, String(wanted)).toBe(scanned?.offset);
    }
    const largest = records.reduce((a, b) => (b.timestampMs > a.timestampMs ? b : a));
    expect(await world.complete(log.maxTimestampOffset())).toMatchObject(largest);
  });
});

describe('retention', () => {
  test('by size: the oldest segments go while the rest is still as large as the limit, none above the high watermark', async () => {
    const { world, log } = await filled('size', 60);
    log.updateConfig({ ...log.config, 'retention.bytes': 4_000 });
    const early = await world.complete(log.applyRetention(0, 30));
    expect(log.logStartOffset).toBeLessThanOrEqual(30);
    expect(early).toBeGreaterThan(0);
    await world.complete(log.applyRetention(0, log.logEndOffset));
    expect(log.sizeBytes).toBeGreaterThanOrEqual(4_000);
    expect(log.sizeBytes).toBeLessThan(6_500);
    await world.simulation.runFor(100);
    expect([...world.node.disk.files().keys()].filter((file) => file.endsWith('.deleted'))).toEqual([]);
  });

  test('by time: everything old goes, also the last segment, and the offsets go on', async () => {
    const { world, log } = await filled('age', 30);
    log.updateConfig({ ...log.config, 'retention.ms': 1_000 });
    await world.complete(log.applyRetention(1_500, log.logEndOffset));
    expect(log.logStartOffset).toBe(0);
    const end = log.logEndOffset;
    await world.complete(log.applyRetention(2_500, end));
    expect([log.logStartOffset, log.logEndOffset]).toEqual([end, end]);
    expect(log.appendAsLeader(batch(1), 0, 0).baseOffset).toBe(end);
    await world.complete(log.flush());
    world.node.losePower();
    const again = await world.open();
    expect([again.logStartOffset, again.logEndOffset]).toEqual([end, end + 1]);
  });
});

/** A log of `batches` batches in epoch 0, with three records each, and its bytes. */
async function filled(seed: string, batches: number) {
  const world = new LogWorld(seed);
  const log = await world.open();
  await world.complete(log.leaderEpochs.assign(0, 0));
  const appended: Uint8Array[] = [];
  for (let i = 0; i < batches; i++) {
    const bytes = batch(3);
    log.appendAsLeader(bytes, 0, 0);
    appended.push(bytes);
  }
  return { world, log, expected: Buffer.concat(appended) };
}

/** An empty follower's log, and a leader's bytes for it: two records of epoch 1, three of epoch 4. */
async function twoLogs(seed: string) {
  const world = new LogWorld(seed);
  await world.start();
  const leader = await world.log('leader', 'BBBBBBBBBBBBBBBBBBBBBB');
  await world.complete(leader.leaderEpochs.assign(1, 0));
  leader.appendAsLeader(batch(2), 1, 0);
  await world.complete(leader.leaderEpochs.assign(4, 2));
  leader.appendAsLeader(batch(3), 4, 0);
  const bytes = await readAll(world, leader);
  return { world, log: await world.log(), bytes, second: await readAll(world, leader, 2) };
}
