import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createTopic, partitionsOf } from '../../bench/described.ts';
import { freePortOffset } from '../../bench/local-cluster.ts';
import { run } from './commands.ts';
import { TestCluster } from './test-cluster.ts';

const cluster = new TestCluster({ brokers: 3, coordinators: 3 });

const topics = cluster.tool('kafka-topics.sh');

function pidOf(name: string): number {
  return cluster.local.supervisor.statuses.find((node) => node.name === name)?.pid as number;
}

async function leaderOf(topic: string): Promise<number> {
  return (await partitionsOf(cluster.client, topic))[0]?.leader as number;
}

async function readAll(topic: string, partitions: number): Promise<string[]> {
  const assignment = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }));
  const ends = await cluster.client.admin().listOffsets(assignment.map((one) => ({ ...one, spec: 'latest' as const })));
  let left = ends.reduce((sum, { offset }) => sum + Number(offset), 0);
  const consumer = cluster.client.consumer({ 'auto.offset.reset': 'earliest' });
  consumer.assign(assignment);
  const values: string[] = [];
  while (left > 0) {
    const records = await consumer.poll(5_000);
    if (records.length === 0) break;
    left -= records.length;
    for (const record of records) values.push((record.value as Buffer).toString());
  }
  await consumer.close();
  return values;
}

async function waitForFullIsr(topic: string): Promise<void> {
  await expect
    .poll(async () => (await partitionsOf(cluster.client, topic)).every((p) => p.isr.length === p.replicas.length), {
      timeout: 20_000,
      interval: 100,
    })
    .toBe(true);
}

