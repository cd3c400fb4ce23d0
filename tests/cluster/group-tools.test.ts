import type { Consumer } from '@naru/client';
import { beforeAll, describe, expect, test } from 'vitest';
import { createTopic } from '../../bench/described.ts';
import { run } from './commands.ts';
import { TestCluster } from './test-cluster.ts';

const cluster = new TestCluster({ brokers: 1, coordinators: 1 });

/** Timestamps of the records 0 to 9 of each partition: a day apart, from 1 June 2024 on. */
const firstDay = Date.UTC(2024, 5, 1);
const dayMs = 86_400_000;

beforeAll(async () => {
  for (const name of ['t', 'u']) await createTopic(cluster.client, { name, partitions: 2, replicationFactor: 1 });
  await createTopic(cluster.client, { name: 'empty', partitions: 1, replicationFactor: 1 });
  const producer = cluster.client.producer();
  await producer.sendMany(
    ['t', 'u'].flatMap((topic) =>
      Array.from({ length: 20 }, (_, i) => {
        const day = Math.floor(i / 2);
        return { topic, partition: i % 2, value: `${i}`, timestamp: firstDay + day * dayMs };
      }),
    ),
  );
  await producer.close();
}, 60_000);

const groups = cluster.tool('kafka-consumer-groups.sh');

/** Commits for a group that has no members. */
async function commit(
  group: string,
  offsets: readonly (readonly [topic: string, partition: number, offset: bigint])[],
) {
  const admin = cluster.client.admin();
  await admin.alterGroupOffsets(
    group,
    offsets.map(([topic, partition, offset]) => ({ topic, partition, offset })),
  );
  await admin.close();
}

async function member(groupId: string, options: Record<string, unknown> = {}): Promise<Consumer> {
  const consumer = cluster.client.consumer({ groupId, clientId: 'tester', autoOffsetReset: 'earliest', ...options });
  consumer.subscribe(['t']);
  await consumer.poll(10_000);
  return consumer;
}

const row = (cells: readonly (string | number)[], widths: readonly number[]): string =>
  cells.map((cell, i) => String(cell).padEnd(widths[i] ?? 0)).join(' ');
const offsetRow = (...cells: (string | number)[]): string => row(cells, [15, 15, 10, 15, 15, 15, 15, 15, 0]);
const offsetHeader = offsetRow(
  'GROUP',
  'TOPIC',
  'PARTITION',
  'CURRENT-OFFSET',
  'LOG-END-OFFSET',
  'LAG',
  'CONSUMER-ID',
  'HOST',
  'CLIENT-ID',
);
const resetRow = (...cells: (string | number)[]): string => row(cells, [30, 30, 10, 15]);
const resetTable = (...rows: string[]): string =>
  `\n${[resetRow('GROUP', 'TOPIC', 'PARTITION', 'NEW-OFFSET'), ...rows].join('\n')}\n`;

test('the perf test as a member of a group: the time of joining has its column, what was read is committed', async () => {
  const argv = ['--topic', 't', '--group', 'measured', '--messages', '20', '--hide-header'];
  const read = await cluster.run('kafka-consumer-perf-test.sh', argv);
  expect(read).toMatchObject({ status: 0, stderr: '' });
  const [, , , , records, , joiningMs, fetchMs] = read.stdout.split(', ');
  expect(Number(records)).toBe(20);
  expect([Number(joiningMs), Number(fetchMs)].every((ms) => ms > 0)).toBe(true);
  const { stdout } = await groups('--describe', '--group', 'measured');
  for (const partition of [0, 1])
    expect(stdout).toContain(offsetRow('measured', 't', partition, 10, 10, 0, '-', '-', '-'));
});

