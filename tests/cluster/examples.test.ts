// Each example keeps its promise: run, killed in the middle, run again.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { createTopic, partitionsOf } from '../../bench/described.ts';
import { TestCluster } from './test-cluster.ts';

const examples = fileURLToPath(new URL('../../examples', import.meta.url));
const batchSize = 100;

const cluster = new TestCluster({ brokers: 3, coordinators: 1 });
const running = new Set<ChildProcess>();

afterEach(() => {
  for (const child of running) child.kill('SIGKILL');
});

interface Run {
  readonly child: ChildProcess;
  readonly stdout: () => string;
  readonly ended: Promise<number | null>;
}

function start(example: string, topic: string, ...more: string[]): Run {
  const argv = [join(examples, example), '--bootstrap-server', cluster.bootstrapServers, '--topic', topic, ...more];
  const child = spawn(process.execPath, [...argv, '--out', outOf(topic)], { stdio: ['ignore', 'pipe', 'inherit'] });
  running.add(child);
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  const ended = once(child, 'close').then(([status]) => {
    running.delete(child);
    return status as number | null;
  });
  return { child, stdout: () => stdout, ended };
}

const outOf = (topic: string): string => cluster.path(`${topic}.txt`);

/** The numbers that were handled, in the order in which they were. */
function handled(topic: string): number[] {
  if (!existsSync(outOf(topic))) return [];
  return readFileSync(outOf(topic), 'utf8').trim().split('\n').map(Number);
}

async function topicOfNumbers(name: string, count: number, partitions = 1): Promise<void> {
  await createTopic(cluster.client, { name, partitions, replicationFactor: 3 });
  const producer = cluster.client.producer();
  await producer.sendMany(Array.from({ length: count }, (_, n) => ({ topic: name, value: String(n) })));
  await producer.close();
}

const until = (what: () => boolean): Promise<void> =>
  expect.poll(what, { timeout: 40_000, interval: 20 }).toBe(true) as unknown as Promise<void>;

const kill = async (run: Run, signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> => {
  run.child.kill(signal);
  return run.ended;
};

const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n);
const sorted = (list: readonly number[]): number[] => [...list].sort((a, b) => a - b);

async function stop(run: Run): Promise<void> {
  const state = (): string =>
    execFileSync('ps', ['-o', 'state=', '-p', `${run.child.pid}`], { encoding: 'utf8' }).trim();
  run.child.kill('SIGSTOP');
  await until(() => state().startsWith('T'));
}

/** Stopped between two records of a batch: what is in the file then is all that there is. */
async function stopInTheMiddle(run: Run, topic: string): Promise<void> {
  for (let least = 2 * batchSize; ; least = handled(topic).length + 1) {
    await until(() => handled(topic).length >= least);
    await stop(run);
    if (handled(topic).length % batchSize > 0) return;
    run.child.kill('SIGCONT');
  }
}

/** Runs it, kills it in the middle of a batch, runs it again until the last number was handled. */
async function killedInTheMiddle(example: string, topic: string, count: number): Promise<number[]> {
  await topicOfNumbers(topic, count);
  const first = start(example, topic);
  await stopInTheMiddle(first, topic);
  await kill(first, 'SIGKILL');
  expect(handled(topic).length).toBeLessThan(count);
  const second = start(example, topic);
  await until(() => handled(topic).includes(count - 1));
  await kill(second, 'SIGKILL');
  return handled(topic);
}

test('at-most-once: killed, it loses the rest of a batch; nothing is handled twice', async () => {
  const done = await killedInTheMiddle('at-most-once.ts', 'most', 1_000);
  expect(new Set(done).size, 'nothing twice').toBe(done.length);
  expect(done.length, 'something is missing, a batch at most').toBeLessThan(1_000);
  expect(done.length).toBeGreaterThanOrEqual(1_000 - batchSize);
});

test('at-least-once: killed, it handles the rest of a batch again; nothing is missing', async () => {
  const done = await killedInTheMiddle('at-least-once.ts', 'least', 1_000);
  expect(sorted([...new Set(done)]), 'nothing is missing').toEqual(numbers(1_000));
  expect(done.length, 'something is there twice, a batch at most').toBeGreaterThan(1_000);
  expect(done.length).toBeLessThanOrEqual(1_000 + batchSize);
});

