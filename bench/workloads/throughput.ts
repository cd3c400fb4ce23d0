import { Client } from '@naru/client';
import { createTopic } from '../described.ts';
import { startLocalCluster } from '../local-cluster.ts';
import type { Limits } from '../main.ts';
import type { Figure } from '../report.ts';
import { runWorkload } from '../worker.ts';

interface Case {
  readonly name: string;
  readonly replicationFactor: number;
  readonly acks: string;
  readonly flushBeforeAck: boolean;
  readonly recordBytes: number;
  readonly records: number;
  /** MB/s for 1 KiB records, records/s for small ones. */
  readonly aim?: number;
}

// A run's data over all replicas stays under about 0.6 GB: past 1.5 GB a small virtual machine's page cache grows slowly.
const cases: readonly Case[] = [
  { name: 'RF 1, acks=1', replicationFactor: 1, acks: '1', flushBeforeAck: false, recordBytes: 1024, records: 300_000 },
  { name: 'RF 3, acks=1', replicationFactor: 3, acks: '1', flushBeforeAck: false, recordBytes: 1024, records: 200_000 },
  {
    name: 'RF 3, acks=all',
    replicationFactor: 3,
    acks: 'all',
    flushBeforeAck: false,
    recordBytes: 1024,
    records: 200_000,
    aim: 100,
  },
  {
    name: 'RF 3, acks=all, flush',
    replicationFactor: 3,
    acks: 'all',
    flushBeforeAck: true,
    recordBytes: 1024,
    records: 200_000,
    aim: 70,
  },
  {
    name: 'RF 1, acks=1',
    replicationFactor: 1,
    acks: '1',
    flushBeforeAck: false,
    recordBytes: 100,
    records: 2_000_000,
  },
  {
    name: 'RF 3, acks=1',
    replicationFactor: 3,
    acks: '1',
    flushBeforeAck: false,
    recordBytes: 100,
    records: 1_500_000,
  },
  {
    name: 'RF 3, acks=all',
    replicationFactor: 3,
    acks: 'all',
    flushBeforeAck: false,
    recordBytes: 100,
    records: 1_500_000,
    aim: 400_000,
  },
  {
    name: 'RF 3, acks=all, flush',
    replicationFactor: 3,
    acks: 'all',
    flushBeforeAck: true,
    recordBytes: 100,
    records: 1_500_000,
  },
];

const producerSettings = { 'batch.size': 131_072, 'linger.ms': 5 };

/** Producing into three partitions and consuming it again, each case on a fresh cluster. */
export async function benchThroughput(limits: Limits): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const one of cases) figures.push(...(await runCase(one, limits)));
  return figures;
}

async function runCase(one: Case, limits: Limits): Promise<Figure[]> {
  await using cluster = await startLocalCluster();
  const topic = 'bench';
  await using client = new Client({ 'bootstrap.servers': cluster.bootstrapServers });
  await createTopic(client, {
    name: topic,
    partitions: 3,
    replicationFactor: one.replicationFactor,
    configs: {
      'min.insync.replicas': String(Math.min(2, one.replicationFactor)),
      'flush.before.ack': String(one.flushBeforeAck),
    },
  });
  const { records, recordBytes } = one;
  // A short run first, so that the measured one finds warm processes, as a cluster that has been up for a minute is.
  await runWorkload(cluster.bootstrapServers, {
    kind: 'produce',
    topic,
    records: Math.ceil(records / 10),
    recordBytes,
    settings: { ...producerSettings, acks: one.acks },
  });
  const produced = await runWorkload(cluster.bootstrapServers, {
    kind: 'produce',
    topic,
    records,
    recordBytes,
    settings: { ...producerSettings, acks: one.acks },
  });
  const consumed = await runWorkload(cluster.bootstrapServers, {
    kind: 'consume',
    topic,
    records,
    settings: { 'max.poll.records': 5_000 },
  });
  const size = recordBytes === 1024 ? '1 KiB' : `${recordBytes} B`;
  const figure = (verb: string, done: typeof produced, limit: Figure['limit'], aim: number | undefined): Figure => {
    const megabytes = done.bytes / done.seconds / 1e6;
    const perSecond = done.records / done.seconds;
    const small = recordBytes < 1024;
    return {
      name: `${verb} ${size}, ${one.name}`,
      value: small ? perSecond : megabytes,
      unit: small ? 'records/s' : 'MB/s',
      ...(limit === undefined || small ? {} : { limit }),
      ...(aim === undefined ? {} : { aim: { value: aim, bound: 'at least' as const } }),
      note: small ? `${megabytes.toFixed(0)} MB/s` : `${Math.round(perSecond).toLocaleString('en-US')} records/s`,
    };
  };
  const disk = one.flushBeforeAck
    ? { name: 'append+sync', value: limits.appendAndSync / 1e6 }
    : { name: 'gRPC stream', value: limits.rpc / 1e6 };
  return [
    figure('produce', produced, disk, one.aim),
    figure(
      'consume',
      consumed,
      { name: 'gRPC stream', value: limits.rpc / 1e6 },
      recordBytes === 1024 ? 300 : undefined,
    ),
  ];
}
