import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@naru/client';
import { apis } from '@naru/kafka-protocol';
import { createNodeRuntime } from '@naru/runtime/node';
import { createTopic, partitionsOf } from '../described.ts';
import { foreignConsumers, foreignProducers } from '../kafka/foreign-tools.ts';
import { frameOf, Lane } from '../kafka/lane.ts';
import { type Latency, type Load, type Rate, runLoad, type Target } from '../kafka/load.ts';
import { shareOf } from '../kafka/profile.ts';
import { besideTheDisk } from '../limits/synced-appends.ts';
import { type LocalCluster, startLocalCluster } from '../local-cluster.ts';
import type { Limits } from '../main.ts';
import type { Figure } from '../report.ts';

const { network } = createNodeRuntime();
const seconds = 5;
/** At which latencies are measured. */
const perSecond = 2_000;
const kibibyte = 1_024;
const mebibyte = kibibyte * kibibyte;
/** Short, because the data of a run shall not push the machine into writing back: what is measured is not the disk. */
const retention = { 'segment.bytes': String(256 * mebibyte), 'retention.bytes': String(512 * mebibyte) };
const idleConnections = 5_000;

/** Kafka's own protocol: raw frames of a load generator that costs little, and the tools of others where they are. */
export async function benchKafka(limits: Limits): Promise<Figure[]> {
  return [...(await oneBroker(limits)), ...(await threeBrokers(limits)), ...(await profiled())];
}

async function oneBroker(limits: Limits): Promise<Figure[]> {
  await using cluster = await startLocalCluster({ brokers: 1, coordinators: 1 });
  await using client = new Client({ 'bootstrap.servers': cluster.bootstrapServers });
  const targets = await topicOn(client, 'load', 16, 1);
  const produce = { kind: 'produce', targets, acks: 1, seconds } as const;
  const small = { connections: 16, pipelined: 64, recordsPerBatch: 1, recordBytes: 100 };
  const appended = { name: 'file append', value: limits.append / 1e6 };
  const tcp = { name: 'loopback TCP', value: limits.tcp / 1e6 };
  const [idle, idleNote] = await idleMemory(cluster, targets[0] as Target);
  const large = { connections: 4, pipelined: 4, recordsPerBatch: 900, recordBytes: kibibyte };
  const figures = [
    idleFigure(idle, idleNote),
    ...(await latencies(targets[0] as Target, 1, 'RF 1, acks=1')),
    throughput('produce 1 KiB, acks=1', await measured(cluster, { ...produce, ...large }), appended, 300),
    throughput(
      'fetch 1 KiB, answers of 1 MiB',
      await measured(cluster, { kind: 'fetch', targets, connections: 4, partitionMaxBytes: mebibyte, seconds }),
      tcp,
      600,
    ),
    requests(await measured(cluster, { ...produce, ...small })),
  ];
  const { bootstrapServers: servers } = cluster;
  await topicOn(client, 'foreign', 4, 1);
  const run = { servers, topic: 'foreign', acks: '1', records: 300_000, name: 'RF 1, acks=1' };
  return [...figures, ...(await foreignProducers(run)), ...(await foreignConsumers(run))];
}

async function threeBrokers(limits: Limits): Promise<Figure[]> {
  await using cluster = await startLocalCluster();
  await using client = new Client({ 'bootstrap.servers': cluster.bootstrapServers });
  const all = 'RF 3, acks=all';
  const cached = await topicOn(client, 'cached', 6, 3, { 'flush.before.ack': 'false' });
  const flushed = await topicOn(client, 'flushed', 6, 3, { 'flush.before.ack': 'true' });
  // Before the loads, which leave gigabytes in the page cache: a sync waits for the disk that writes them back.
  return [
    ...(await latencies(cached[0] as Target, -1, all)),
    ...(await syncedLatencies(flushed[0] as Target, `${all}, flush`)),
    ...(await replicated(cluster, all, cached, { name: 'file append', value: limits.append / 1e6 })),
    ...(await replicated(cluster, `${all}, flush`, flushed, {
      name: 'append+sync',
      value: limits.appendAndSync / 1e6,
    })),
  ];
}

async function replicated(
  cluster: LocalCluster,
  name: string,
  targets: readonly Target[],
  limit: NonNullable<Figure['limit']>,
): Promise<Figure[]> {
  const load = { kind: 'produce', targets, acks: -1, connections: 6, pipelined: 5, seconds } as const;
  const produced = await measured(cluster, { ...load, recordsPerBatch: 126, recordBytes: kibibyte });
  const { topic } = targets[0] as Target;
  return [
    throughput(`produce 1 KiB, ${name}`, produced, limit, 100),
    ...(await foreignProducers({ servers: cluster.bootstrapServers, topic, acks: 'all', records: 200_000, name })),
  ];
}

