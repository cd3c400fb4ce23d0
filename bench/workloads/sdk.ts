import { Client } from '@naru/client';
import { createTopic } from '../described.ts';
import { startLocalCluster } from '../local-cluster.ts';
import type { Limits } from '../main.ts';
import type { Figure } from '../report.ts';
import { runWorkload } from '../worker.ts';

const inFlight = 64;
const recordBytes = 100;
const topic = 'sdk';
/** Answers of the leader alone: what is measured here is the client. The cost of replicas and disks stands in `throughput`. */
const acks = { acks: '1' };

/** The forms in which an application sends and reads, with their own costs for each record. */
export async function benchSdk(limits: Limits): Promise<Figure[]> {
  await using cluster = await startLocalCluster();
  await using client = new Client({ bootstrapServers: cluster.bootstrapServers });
  await createTopic(client, { name: topic, partitions: 3, replicationFactor: 1 });
  const servers = cluster.bootstrapServers;
  const send = { topic, recordBytes } as const;
  const one = { ...send, kind: 'send-awaited', inFlight, settings: { ...acks, 'linger.ms': 0 } } as const;
  const each = { ...send, kind: 'send-each', settings: { ...acks, 'batch.size': 131_072 } } as const;
  await runWorkload(servers, { ...one, records: 50_000 });
  const awaited = await runWorkload(servers, { ...one, records: 500_000 });
  await runWorkload(servers, { ...each, records: 100_000 });
  const unawaited = await runWorkload(servers, { ...each, records: 1_000_000 });
  const read = await runWorkload(servers, { kind: 'for-await', topic, records: 1_500_000, settings: {} });
  const roundTripsPerSecond = 1_000 / limits.rpcRoundTrip50;
  return [
    {
      name: `send of ${recordBytes} B awaited, ${inFlight} in flight, acks=1`,
      value: awaited.records / awaited.seconds,
      unit: 'records/s',
      note: cpuOf(awaited),
      limit: { name: `${inFlight} gRPC round trips at once`, value: inFlight * roundTripsPerSecond },
      aim: { value: 100_000, bound: 'at least' },
    },
    {
      name: `send of ${recordBytes} B, a promise each, acks=1`,
      value: unawaited.records / unawaited.seconds,
      unit: 'records/s',
      note: cpuOf(unawaited),
      aim: { value: 300_000, bound: 'at least' },
    },
    {
      name: `for await of ${recordBytes} B`,
      value: read.records / read.seconds,
      unit: 'records/s',
      note: cpuOf(read),
      aim: { value: 500_000, bound: 'at least' },
    },
  ];
}

function cpuOf({ records, cpuSeconds }: { readonly records: number; readonly cpuSeconds: number }): string {
  return `${((cpuSeconds * 1e6) / records).toFixed(2)} µs of processor time each`;
}

/** A client that sends, reads and commits for minutes: what it holds must not grow. */
export async function benchMemory(minutes: number): Promise<Figure[]> {
  await using cluster = await startLocalCluster();
  await using client = new Client({ bootstrapServers: cluster.bootstrapServers });
  await createTopic(client, { name: topic, partitions: 3, replicationFactor: 3 });
  const workload = { kind: 'memory', topic, minutes, perSecond: 5_000, recordBytes: 1_000 } as const;
  const { records, heap, rss } = await runWorkload(cluster.bootstrapServers, workload);
  const megabytes = (bytes: number | undefined): number => (bytes ?? Number.NaN) / 1e6;
  const [first, last] = [megabytes(heap[0]), megabytes(heap.at(-1))];
  return [
    {
      name: `client memory after ${minutes} min beside after a fifth of it, garbage collected`,
      value: last - first,
      unit: 'MB more',
      aim: { value: 10, bound: 'at most' },
      note: `${records.toLocaleString('en-US')} records; ${heap.map((bytes) => megabytes(bytes).toFixed(0)).join(' ')} MB, RSS ${megabytes(rss[0]).toFixed(0)} to ${megabytes(rss.at(-1)).toFixed(0)} MB`,
    },
  ];
}
