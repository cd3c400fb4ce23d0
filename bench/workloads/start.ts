import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from '@naru/client';
import { createTopic } from '../described.ts';
import { startLocalCluster } from '../local-cluster.ts';
import type { Limits } from '../main.ts';
import type { Figure } from '../report.ts';

/** From nothing to the first acknowledged record of three brokers and three coordinators, and what they take while idle. */
export async function benchStart(_limits: Limits): Promise<Figure[]> {
  const began = performance.now();
  await using cluster = await startLocalCluster();
  const readyMs = performance.now() - began;
  await using client = new Client({ 'bootstrap.servers': cluster.bootstrapServers });
  await createTopic(client, {
    name: 'first',
    partitions: 1,
    replicationFactor: 3,
    configs: { 'min.insync.replicas': '2' },
  });
  await using producer = client.producer({ acks: 'all', 'linger.ms': 0 });
  await producer.send({ topic: 'first', value: Buffer.from('first') });
  const firstRecordMs = performance.now() - began;
  await delay(5_000);
  const resident = (kind: string): number => {
    const nodes = cluster.supervisor.statuses.filter((node) => node.name.startsWith(kind));
    return Math.max(...nodes.map((node) => residentBytes(node.pid as number))) / 1e6;
  };
  return [
    { name: 'start: six processes ready', value: readyMs / 1000, unit: 's' },
    {
      name: 'start: first acknowledged record',
      value: firstRecordMs / 1000,
      unit: 's',
      aim: { value: 2.5, bound: 'at most' },
    },
    {
      name: 'idle broker, resident (largest)',
      value: resident('broker'),
      unit: 'MB',
      aim: { value: 150, bound: 'at most' },
    },
    { name: 'idle coordinator, resident (largest)', value: resident('coordinator'), unit: 'MB' },
  ];
}

function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}
