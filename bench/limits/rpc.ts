/**
 * What gRPC's wire format gives on this machine: loopback, our client against our server in a child process.
 * Run: node bench/limits/rpc.ts [--seconds 2]
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { type broker, brokerMethods, createRpc, type Rpc, type RpcStream, stream, unary } from '@naru/rpc';
import { createNodeRuntime } from '@naru/runtime/node';

const host = '127.0.0.1';
const rpc: Rpc = createRpc(createNodeRuntime());

type Produce = RpcStream<broker.ProduceRequest, broker.ProduceResponse>;

function request(correlationId: number, records: Uint8Array): broker.ProduceRequest {
  const partitions = [{ topic: 'bench', topicId: '', partition: 0, records }];
  return { correlationId, acks: 1, timeoutMs: 1_000, partitions };
}

/** Takes everything, answers what has a correlation id, and tells how much came when asked for metadata. */
async function serve(): Promise<void> {
  let bytes = 0;
  const server = await rpc.serve({ host, port: 0 }, [
    stream(brokerMethods.produce, (produce) => {
      produce.handle({
        onMessage: (message) => {
          for (const partition of message.partitions) bytes += partition.records.length;
          if (message.correlationId > 0) produce.send({ correlationId: message.correlationId, partitions: [] });
        },
        onEnd: () => {
          produce.send({ correlationId: bytes, partitions: [] });
          produce.end();
        },
        onClose: () => {},
      });
    }),
    unary(brokerMethods.metadata, () => ({ clusterId: '', controllerId: 0, brokers: [], topics: [] })),
  ]);
  process.send?.(server.address.port);
}

/** Sends without answers as fast as flow control allows. */
async function throughput(port: number, messageBytes: number, seconds: number): Promise<number> {
  const channel = await rpc.connect({ host, port });
  const records = Buffer.alloc(messageBytes, 7);
  const produce: Produce = channel.open(brokerMethods.produce);
  const begin = performance.now();
  const deadline = begin + seconds * 1_000;
  let sent = 0;
  const pump = (): void => {
    do sent += messageBytes;
    while (produce.send(request(0, records)) && performance.now() < deadline);
    if (performance.now() >= deadline) produce.end();
  };
  const closed = new Promise<void>((resolve) => {
    produce.handle({ onMessage: () => {}, onDrain: pump, onClose: () => resolve() });
  });
  pump();
  await closed;
  const perSecond = (sent / (performance.now() - begin)) * 1_000;
  await channel.close();
  return perSecond;
}

/** Keeps `inFlight` requests of `bytes` open; counts answers. */
async function echoes(port: number, inFlight: number, bytes: number, seconds: number): Promise<number[]> {
  const channel = await rpc.connect({ host, port });
  const records = Buffer.alloc(bytes, 7);
  const produce: Produce = channel.open(brokerMethods.produce);
  const latencies: number[] = [];
  const sentAt: number[] = [];
  const deadline = performance.now() + seconds * 1_000;
  let next = 1;
  const sendOne = (): void => {
    sentAt[next % 65_536] = performance.now();
    produce.send(request(next, records));
    next += 1;
  };
  const closed = new Promise<void>((resolve) => {
    produce.handle({
      onMessage: (answer) => {
        const now = performance.now();
        if (now >= deadline) return produce.end();
        latencies.push(now - (sentAt[answer.correlationId % 65_536] as number));
        sendOne();
      },
      onClose: () => resolve(),
    });
  });
  for (let index = 0; index < inFlight; index += 1) sendOne();
  await closed;
  await channel.close();
  return latencies;
}

async function unaryCalls(port: number, seconds: number): Promise<number[]> {
  const channel = await rpc.connect({ host, port });
  const latencies: number[] = [];
  const deadline = performance.now() + seconds * 1_000;
  while (performance.now() < deadline) {
    const begin = performance.now();
    await channel.call(brokerMethods.metadata, { topics: [], allTopics: false });
    latencies.push(performance.now() - begin);
  }
  await channel.close();
  return latencies;
}

function microseconds(latencies: number[], quantile: number): string {
  const sorted = latencies.toSorted((left, right) => left - right);
  return `${Math.round((sorted[Math.floor(sorted.length * quantile)] ?? 0) * 1_000)} µs`;
}

async function withServer<Result>(body: (port: number) => Promise<Result>): Promise<Result> {
  const child: ChildProcess = fork(import.meta.filename, ['--serve']);
  const [port] = (await once(child, 'message')) as [number];
  try {
    return await body(port);
  } finally {
    child.kill();
  }
}

/** The two figures that the bench prints beside its own. */
export function measureRpc(): Promise<{ readonly bytesPerSecond: number; readonly roundTripMs: number }> {
  return withServer(async (port) => {
    await throughput(port, 131_072, 0.5);
    const bytesPerSecond = await throughput(port, 131_072, 2);
    await echoes(port, 1, 64, 0.3);
    const latencies = (await echoes(port, 1, 64, 1)).toSorted((left, right) => left - right);
    return { bytesPerSecond, roundTripMs: latencies[latencies.length >> 1] ?? 0 };
  });
}

async function printTable(port: number, seconds: number): Promise<void> {
  const rows: { measure: string; value: string }[] = [];
  const row = (measure: string, value: string): void => {
    rows.push({ measure, value });
  };
  for (const kibibytes of [16, 128, 1_024]) {
    await throughput(port, kibibytes * 1_024, 0.5);
    const perSecond = await throughput(port, kibibytes * 1_024, seconds);
    row(`stream, ${kibibytes} KiB messages, one way`, `${(perSecond / 1e9).toFixed(2)} GB/s`);
  }
  await throughput(port, 64, 0.5);
  row('stream, 64 B messages, one way', `${Math.round((await throughput(port, 64, seconds)) / 64 / 1_000)} k/s`);
  await echoes(port, 64, 64, 0.5);
  const many = await echoes(port, 64, 64, seconds);
  row('stream, 64 B request and answer, 64 in flight', `${Math.round(many.length / seconds / 1_000)} k/s`);
  await echoes(port, 1, 64, 0.5);
  const one = await echoes(port, 1, 64, seconds);
  row('stream, 64 B round trip', `p50 ${microseconds(one, 0.5)}, p99 ${microseconds(one, 0.99)}`);
  await unaryCalls(port, 0.5);
  const calls = await unaryCalls(port, seconds);
  row('unary call', `p50 ${microseconds(calls, 0.5)}, p99 ${microseconds(calls, 0.99)}`);
  console.table(rows);
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { serve: { type: 'boolean' }, seconds: { type: 'string', default: '2' } } });
  if (values.serve === true) await serve();
  else await withServer((port) => printTable(port, Number(values.seconds)));
}
