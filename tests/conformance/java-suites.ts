import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { codecs } from './foreign-client.ts';
import type { KafkaRelease } from './java-client.ts';
import { type Output, run } from './processes.ts';
import type { Suite, World } from './suite.ts';

const tools = 'org.apache.kafka.tools';
const ourDumpLog = join(import.meta.dirname, '..', '..', 'bin', 'kafka-dump-log.sh');

/** What a release of Apache Kafka brings beside its client: tools, tests, Streams, and the reader of its files. */
export function suitesOf(release: KafkaRelease): readonly Suite[] {
  const suite = (name: string, run: (suite: JavaSuite) => Promise<void>): Suite => ({
    name: `${name}-${release.version}`,
    run: async (world, list) => {
      await release.classPath();
      const topic = `conformance.${name}.${release.version}`;
      await run(new JavaSuite(release, world, topic, (check, isGood, detail) => list.verdict(check, isGood, detail)));
      return '';
    },
  });
  return [
    suite('admin-tools', administration),
    suite('perf-tools', performanceTools),
    suite('compatibility-test', compatibilityTest),
    suite('streams', wordCount),
    suite('dump-log', dumpLog),
  ];
}

class JavaSuite {
  readonly release: KafkaRelease;
  readonly world: World;
  readonly topic: string;
  readonly verdict: (name: string, isGood: boolean, detail: string) => void;

  constructor(release: KafkaRelease, world: World, topic: string, verdict: JavaSuite['verdict']) {
    this.release = release;
    this.world = world;
    this.topic = topic;
    this.verdict = verdict;
  }

  get isOld(): boolean {
    return this.release.version.startsWith('3.');
  }

  async createTopic(partitions: number, name = this.topic): Promise<void> {
    await using admin = this.world.sdk.admin();
    await admin.createTopics([{ name, partitions, replicationFactor: 3 }]);
  }

  run(mainClass: string, ...argv: readonly string[]): Promise<Output> {
    return this.release.java(mainClass, ['--bootstrap-server', this.world.servers, ...argv]);
  }

  /** The tool ends with 0 and what it prints is as expected. */
  async expect(name: string, output: Output | Promise<Output>, expected: RegExp): Promise<void> {
    const { status, stdout, stderr } = await output;
    const text = `${stdout}\n${stderr}`;
    this.verdict(name, status === 0 && expected.test(text), `status ${status}: ${text.trim().slice(-600)}`);
  }
}

async function administration(suite: JavaSuite): Promise<void> {
  const { topic } = suite;
  await suite.createTopic(2);
  const partitions = /PartitionCount:\s*2\s+ReplicationFactor:\s*3[\s\S]*Partition: 1\s+Leader: \d/;
  await suite.expect(
    'kafka-topics --describe',
    suite.run(`${tools}.TopicCommand`, '--describe', '--topic', topic),
    partitions,
  );
  const sizes = new RegExp(`"brokers":\\[.*"${topic}-0"`);
  await suite.expect(
    'kafka-log-dirs --describe',
    suite.run(`${tools}.LogDirsCommand`, '--describe', '--topic-list', topic),
    sizes,
  );
  const election = ['--election-type', 'preferred', '--topic', topic, '--partition', '0'];
  const elected = /Valid replica already elected|Successfully completed leader election/;
  await suite.expect('kafka-leader-election', suite.run(`${tools}.LeaderElectionCommand`, ...election), elected);
  await reassignment(suite);
  const clusterId = suite.release.java(`${tools}.ClusterTool`, [
    'cluster-id',
    '--bootstrap-server',
    suite.world.servers,
  ]);
  await suite.expect('kafka-cluster cluster-id', clusterId, /Cluster ID: \S{22}/);
  const producers = ['describe-producers', '--topic', topic, '--partition', '0'];
  await suite.expect(
    'kafka-transactions describe-producers',
    suite.run(`${tools}.TransactionsCommand`, ...producers),
    /ProducerId/,
  );
  await brokerConfigs(suite);
}

