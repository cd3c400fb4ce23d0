import { batchesOf } from '@naru/record';
import { describe, expect, test } from 'vitest';
import type { PartitionLog } from './partition-log.ts';
import { batch, dataDirectory, LogWorld, readAll } from './testing/log-world.ts';

/** A log of several segments and two epochs, stopped in order or not, and what it held by base offset. */
async function stoppedLog(seed: string, how: 'clean' | 'kill') {
  const world = new LogWorld(seed);
  const log = await world.open();
  for (const epoch of [1, 2]) {
    await world.complete(log.leaderEpochs.assign(epoch, log.logEndOffset));
    for (let i = 0; i < 12; i++) log.appendAsLeader(batch(3, { timestampMs: 1_000 + i }), epoch, 0);
  }
  await world.complete(log.flush());
  await world.complete(world.manager.checkpoint());
  const bytes = await readAll(world, log);
  const held = new Map([...batchesOf(bytes)].map((view) => [view.header.baseOffset, Buffer.from(view.bytes)]));
  if (how === 'clean') await world.complete(world.manager.close(1));
  world.node.crash();
  return { world, held, end: log.logEndOffset };
}

/** Reads until the end or the first damage; everything that is served must be what was appended there. */
async function expectOnlyTruth(world: LogWorld, log: PartitionLog, held: Map<number, Buffer>): Promise<number> {
  let offset = log.logStartOffset;
  while (offset < log.logEndOffset) {
    const result = await world.complete(log.read(offset, 900, log.logEndOffset));
    if (result.kind !== 'batches') return offset;
    for (const records of result.records) {
      for (const { header, bytes } of batchesOf(records)) expect(held.get(header.baseOffset)?.equals(bytes)).toBe(true);
    }
    expect(result.nextOffset).toBeGreaterThan(offset);
    offset = result.nextOffset;
  }
  return offset;
}

describe.each(['clean', 'kill'] as const)('after a %s stop', (how) => {
  test('row 21, CORDS: a flipped bit in any file is found or harmless, never served, never fatal', async () => {
    const { world: original } = await stoppedLog(`files-${how}`, how);
    const files = [...original.node.disk.files()].filter(([path]) => path.startsWith(`${dataDirectory}/topic-0/`));
    expect(files.length).toBeGreaterThan(6);
    for (const [path, size] of files) {
      const stride = Math.max(1, Math.floor((size * 8) / 40)) | 1;
      for (let bit = 0; bit < size * 8; bit += stride) {
        const { world, held, end } = await stoppedLog(`files-${how}`, how);
        world.node.disk.flipBit(path, bit);
        await world.start();
        const [log] = [...world.manager.logs];
        // Row 58: without its topic id the directory was put aside, whole.
        if (log === undefined) continue;
        const reached = await expectOnlyTruth(world, log, held);
        const isLog = path.endsWith('.log');
        // Only damaged batches may be missing: a broken index or epoch file costs nothing.
        if (!isLog) expect([path, bit, reached, log.state.kind]).toEqual([path, bit, end, 'open']);
        if (reached < end) expect([path, bit, log.state.kind]).toEqual([path, bit, 'damaged']);
      }
    }
  }, 120_000);
});

describe('large batches', () => {
  test('L8: are found and read whole, whatever the limits of a read', async () => {
    const world = new LogWorld('large', { ...new LogWorld('x').config, 'segment.bytes': 400_000 });
    world.tailBytes = 0;
    const log = await world.open();
    await world.complete(log.leaderEpochs.assign(0, 0));
    const sizes = [10, 150_000, 10, 70_000, 66_000, 10, 300_000, 10, 10, 90_000];
    for (const valueBytes of sizes) log.appendAsLeader(batch(2, { valueBytes: valueBytes / 2 }), 0, 0);
    for (let offset = 0; offset < log.logEndOffset; offset++) {
      for (const maxBytes of [1, 60_000, 500_000]) {
        const result = await world.complete(log.read(offset, maxBytes, log.logEndOffset));
        if (result.kind !== 'batches') throw new Error(JSON.stringify(result));
        expect(result.firstOffset).toBe(offset - (offset % 2));
        expect(result.records.length).toBe(1);
        if (result.sizeBytes > maxBytes) expect(result.nextOffset).toBe(result.firstOffset + 2);
      }
    }
  });
});
