/**
 * `npm run demo`: a replicated topic, a producer with acks=all, kill -9 of the leader in the middle, and a line-by-line comparison of
 * what was sent with what can be read. Ends with status 1 when an acknowledged line is missing.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client } from '@naru/client';
import { createTopic, partitionsOf } from './described.ts';
import { startLocalCluster } from './local-cluster.ts';

const topic = 'demo';
const linesMax = 200_000;

const began = performance.now();
const say = (text: string): void =>
  console.log(`${((performance.now() - began) / 1000).toFixed(1).padStart(5)} s  ${text}`);

/** Real text: this project's own sources, one after the other, each line with its number. */
function sourceLines(): string[] {
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  const lines: string[] = [];
  const add = (path: string): void => {
    for (const line of readFileSync(path, 'utf8').split('\n'))
      lines.push(`${String(lines.length + 1).padStart(6, '0')} ${line}`);
  };
  const walk = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => a.name.localeCompare(b.name))) {
      if (entry.name === 'node_modules') continue;
      const path = join(folder, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (/\.(ts|md|proto|json|txt)$/.test(entry.name)) add(path);
    }
  };
  add(join(root, 'package-lock.json'));
  for (const folder of ['packages', 'services', 'proto']) walk(join(root, folder));
  return lines.slice(0, linesMax);
}

interface Sent {
  readonly acknowledged: Set<string>;
  failed: number;
  /** Longest time between two acknowledgements, milliseconds. */
  longestGapMs: number;
}

async function produce(client: Client, lines: readonly string[], atHalf: () => void): Promise<Sent> {
  const sent: Sent = { acknowledged: new Set(), failed: 0, longestGapMs: 0 };
  await using producer = client.producer({ acks: 'all' });
  let lastAck = performance.now();
  for (const [i, line] of lines.entries()) {
    if (i === Math.floor(lines.length / 2)) atHalf();
    const isRoomy = producer.send({ topic, value: Buffer.from(line) }, (error) => {
      if (error !== null) {
        sent.failed++;
        return;
      }
      sent.acknowledged.add(line);
      const now = performance.now();
      sent.longestGapMs = Math.max(sent.longestGapMs, now - lastAck);
      lastAck = now;
    });
    if (!isRoomy) await producer.ready();
  }
  await producer.flush();
  return sent;
}

/** How often each line was read, by its number. */
async function readBack(client: Client): Promise<Map<string, number>> {
  const admin = client.admin();
  const partitions = [0, 1, 2].map((partition) => ({ topic, partition }));
  const ends = await admin.listOffsets(partitions.map((partition) => ({ ...partition, spec: 'latest' as const })));
  let left = ends.reduce((sum, { offset }) => sum + Number(offset), 0);
  await using consumer = client.consumer({ 'auto.offset.reset': 'earliest' });
  consumer.assign(partitions);
  const seen = new Map<string, number>();
  while (left > 0) {
    const records = await consumer.poll(5_000);
    if (records.length === 0) break;
    left -= records.length;
    for (const record of records) {
      const line = (record.value as Buffer).toString();
      seen.set(line, (seen.get(line) ?? 0) + 1);
    }
  }
  return seen;
}

async function waitForFullIsr(client: Client): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (performance.now() < deadline) {
    const partitions = await partitionsOf(client, topic);
    if (partitions.every((partition) => partition.isr.length === partition.replicas.length)) return;
    await delay(100);
  }
  throw new Error('the ISR was not full again within 20 s');
}

async function main(): Promise<boolean> {
  const lines = sourceLines();
  say(`starting 3 coordinators and 3 brokers, ${lines.length} lines to send`);
  await using cluster = await startLocalCluster();
  await using client = new Client({ 'bootstrap.servers': cluster.bootstrapServers });
  await createTopic(client, {
    name: topic,
    partitions: 3,
    replicationFactor: 3,
    configs: { 'min.insync.replicas': 2 },
  });
  const leader = (await partitionsOf(client, topic))[0]?.leader;
  const victim = `broker-${leader}`;
  say(`topic ${topic}: 3 partitions, replication factor 3, min.insync.replicas 2; partition 0 is led by ${victim}`);

  const sent = await produce(client, lines, () => {
    const pid = cluster.supervisor.statuses.find((node) => node.name === victim)?.pid as number;
    process.kill(pid, 'SIGKILL');
    say(`kill -9 of ${victim} in the middle of the file`);
  });
  say(
    `${sent.acknowledged.size} lines acknowledged, ${sent.failed} failed; longest time without an acknowledgement ${Math.round(sent.longestGapMs)} ms`,
  );
  const now = (await partitionsOf(client, topic)).map((partition) => partition.leader);
  say(`leaders now: ${now.join(', ')}`);

  const seen = await readBack(client);
  const missing = lines.filter((line) => !seen.has(line));
  const lost = missing.filter((line) => sent.acknowledged.has(line));
  const repeated = [...seen.values()].filter((count) => count > 1).length;
  const strange = [...seen.keys()].length - (lines.length - missing.length);
  say(
    `read back: ${lines.length - missing.length} of ${lines.length} lines, ${repeated} more than once (retried batches), ${strange} that were never sent`,
  );

  await cluster.supervisor.restart(victim);
  await waitForFullIsr(client);
  say(`${victim} restarted, every ISR is full again`);
  for (const line of lost.slice(0, 10)) say(`LOST: ${line}`);
  return lost.length === 0 && strange === 0;
}

const ok = await main();
say(ok ? 'nothing that was acknowledged is missing' : 'acknowledged lines are missing');
process.exitCode = ok ? 0 : 1;