/** Other orders of replicas, and fewer of them; `--verify` also takes back throttles, whether there are any or not. */
async function reassignment(suite: JavaSuite): Promise<void> {
  const { topic } = suite;
  const reassign = (...argv: string[]) => suite.run(`${tools}.reassign.ReassignPartitionsCommand`, ...argv);
  await suite.expect('kafka-reassign-partitions --list', reassign('--list'), /No partition reassignments found/);
  const directory = await mkdtemp(join(tmpdir(), 'naru-conformance-'));
  try {
    const file = join(directory, 'reassignment.json');
    const targets = [
      { topic, partition: 0, replicas: [3, 1, 2] },
      { topic, partition: 1, replicas: [2, 1] },
    ];
    await writeFile(file, JSON.stringify({ version: 1, partitions: targets }));
    const plan = ['--reassignment-json-file', file];
    const started = reassign('--execute', ...plan);
    await suite.expect('kafka-reassign-partitions --execute', started, /Successfully started partition reassignments/);
    let verified = await reassign('--verify', ...plan);
    for (let look = 0; look < 5 && /still in progress/.test(verified.stdout); look++) {
      verified = await reassign('--verify', ...plan);
    }
    const done = new RegExp(`${topic}-0 is completed[\\s\\S]*${topic}-1 is completed`);
    await suite.expect('kafka-reassign-partitions --verify', verified, done);
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function brokerConfigs(suite: JavaSuite): Promise<void> {
  const configs = (...argv: string[]) => suite.run('kafka.admin.ConfigCommand', '--entity-type', 'brokers', ...argv);
  const all = configs('--entity-name', '1', '--describe', '--all');
  await suite.expect('kafka-configs describes a broker', all, /num\.partitions=\d+ sensitive=false/);
  const change = configs('--entity-default', '--alter', '--add-config', 'log.retention.ms=7200000');
  await suite.expect('kafka-configs changes a setting of all brokers', change, /Completed updating default config/);
  const changed = configs('--entity-name', '2', '--describe', '--all');
  const inForce = /log\.retention\.ms=7200000[^\n]*DYNAMIC_DEFAULT_BROKER_CONFIG/;
  await suite.expect('kafka-configs shows it in force on a broker', changed, inForce);
  const removal = configs('--entity-default', '--alter', '--delete-config', 'log.retention.ms');
  await suite.expect('kafka-configs takes it back', removal, /Completed updating default config/);
}

async function performanceTools(suite: JavaSuite): Promise<void> {
  const { topic, isOld } = suite;
  await suite.createTopic(3);
  const { servers } = suite.world;
  const load = ['--topic', topic, '--num-records', '20000', '--record-size', '200', '--throughput', '-1'];
  const properties = ['--producer-props', `bootstrap.servers=${servers}`, 'acks=all', 'compression.type=lz4'];
  const producer = suite.release.java(`${tools}.ProducerPerformance`, [...load, ...properties]);
  await suite.expect('kafka-producer-perf-test', producer, /20000 records sent/);
  const count = [isOld ? '--messages' : '--num-records', '20000', '--topic', topic, '--timeout', '20000'];
  const consumed = suite.run(`${tools}.ConsumerPerformance`, ...count);
  await suite.expect('kafka-consumer-perf-test', consumed, /, 20\d\d\d, /);
  const verifiable = `${topic}.verifiable`;
  await suite.createTopic(3, verifiable);
  const sent = suite.run(`${tools}.VerifiableProducer`, '--topic', verifiable, '--max-messages', '500', '--acks', '-1');
  await suite.expect('kafka-verifiable-producer', sent, /"sent":500,"acked":500|"acked":500/);
  const group = ['--group-id', `${verifiable}.group`, '--max-messages', '500'];
  const read = suite.run(`${tools}.VerifiableConsumer`, '--topic', verifiable, ...group);
  await suite.expect('kafka-verifiable-consumer', read, /offsets_committed[\s\S]*"success":true/);
}

async function compatibilityTest(suite: JavaSuite): Promise<void> {
  const supported = ['offsets-for-times', 'cluster-id', 'create-topics', 'describe-configs', 'idempotent-producer'];
  const flags = supported.flatMap((name) => [`--${name}-supported`, 'True']);
  // There is no authorizer yet.
  flags.push('--describe-acls-supported', 'False', '--expect-record-too-large-exception', 'False');
  await suite.createTopic(1);
  // It creates a topic of this name, and leaves it.
  await using admin = suite.world.sdk.admin();
  await admin.deleteTopics(['newtopic']);
  const test = suite.run(
    `${tools}.ClientCompatibilityTest`,
    '--topic',
    suite.topic,
    '--num-cluster-nodes',
    '3',
    ...flags,
  );
  await suite.expect('ClientCompatibilityTest', test, /SUCCESS|successfully/i);
}

/** Kafka Streams makes its own repartition topic and changelog, both with the brokers' replication factor, and deletes what it has repartitioned. */
async function wordCount(suite: JavaSuite): Promise<void> {
  const { topic, world, release } = suite;
  const input = `${topic}.in`;
  const output = `${topic}.out`;
  await suite.createTopic(2, input);
  await suite.createTopic(2, output);
  const lines = ['the ferry puts across', 'the landing where the ferry puts', 'across the river'];
  await using producer = world.sdk.producer({ acks: 'all' });
  await producer.sendMany(lines.map((value) => ({ topic: input, value })));
  const classes = await release.compile('WordCount.java');
  const application = `${topic}.app`;
  const child = spawn('java', [
    '-Xmx256m',
    '-cp',
    `${classes}:${await release.classPath()}`,
    'WordCount',
    world.servers,
    application,
    input,
    output,
  ]);
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  const ended = new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null));
    child.once('close', resolve);
  });
  const expected = new Map([
    ['the', '4'],
    ['ferry', '2'],
    ['puts', '2'],
    ['across', '2'],
    ['landing', '1'],
    ['where', '1'],
    ['river', '1'],
  ]);
  const found = new Map<string, string>();
  await using consumer = world.sdk.consumer({ autoOffsetReset: 'earliest' });
  consumer.assign([0, 1].map((partition) => ({ topic: output, partition })));
  const isDone = (): boolean => [...expected].every(([word, count]) => found.get(word) === count);
  for (const until = Date.now() + 60_000; !isDone() && Date.now() < until; ) {
    for (const { key, value } of await consumer.poll(500)) found.set(String(key), String(value));
  }
  child.stdin.end();
  const status = await ended;
  suite.verdict('counts words', isDone(), `${JSON.stringify([...found])} ${said.slice(-500)}`);
  suite.verdict('ends well', status === 0, `status ${status}: ${said.slice(-500)}`);
  await using admin = world.sdk.admin();
  const made = (await admin.listTopics()).map(({ name }) => name).filter((name) => name.startsWith(application));
  const kinds = made
    .map((name) => name.slice(name.lastIndexOf('-') + 1))
    .sort()
    .join();
  suite.verdict('has made its own topics', kinds === 'changelog,repartition', made.join(', '));
}

