import { Client } from '@naru/client';
import { createTopic } from '../described.ts';
import { besideTheDisk, type DiskDelay } from '../limits/synced-appends.ts';
import { startLocalCluster } from '../local-cluster.ts';
import type { Limits } from '../main.ts';
import type { Figure } from '../report.ts';
import { type Latency, runWorkload } from '../worker.ts';

const perSecond = 1_000;
const records = 15_000;
const settings = { acks: 'all', 'linger.ms': 0 };

/** Latencies at a fixed, low rate: RF 3, acks=all, 100 B records. */
export async function benchLatency(limits: Limits): Promise<Figure[]> {
  await using cluster = await startLocalCluster();
  await using client = new Client({ 'bootstrap.servers': cluster.bootstrapServers });
  const topic = (name: string, flush: boolean) => ({
    name,
    partitions: 3,
    replicationFactor: 3,
    configs: { 'min.insync.replicas': '2', 'flush.before.ack': String(flush) },
  });
  await createTopic(client, topic('flush', true));
  await createTopic(client, topic('cache', false));
  await createTopic(client, topic('read', true));
  const common = { records, recordBytes: 100, perSecond, settings } as const;
  const run = (kind: 'produce-latency' | 'end-to-end', name: string) =>
    runWorkload(cluster.bootstrapServers, { kind, topic: name, ...common });
  const oneSync = { name: 'one fdatasync', p50: limits.sync50, p99: limits.sync99 };
  const [flushed, disk] = await besideTheDisk(perSecond, () => run('produce-latency', 'flush'));
  const threeSyncs = { name: 'three synced appends', ...disk };
  return [
    ...figures('produce, acks=all, flush', flushed, threeSyncs, 8),
    ...figures('produce, acks=all', await run('produce-latency', 'cache'), oneSync),
    ...figures('end to end, acks=all, flush', await run('end-to-end', 'read'), threeSyncs),
  ];
}

function figures(
  name: string,
  latency: Latency,
  limit: DiskDelay & { readonly name: string },
  p99Aim?: number,
): Figure[] {
  const full = `${name}, ${perSecond}/s`;
  return [
    { name: `${full}: p50`, value: latency.p50, unit: 'ms', limit: { name: limit.name, value: limit.p50 } },
    {
      name: `${full}: p99`,
      value: latency.p99,
      unit: 'ms',
      limit: { name: limit.name, value: limit.p99 },
      ...(p99Aim === undefined ? {} : { aim: { value: p99Aim, bound: 'at most' as const } }),
    },
    { name: `${full}: p99.9`, value: latency.p999, unit: 'ms', note: `max ${latency.max.toFixed(1)} ms` },
  ];
}
