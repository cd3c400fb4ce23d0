import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { OffsetOutOfRangeError, UnknownTopicOrPartitionError } from '@naru/client';
import { beforeAll, expect, test } from 'vitest';
import { type Finished, run } from './commands.ts';
import { TestCluster } from './test-cluster.ts';

const cluster = new TestCluster({ brokers: 2, coordinators: 1 });

beforeAll(async () => {
  await using admin = cluster.client.admin();
  await admin.createTopics([{ name: 't', partitions: 2, replicationFactor: 2 }]);
  await using producer = cluster.client.producer({ enableIdempotence: false });
  for (const value of ['one', 'two', 'three']) {
    await producer.send({ topic: 't', partition: 0, key: 'k', value, headers: { h: 'x' }, timestamp: 1_000 });
  }
}, 60_000);

const logDirs = cluster.tool('kafka-log-dirs.sh');
const deleteRecords = cluster.tool('kafka-delete-records.sh');

const offsets = (name: string, partitions: unknown): string =>
  cluster.file(name, JSON.stringify({ partitions, version: 1 }));

test('kafka-log-dirs.sh prints what every broker holds, as Kafka does', async () => {
  const { status, stdout } = await logDirs('--describe', '--topic-list', 't');
  expect(status).toBe(0);
  const [first, second, json = ''] = stdout.split('\n');
  expect(first).toBe('Querying brokers for log directories information');
  expect(second).toBe('Received log directory information from brokers 1,2');
  const partitions = (size0: unknown, size1: unknown) => [
    { partition: 't-0', size: size0, offsetLag: 0, isFuture: false },
    { partition: 't-1', size: size1, offsetLag: 0, isFuture: false },
  ];
  const { brokers, version } = JSON.parse(json);
  expect([version, brokers.map(({ broker }: { broker: number }) => broker)]).toEqual([1, [1, 2]]);
  for (const { logDirs } of brokers) {
    expect(logDirs[0].partitions).toEqual(partitions(expect.any(Number), 0));
    expect(logDirs[0]).toMatchObject({ error: null, logDir: expect.stringContaining('broker-') });
  }
  const unknown = await logDirs('--describe', '--broker-list', '2,7');
  expect(unknown).toMatchObject({ status: 1, stderr: 'no broker 7 among 1, 2\n' });
});

test('kafka-dump-log.sh prints batches and records of a segment, as Kafka does', async () => {
  const segment = join(cluster.local.dataDirectory, 'broker-1', 'data', 't-0', '00000000000000000000.log');
  const { stdout } = await run('kafka-dump-log.sh', ['--files', segment, '--print-data-log']);
  const [dumping, starting, batch, record] = stdout.split('\n');
  expect(dumping).toBe(`Dumping ${segment}`);
  expect(starting).toBe('Log starting offset: 0');
  expect(batch).toMatch(
    /^baseOffset: 0 lastOffset: 0 count: 1 baseSequence: -1 lastSequence: -1 producerId: -1 producerEpoch: -1 partitionLeaderEpoch: 0 isTransactional: false isControl: false deleteHorizonMs: OptionalLong\.empty position: 0 CreateTime: 1000 size: \d+ magic: 2 compresscodec: none crc: \d+ isvalid: true$/,
  );
  expect(record).toBe(
    '| offset: 0 CreateTime: 1000 keySize: 1 valueSize: 3 sequence: -1 headerKeys: [h] key: k payload: one',
  );
  const bytes = readFileSync(segment);
  bytes[70] = (bytes[70] as number) ^ 1;
  const damaged = cluster.file('00000000000000000000.log', bytes.subarray(0, -1));
  const { stdout: found } = await run('kafka-dump-log.sh', ['--files', damaged]);
  expect(found).toMatch(/isvalid: false\n[\s\S]*isvalid: true\nFound \d+ invalid bytes at the end of 0+\.log\n$/);
});

test("what stands in __consumer_offsets, by kafka-dump-log.sh and by the console consumer's formatters, as Kafka prints it", async () => {
  await using admin = cluster.client.admin();
  await admin.alterGroupOffsets('g', [{ topic: 't', partition: 1, offset: 7n, metadata: 'by hand' }]);
  // Kafka's rule: the hash of 'g' in Java is 103, and there are 50 partitions.
  const replica = join(cluster.local.dataDirectory, 'broker-1', 'data', '__consumer_offsets-3');
  const files = ['--files', join(replica, '00000000000000000000.log')];
  const dumped = await run('kafka-dump-log.sh', ['--offsets-decoder', ...files]);
  expect(dumped.stdout).toMatch(
    /\n\| offset: 0 .* key: \{"type":"1","data":\{"group":"g","topic":"t","partition":1\}\} payload: \{"version":"3","data":\{"offset":7,"leaderEpoch":-1,"metadata":"by hand","commitTimestamp":\d+\}\}\n$/,
  );
  const consume = (formatter: string): Promise<Finished> => {
    const from = ['--topic', '__consumer_offsets', '--partition', '3', '--from-beginning', '--max-messages', '1'];
    const name = `org.apache.kafka.tools.consumer.${formatter}`;
    return cluster.run('kafka-console-consumer.sh', [...from, '--formatter', name]);
  };
  expect((await consume('OffsetsMessageFormatter')).stdout).toMatch(
    /^\{"key":\{"type":1,"data":\{"group":"g","topic":"t","partition":1\}\},"value":\{"version":3,"data":\{"offset":7,"leaderEpoch":-1,"metadata":"by hand","commitTimestamp":\d+\}\}\}\n$/,
  );
  expect(await consume('GroupMetadataMessageFormatter')).toMatchObject({ status: 0, stdout: '' });
});

test('kafka-delete-records.sh deletes on all replicas and tells where the partition begins', async () => {
  const path = offsets('two', [{ topic: 't', partition: 0, offset: 2 }]);
  expect(await deleteRecords('--offset-json-file', path)).toEqual({
    status: 0,
    stdout:
      'Executing records delete operation\nRecords delete operation completed:\npartition: t-0\tlow_watermark: 2\n',
    stderr: '',
  });
  const far = offsets('far', [{ topic: 't', partition: 0, offset: 9 }]);
  const refused = await deleteRecords('--offset-json-file', far);
  expect(refused.stdout).toMatch(/partition: t-0\terror: .*Only 3 records are committed/);
  expect(refused.status).toBe(1);
  const wrong = offsets('wrong', [{ topic: 't', partition: 0, offset: 'all' }]);
  const told = await deleteRecords('--offset-json-file', wrong);
  expect(told.stderr).toMatch(/"offset" is a whole number from -1 on, not "all"/);
});

test("the SDK's deleteRecords answers each partition by itself; describeLogDirs knows all brokers", async () => {
  await using admin = cluster.client.admin();
  const outcomes = await admin.deleteRecords(
    [
      { topic: 't', partition: 0, beforeOffset: -1 },
      { topic: 't', partition: 1, beforeOffset: 1n },
      { topic: 'nowhere', partition: 0, beforeOffset: 0 },
    ],
    { timeoutMs: 5_000 },
  );
  expect(outcomes[0]).toMatchObject({ topic: 't', partition: 0, error: undefined, lowWatermark: 3n });
  expect(outcomes[1]?.error).toBeInstanceOf(OffsetOutOfRangeError);
  expect(outcomes[2]?.error).toBeInstanceOf(UnknownTopicOrPartitionError);
  expect([...(await admin.describeLogDirs()).keys()]).toEqual([1, 2]);
});
