import type { Command, ConsumedRecord, ForeignClient, Result } from './foreign-client.ts';
import { Unavailable } from './foreign-client.ts';
import { mavenJars } from './installed.ts';
import { type Output, run } from './processes.ts';

const separator = '|';
const fieldSeparator = '\t';
/** How long the console consumer waits for more before it ends. */
const silenceMs = 4_000;

const kafkaParts = [
  'kafka-clients',
  'kafka-tools',
  'kafka-tools-api',
  'kafka-server',
  'kafka-server-common',
  'kafka-metadata',
  'kafka-storage',
  'kafka-raft',
  'kafka-group-coordinator',
  'kafka-group-coordinator-api',
  'kafka-coordinator-common',
  'kafka-transaction-coordinator',
  'kafka-share-coordinator',
  'kafka_2.13',
];
const otherJars = [
  'net.sourceforge.argparse4j:argparse4j:0.7.0',
  'com.fasterxml.jackson.core:jackson-databind:2.19.0',
  'com.fasterxml.jackson.core:jackson-core:2.19.0',
  'com.fasterxml.jackson.core:jackson-annotations:2.19.0',
  'com.fasterxml.jackson.dataformat:jackson-dataformat-csv:2.19.0',
  'com.fasterxml.jackson.datatype:jackson-datatype-jdk8:2.19.0',
  'net.sf.jopt-simple:jopt-simple:5.0.4',
  'org.slf4j:slf4j-api:1.7.36',
  'org.slf4j:slf4j-nop:1.7.36',
  'org.apache.logging.log4j:log4j-api:2.24.3',
  'org.apache.logging.log4j:log4j-core:2.24.3',
  'commons-validator:commons-validator:1.9.0',
  'org.lz4:lz4-java:1.8.0',
  'org.xerial.snappy:snappy-java:1.1.10.7',
  'com.github.luben:zstd-jni:1.5.6-10',
  'com.google.re2j:re2j:1.8',
  'org.scala-lang:scala-library:2.13.16',
  'com.typesafe.scala-logging:scala-logging_2.13:3.9.5',
];

/** Apache Kafka's own command-line tools on its own Java client: what the kafka-*.sh of its distribution start. */
export function javaTools(version: string): ForeignClient {
  return {
    name: `java-${version}`,
    prepare: async () => {
      if ((await run('java', ['-version'])).status !== 0) throw new Unavailable('java is not installed');
      const own = kafkaParts.map((part) => `org.apache.kafka:${part}:${version}`);
      const tools = new JavaTools(version, await mavenJars(version, [...own, ...otherJars]));
      return {
        run: async (servers, commands) => {
          const results: Result[] = [];
          for (const command of commands) results.push(await tools.execute(servers, command));
          return results;
        },
      };
    },
  };
}

const shown = ['key', 'partition', 'offset', 'headers'].flatMap((field) => ['--property', `print.${field}=true`]);

class JavaTools {
  readonly #version: string;
  readonly #classPath: string;

  constructor(version: string, classPath: string) {
    this.#version = version;
    this.#classPath = classPath;
  }

  async execute(servers: string, command: Command): Promise<Result> {
    const topics = (...argv: string[]) => this.#tool('org.apache.kafka.tools.TopicCommand', servers, argv);
    switch (command.do) {
      case 'version':
        return { value: this.#version };
      case 'create': {
        const { topic, partitions, replicas, configs } = command;
        const counts = ['--partitions', String(partitions), '--replication-factor', String(replicas)];
        const settings = Object.entries(configs).flatMap(([name, value]) => ['--config', `${name}=${value}`]);
        return resultOf(await topics('--create', '--topic', topic, ...counts, ...settings), () => null);
      }
      case 'delete':
        return resultOf(await topics('--delete', '--topic', command.topic), () => null);
      case 'addPartitions':
        return resultOf(
          await topics('--alter', '--topic', command.topic, '--partitions', String(command.count)),
          () => null,
        );
      case 'describeConfig':
      case 'alterConfig':
        return this.#config(servers, command);
      case 'offsets':
        return this.#offsets(servers, command);
      case 'produce':
        return this.#produce(servers, command);
      case 'consume':
        return this.#consume(servers, command);
      case 'consumeInGroup':
        return this.#consumeInGroup(servers, command);
    }
  }

  async #config(servers: string, command: Extract<Command, { do: 'describeConfig' | 'alterConfig' }>): Promise<Result> {
    const entity = ['--entity-type', 'topics', '--entity-name', command.topic];
    const argv =
      command.do === 'alterConfig'
        ? ['--alter', '--add-config', `${command.name}=${command.value}`]
        : ['--describe', '--all'];
    const output = await this.#tool('kafka.admin.ConfigCommand', servers, [...entity, ...argv]);
    return resultOf(output, (stdout) => new RegExp(`^\\s*${command.name}=(\\S+)`, 'm').exec(stdout)?.[1] ?? null);
  }

