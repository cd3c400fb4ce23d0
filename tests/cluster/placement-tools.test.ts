import { beforeAll, expect, test } from 'vitest';
import type { Finished } from './commands.ts';
import { TestCluster } from './test-cluster.ts';

const cluster = new TestCluster({ brokers: 3, coordinators: 1 });

beforeAll(async () => {
  const admin = cluster.client.admin();
  await admin.createTopics([
    {
      name: 't',
      assignments: [
        [1, 2],
        [2, 3],
      ],
    },
  ]);
  await admin.close();
  const producer = cluster.client.producer();
  await producer.sendMany(
    Array.from({ length: 100 }, (_, i) => ({ topic: 't', partition: i % 2, value: `${i}`.padEnd(1_000) })),
  );
  await producer.close();
}, 60_000);

const file = (name: string, content: unknown): string => cluster.file(name, JSON.stringify(content));
const reassign = cluster.tool('kafka-reassign-partitions.sh');
const elect = cluster.tool('kafka-leader-election.sh');

const current =
  '{"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[1,2],"log_dirs":["any","any"]},{"topic":"t","partition":1,"replicas":[2,3],"log_dirs":["any","any"]}]}';

/** What the tool said of the partitions; asked until nothing is under way. */
async function verified(path: string): Promise<string> {
  for (;;) {
    const { stdout, status, stderr } = await reassign('--verify', '--reassignment-json-file', path);
    expect([status, stderr]).toEqual([0, '']);
    if (!stdout.includes('still in progress')) return stdout;
  }
}

test('kafka-reassign-partitions.sh proposes, executes and verifies, with the output of Kafka', async () => {
  const topics = file('topics.json', { topics: [{ topic: 't' }], version: 1 });
  const generated = await reassign('--generate', '--topics-to-move-json-file', topics, '--broker-list', '1,3');
  expect(generated.stdout.split('\n').slice(0, 4)).toEqual([
    'Current partition replica assignment',
    current,
    '',
    'Proposed partition reassignment configuration',
  ]);
  const proposal = JSON.parse(generated.stdout.split('\n')[4] as string);
  for (const { replicas } of proposal.partitions) expect([...replicas].sort()).toEqual([1, 3]);

  const target = {
    version: 1,
    partitions: [
      { topic: 't', partition: 0, replicas: [3, 1] },
      { topic: 't', partition: 1, replicas: [1, 3, 2] },
    ],
  };
  const path = file('move.json', target);
  expect(await reassign('--execute', '--reassignment-json-file', path)).toEqual({
    status: 0,
    stderr: '',
    stdout:
      `Current partition replica assignment\n\n${current}\n\n` +
      'Save this to use as the --reassignment-json-file option during rollback\n' +
      'Successfully started partition reassignments for t-0,t-1\n',
  });
  expect(await verified(path)).toBe(
    'Status of partition reassignment:\nReassignment of partition t-0 is completed.\nReassignment of partition t-1 is completed.\n',
  );
  expect((await reassign('--list')).stdout).toBe('No partition reassignments found.\n');
  expect((await reassign('--cancel', '--reassignment-json-file', path)).stdout).toBe(
    'None of the specified partition reassignments are active.\n',
  );
  const consumer = cluster.client.consumer({ autoOffsetReset: 'earliest' });
  consumer.assign([0, 1].map((partition) => ({ topic: 't', partition })));
  let read = 0;
  while (read < 100) read += (await consumer.poll(1_000)).length;
  await consumer.close();

  const refused = await reassign(
    '--execute',
    '--reassignment-json-file',
    file('nowhere.json', { version: 1, partitions: [{ topic: 't', partition: 0, replicas: [9] }] }),
  );
  expect(refused.status).toBe(1);
  expect(refused.stderr).toContain('Error reassigning partition(s):\nt-0: ');
  expect(refused.stderr).toContain('broker 9, but no such broker is registered');
}, 60_000);

test('kafka-leader-election.sh gives the leadership to first replicas, with the output of Kafka', async () => {
  const all = await elect('--election-type', 'preferred', '--all-topic-partitions');
  expect([all.status, all.stderr]).toEqual([0, '']);
  const one = ['--election-type', 'PREFERRED', '--topic', 't', '--partition', '0'];
  expect((await elect(...one)).stdout).toBe('Valid replica already elected for partitions t-0\n');
  const admin = cluster.client.admin();
  const [topic] = await admin.describeTopics(['t']);
  if (topic === undefined || 'error' in topic) throw new Error('t cannot be described');
  expect(topic.partitions.map(({ leader }) => leader)).toEqual([3, 1]);
  await admin.alterPartitionReassignments([{ topic: 't', partition: 0, replicas: [1, 3] }]);
  expect((await elect(...one)).stdout).toBe('Successfully completed leader election (PREFERRED) for partitions t-0\n');
  await admin.close();
  const list = file('elect.json', { partitions: [{ topic: 't', partition: 7 }] });
  const failed = await elect('--election-type', 'unclean', '--path-to-json-file', list);
  expect(failed).toMatchObject({ status: 1, stderr: '1 replica(s) could not be elected\n' });
  expect(failed.stdout).toMatch(/^Error completing leader election \(UNCLEAN\) for partition: t-7: /);
}, 60_000);

test('bad input is told in one line, and nothing is done', async () => {
  const usage = async (finished: Promise<Finished>): Promise<string> => (await finished).stderr;
  expect(await usage(reassign())).toContain('exactly one action');
  expect(await usage(reassign('--execute'))).toContain('--reassignment-json-file is missing');
  expect(await usage(reassign('--list', '--throttle', '100'))).toContain('not throttled');
  const twice = file('twice.json', { partitions: [1, 1].map(() => ({ topic: 't', partition: 0, replicas: [1] })) });
  expect(await usage(reassign('--verify', '--reassignment-json-file', twice))).toContain('t-0 stands there twice');
  expect(await usage(elect('--election-type', 'any', '--all-topic-partitions'))).toContain('preferred or unclean');
  expect(await usage(elect('--election-type', 'preferred'))).toContain('exactly one of');
}, 60_000);