describe('describe and list', () => {
  test('the members of a group without any: the header alone, as Kafka 4.3 prints it', async () => {
    await commit('deserted', [['t', 0, 1n]]);
    expect((await groups('--describe', '--group', 'deserted', '--members')).stdout).toBe(
      '\nGROUP           CONSUMER-ID     HOST            CLIENT-ID       #PARTITIONS     \n',
    );
  });

  test('offsets of groups without members, one table after the other, by name', async () => {
    await commit('beta', [['t', 1, 4n]]);
    await commit('alpha', [
      ['u', 0, 10n],
      ['t', 0, 3n],
    ]);
    expect(await groups('--describe', '--group', 'beta', '--group', 'alpha')).toEqual({
      status: 0,
      stdout: [
        `\n${offsetHeader}`,
        offsetRow('alpha', 't', 0, 3, 10, 7, '-', '-', '-'),
        offsetRow('alpha', 'u', 0, 10, 10, 0, '-', '-', '-'),
        `\n${offsetHeader}`,
        offsetRow('beta', 't', 1, 4, 10, 6, '-', '-', '-'),
        '',
      ].join('\n'),
      stderr: "\nConsumer group 'alpha' has no active members.\n\nConsumer group 'beta' has no active members.\n",
    });
  });

  test('a group with a member: offsets, members, state', async () => {
    const consumer = await member('live', { 'group.instance.id': 'inst' });
    await consumer.commitSync([{ topic: 't', partition: 0, offset: 6n, leaderEpoch: 0 }]);
    const { memberId } = consumer.groupMetadata();
    const verbose = await groups('--describe', '--group', 'live', '--verbose');
    expect(verbose.stdout.split('\n').slice(2)).toEqual([
      `live            t               0          0               6               10              4               ${memberId} /127.0.0.1      tester`,
      `live            t               1          -               -               10              -               ${memberId} /127.0.0.1      tester`,
      '',
    ]);
    expect(await groups('--describe', '--group', 'live', '--members', '--verbose')).toEqual({
      status: 0,
      stdout:
        `\nGROUP           ${'CONSUMER-ID'.padEnd(memberId.length)} GROUP-INSTANCE-ID HOST            CLIENT-ID       #PARTITIONS     CURRENT-EPOCH   CURRENT-ASSIGNMENT   TARGET-EPOCH    TARGET-ASSIGNMENT   \n` +
        `live            ${memberId} inst              /127.0.0.1      tester          2               -               t:0,1                -               -                   \n`,
      stderr: '',
    });
    const state = await groups('--describe', '--group', 'live', '--state');
    expect(state.stdout).toMatch(
      /^\nGROUP +COORDINATOR \(ID\) +ASSIGNMENT-STRATEGY +STATE +#MEMBERS\nlive {12}localhost:\d+ {2}\(1\) +range {16}Stable {15}1\n$/,
    );
    const listed = await groups('--list', '--state', 'stable', '--type');
    expect(listed.stdout).toBe(
      `${row(['GROUP', 'TYPE', 'STATE'], [25, 20, 20])}\n${row(['live', 'Classic', 'Stable'], [25, 20, 20])}\n`,
    );
    expect((await groups('--list', '--type', 'consumer')).stdout.split('\n')).toHaveLength(2);
    const refused = await groups('--reset-offsets', '--group', 'live', '--topic', 't', '--to-earliest', '--execute');
    expect(refused).toMatchObject({ status: 1, stderr: '' });
    expect(refused.stdout).toBe(
      "\nError: Assignments can only be reset if the group 'live' is inactive, but the current state is Stable.\n",
    );
    await consumer.close();
  });

  test('a group that does not exist; a topic that was deleted does not hide the rest', async () => {
    expect(await groups('--describe', '--group', 'nobody')).toMatchObject({
      status: 1,
      stdout: "\nError: Consumer group 'nobody' does not exist.\n",
    });
    await createTopic(cluster.client, { name: 'gone', partitions: 1, replicationFactor: 1 });
    await commit('partly', [
      ['gone', 0, 0n],
      ['t', 0, 1n],
    ]);
    await cluster.client.admin().deleteTopics(['gone']);
    const described = await groups('--describe', '--group', 'partly');
    expect(described.stdout).toContain(offsetRow('partly', 't', 0, 1, 10, 9, '-', '-', '-'));
  });

  test.each([
    [['--describe'], /--describe needs --group or --all-groups/],
    [['--list', '--describe'], /exactly one of --list, --describe/],
    [['--describe', '--group', 'g', '--members', '--state'], /one of --members, --offsets, --state/],
    [['--list', '--state', 'sleeping'], /'sleeping' is no state/],
    [['--reset-offsets', '--group', 'g', '--to-latest', '--dry-run'], /--topic or --all-topics/],
    [['--reset-offsets', '--group', 'g', '--topic', 't', '--dry-run'], /exactly one of --to-earliest/],
    [['--reset-offsets', '--group', 'g', '--topic', 't:7', '--to-latest', '--dry-run'], /"t-7" do not exist/],
    [['--reset-offsets', '--group', 'g', '--topic', 't', '--by-duration', '1h', '--dry-run'], /PnDTnHnMnS/],
    [['--reset-offsets', '--group', 'none', '--topic', 't', '--shift-by', '1', '--dry-run'], /no current committed/],
  ])('%j is a one-line error', async (argv, message) => {
    const refused = await groups(...argv);
    expect(refused).toMatchObject({ status: 1, stdout: '' });
    expect(refused.stderr).toMatch(message);
    expect(refused.stderr.trim().split('\n')).toHaveLength(1);
  });

  test('--validate-regex asks no broker', async () => {
    expect(await run('kafka-consumer-groups.sh', ['--validate-regex', 't.*'])).toEqual({
      status: 0,
      stdout: 'The regular expression `t.*` is valid.\n',
      stderr: '',
    });
    const bad = await run('kafka-consumer-groups.sh', ['--validate-regex', '(']);
    expect(bad.stdout).toMatch(/^The regular expression `\(` is invalid: .+\.\n$/);
  });
});