  async #offsets(servers: string, { topic, partition, at }: Extract<Command, { do: 'offsets' }>): Promise<Result> {
    const argv = ['--topic-partitions', `${topic}:${partition}`, '--time', String(at)];
    const output = await this.#tool('org.apache.kafka.tools.GetOffsetShell', servers, argv);
    return resultOf(output, (stdout) => Number(stdout.trim().split(':').at(-1)));
  }

  async #produce(servers: string, command: Extract<Command, { do: 'produce' }>): Promise<Result> {
    const { topic, acks, codec, idempotent, records } = command;
    const argv = ['--topic', topic, '--compression-codec', codec];
    for (const property of ['parse.key=true', 'parse.headers=true', `key.separator=${separator}`]) {
      argv.push('--property', property);
    }
    for (const property of [`acks=${acks}`, `enable.idempotence=${idempotent}`]) {
      argv.push('--producer-property', property);
    }
    const input = records.map(({ key, value }) => `h:x${fieldSeparator}${key}${separator}${value}\n`).join('');
    const output = await this.#tool('org.apache.kafka.tools.ConsoleProducer', servers, argv, input);
    return resultOf(output, () => null);
  }

  async #consume(servers: string, command: Extract<Command, { do: 'consume' }>): Promise<Result> {
    const found: ConsumedRecord[] = [];
    for (let partition = 0; partition < command.partitions; partition++) {
      // A partition is assigned, so that no group is needed.
      const argv = ['--topic', command.topic, '--partition', String(partition), '--offset', 'earliest'];
      argv.push('--timeout-ms', String(silenceMs), ...shown);
      const output = await this.#tool('org.apache.kafka.tools.consumer.ConsoleConsumer', servers, argv);
      if (output.status !== 0) return { error: output.stderr.slice(-300) };
      for (const line of output.stdout.split('\n').filter((text) => text !== '')) found.push(consumedRecord(line));
    }
    return { value: found };
  }

  async #consumeInGroup(servers: string, command: Extract<Command, { do: 'consumeInGroup' }>): Promise<Result> {
    const { topic, group, count } = command;
    const argv = ['--topic', topic, '--group', group, '--from-beginning', '--max-messages', String(count), ...shown];
    argv.push('--timeout-ms', '20000');
    const output = await this.#tool('org.apache.kafka.tools.consumer.ConsoleConsumer', servers, argv);
    return resultOf(output, (stdout) =>
      stdout
        .split('\n')
        .filter((text) => text !== '')
        .map(consumedRecord),
    );
  }

  #tool(mainClass: string, servers: string, argv: readonly string[], input = ''): Promise<Output> {
    // Short lives: the second compiler would not earn its keep.
    const java = ['-Xmx256m', '-XX:TieredStopAtLevel=1', '-cp', this.#classPath, mainClass];
    return run('java', [...java, '--bootstrap-server', servers, ...argv], { input, timeoutMs: 90_000 });
  }
}

function consumedRecord(line: string): ConsumedRecord {
  const [partition = '', offset = '', headers = '', key = '', value = ''] = line.split(fieldSeparator);
  const [name = '', content = ''] = headers.split(':');
  return {
    partition: Number(partition.replace('Partition:', '')),
    offset: Number(offset.replace('Offset:', '')),
    headers: { [name]: content },
    key,
    value,
  };
}

/** The tools end with 0 also when the producer had errors; then they say so. */
function resultOf({ status, stdout, stderr }: Output, value: (stdout: string) => unknown): Result {
  const failed = status !== 0 || /ERROR|Exception/.test(stderr);
  return failed ? { error: (stderr || stdout).trim().slice(-400) } : { value: value(stdout) };
}
