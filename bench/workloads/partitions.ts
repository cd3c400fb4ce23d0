import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '@naru/client';
import { createTopic } from '../described.ts';
import { type LocalCluster, startLocalCluster } from '../local-cluster.ts';
import type { Limits } from '../main.ts';
import type { Figure } from '../report.ts';
import { runWorkload } from '../worker.ts';

const partitions = 1_000;
const idleSeconds = 10;
const perSecond = 500;
const records = 5_000;
const topic = 'wide';

/** What partitions cost in which nothing happens: replication and a consumer of 1,000 of them, idle, and beside a little traffic. */
export async function benchPartitions(_limits: Limits): Promise<Figure[]> {
  await using cluster = await startLocalCluster();
  await using client = new Client({ 'bootstrap.servers': cluster.bootstrapServers });
  await createTopic(client, {
    name: topic,
    partitions,
    replicationFactor: 3,
    configs: { 'min.insync.replicas': '2' },
  });
  await sleep(5_000);
  const idle = await brokerLoad(cluster, () => sleep(idleSeconds * 1_000));
  let consumerMs = 0;
  const read = await brokerLoad(cluster, async () => {
    consumerMs = await readNothing(client);
  });
  const common = { topic, records, recordBytes: 100, perSecond, settings: { acks: 'all', 'linger.ms': 0 } } as const;
  let latency = { p50: 0, p99: 0 };
  const busy = await brokerLoad(cluster, async () => {
    latency = await runWorkload(cluster.bootstrapServers, { kind: 'produce-latency', ...common });
  });
  const name = `${partitions} partitions, RF 3`;
  const load = (what: string, value: number): Figure => ({ name: `${name}: ${what}`, value, unit: '% of a core' });
  const milliseconds = (what: string, value: number): Figure => ({ name: `${name}: ${what}`, value, unit: 'ms' });
  return [
    load('three brokers, idle', idle),
    load('three brokers, an idle consumer of all', read),
    load('that consumer', (consumerMs / (idleSeconds * 1_000)) * 100),
    load(`three brokers, ${perSecond} records/s`, busy),
    milliseconds(`produce, acks=all, flush, ${perSecond}/s: p50`, latency.p50),
    milliseconds(`produce, acks=all, flush, ${perSecond}/s: p99`, latency.p99),
  ];
}

/** CPU of all brokers together meanwhile, in percent of one core. Linux only; elsewhere NaN. */
async function brokerLoad(cluster: LocalCluster, work: () => Promise<void>): Promise<number> {
  const pids = cluster.supervisor.statuses.filter(({ name }) => name.startsWith('broker')).map(({ pid }) => pid);
  const spent = (): number => pids.reduce((sum: number, pid) => sum + cpuMsOf(pid), 0);
  const [before, began] = [spent(), performance.now()];
  await work();
  return ((spent() - before) / (performance.now() - began)) * 100;
}

/** User and system time; the kernel counts in hundredths of a second. */
function cpuMsOf(pid: number | undefined): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return Number.NaN;
  }
}

/** CPU milliseconds of this process while it polls. */
async function readNothing(client: Client): Promise<number> {
  await using consumer = client.consumer({ 'auto.offset.reset': 'latest' });
  consumer.assign(Array.from({ length: partitions }, (_, partition) => ({ topic, partition })));
  await consumer.poll(2_000);
  const before = process.cpuUsage();
  for (let i = 0; i < idleSeconds; i++) await consumer.poll(1_000);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}