describe('reset-offsets', () => {
  /** Both partitions of t at 5. */
  const begin = (group: string): Promise<void> =>
    commit(group, [
      ['t', 0, 5n],
      ['t', 1, 5n],
    ]);

  test.each([
    [['--to-earliest'], 0, 0],
    [['--to-latest'], 10, 10],
    [['--to-current'], 5, 5],
    [['--to-offset', '7'], 7, 7],
    [['--shift-by', '3'], 8, 8],
    [['--shift-by', '-2'], 3, 3],
    [['--to-datetime', '2024-06-03T12:00:00.000'], 3, 3],
    [['--to-datetime', '2024-06-03T01:00:00.000+02:00'], 2, 2],
    [['--by-duration', 'P100000D'], 0, 0],
  ])('%j: shown by --dry-run, set by --execute', async (how, first, second) => {
    const group = `reset${how.join('').replace(/\W/g, '')}`;
    await begin(group);
    const argv = ['--reset-offsets', '--group', group, '--topic', 't', ...how];
    const expected = {
      status: 0,
      stdout: resetTable(resetRow(group, 't', 0, first), resetRow(group, 't', 1, second)),
      stderr: '',
    };
    expect(await groups(...argv, '--dry-run')).toEqual(expected);
    const offsets = async () =>
      (await cluster.client.admin().listGroupOffsets(group)).map(({ offset }) => Number(offset));
    expect(await offsets()).toEqual([5, 5]);
    expect(await groups(...argv, '--execute')).toEqual(expected);
    expect(await offsets()).toEqual([first, second]);
  });

  test('out of range: moved to what there is, and said so', async () => {
    await begin('far');
    const argv = ['--reset-offsets', '--group', 'far', '--topic', 't:1', '--dry-run'];
    const moved = await groups(...argv, '--shift-by', '100');
    expect(moved.stdout).toBe(resetTable(resetRow('far', 't', 1, 10)));
    expect(moved.stderr).toMatch(
      /New offset \(105\) is higher than latest offset for topic partition t-1\. Value will be set to 10/,
    );
    expect((await groups(...argv, '--shift-by', '-100')).stderr).toMatch(/lower than earliest .* set to 0/);
  });

  test('a time after the last record: the end, with a warning; without --execute a notice', async () => {
    const ahead = await groups('--reset-offsets', '--group', 'new', '--topic', 'empty', '--by-duration', 'PT1H');
    expect(ahead.stdout).toBe(
      `\nWarn: Partition 0 from topic empty is empty. Falling back to latest known offset.\n${resetTable(resetRow('new', 'empty', 0, 0))}`,
    );
    expect(ahead.stderr).toMatch(/^WARN: No action will be performed as the --execute option is missing\./);
  });

  test('what --export writes --from-file sets; several groups have theirs in front', async () => {
    await begin('one');
    await commit('two', [['u', 1, 2n]]);
    const single = await groups(
      '--reset-offsets',
      '--group',
      'one',
      '--all-topics',
      '--to-current',
      '--export',
      '--dry-run',
    );
    expect(single.stdout).toBe('"t",0,5\n"t",1,5\n\n');
    const both = await groups(
      '--reset-offsets',
      '--group',
      'one',
      '--group',
      'two',
      '--all-topics',
      '--to-current',
      '--export',
      '--dry-run',
    );
    expect(both.stdout).toBe('"one","t",0,5\n"one","t",1,5\n"two","u",1,2\n\n');
    const file = cluster.file('plan.csv', both.stdout.replace('"two","u",1,2', '"two","u",1,9'));
    const set = await groups('--reset-offsets', '--group', 'two', '--from-file', file, '--execute');
    expect(set).toEqual({ status: 0, stdout: resetTable(resetRow('two', 'u', 1, 9)), stderr: '' });
    cluster.file('plan.csv', single.stdout.replace('1,5', '1,6'));
    expect((await groups('--reset-offsets', '--group', 'one', '--from-file', file, '--execute')).stdout).toBe(
      resetTable(resetRow('one', 't', 0, 5), resetRow('one', 't', 1, 6)),
    );
    cluster.file('plan.csv', '"t",0\n');
    expect((await groups('--reset-offsets', '--group', 'one', '--from-file', file, '--dry-run')).stderr).toMatch(
      /plan\.csv:1: not of the form topic,partition,offset/,
    );
  });
});