/** Apache Kafka reads the files of our logs: every codec, both indexes, on the disks of all replicas. */
async function dumpLog(suite: JavaSuite): Promise<void> {
  const { topic, world } = suite;
  await using admin = world.sdk.admin();
  // Small segments and a dense index, so that there is something to read.
  const configs = { 'segment.bytes': 1_048_576, 'index.interval.bytes': 1_024 };
  await admin.createTopics([{ name: topic, partitions: 1, replicationFactor: 3, configs }]);
  let written = 0;
  for (const compressionType of codecs) {
    await using producer = world.sdk.producer({ acks: 'all', compressionType });
    for (let round = 0; round < 20; round++) {
      const records = Array.from({ length: 20 }, (_, i) => ({
        topic,
        key: `k${i}`,
        value: randomBytes(2_000).toString('base64'),
      }));
      await producer.sendMany(records.map((record) => ({ ...record, headers: { h: 'x' } })));
      written += records.length;
    }
  }
  for (const broker of [1, 2, 3]) {
    const directory = await partitionDirectory(join(world.dataDirectory, `broker-${broker}`), `${topic}-0`);
    const names = (await readdir(directory)).sort();
    const filesOf = (...endings: string[]) =>
      names.filter((name) => endings.some((ending) => name.endsWith(ending))).map((name) => join(directory, name));
    const argvFor = (files: readonly string[]) => ['--deep-iteration', '--print-data-log', '--files', files.join(',')];
    const dump = (...files: string[]) => suite.release.java(suite.release.classNames.dumpLog, argvFor(files));
    const all = filesOf('.log', '.index', '.timeindex');
    const [theirs, ours] = [await dump(...all), await run(ourDumpLog, argvFor(all), { timeoutMs: 60_000 })];
    const isSame = theirs.stdout !== '' && theirs.stdout === ours.stdout;
    suite.verdict(`broker ${broker}: our kafka-dump-log.sh prints the same`, isSame, ours.stderr.slice(-300));
    const log = await dump(...filesOf('.log'));
    const records = log.stdout.match(/ payload: /g)?.length ?? 0;
    const valid = log.stdout.match(/isvalid: true/g)?.length ?? 0;
    const isClean =
      log.status === 0 && !/isvalid: false|^Found /m.test(log.stdout) && !log.stderr.includes('Exception');
    suite.verdict(
      `broker ${broker}: every record of every segment, every batch valid`,
      isClean && records === written && valid > 0,
      `${records} of ${written} records in ${filesOf('.log').length} segments, ${valid} valid: ${log.stderr.slice(-300)}`,
    );
    const indexes = await dump(...filesOf('.index', '.timeindex'));
    const entries = indexes.stdout.match(/^offset: \d+ position: \d+|^timestamp: \d+ offset: \d+/gm)?.length ?? 0;
    const text = indexes.stdout + indexes.stderr;
    const isGood = indexes.status === 0 && !/Mismatches|Found|corrupt|Exception/i.test(text);
    suite.verdict(
      `broker ${broker}: indexes agree with the log`,
      isGood && entries > 0,
      `${entries} entries: ${text.slice(-500)}`,
    );
    const others = await dump(...filesOf('.snapshot'), ...filesOf('leader-epoch-checkpoint').slice(0, 0));
    suite.verdict(
      `broker ${broker}: producer snapshots`,
      others.status === 0 && !/Exception/.test(others.stderr),
      others.stderr.slice(-300),
    );
  }
}

async function partitionDirectory(root: string, name: string): Promise<string> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const found = entries.find((entry) => entry.isDirectory() && entry.name === name);
  if (found === undefined) throw new Error(`there is no directory ${name} below ${root}`);
  return join(found.parentPath, found.name);
}
