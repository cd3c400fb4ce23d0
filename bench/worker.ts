/**
 * One client process of the bench: does one workload and sends the result to its parent. A process of its own, as an
 * application would be, so that producing and consuming do not share an event loop with what starts them.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Client } from '@naru/client';
import { partitionsOf } from './described.ts';
import { quantile } from './report.ts';
import {
  type ForAwait,
  forAwait,
  type MeasuredThroughput,
  type Memory,
  type MemoryUse,
  memory,
  type SendAwaited,
  type SendEach,
  sendAwaited,
  sendEach,
} from './sdk-workloads.ts';

export type Workload =
  | SendAwaited
  | SendEach
  | ForAwait
  | Memory
  | {
      readonly kind: 'produce';
      readonly topic: string;
      readonly records: number;
      readonly recordBytes: number;
      readonly settings: Settings;
    }
  | { readonly kind: 'consume'; readonly topic: string; readonly records: number; readonly settings: Settings }
  | {
      readonly kind: 'produce-latency';
      readonly topic: string;
      readonly records: number;
      readonly recordBytes: number;
      readonly perSecond: number;
      readonly settings: Settings;
    }
  | {
      readonly kind: 'end-to-end';
      readonly topic: string;
      readonly records: number;
      readonly recordBytes: number;
      readonly perSecond: number;
      readonly settings: Settings;
    };

type Settings = Readonly<Record<string, string | number>>;

export interface Throughput {
  readonly records: number;
  readonly bytes: number;
  readonly seconds: number;
}

export interface Latency {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

type ResultOf<W extends Workload> = W['kind'] extends 'produce' | 'consume'
  ? Throughput
  : W['kind'] extends 'send-awaited' | 'send-each' | 'for-await'
    ? MeasuredThroughput
    : W['kind'] extends 'memory'
      ? MemoryUse
      : Latency;

/** Runs a workload in a child process. */
export function runWorkload<const W extends Workload>(bootstrapServers: string, workload: W): Promise<ResultOf<W>> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(import.meta.url), [JSON.stringify({ bootstrapServers, workload })], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      ...(workload.kind === 'memory' ? { execArgv: ['--expose-gc'] } : {}),
    });
    let result: unknown;
    child.once('message', (message) => {
      result = message;
    });
    child.once('exit', (code) => {
      if (result === undefined) reject(new Error(`the workload ${workload.kind} ended with status ${code}`));
      else resolve(result as ResultOf<W>);
    });
  });
}

async function produce(client: Client, workload: Extract<Workload, { kind: 'produce' }>): Promise<Throughput> {
  const producer = client.producer(workload.settings);
  const value = Buffer.alloc(workload.recordBytes, 'x');
  const record = { topic: workload.topic, value };
  let failure: Error | undefined;
  const settled = (error: Error | null): void => {
    failure ??= error ?? undefined;
  };
  await producer.send(record);
  const began = performance.now();
  for (let i = 1; i < workload.records; i++) {
    if (!producer.send(record, settled)) await producer.ready();
  }
  await producer.flush();
  const seconds = (performance.now() - began) / 1000;
  await producer.close();
  if (failure !== undefined) throw failure;
  return { records: workload.records, bytes: workload.records * workload.recordBytes, seconds };
}

async function consume(client: Client, workload: Extract<Workload, { kind: 'consume' }>): Promise<Throughput> {
  const consumer = client.consumer({ 'auto.offset.reset': 'earliest', ...workload.settings });
  const partitions = await partitionsOf(client, workload.topic);
  consumer.assign(partitions.map(({ partition }) => ({ topic: workload.topic, partition })));
  let records = 0;
  let bytes = 0;
  const began = performance.now();
  while (records < workload.records) {
    const polled = await consumer.poll(10_000);
    if (polled.length === 0) throw new Error(`only ${records} of ${workload.records} records came`);
    records += polled.length;
    for (const record of polled) bytes += record.value?.length ?? 0;
  }
  const seconds = (performance.now() - began) / 1000;
  await consumer.close();
  return { records, bytes, seconds };
}

/** From `send` to its acknowledgement at a fixed rate; the first tenth warms up and is not counted. */
async function produceLatency(
  client: Client,
  workload: Extract<Workload, { kind: 'produce-latency' }>,
): Promise<Latency> {
  const producer = client.producer(workload.settings);
  const value = Buffer.alloc(workload.recordBytes, 'x');
  const latencies: number[] = [];
  await producer.send({ topic: workload.topic, value });
  await atRate(workload.records, workload.perSecond, (dueMs) => {
    producer.send({ topic: workload.topic, value }, (error) => {
      if (error !== null) throw error;
      latencies.push(performance.now() - dueMs);
    });
  });
  await producer.flush();
  await producer.close();
  return summary(latencies);
}

/** From `send` to the record in the hands of a consumer of the same process. */
async function endToEnd(client: Client, workload: Extract<Workload, { kind: 'end-to-end' }>): Promise<Latency> {
  const producer = client.producer(workload.settings);
  const consumer = client.consumer({ 'auto.offset.reset': 'earliest' });
  const partitions = await partitionsOf(client, workload.topic);
  consumer.assign(partitions.map(({ partition }) => ({ topic: workload.topic, partition })));
  const latencies: number[] = [];
  const reading = (async () => {
    while (latencies.length < workload.records) {
      const polled = await consumer.poll(5_000);
      if (polled.length === 0) throw new Error(`only ${latencies.length} of ${workload.records} records came`);
      const now = performance.now();
      for (const record of polled) latencies.push(now - (record.value as Buffer).readDoubleLE(0));
    }
  })();
  await atRate(workload.records, workload.perSecond, (dueMs) => {
    const value = Buffer.alloc(workload.recordBytes, 'x');
    value.writeDoubleLE(dueMs, 0);
    producer.send({ topic: workload.topic, value }, (error) => {
      if (error !== null) throw error;
    });
  });
  await reading;
  await Promise.all([producer.close(), consumer.close()]);
  return summary(latencies);
}

/**
 * Calls `action` so many times at so many a second, with the moment at which each call was due: a stall of the sender then shows in the
 * latencies instead of hiding in a lower rate (coordinated omission).
 */
async function atRate(count: number, perSecond: number, action: (dueMs: number) => void): Promise<void> {
  const began = performance.now();
  for (let i = 0; i < count; ) {
    const due = Math.min(count, Math.floor(((performance.now() - began) * perSecond) / 1000) + 1);
    for (; i < due; i++) action(began + (i * 1000) / perSecond);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

function summary(latencies: readonly number[]): Latency {
  const sorted = Float64Array.from(latencies.slice(Math.floor(latencies.length / 10))).sort();
  return {
    p50: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99),
    p999: quantile(sorted, 0.999),
    max: sorted[sorted.length - 1] ?? Number.NaN,
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { bootstrapServers, workload } = JSON.parse(process.argv[2] as string) as {
    bootstrapServers: string;
    workload: Workload;
  };
  const client = new Client({ 'bootstrap.servers': bootstrapServers });
  const runs = {
    produce,
    consume,
    'produce-latency': produceLatency,
    'end-to-end': endToEnd,
    'send-awaited': sendAwaited,
    'send-each': sendEach,
    'for-await': forAwait,
    memory,
  };
  const run = runs[workload.kind] as (client: Client, workload: Workload) => Promise<Throughput | Latency | MemoryUse>;
  const result = await run(client, workload);
  await client.close();
  process.send?.(result);
  process.disconnect?.();
}