test('idempotent: the leader killed and the program killed, every number is in the log once and in order', async () => {
  const count = 20_000;
  const topic = 'once';
  await createTopic(cluster.client, { name: topic, partitions: 1, replicationFactor: 3 });
  const end = async (): Promise<number> =>
    Number((await cluster.client.admin().listOffsets([{ topic, partition: 0, spec: 'latest' }]))[0]?.offset ?? 0);
  const first = start('idempotent.ts', topic, '--count', `${count}`);
  await expect.poll(end, { timeout: 20_000, interval: 10 }).toBeGreaterThan(500);
  // Stopped while its leader dies, so that it cannot be done before.
  await stop(first);
  const leader = (await partitionsOf(cluster.client, topic))[0]?.leader as number;
  const node = cluster.local.supervisor.statuses.find(({ name }) => name === `broker-${leader}`);
  process.kill(node?.pid as number, 'SIGKILL');
  try {
    const atKill = await end();
    first.child.kill('SIGCONT');
    await expect.poll(end, { timeout: 30_000, interval: 10 }).toBeGreaterThan(atKill + 300);
    await kill(first, 'SIGKILL');
    expect(await end(), 'killed before it was done').toBeLessThan(count);
    const second = start('idempotent.ts', topic, '--count', `${count}`);
    expect(await second.ended).toBe(0);
    expect(second.stdout()).toMatch(/the log ends with \d+\n[\s\S]*20000 records are in the log\n$/);
  } finally {
    await cluster.local.supervisor.restart(`broker-${leader}`);
  }
  const consumer = cluster.client.consumer({ autoOffsetReset: 'earliest' });
  consumer.assign([{ topic, partition: 0 }]);
  const values: number[] = [];
  while (values.length < (await end())) {
    for (const record of await consumer.poll(5_000)) values.push(Number(record.value));
  }
  await consumer.close();
  expect(values).toEqual(numbers(count));
});

test('rebalance-listener: members come and go, nothing is handled twice or left out', async () => {
  const count = 3_000;
  await topicOfNumbers('moving', count, 4);
  const first = start('rebalance-listener.ts', 'moving');
  await until(() => handled('moving').length > 100);
  const second = start('rebalance-listener.ts', 'moving');
  await until(() => second.stdout().includes('assigned: moving-'));
  expect(await kill(first, 'SIGTERM')).toBe(0);
  expect(first.stdout()).toContain('revoked and committed: moving-');
  await until(() => handled('moving').length >= count);
  expect(await kill(second, 'SIGTERM')).toBe(0);
  expect(sorted(handled('moving'))).toEqual(numbers(count));
});

test('graceful-shutdown: stopped and run again, nothing is handled twice or left out', async () => {
  const count = 2_000;
  await topicOfNumbers('grace', count, 4);
  const first = start('graceful-shutdown.ts', 'grace');
  await until(() => handled('grace').length > 200);
  expect(await kill(first, 'SIGTERM')).toBe(0);
  const inFirst = handled('grace').length;
  expect(first.stdout()).toContain(`handled ${inFirst} records, all of them committed`);
  const second = start('graceful-shutdown.ts', 'grace');
  await until(() => handled('grace').length >= count);
  expect(await kill(second, 'SIGTERM')).toBe(0);
  expect(sorted(handled('grace'))).toEqual(numbers(count));
});

test('custom-partitioner: partition 0 belongs to the large customer alone', async () => {
  await createTopic(cluster.client, { name: 'apart', partitions: 3, replicationFactor: 1 });
  const run = start('custom-partitioner.ts', 'apart', '--count', '600');
  expect(await run.ended).toBe(0);
  const counts = [...run.stdout().matchAll(/^partition (\d): (\d+) records$/gm)].map(([, , count]) => Number(count));
  expect(counts).toHaveLength(3);
  expect(counts[0]).toBe(300);
  expect((counts[1] as number) + (counts[2] as number)).toBe(300);
});