describe('delete', () => {
  test('offsets of a topic, then the group', async () => {
    await commit('dying', [
      ['t', 0, 1n],
      ['t', 1, 1n],
      ['u', 0, 1n],
    ]);
    expect(await groups('--delete-offsets', '--group', 'dying', '--topic', 't')).toEqual({
      status: 0,
      stdout: [
        'Request succeed for deleting offsets with topic t group dying',
        '',
        row(['TOPIC', 'PARTITION', 'STATUS'], [30, 15, 15]),
        row(['t', 0, 'Successful'], [30, 15, 15]),
        row(['t', 1, 'Successful'], [30, 15, 15]),
        '',
      ].join('\n'),
      stderr: '',
    });
    expect(await cluster.client.admin().listGroupOffsets('dying')).toHaveLength(1);
    expect(await groups('--delete', '--group', 'dying')).toEqual({
      status: 0,
      stdout: "Deletion of requested consumer groups ('dying') was successful.\n",
      stderr: '',
    });
    expect((await groups('--list')).stdout.split('\n')).not.toContain('dying');
  });

  test('a group with members stays, others go', async () => {
    await commit('idle', [['t', 0, 1n]]);
    const consumer = await member('busy');
    const refused = await groups('--delete', '--group', 'busy', '--group', 'idle');
    expect(refused.status).toBe(1);
    expect(refused.stdout).toMatch(
      /^\nError: Deletion of some consumer groups failed:\n\* Group 'busy' could not be deleted due to: .+\n\nThese consumer groups were deleted successfully: 'idle'\n$/,
    );
    const subscribed = await groups('--delete-offsets', '--group', 'busy', '--topic', 't');
    expect(subscribed.status).toBe(1);
    expect(subscribed.stdout).toMatch(/^\nError: Encountered some partition-level error, see the follow-up details:\n/);
    await consumer.close();
  });
});