/** A profile slows the broker down, so it has a broker of its own. */
async function profiled(): Promise<Figure[]> {
  const directory = mkdtempSync(join(tmpdir(), 'naru-profile-'));
  const { NODE_OPTIONS: before = '' } = process.env;
  process.env.NODE_OPTIONS = `${before} --cpu-prof --cpu-prof-dir=${directory}`;
  const cluster = await startLocalCluster({ brokers: 1, coordinators: 1 });
  process.env.NODE_OPTIONS = before;
  {
    await using client = new Client({ 'bootstrap.servers': cluster.bootstrapServers });
    const targets = await topicOn(client, 'profiled', 4, 1);
    const batches = { connections: 4, pipelined: 5, recordsPerBatch: 15, recordBytes: kibibyte };
    await runLoad({ kind: 'produce', targets, acks: 1, seconds, ...batches });
  }
  await cluster[Symbol.asyncDispose]();
  const share = shareOf(directory, /kafka-protocol\/src\//, /kafka-connection\.ts/);
  rmSync(directory, { recursive: true });
  const name = 'encode and decode, share of the produce path, batches of 16 KiB';
  return [{ name, value: 100 * share, unit: '%', aim: { value: 10, bound: 'at most' } }];
}

async function topicOn(
  client: Client,
  name: string,
  partitions: number,
  replicationFactor: number,
  configs: Readonly<Record<string, string>> = {},
): Promise<readonly Target[]> {
  const minInSync = { 'min.insync.replicas': String(Math.min(2, replicationFactor)) };
  await createTopic(client, {
    name,
    partitions,
    replicationFactor,
    configs: { ...minInSync, ...retention, ...configs },
  });
  // A leader leads a moment after its topic is there; the SDK waits for it.
  await using producer = client.producer({ acks: 'all' });
  await producer.sendMany(
    Array.from({ length: partitions }, (_, partition) => ({ topic: name, partition, value: 'x' })),
  );
  const { brokers } = await client.admin().describeCluster();
  return (await partitionsOf(client, name)).map(({ partition, leader }) => {
    const broker = brokers.find(({ id }) => id === leader);
    if (broker === undefined) throw new Error(`${name}-${partition} has no leader`);
    return { topic: name, partition, address: { host: broker.host, port: broker.port } };
  });
}

interface Measured extends Rate {
  /** Of all brokers while the load ran, in seconds of processor time for each second. */
  readonly processors: number;
}

async function measured(cluster: LocalCluster, load: Load & { readonly seconds: number }): Promise<Measured> {
  const moments: { readonly atMs: number; readonly used: number }[] = [];
  const rate = await runLoad(load, () => moments.push({ atMs: performance.now(), used: processorSeconds(cluster) }));
  const [began, ended] = moments;
  if (began === undefined || ended === undefined) throw new Error('the load did not say when it was measured');
  return { ...rate, processors: ((ended.used - began.used) * 1_000) / (ended.atMs - began.atMs) };
}

/** Of the brokers so far; 0 where there is no /proc. */
function processorSeconds({ supervisor }: LocalCluster): number {
  const ticks = brokerPids(supervisor).map((pid) => {
    const fields = readProc(pid, 'stat').split(') ')[1]?.split(' ') ?? [];
    return Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  });
  return ticks.reduce((sum, one) => sum + one, 0) / 100;
}

function brokerPids(supervisor: LocalCluster['supervisor']): readonly number[] {
  return supervisor.statuses.flatMap(({ name, pid }) => (name.startsWith('broker') && pid !== undefined ? [pid] : []));
}

function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

function throughput(
  name: string,
  { bytesPerSecond, processors }: Measured,
  limit: Figure['limit'],
  aim: number,
): Figure {
  return {
    name: `Kafka protocol: ${name}`,
    value: bytesPerSecond / 1e6,
    unit: 'MB/s',
    ...(limit === undefined ? {} : { limit }),
    aim: { value: aim, bound: 'at least' },
    note: `brokers used ${processors.toFixed(2)} processors`,
  };
}

function requests({ requestsPerSecond, processors }: Measured): Figure {
  return {
    name: 'Kafka protocol: produce 100 B, a record per request, 16 connections',
    value: requestsPerSecond,
    unit: 'requests/s',
    aim: { value: 100_000, bound: 'at least' },
    note: `the broker used ${processors.toFixed(2)} processors`,
  };
}

async function latencies(target: Target, acks: number, name: string): Promise<Figure[]> {
  const { p50, p99 } = await latencyOf(target, acks);
  return [
    { ...latencyFigure(name, 'p99', p99), note: `p50 ${p50.toFixed(2)} ms`, aim: { value: 5, bound: 'at most' } },
  ];
}

/** Whose answers wait for three disks. */
async function syncedLatencies(target: Target, name: string): Promise<Figure[]> {
  const [{ p50, p99 }, disk] = await besideTheDisk(perSecond, () => latencyOf(target, -1));
  const limit = 'three synced appends';
  return [
    { ...latencyFigure(name, 'p50', p50), limit: { name: limit, value: disk.p50 } },
    { ...latencyFigure(name, 'p99', p99), limit: { name: limit, value: disk.p99 } },
  ];
}

function latencyOf(target: Target, acks: number): Promise<Latency> {
  return runLoad({ kind: 'latency', target, acks, recordBytes: 100, perSecond, records: 20_000 });
}

function latencyFigure(name: string, quantile: string, value: number): Figure {
  return { name: `Kafka protocol: ${name}, ${perSecond} records/s: ${quantile}`, value, unit: 'ms' };
}

async function idleMemory(
  { supervisor }: LocalCluster,
  { address }: Target,
): Promise<[mebibytes: number, note: string]> {
  const [pid = 0] = brokerPids(supervisor);
  const resident = (): number => Number(/VmRSS:\s+(\d+)/.exec(readProc(pid, 'status'))?.[1] ?? 0) / kibibyte;
  const before = resident();
  const asked = frameOf(apis.apiVersions, 0, {});
  const lanes: Lane[] = [];
  for (let i = 0; i < idleConnections; i++) {
    const lane = await Lane.connect(network, address);
    const answered = new Promise<unknown>((resolve) => {
      lane.onAnswer = resolve;
    });
    lane.sendNow(asked);
    await answered;
    lanes.push(lane);
  }
  const mebibytes = resident() - before;
  for (const lane of lanes) lane.close();
  return [mebibytes, `${before.toFixed(0)} MiB before them`];
}

function idleFigure(mebibytes: number, note: string): Figure {
  const name = `Kafka protocol: ${idleConnections} idle connections`;
  return { name, value: mebibytes, unit: 'MiB', aim: { value: 200, bound: 'at most' }, note };
}
