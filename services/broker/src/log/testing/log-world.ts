import { silentLogger } from '@naru/observability';
import { BatchBuilder, type Compression } from '@naru/record';
import { createSimulation, type SimulatedNode, type Simulation } from '@naru/runtime/simulated';
import type { CleanerSettings } from '../cleaner.ts';
import { defaultLogConfig, type LogConfig } from '../log-config.ts';
import type { StorageError } from '../log-errors.ts';
import { LogManager, type LogManagerOptions } from '../log-manager.ts';
import type { PartitionLog } from '../partition-log.ts';

export const topicId = 'AAAAAAAAAAAAAAAAAAAAAA';
export const dataDirectory = '/data';

/** Small enough that a few batches meet every boundary. */
export const smallConfig: LogConfig = {
  ...defaultLogConfig,
  'segment.bytes': 2_000,
  'index.interval.bytes': 200,
  'retention.ms': -1,
  'file.delete.delay.ms': 50,
};

/** A simulated machine with a log manager on it that can be stopped in any way and started again. */
export class LogWorld {
  readonly simulation: Simulation;
  readonly node: SimulatedNode;
  readonly failures: StorageError[] = [];
  config: LogConfig;
  /** Memory for the newest batches: decides what is read from memory and what from disk. */
  tailBytes = 1_000;
  cleaner: CleanerSettings = {
    backoffMs: 1_000_000,
    dedupeBufferBytes: 1_000_000,
    ioBytesPerSecondMax: Number.MAX_SAFE_INTEGER,
  };
  /** Of every log; left out: its end. */
  highWatermark: number | undefined;
  #manager: LogManager | undefined;

  constructor(seed: number | string, config: LogConfig = smallConfig) {
    this.simulation = createSimulation({ seed });
    this.node = this.simulation.addNode('broker-1');
    this.config = config;
  }

  get manager(): LogManager {
    if (this.#manager === undefined) throw new Error('not started');
    return this.#manager;
  }

  complete<T>(promise: Promise<T>): Promise<T> {
    return this.simulation.complete(promise);
  }

  async start(options: { readonly brokerId?: number; readonly clusterId?: string } = {}): Promise<LogManager> {
    if (!this.node.alive) this.node.restart();
    this.#manager = await this.complete(
      LogManager.open({
        ...this.managerOptions(),
        ...options,
      }),
    );
    return this.#manager;
  }

  /** Of a manager on the machine as it runs now. */
  managerOptions(): LogManagerOptions {
    return {
      runtime: this.node.runtime,
      logger: silentLogger,
      directories: [dataDirectory],
      brokerId: 1,
      clusterId: 'cluster',
      defaultConfig: this.config,
      tailBytesMax: this.tailBytes,
      checkpointIntervalMs: 1_000_000,
      retentionIntervalMs: 1_000_000,
      cleaner: this.cleaner,
      highWatermarkOf: (log) => this.highWatermark ?? log.logEndOffset,
      onFailure: (_, error) => this.failures.push(error),
    };
  }

  log(topic = 'topic', id = topicId): Promise<PartitionLog> {
    return this.complete(this.manager.getOrCreate({ topic, topicId: id, partition: 0, config: this.config }));
  }

  /** Starts and gives the one log, made if it is new. */
  async open(): Promise<PartitionLog> {
    await this.start();
    return this.log();
  }

  path(file: string, topic = 'topic'): string {
    return `${dataDirectory}/${topic}-0/${file}`;
  }
}

let counter = 0;

/** A batch of `count` records with values that tell them apart. */
export function batch(
  count: number,
  options: { readonly timestampMs?: number; readonly valueBytes?: number; readonly compression?: Compression } = {},
): Uint8Array {
  const builder = new BatchBuilder({ compression: options.compression ?? 'none', capacityBytes: 512 });
  for (let i = 0; i < count; i++) {
    const value = Buffer.from(`${counter++}:`.padEnd(options.valueBytes ?? 50, 'v'));
    builder.append(null, value, options.timestampMs ?? 1_000);
  }
  return builder.close();
}

/** Everything that the log serves, as one run of bytes; fails on anything but batches. */
export async function readAll(world: LogWorld, log: PartitionLog, from = log.logStartOffset): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let offset = from;
  while (offset < log.logEndOffset) {
    const result = await world.complete(log.read(offset, 700, log.logEndOffset));
    if (result.kind !== 'batches') throw new Error(`read at ${offset}: ${JSON.stringify(result)}`);
    if (result.nextOffset <= offset) throw new Error(`no progress at ${offset}`);
    parts.push(...result.records);
    offset = result.nextOffset;
  }
  return Buffer.concat(parts);
}
