import { setTimeout as delay } from 'node:timers/promises';
import { Client } from '@naru/client';
import { createTopic, partitionsOf } from '../described.ts';
import { startLocalCluster } from '../local-cluster.ts';
import type { Limits } from '../main.ts';
import type { Figure } from '../report.ts';

const rounds = 3;

/** From kill -9 of a partition's leader to the next acknowledged write of that partition; the slowest of a few rounds. */
export async function benchFailover(_limits: Limits): Promise<Figure[]> {
  const gaps: number[] = [];
  for (let round = 0; round < rounds; round++) gaps.push(await oneFailover());
  const worst = Math.max(...gaps);
  const note = gaps.map((gap) => gap.toFixed(2)).join(', ');
  return [
    {
      name: 'kill -9 of a leader to the next ack (worst)',
      value: worst,
      unit: 's',
      aim: { value: 2, bound: 'at most' },
      note,
    },
  ];
}

async function oneFailover(): Promise<number> {
  await using cluster = await startLocalCluster();
  await using client = new Client({ 'bootstrap.servers': cluster.bootstrapServers });
  await createTopic(client, {
    name: 'fail',
    partitions: 1,
    replicationFactor: 3,
    configs: { 'min.insync.replicas': 2 },
  });
  await using producer = client.producer({ acks: 'all', 'linger.ms': 0 });
  for (let i = 0; i < 100; i++) await producer.send({ topic: 'fail', value: Buffer.from('before') });
  const leader = (await partitionsOf(client, 'fail'))[0]?.leader;
  const pid = cluster.supervisor.statuses.find((node) => node.name === `broker-${leader}`)?.pid as number;
  await delay(500);
  process.kill(pid, 'SIGKILL');
  const killed = performance.now();
  await producer.send({ topic: 'fail', value: Buffer.from('after') });
  return (performance.now() - killed) / 1000;
}
