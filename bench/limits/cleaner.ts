/** How fast a log is compacted, and for how long others wait for it. `node bench/limits/cleaner.ts [DIR]`. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { silentLogger } from '@naru/observability';
import { BatchBuilder, type Compression } from '@naru/record';
import { createNodeRuntime } from '@naru/runtime/node';
import { defaultLogConfig } from '../../services/broker/src/log/log-config.ts';
import { LogManager } from '../../services/broker/src/log/log-manager.ts';
import type { PartitionLog } from '../../services/broker/src/log/partition-log.ts';

const mebibyte = 1024 * 1024;
const totalBytes = 128 * mebibyte;
const valueBytes = 100;
const keysCount = 100_000;
const batchBytes = 16 * 1024;

const directory = await mkdtemp(join(process.argv[2] ?? tmpdir(), 'naru-cleaner-'));
const config = {
  ...defaultLogConfig,
  'cleanup.policy': ['compact'] as const,
  'segment.bytes': 2 * mebibyte,
  'file.delete.delay.ms': 0,
};

async function openManager(name: string): Promise<LogManager> {
  return LogManager.open({
    runtime: createNodeRuntime(),
    logger: silentLogger,
    directories: [join(directory, name)],
    brokerId: 1,
    clusterId: 'bench',
    defaultConfig: config,
    tailBytesMax: 0,
    checkpointIntervalMs: 1e9,
    retentionIntervalMs: 1e9,
    cleaner: { backoffMs: 1e9, dedupeBufferBytes: 128 * mebibyte, ioBytesPerSecondMax: Number.MAX_SAFE_INTEGER },
    highWatermarkOf: (log) => log.logEndOffset,
    onFailure: (_, error) => console.error(error),
  });
}

/** Every key as often as the others, in an order without a pattern. */
async function fill(log: PartitionLog, compression: Compression): Promise<number> {
  const value = Buffer.alloc(valueBytes, 'naru ');
  let records = 0;
  let written = 0;
  await log.leaderEpochs.assign(0, 0);
  while (written < totalBytes) {
    const builder = new BatchBuilder({ compression, capacityBytes: batchBytes });
    while (builder.uncompressedBytes < batchBytes) {
      builder.append(Buffer.from(`customer-${(records++ * 7_919) % keysCount}`), value, 1_000 + records);
    }
    written += builder.uncompressedBytes;
    log.appendAsLeader(builder.close(), 0, 0);
  }
  await log.flush();
  return records;
}

async function measure(compression: Compression): Promise<void> {
  const manager = await openManager(compression);
  const topicId = 'AAAAAAAAAAAAAAAAAAAAAA';
  const log = await manager.getOrCreate({ topic: 't', topicId, partition: 0, config });
  const records = await fill(log, compression);
  const before = log.sizeBytes;
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  const [startMs, cpu] = [performance.now(), process.cpuUsage()];
  await manager.compact();
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (performance.now() - startMs) / 1000;
  const cpuSeconds = (user + system) / 1e6;
  delays.disable();
  const megabytes = before / 1e6;
  console.log(
    `${compression.padEnd(5)} ${records} records, ${megabytes.toFixed(0)} MB to ${(log.sizeBytes / 1e6).toFixed(0)} MB: ` +
      `${(megabytes / seconds).toFixed(0)} MB/s (${(megabytes / cpuSeconds).toFixed(0)} MB per second of CPU, ` +
      `${(records / cpuSeconds / 1000).toFixed(0)},000 records); ` +
      `event loop late by ${(delays.percentile(99) / 1e6).toFixed(1)} ms (p99), ${(delays.max / 1e6).toFixed(1)} ms (max)`,
  );
  await manager.close(1);
}

try {
  for (const compression of ['none', 'lz4', 'zstd', 'gzip'] as const) await measure(compression);
} finally {
  await rm(directory, { recursive: true });
}