describe('three brokers, three coordinators, real processes', () => {
  test("topics are created, described, listed, altered and deleted with Kafka's words", async () => {
    const created = await topics(
      '--create',
      '--topic',
      'words',
      '--partitions',
      '3',
      '--replication-factor',
      '3',
      '--config',
      'min.insync.replicas=2',
    );
    expect(created).toEqual({ status: 0, stdout: 'Created topic words.\n', stderr: '' });
    const described = await topics('--describe', '--topic', 'words');
    expect(described.stdout).toMatch(
      /^Topic: words\tTopicId: [\w-]{22}\tPartitionCount: 3\tReplicationFactor: 3\tConfigs: min\.insync\.replicas=2\n/,
    );
    expect(
      described.stdout.match(
        /\tTopic: words\tPartition: \d\tLeader: \d\tReplicas: \d,\d,\d\tIsr: \d,\d,\d\tElr: \tLastKnownElr: \n/g,
      ),
    ).toHaveLength(3);
    expect((await topics('--alter', '--topic', 'words', '--partitions', '5')).status).toBe(0);
    expect((await topics('--list')).stdout).toContain('words\n');
    expect((await topics('--delete', '--topic', 'words')).status).toBe(0);
    expect((await topics('--list')).stdout).not.toContain('words\n');
  });

  test('a replication factor above the live brokers is refused as in Kafka', async () => {
    const refused = await topics('--create', '--topic', 'toomany', '--partitions', '1', '--replication-factor', '4');
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(/^Error while executing topic command : .*replication factor.*4.*3 broker/i);
    expect(refused.stderr.trim().split('\n')).toHaveLength(1);
  });

  test.each([
    [['--create', '--topic', 'bad name'], /bad name/],
    [['--create', '--topic', 'words2', '--config', 'retention.sm=1'], /retention\.ms/],
    [['--create', '--topik', 'x'], /did you mean --topic/],
    [['--describe', '--topic', 'nowhere'], /nowhere/],
  ])('kafka-topics %j is a one-line error', async (argv, message) => {
    const refused = await topics(...argv);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(message);
    expect(refused.stderr.trim().split('\n')).toHaveLength(1);
  });

  test('lines go through the console tools, also from another bootstrap broker', async () => {
    await topics('--create', '--topic', 'console', '--partitions', '3', '--replication-factor', '3');
    const lines = Array.from({ length: 5_000 }, (_, i) => `line ${i}`);
    const produced = await cluster.run('kafka-console-producer.sh', ['--topic', 'console'], `${lines.join('\n')}\n`);
    expect(produced).toMatchObject({ status: 0, stderr: '' });
    const second = cluster.bootstrapServers.split(',')[1] as string;
    const consumed = await run('kafka-console-consumer.sh', [
      '--bootstrap-server',
      second,
      '--topic',
      'console',
      '--from-beginning',
      '--timeout-ms',
      '2000',
    ]);
    expect(consumed.stderr).toBe('Processed a total of 5000 messages\n');
    expect(consumed.stdout.trim().split('\n').sort()).toEqual(lines.sort());
    const offsets = await cluster.run('kafka-get-offsets.sh', ['--topic', 'console']);
    const total = offsets.stdout
      .trim()
      .split('\n')
      .reduce((sum, line) => sum + Number(line.split(':')[2]), 0);
    expect(total).toBe(5_000);
  });

  test('C1, C4: kill -9 of the leader while producing: nothing is lost, nothing is there twice; the broker comes back into the ISR', async () => {
    await createTopic(cluster.client, {
      name: 'fire',
      partitions: 3,
      replicationFactor: 3,
      configs: { 'min.insync.replicas': '2' },
    });
    const producer = cluster.client.producer({ acks: 'all' });
    const acknowledged = new Set<string>();
    const count = 30_000;
    const victim = `broker-${await leaderOf('fire')}`;
    for (let i = 0; i < count; i++) {
      if (i === count / 2) process.kill(pidOf(victim), 'SIGKILL');
      const value = `record ${i}`;
      const isRoomy = producer.send({ topic: 'fire', value }, (error) => {
        if (error === null) acknowledged.add(value);
      });
      if (!isRoomy || i % 1_000 === 0) await producer.ready();
    }
    await producer.flush();
    await producer.close();
    expect(acknowledged.size).toBe(count);
    const values = await readAll('fire', 3);
    const read = new Set(values);
    expect([...acknowledged].filter((value) => !read.has(value))).toEqual([]);
    expect(values.length, 'C4: each value once (row 39)').toBe(read.size);
    await cluster.local.supervisor.restart(victim);
    await waitForFullIsr('fire');
  });

  test('C1: kill -9 of all six processes at once and a restart lose nothing acknowledged', async () => {
    await createTopic(cluster.client, {
      name: 'blackout',
      partitions: 3,
      replicationFactor: 3,
      configs: { 'min.insync.replicas': '2' },
    });
    const producer = cluster.client.producer({ acks: 'all' });
    const acknowledged = new Set<string>();
    const nodes = cluster.local.supervisor.statuses.map((node) => node.name);
    for (let i = 0; i < 20_000; i++) {
      const value = `record ${i}`;
      producer.send({ topic: 'blackout', value }, (error) => {
        if (error === null) acknowledged.add(value);
      });
      if (i % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await expect.poll(() => acknowledged.size, { timeout: 10_000, interval: 1 }).toBeGreaterThan(2_000);
    for (const name of nodes) process.kill(pidOf(name), 'SIGKILL');
    await producer.close({ timeoutMs: 0 });
    await expect.poll(() => cluster.local.supervisor.statuses.every((node) => node.state === 'down')).toBe(true);
    await Promise.all(nodes.map((name) => cluster.local.supervisor.restart(name)));
    await waitForFullIsr('blackout');
    const values = await readAll('blackout', 3);
    const read = new Set(values);
    expect([...acknowledged].filter((value) => !read.has(value))).toEqual([]);
    expect(values.length, 'C4').toBe(read.size);
  }, 90_000);

  test('status tells roles and what is under-replicated', async () => {
    const status = await run('naru', ['cluster', 'status', '--data-dir', cluster.local.dataDirectory]);
    expect(status.stdout).toMatch(/coordinator-\d\s+localhost:\d+\s+running \(pid \d+\) {2}leader, term \d+/);
    expect(status.stdout).toMatch(/broker-1\s+localhost:\d+\s+running \(pid \d+\) {2}registered, leads \d+ partitions/);
    expect(status.stdout).toMatch(/under-replicated partitions: 0\n/);
    expect(status.status).toBe(0);
  });

  test('a second start in the same directory is refused', async () => {
    const refused = await run('naru', ['cluster', 'start', '--data-dir', cluster.local.dataDirectory]);
    expect(refused).toMatchObject({ status: 1, stdout: '' });
    expect(refused.stderr).toMatch(/already running .*pid \d+/);
  });
});

test('an unreachable bootstrap address is named', async () => {
  const refused = await run('kafka-topics.sh', [
    '--bootstrap-server',
    'localhost:1',
    '--list',
    '--command-config',
    '/dev/null',
  ]);
  expect(refused.status).toBe(1);
  expect(refused.stderr).toMatch(/localhost:1/);
}, 90_000);

test.each([
  ['broker', 'log.dirs'],
  ['coordinator', 'data.dir'],
])('naru %s --help lists its settings', async (name, setting) => {
  const { status, stdout, stderr } = await run('naru', [name, '--help']);
  expect([status, stderr]).toEqual([0, '']);
  expect(stdout).toContain(`\n  ${setting}  `);
});

test('the starter outlives all of its nodes: they can be brought back', async () => {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'naru-'));
  const offset = await freePortOffset(1, 1);
  const argv = [
    'cluster',
    'start',
    '--brokers',
    '1',
    '--coordinators',
    '1',
    '--data-dir',
    dataDirectory,
    '--port-offset',
    `${offset}`,
  ];
  const starter = run('naru', argv);
  const ask = (...words: string[]) => run('naru', ['cluster', ...words, '--data-dir', dataDirectory]);
  try {
    await expect.poll(async () => (await ask('status')).status, { timeout: 20_000, interval: 200 }).toBe(0);
    // Ctrl-C reaches a whole process group: it has to find the starter alone, which then stops the nodes in order.
    const broker = (await readFile(join(dataDirectory, 'broker-1', 'node.pid'), 'utf8')).trim();
    expect(execFileSync('ps', ['-o', 'pgid=', '-p', broker], { encoding: 'utf8' }).trim()).toBe(broker);
    for (const node of ['broker-1', 'coordinator-1']) {
      process.kill(Number(await readFile(join(dataDirectory, node, 'node.pid'), 'utf8')), 'SIGKILL');
    }
    await expect.poll(async () => (await ask('status')).stdout.match(/down \(killed by SIGKILL\)/g)?.length).toBe(2);
    const restarted = await ask('restart', 'all');
    expect(restarted).toMatchObject({ status: 0, stderr: '' });
    expect(restarted.stdout).toMatch(/coordinator-1 is running .*\nbroker-1 is running/);
  } finally {
    await ask('stop');
    expect((await starter).status).toBe(0);
    await rm(dataDirectory, { recursive: true, force: true });
  }
}, 60_000);
