/**
 * Load in raw frames of Kafka's protocol, against one broker of its own or a given address: `node tests/conformance/load.ts [--servers host:port]`.
 *
 * Produces large batches (acks=1), small requests pipelined on 16 connections, fetches what was written, and holds idle connections.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Client } from '@naru/client';
import {
  type Api,
  apis,
  type Encodable,
  encodeRequest,
  type Fields,
  FrameSplitter,
  Reader,
} from '@naru/kafka-protocol';
import { BatchBuilder } from '@naru/record';
import type { Address, Connection } from '@naru/runtime';
import { createNodeRuntime } from '@naru/runtime/node';
import { startLocalCluster } from '../../bench/local-cluster.ts';

const frameBytesMax = 200 * 1024 * 1024;
const seconds = 5;

/** Keeps a number of requests open on one connection. */
class Lane {
  readonly #connection: Connection;
  readonly #request: () => Uint8Array[];
  readonly #onAnswer: (frame: Uint8Array) => void;
  answered = 0;
  isStopped = false;

  constructor(
    connection: Connection,
    open: number,
    request: () => Uint8Array[],
    onAnswer: (frame: Uint8Array) => void,
  ) {
    this.#connection = connection;
    this.#request = request;
    this.#onAnswer = onAnswer;
    const frames = new FrameSplitter(frameBytesMax);
    connection.handle({
      onData: (bytes) => {
        frames.push(bytes);
        let count = 0;
        for (let frame = frames.next(); frame !== undefined; frame = frames.next()) {
          count++;
          this.#onAnswer(frame);
        }
        this.answered += count;
        this.#send(count);
      },
      onClose: () => {
        if (!this.isStopped) throw new Error('the broker closed the connection');
      },
    });
    this.#send(open);
  }

  #send(count: number): void {
    if (this.isStopped || count === 0) return;
    const chunks: Uint8Array[] = [];
    for (let i = 0; i < count; i++) chunks.push(...this.#request());
    this.#connection.write(chunks);
  }

  stop(): void {
    this.isStopped = true;
    this.#connection.destroy();
  }
}

const { values } = parseArgs({ options: { servers: { type: 'string' } } });
const cluster = values.servers === undefined ? await startLocalCluster({ brokers: 1, coordinators: 1 }) : undefined;
const servers = values.servers ?? (cluster?.bootstrapServers as string);
const runtime = createNodeRuntime();
const [host, port] = (servers.split(',')[0] as string).split(':') as [string, string];
const address: Address = { host, port: Number(port) };
const sdk = new Client({ 'bootstrap.servers': servers });
const topic = 'load';
const partitions = 16;
await sdk
  .admin()
  .createTopics([{ name: topic, partitions, replicationFactor: 1, configs: { 'min.insync.replicas': '1' } }]);

// A leader leads a moment after its topic is there; the SDK waits for it.
await using first = sdk.producer({ acks: 'all' });
await first.sendMany(Array.from({ length: partitions }, (_, partition) => ({ topic, partition, value: 'first' })));

function batchOf(count: number, valueBytes: number): Uint8Array {
  const builder = new BatchBuilder();
  for (let i = 0; i < count; i++) builder.append(null, Buffer.alloc(valueBytes, i), 1_000);
  return builder.close();
}

function encoded<Request extends Fields>(api: Api<Request, Fields>, version: number, request: Encodable<Request>) {
  return Buffer.concat(encodeRequest(api, version, 1, 'load', request));
}

const produceOf = (index: number, records: Uint8Array) =>
  encoded(apis.produce, 9, { acks: 1, timeoutMs: 10_000, topics: [{ name: topic, partitions: [{ index, records }] }] });

function refuseErrors(frame: Uint8Array): void {
  const reader = new Reader(frame);
  reader.skip(5);
  const answer = apis.produce.response.decode(reader, 9);
  const code = answer.topics[0]?.partitions[0]?.errorCode;
  if (code !== 0) throw new Error(`produce failed: ${code}`);
}

async function measure(
  lanes: number,
  open: number,
  request: (lane: number) => Uint8Array,
  onAnswer: (frame: Uint8Array) => void,
): Promise<number> {
  const running: Lane[] = [];
  for (let i = 0; i < lanes; i++) {
    const frame = request(i);
    running.push(new Lane(await runtime.network.connect(address), open, () => [frame], onAnswer));
  }
  const count = (): number => running.reduce((sum, lane) => sum + lane.answered, 0);
  await new Promise((resolve) => runtime.timers.after(1_000, () => resolve(undefined)));
  const before = count();
  const began = performance.now();
  await new Promise((resolve) => runtime.timers.after(seconds * 1_000, () => resolve(undefined)));
  const rate = ((count() - before) * 1_000) / (performance.now() - began);
  for (const lane of running) lane.stop();
  return rate;
}

const kibibyte = 1_024;
const large = batchOf(900, kibibyte);
const small = batchOf(1, 100);

const largeRate = await measure(4, 4, (lane) => produceOf(lane, large), refuseErrors);
console.log(`produce acks=1, 1 KiB records, 900 per batch: ${((largeRate * large.length) / 1e6).toFixed(0)} MB/s`);
const smallRate = await measure(16, 64, (lane) => produceOf(lane, small), refuseErrors);
console.log(`produce acks=1, one record of 100 bytes per request, 16 connections: ${smallRate.toFixed(0)} requests/s`);

const fetchOf = (partition: number) =>
  encoded(apis.fetch, 11, {
    maxWaitMs: 500,
    minBytes: 1,
    maxBytes: 50 * kibibyte * kibibyte,
    topics: [{ topic, partitions: [{ partition, fetchOffset: 0, partitionMaxBytes: kibibyte * kibibyte }] }],
  });
const fetchRate = await measure(4, 2, fetchOf, (frame) => {
  if (frame.length < kibibyte) throw new Error('an answer without records');
});
console.log(
  `fetch, 1 MiB per answer: ${fetchRate.toFixed(0)} answers/s, about ${((fetchRate * large.length) / 1e6).toFixed(0)} MB/s`,
);

if (cluster !== undefined) {
  const pid = cluster.supervisor.statuses.find(({ name }) => name === 'broker-1')?.pid;
  const rss = (): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / kibibyte;
  const before = rss();
  const idle: Connection[] = [];
  const count = 5_000;
  for (let i = 0; i < count; i++) {
    const connection = await runtime.network.connect(address);
    connection.handle({ onData: () => {}, onClose: () => {} });
    connection.write([encoded(apis.apiVersions, 0, {})]);
    idle.push(connection);
  }
  await new Promise((resolve) => runtime.timers.after(1_000, () => resolve(undefined)));
  console.log(`${count} idle connections: ${(rss() - before).toFixed(0)} MiB more (${before.toFixed(0)} before)`);
  for (const connection of idle) connection.destroy();
}
await sdk.close();
await cluster?.[Symbol.asyncDispose]();
process.exit(0);
