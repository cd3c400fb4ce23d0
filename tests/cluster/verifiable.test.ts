import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { type Finished, launcher } from './commands.ts';
import { TestCluster } from './test-cluster.ts';

const cluster = new TestCluster({ brokers: 1, coordinators: 1 });
const groups = cluster.tool('kafka-consumer-groups.sh');

interface Event {
  readonly name: string;
  readonly [field: string]: unknown;
}

function eventsOf(text: string): Event[] {
  const lines = text.trim().split('\n');
  for (const line of lines) expect(line).toMatch(/^\{"timestamp":\d{13},"name":"\w+"[,}]/);
  return lines.map((line) => JSON.parse(line));
}

const consume = (group: string, ...more: string[]): Promise<Finished> =>
  cluster.run('kafka-verifiable-consumer.sh', ['--topic', 'v', '--group-id', group, ...more]);

function startConsumer(group: string, ...more: string[]): ChildProcessByStdio<null, Readable, null> {
  const argv = ['--bootstrap-server', cluster.bootstrapServers, '--topic', 'v', '--group-id', group, ...more];
  return spawn(launcher('kafka-verifiable-consumer.sh'), argv, { stdio: ['ignore', 'pipe', 'inherit'] });
}

test('what the verifiable producer wrote the verifiable consumer reads and commits, told in the lines of VerifiableConsumer.java', async () => {
  const produced = await cluster.run('kafka-verifiable-producer.sh', ['--topic', 'v', '--max-messages', '1200']);
  expect(produced).toMatchObject({ status: 0, stderr: '' });
  expect(eventsOf(produced.stdout).at(-1)).toMatchObject({ name: 'tool_data', sent: 1200, acked: 1200 });

  const first = await consume('g', '--max-messages', '700', '--verbose');
  expect(first).toMatchObject({ status: 0, stderr: '' });
  const events = eventsOf(first.stdout);
  expect(events.slice(0, 2).map(({ timestamp, ...rest }) => rest)).toEqual([
    { name: 'startup_complete' },
    { name: 'partitions_assigned', partitions: [{ topic: 'v', partition: 0 }] },
  ]);
  const data = events.filter(({ name }) => name === 'record_data');
  expect(data.map(({ value }) => value)).toEqual(Array.from({ length: 700 }, (_, i) => String(i)));
  expect(Object.keys(data[0] as Event)).toEqual(['timestamp', 'name', 'key', 'value', 'topic', 'partition', 'offset']);
  const consumed = events.filter(({ name }) => name === 'records_consumed');
  expect(consumed.map(({ count }) => count)).toEqual([500, 200]);
  expect(first.stdout).toContain(
    '"name":"records_consumed","count":500,"partitions":[{"topic":"v","partition":0,"count":500,"minOffset":0,"maxOffset":499}]}',
  );
  // Records of a poll that are beyond --max-messages are neither counted nor committed.
  expect(first.stdout).toContain(
    '"name":"offsets_committed","offsets":[{"topic":"v","partition":0,"offset":700}],"success":true}',
  );
  expect(events.slice(-2).map(({ name }) => name)).toEqual(['partitions_revoked', 'shutdown_complete']);

  const second = await consume('g', '--max-messages', '500', '--enable-autocommit');
  expect(second.stdout).toContain('"minOffset":700,');
  expect(second.stdout).not.toContain('offsets_committed');
  const described = await groups('--describe', '--group', 'g');
  expect(described.stdout).toMatch(/^g +v +0 +1200 +1200 +0 +- +- +-$/m);
});

test('SIGTERM ends it in order: the assignment is given up, the last line is shutdown_complete', async () => {
  const child = startConsumer('term', '--group-instance-id', 'one');
  const names: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    const { name } = JSON.parse(line) as Event;
    names.push(name);
    if (name === 'offsets_committed' && !child.killed) child.kill('SIGTERM');
  }
  const [status] = child.exitCode === null ? await once(child, 'close') : [child.exitCode];
  expect(status).toBe(0);
  expect(names.at(-1)).toBe('shutdown_complete');
});

test('--group-protocol consumer: the coordinator assigns, and consumer-groups shows its epochs (KIP-848, KIP-1099)', async () => {
  const child = startConsumer('kip848', '--group-protocol', 'CONSUMER');
  const describe = (...more: string[]) => groups('--describe', '--group', 'kip848', ...more);
  for await (const line of createInterface({ input: child.stdout })) {
    if ((JSON.parse(line) as Event).name !== 'offsets_committed' || child.killed) continue;
    const [members, state] = [await describe('--members', '--verbose'), await describe('--state', '--verbose')];
    expect(members.stdout).toMatch(/^kip848 .* 1 +\d+ +v:0 +\d+ +v:0 +$/m);
    expect(state.stdout).toMatch(/^kip848 +localhost:\d+ {2}\(1\) +uniform +Stable +\d+ +\d+ +1$/m);
    child.kill('SIGTERM');
  }
  const listed = await groups('--list', '--type', 'consumer');
  expect(listed.stdout).toMatch(/^kip848 +Consumer +$/m);
});

test.each([
  [['--assignment-strategy', 'org.apache.kafka.clients.consumer.NoSuchAssignor'], /NoSuchAssignor.*there are range/],
  [['--reset-policy', 'sometimes'], /auto\.offset\.reset.*latest, earliest, none/],
  [['--max-messages', 'many'], /--max-messages must be a whole number/],
])('%j is a one-line error', async (argv, message) => {
  const refused = await consume('bad', ...argv);
  expect(refused).toMatchObject({ status: 1, stdout: '' });
  expect(refused.stderr).toMatch(message);
  expect(refused.stderr.trim().split('\n')).toHaveLength(1);
});
