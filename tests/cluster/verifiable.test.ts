import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type LocalCluster, startLocalCluster } from '../../bench/local-cluster.ts';
import { launcher, run } from './commands.ts';

let cluster: LocalCluster;
let servers: string[];

beforeAll(async () => {
  cluster = await startLocalCluster({ brokers: 1, coordinators: 1 });
  servers = ['--bootstrap-server', cluster.bootstrapServers];
}, 60_000);

afterAll(() => cluster?.[Symbol.asyncDispose](), 60_000);

interface Event {
  readonly name: string;
  readonly [field: string]: unknown;
}

function eventsOf(text: string): Event[] {
  const lines = text.trim().split('\n');
  for (const line of lines) expect(line).toMatch(/^\{"timestamp":\d{13},"name":"\w+"[,}]/);
  return lines.map((line) => JSON.parse(line));
}

function consume(group: string, ...more: string[]): Promise<{ status: number | null; stdout: string; stderr: string }> {
  return run('kafka-verifiable-consumer.sh', [...servers, '--topic', 'v', '--group-id', group, ...more]);
}

test('what the verifiable producer wrote the verifiable consumer reads and commits, told in the lines of VerifiableConsumer.java', async () => {
  const produced = await run('kafka-verifiable-producer.sh', [...servers, '--topic', 'v', '--max-messages', '1200']);
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
  const described = await run('kafka-consumer-groups.sh', [...servers, '--describe', '--group', 'g']);
  expect(described.stdout).toMatch(/^g +v +0 +1200 +1200 +0 +- +- +-$/m);
});

test('SIGTERM ends it in order: the assignment is given up, the last line is shutdown_complete', async () => {
  const argv = [...servers, '--topic', 'v', '--group-id', 'term', '--group-instance-id', 'one'];
  const child = spawn(launcher('kafka-verifiable-consumer.sh'), argv, { stdio: ['ignore', 'pipe', 'inherit'] });
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
  const argv = [...servers, '--topic', 'v', '--group-id', 'kip848', '--group-protocol', 'CONSUMER'];
  const child = spawn(launcher('kafka-verifiable-consumer.sh'), argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  const describe = (...more: string[]) =>
    run('kafka-consumer-groups.sh', [...servers, '--describe', '--group', 'kip848', ...more]);
  for await (const line of createInterface({ input: child.stdout })) {
    if ((JSON.parse(line) as Event).name !== 'offsets_committed' || child.killed) continue;
    const [members, state] = [await describe('--members', '--verbose'), await describe('--state', '--verbose')];
    expect(members.stdout).toMatch(/^kip848 .* 1 +\d+ +v:0 +\d+ +v:0 +$/m);
    expect(state.stdout).toMatch(/^kip848 +localhost:\d+ {2}\(1\) +uniform +Stable +\d+ +\d+ +1$/m);
    child.kill('SIGTERM');
  }
  const listed = await run('kafka-consumer-groups.sh', [...servers, '--list', '--type', 'consumer']);
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
