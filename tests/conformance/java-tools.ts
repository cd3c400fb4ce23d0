import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command, ConsumedRecord, ForeignClient, Result } from './foreign-client.ts';
import type { KafkaRelease } from './java-client.ts';
import type { Output } from './processes.ts';

const separator = '|';
const fieldSeparator = '\t';
/** How long the console consumer waits for more before it ends. */
const silenceMs = 4_000;

/** Apache Kafka's own command-line tools on its own Java client: what the kafka-*.sh of its distribution start. */
export function javaTools(release: KafkaRelease): ForeignClient {
  return {
    name: `tools-${release.version}`,
    prepare: async () => {
      await release.classPath();
      const tools = new JavaTools(release);
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
  readonly #release: KafkaRelease;

  constructor(release: KafkaRelease) {
    this.#release = release;
  }

  async execute(servers: string, command: Command): Promise<Result> {
    const topics = (...argv: string[]) => this.#tool('org.apache.kafka.tools.TopicCommand', servers, argv);
    switch (command.do) {
      case 'version':
        return { value: this.#release.version };
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
      case 'seek': {
        const { topic, partition, offset } = command;
        const argv = ['--topic', topic, '--partition', String(partition), '--offset', String(offset)];
        const output = await this.#consoleConsumer(servers, [...argv, '--max-messages', '1', ...shown]);
        return resultOf(output, (stdout) => consumedRecords(stdout)[0]?.offset);
      }
      case 'members':
        return { unsupported: 'each tool is a member by itself' };
      case 'brokers': {
        const output = await this.#tool(this.#release.classNames.brokerApiVersions, servers, []);
        return resultOf(output, (stdout) => stdout.split('\n').filter((line) => line.includes(' -> (')).length);
      }
      case 'listGroups':
        return resultOf(await this.#groups(servers, '--list'), (stdout) => stdout.trim().split('\n'));
      case 'groupState': {
        const output = await this.#groups(servers, '--describe', '--group', command.group, '--state');
        return resultOf(output, (stdout) => /\b(Empty|Stable|Dead)\b/.exec(stdout)?.[1]);
      }
      case 'groupOffset':
        return this.#groupOffset(servers, command);
      case 'setGroupOffset':
        return this.#setGroupOffset(servers, command, command.offset);
      case 'deleteGroup':
        return resultOf(await this.#groups(servers, '--delete', '--group', command.group), () => null);
      case 'deleteRecords':
        return this.#deleteRecords(servers, command);
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
    const output = await this.#tool(this.#release.classNames.consoleProducer, servers, argv, input);
    return resultOf(output, () => null);
  }

  async #consume(servers: string, command: Extract<Command, { do: 'consume' }>): Promise<Result> {
    const found: ConsumedRecord[] = [];
    for (let partition = 0; partition < command.partitions; partition++) {
      // A partition is assigned, so that no group is needed.
      const argv = ['--topic', command.topic, '--partition', String(partition), '--offset', 'earliest'];
      argv.push('--timeout-ms', String(silenceMs), ...shown);
      const output = await this.#consoleConsumer(servers, argv);
      if (output.status !== 0) return { error: output.stderr.slice(-300) };
      found.push(...consumedRecords(output.stdout));
    }
    return { value: found };
  }

  async #consumeInGroup(servers: string, command: Extract<Command, { do: 'consumeInGroup' }>): Promise<Result> {
    const { topic, group, count, protocol } = command;
    const argv = [
      '--consumer-property',
      `group.protocol=${protocol}`,
      '--topic',
      topic,
      '--group',
      group,
      '--from-beginning',
      '--max-messages',
      String(count),
      ...shown,
    ];
    argv.push('--timeout-ms', '20000');
    const output = await this.#consoleConsumer(servers, argv);
    return resultOf(output, consumedRecords);
  }

  #consoleConsumer(servers: string, argv: readonly string[]): Promise<Output> {
    return this.#tool('org.apache.kafka.tools.consumer.ConsoleConsumer', servers, argv);
  }

  #groups(servers: string, ...argv: string[]): Promise<Output> {
    return this.#tool('org.apache.kafka.tools.consumer.group.ConsumerGroupCommand', servers, argv);
  }

  async #groupOffset(servers: string, { group, topic, partition }: GroupPlace): Promise<Result> {
    const output = await this.#groups(servers, '--describe', '--group', group, '--offsets');
    return resultOf(output, (stdout) => {
      const row = stdout.split('\n').map((line) => line.trim().split(/\s+/));
      return Number(row.find((cells) => cells[1] === topic && cells[2] === String(partition))?.[3]);
    });
  }

  async #setGroupOffset(servers: string, { group, topic, partition }: GroupPlace, offset: number): Promise<Result> {
    const where = ['--group', group, '--topic', `${topic}:${partition}`, '--to-offset', String(offset), '--execute'];
    return resultOf(await this.#groups(servers, '--reset-offsets', ...where), () => null);
  }

  async #deleteRecords(servers: string, command: Extract<Command, { do: 'deleteRecords' }>): Promise<Result> {
    const { topic, partition, before } = command;
    const directory = await mkdtemp(join(tmpdir(), 'naru-conformance-'));
    try {
      const file = join(directory, 'offsets.json');
      await writeFile(file, JSON.stringify({ version: 1, partitions: [{ topic, partition, offset: before }] }));
      const argv = ['--offset-json-file', file];
      const output = await this.#tool('org.apache.kafka.tools.DeleteRecordsCommand', servers, argv);
      return resultOf(output, (stdout) => Number(/low_watermark: (\d+)/.exec(stdout)?.[1]));
    } finally {
      await rm(directory, { recursive: true });
    }
  }

  #tool(mainClass: string, servers: string, argv: readonly string[], input = ''): Promise<Output> {
    return this.#release.java(mainClass, ['--bootstrap-server', servers, ...argv], { input });
  }
}

type GroupPlace = Extract<Command, { do: 'groupOffset' | 'setGroupOffset' }>;

/** The tool may also print what it thinks of its flags. */
function consumedRecords(stdout: string): ConsumedRecord[] {
  const lines = stdout.split('\n').filter((line) => line.startsWith('Partition:'));
  return lines.map(consumedRecord);
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
