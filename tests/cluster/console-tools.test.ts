import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { serdes } from '@naru/client';
import { expect, test } from 'vitest';
import { createTopic } from '../../bench/described.ts';
import { type Finished, launcher } from './commands.ts';
import { TestCluster } from './test-cluster.ts';

const cluster = new TestCluster({ brokers: 1, coordinators: 1 });

const topic = (name: string, partitions = 1): Promise<void> =>
  createTopic(cluster.client, { name, partitions, replicationFactor: 1 });

const produce = (name: string, input: string, ...argv: string[]): Promise<Finished> =>
  cluster.run('kafka-console-producer.sh', ['--topic', name, ...argv], input);

const consume = (...argv: string[]): Promise<Finished> =>
  cluster.run('kafka-console-consumer.sh', ['--timeout-ms', '8000', ...argv]);

const silent: Finished = { status: 0, stdout: '', stderr: '' };

test('keys, headers and null through producer and consumer, with the flags of Kafka 4 and those before', async () => {
  await topic('full');
  const reading = ['parse.key=true', 'parse.headers=true', 'null.marker=NULL', 'key.separator=|'];
  const printing = [
    'print.key=true',
    'print.headers=true',
    'print.offset=true',
    'print.partition=true',
    'null.literal=NIL',
  ];
  const flagged = (flag: string, list: readonly string[]): string[] => list.flatMap((one) => [flag, one]);
  const input = 'a:1,b:2\tk1|v1\nNULL\tNULL|v2\na:NULL\tk3|NULL\n';
  expect(await produce('full', input, ...flagged('--property', reading))).toEqual(silent);
  const config = cluster.file('reader.properties', 'parse.key=true\nparse.headers=true\nnull.marker=NULL\n');
  expect(
    await produce('full', 'h:x\tk4|v4\n', '--reader-config', config, '--reader-property', 'key.separator=|'),
  ).toEqual(silent);
  const expected: Finished = {
    status: 0,
    stdout: [
      'Partition:0\tOffset:0\ta:1,b:2\tk1\tv1',
      'Partition:0\tOffset:1\tNO_HEADERS\tNIL\tv2',
      'Partition:0\tOffset:2\ta:NIL\tk3\tNIL',
      'Partition:0\tOffset:3\th:x\tk4\tv4',
      '',
    ].join('\n'),
    stderr: 'Processed a total of 4 messages\n',
  };
  const argv = ['--topic', 'full', '--from-beginning', '--max-messages', '4'];
  expect(await consume(...argv, ...flagged('--property', printing))).toEqual(expected);
  expect(await consume(...argv, ...flagged('--formatter-property', printing))).toEqual(expected);
  const formatter = cluster.file('formatter.properties', `${printing.join('\n')}\n`);
  expect(await consume(...argv, '--formatter-config', formatter)).toEqual(expected);
  const last = await consume('--topic', 'full', '--partition', '0', '--offset', '3', '--max-messages', '1');
  expect(last.stdout).toBe('v4\n');
});

test('--group goes on after what was printed', async () => {
  await topic('shared');
  await produce('shared', Array.from({ length: 30 }, (_, i) => `${i}\n`).join(''));
  const argv = ['--topic', 'shared', '--group', 'readers', '--from-beginning'];
  const first = await consume(...argv, '--max-messages', '12');
  const second = await consume(...argv, '--max-messages', '18');
  expect((first.stdout + second.stdout).trim().split('\n')).toEqual(Array.from({ length: 30 }, (_, i) => `${i}`));
});

test('deserializers; a record that cannot be printed ends it, or is passed over by --skip-message-on-error', async () => {
  await topic('typed');
  const producer = cluster.client.producer({ key: serdes.integer(), value: serdes.long() });
  await producer.send({ topic: 'typed', key: 7, value: 2n ** 60n });
  await producer.close();
  await produce('typed', 'no long\n');
  const producer2 = cluster.client.producer({ value: serdes.long() });
  await producer2.send({ topic: 'typed', value: -1 });
  await producer2.close();
  const java = 'org.apache.kafka.common.serialization';
  const argv = ['--topic', 'typed', '--from-beginning', '--max-messages', '3', '--property', 'print.key=true'];
  const typed = [
    ...argv,
    '--key-deserializer',
    `${java}.IntegerDeserializer`,
    '--value-deserializer',
    `${java}.LongDeserializer`,
  ];
  const ended = await consume(...typed);
  expect(ended.status).toBe(1);
  expect(ended.stderr).toMatch(/Error processing message of typed-0 at offset 1: a long has 8 bytes, not 7/);
  const skipped = await consume(...typed, '--skip-message-on-error');
  expect(skipped).toMatchObject({ status: 0, stdout: '7\t1152921504606846976\nnull\t-1\n' });
  expect(skipped.stderr).toMatch(/at offset 1: .*; skipped\nProcessed a total of 3 messages\n$/);
});

