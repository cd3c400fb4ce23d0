/** One process of load in raw frames of Kafka's protocol; does what it is told and sends the result to its parent. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { apis, Reader } from '@naru/kafka-protocol';
import { BatchBuilder } from '@naru/record';
import type { Address } from '@naru/runtime';
import { createNodeRuntime } from '@naru/runtime/node';
import { quantile } from '../report.ts';
import { frameOf, Lane } from './lane.ts';

/** A partition and its leader. */
export interface Target {
  readonly topic: string;
  readonly partition: number;
  readonly address: Address;
}

export type Load =
  | {
      readonly kind: 'produce';
      readonly targets: readonly Target[];
      readonly acks: number;
      /** Over all targets. */
      readonly connections: number;
      /** Requests under way on each connection. */
      readonly pipelined: number;
      readonly recordsPerBatch: number;
      readonly recordBytes: number;
      readonly seconds: number;
    }
  | {
      readonly kind: 'fetch';
      readonly targets: readonly Target[];
      readonly connections: number;
      readonly partitionMaxBytes: number;
      readonly seconds: number;
    }
  | {
      readonly kind: 'latency';
      readonly target: Target;
      readonly acks: number;
      readonly recordBytes: number;
      readonly perSecond: number;
      readonly records: number;
    };

export interface Rate {
  readonly requestsPerSecond: number;
  readonly bytesPerSecond: number;
}

export interface Latency {
  readonly p50: number;
  readonly p99: number;
}

const { network } = createNodeRuntime();
const measured = 'measured';
const warmUpMs = 3_000;
const produceVersion = 9;
const fetchVersion = 11;

/** In a process of its own, so that the load does not share an event loop with who reads the clock. `onMeasured` is called when what counts begins and when it ends. */
export function runLoad<const L extends Load>(
  load: L,
  onMeasured: () => void = () => {},
): Promise<L['kind'] extends 'latency' ? Latency : Rate> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(load)]);
    let result: unknown;
    child.on('message', (message) => {
      if (message === measured) onMeasured();
      else result = message;
    });
    child.once('exit', (code) => {
      if (result === undefined) reject(new Error(`the load ${load.kind} ended with status ${code}`));
      else resolve(result as never);
    });
  });
}

function batchOf(records: number, valueBytes: number): Uint8Array {
  const builder = new BatchBuilder();
  for (let i = 0; i < records; i++) builder.append(null, Buffer.alloc(valueBytes, i), 1_000);
  return builder.close();
}

function produceFrame({ topic, partition }: Target, acks: number, records: Uint8Array): Uint8Array {
  const topics = [{ name: topic, partitions: [{ index: partition, records }] }];
  return frameOf(apis.produce, produceVersion, { acks, timeoutMs: 30_000, topics });
}

function requireAppended(frame: Uint8Array): void {
  const reader = new Reader(frame);
  // The correlation id and no tagged fields.
  reader.skip(5);
  const code = apis.produce.response.decode(reader, produceVersion).topics[0]?.partitions[0]?.errorCode;
  if (code !== 0) throw new Error(`produce was answered with error ${code}`);
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function rateOf(seconds: number, count: () => { requests: number; bytes: number }): Promise<Rate> {
  await sleep(warmUpMs);
  process.send?.(measured);
  const before = count();
  const began = performance.now();
  await sleep(seconds * 1_000);
  const after = count();
  const elapsed = (performance.now() - began) / 1_000;
  process.send?.(measured);
  return {
    requestsPerSecond: (after.requests - before.requests) / elapsed,
    bytesPerSecond: (after.bytes - before.bytes) / elapsed,
  };
}

async function produce(load: Extract<Load, { kind: 'produce' }>): Promise<Rate> {
  const { targets, acks, connections, pipelined, recordsPerBatch, recordBytes } = load;
  const batch = batchOf(recordsPerBatch, recordBytes);
  let requests = 0;
  for (let i = 0; i < connections; i++) {
    const target = targets[i % targets.length] as Target;
    const frame = produceFrame(target, acks, batch);
    const lane = await Lane.connect(network, target.address);
    lane.onAnswer = (answer) => {
      requireAppended(answer);
      requests++;
      lane.send(frame);
    };
    lane.sendNow(...Array.from({ length: pipelined }, () => frame));
  }
  return rateOf(load.seconds, () => ({ requests, bytes: requests * recordsPerBatch * recordBytes }));
}

/** From the first record on, again and again. */
async function fetch(load: Extract<Load, { kind: 'fetch' }>): Promise<Rate> {
  const { targets, connections, partitionMaxBytes } = load;
  let requests = 0;
  let bytes = 0;
  for (let i = 0; i < connections; i++) {
    const { topic, partition, address } = targets[i % targets.length] as Target;
    const partitions = [{ partition, fetchOffset: 0, partitionMaxBytes }];
    const frame = frameOf(apis.fetch, fetchVersion, {
      maxWaitMs: 500,
      minBytes: 1,
      maxBytes: 2 * partitionMaxBytes,
      topics: [{ topic, partitions }],
    });
    const lane = await Lane.connect(network, address);
    lane.onAnswer = (answer) => {
      if (answer.length < partitionMaxBytes / 2) throw new Error('an answer without records');
      requests++;
      bytes += answer.length;
      lane.send(frame);
    };
    lane.sendNow(frame, frame);
  }
  return rateOf(load.seconds, () => ({ requests, bytes }));
}

/** One record per request at a fixed rate, each from the moment at which it was due: a stall shows in the latencies. */
async function latency(load: Extract<Load, { kind: 'latency' }>): Promise<Latency> {
  const { target, acks, recordBytes, perSecond, records } = load;
  const frame = produceFrame(target, acks, batchOf(1, recordBytes));
  const lane = await Lane.connect(network, target.address);
  const due: number[] = [];
  const latencies: number[] = [];
  lane.onAnswer = (answer) => {
    requireAppended(answer);
    latencies.push(performance.now() - (due[latencies.length] as number));
  };
  const began = performance.now();
  while (due.length < records) {
    const count = Math.min(records, Math.floor(((performance.now() - began) * perSecond) / 1_000) + 1) - due.length;
    for (let i = 0; i < count; i++) due.push(began + (due.length * 1_000) / perSecond);
    if (count > 0) lane.sendNow(...Array.from({ length: count }, () => frame));
    await sleep(1);
  }
  while (latencies.length < records) await sleep(10);
  // The first tenth warms up.
  const sorted = Float64Array.from(latencies.slice(Math.floor(records / 10))).sort();
  return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const load = JSON.parse(process.argv[2] as string) as Load;
  const result = load.kind === 'produce' ? produce(load) : load.kind === 'fetch' ? fetch(load) : latency(load);
  process.send?.(await result, () => process.exit(0));
}
