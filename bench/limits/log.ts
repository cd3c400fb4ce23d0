/** What the partition log costs beside the file it is made of: MB/s in the same run, on the same disk. `node bench/limits/log.ts [DIR]`. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@naru/observability';
import { BatchBuilder } from '@naru/record';
import { createNodeRuntime } from '@naru/runtime/node';
import { defaultLogConfig } from '../../services/broker/src/log/log-config.ts';
import { TailBudget } from '../../services/broker/src/log/log-tail.ts';
import { PartitionLog } from '../../services/broker/src/log/partition-log.ts';

const runtime = createNodeRuntime();
const totalBytes = 128 * 1024 * 1024;
const directory = await mkdtemp(join(process.argv[2] ?? tmpdir(), 'naru-log-'));

function batchOf(bytes: number): Uint8Array {
  const builder = new BatchBuilder({ capacityBytes: bytes + 1024 });
  const value = Buffer.alloc(1000, 120);
  while (builder.estimatedBytes < bytes) builder.append(null, value, Date.now());
  return builder.close();
}

function report(name: string, bytes: number, startMs: number, count: number): void {
  const ms = performance.now() - startMs;
  const rate = (bytes / 1e6 / (ms / 1000)).toFixed(0).padStart(6);
  console.log(`${name.padEnd(52)} ${rate} MB/s  ${((ms * 1000) / count).toFixed(1).padStart(8)} µs each`);
}

async function openLog(name: string, tailBytes: number): Promise<PartitionLog> {
  const path = join(directory, name);
  await runtime.disk.makeDirectory(path);
  return PartitionLog.open({
    ...runtime,
    logger: silentLogger,
    directory: path,
    topic: 't',
    topicId: 'AAAAAAAAAAAAAAAAAAAAAA',
    partition: 0,
    config: { ...defaultLogConfig, 'segment.bytes': 64 * 1024 * 1024 },
    recoveryPoint: 0,
    logStartOffset: 0,
    wasCleanShutdown: false,
    tailBudget: new TailBudget(tailBytes),
    checkpoints: { recoveryPointLowered: async () => {}, logStartMoved: async () => {} },
  });
}

async function rawFile(size: number, syncs: boolean): Promise<void> {
  const file = await runtime.disk.open(join(directory, `raw-${size}-${syncs}`), { create: true });
  const bytes = batchOf(size);
  const count = Math.floor(totalBytes / bytes.length / (syncs ? 4 : 1));
  const start = performance.now();
  for (let i = 0; i < count; i++) {
    file.append([bytes]);
    if (syncs) await file.sync();
  }
  report(`file: append ${size >> 10} KiB${syncs ? ' + fdatasync' : ''}`, count * bytes.length, start, count);
  await file.close();
}

async function appends(size: number, flushes: boolean): Promise<void> {
  const log = await openLog(`append-${size}-${flushes}`, 64 * 1024 * 1024);
  await log.leaderEpochs.assign(0, 0);
  const template = batchOf(size);
  const count = Math.floor(totalBytes / template.length / (flushes ? 4 : 1));
  const batches = Array.from({ length: 64 }, () => new Uint8Array(template));
  const start = performance.now();
  for (let i = 0; i < count; i++) {
    log.appendAsLeader(batches[i % 64] as Uint8Array, 0, 0);
    if (flushes) await log.flush();
  }
  report(`log: append ${size >> 10} KiB${flushes ? ' + flush' : ''}`, count * template.length, start, count);
  await log.close();
}

async function reads(): Promise<void> {
  const writer = await openLog('read', totalBytes * 2);
  await writer.leaderEpochs.assign(0, 0);
  const template = batchOf(128 * 1024);
  const count = Math.floor(totalBytes / template.length);
  for (let i = 0; i < count; i++) writer.appendAsLeader(new Uint8Array(template), 0, 0);
  await writer.flush();
  await drain(writer, 'log: read 1 MiB from the tail');
  await writer.close();
  const start = performance.now();
  const reader = await openLog('read', 0);
  report('log: recovery of 128 MiB (unclean)', totalBytes, start, 1);
  await drain(reader, 'log: read 1 MiB from the page cache, CRC checked');
  await reader.close();
}

async function drain(log: PartitionLog, name: string): Promise<void> {
  const start = performance.now();
  let bytes = 0;
  let turns = 0;
  for (let offset = 0; offset < log.logEndOffset; turns++) {
    const result =
      log.readNow(offset, 1 << 20, log.logEndOffset) ?? (await log.read(offset, 1 << 20, log.logEndOffset));
    if (result.kind !== 'batches') throw new Error(result.kind);
    bytes += result.sizeBytes;
    offset = result.nextOffset;
  }
  report(name, bytes, start, turns);
}

try {
  for (const size of [16 * 1024, 128 * 1024]) {
    await rawFile(size, false);
    await appends(size, false);
    await rawFile(size, true);
    await appends(size, true);
  }
  await reads();
} finally {
  await rm(directory, { recursive: true });
}