test('a flag counts more than a property, a property more than a file', async () => {
  await topic('settings');
  const file = cluster.file('producer.properties', 'acks=2\ncompression.type=lz4\n');
  const refused = await produce('settings', 'x\n', '--producer.config', file);
  expect(refused.stderr).toMatch(/acks.*must be one of all/);
  const argv = ['--command-config', file, '--command-property', 'acks=1', '--request-required-acks', '-1'];
  expect(await produce('settings', 'x\n', ...argv, '--compression-codec', '--sync')).toEqual(silent);
});

test.each([
  [['--topic', 't', '--include', 'u'], /give --topic or --include/],
  [['--topic', 't', '--partition', '0', '--group', 'g'], /give --group or --partition/],
  [
    ['--topic', 't', '--from-beginning', '--consumer-property', 'auto.offset.reset=latest'],
    /contradicts auto\.offset\.reset=latest/,
  ],
  [['--topic', 't', '--group', 'g', '--consumer-property', 'group.id=h'], /--group says 'g'/],
  [['--topic', 't', '--offset', '1'], /--offset needs --partition/],
  [['--topic', 't', '--partition', '0', '--offset', 'middle'], /--offset must be a whole number/],
  [['--topic', 't', '--property', 'print.kee=true'], /unknown formatter property/],
  [['--topic', 't', '--formatter', 'x.Y'], /unknown formatter 'x\.Y'/],
  [['--topic', 't', '--value-deserializer', 'lnog'], /did you mean 'long'/],
  [['--topic', 't', '--isolation-level', 'dirty'], /must be one of read_uncommitted, read_committed/],
])('console-consumer %j is a one-line error', async (argv, message) => {
  if (argv.includes('middle')) await topic('t');
  const refused = await consume(...argv);
  expect(refused).toMatchObject({ status: 1, stdout: '' });
  expect(refused.stderr).toMatch(message);
  expect(refused.stderr.trim().split('\n')).toHaveLength(1);
});

test('console-producer: a line that does not fit is named; what came before it was sent', async () => {
  await topic('lines');
  const refused = await produce('lines', 'a:1\nbad\n', '--property', 'parse.key=true', '--property', 'key.separator=:');
  expect(refused).toMatchObject({ status: 1, stderr: "No key separator found on line number 2: 'bad'\n" });
  expect((await consume('--topic', 'lines', '--from-beginning', '--max-messages', '1')).stdout).toBe('1\n');
});

test('Ctrl-C ends the producer in order: what it has read is sent', async () => {
  await topic('interrupted');
  const lingering = ['--timeout', '600000', '--batch-size', '900000', '--max-memory-bytes', '9000000'];
  const argv = ['--bootstrap-server', cluster.bootstrapServers, '--topic', 'interrupted', ...lingering];
  const child = spawn(launcher('kafka-console-producer.sh'), argv, { stdio: ['pipe', 'ignore', 'ignore'] });
  // More than a pipe and the reader's buffer hold: when it is taken, the first line has reached the producer.
  await new Promise((resolve) => child.stdin.write(`first\n${`${'x'.repeat(99)}\n`.repeat(5_000)}`, resolve));
  child.kill('SIGINT');
  const [status] = await once(child, 'close');
  expect(status).toBe(0);
  const { stdout } = await consume('--topic', 'interrupted', '--from-beginning', '--max-messages', '1');
  expect(stdout).toBe('first\n');
});

test('a topic or pattern that is none is named', async () => {
  const missing = { status: 1, stdout: '', stderr: 'topic missing does not exist\n' };
  expect(await produce('missing', 'x\n')).toEqual(missing);
  expect(await consume('--topic', 'missing')).toEqual(missing);
  const { stderr } = await consume('--include', 'a(');
  expect(stderr).toBe(
    "--include: 'a(' is no regular expression: Unterminated group (naru console-consumer --help shows the flags)\n",
  );
});

test('flags without effect here are accepted, a reader of lines that is not there is refused', async () => {
  await topic('readers');
  const lineReader = ['--line-reader', 'org.apache.kafka.tools.LineMessageReader', '--socket-buffer-size', '102400'];
  expect(await produce('readers', 'x\n', ...lineReader)).toEqual(silent);
  expect((await produce('readers', 'x\n', '--line-reader', 'com.example.Reader')).status).toBe(1);
});

test.each([
  ['kafka-console-consumer.sh', ['--group', 'left-a', '--from-beginning', '--timeout-ms', '60000'], 'left-a'],
  ['kafka-verifiable-consumer.sh', ['--group-id', 'left-b', '--verbose'], 'left-b'],
])(
  '%s leaves its group when its reader has seen enough, so that the next one need not wait',
  async (name, flags, group) => {
    const full = `pipe-${group}`;
    await topic(full);
    await produce(full, `${'x'.repeat(99)}\n`.repeat(20_000));
    const argv = ['--bootstrap-server', cluster.bootstrapServers, '--topic', full, ...flags];
    const child = spawn(launcher(name), argv, { stdio: ['ignore', 'pipe', 'pipe'] });
    await once(child.stdout, 'data');
    for (const output of [child.stdout, child.stderr]) output.destroy();
    const [status] = await once(child, 'exit');
    expect(status).toBe(0);
    const admin = cluster.client.admin();
    expect((await admin.describeGroups([group]))[0]).toMatchObject({ state: 'Empty', members: [] });
    await admin.close();
  },
);
