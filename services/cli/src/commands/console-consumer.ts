import type { Client, Consumer, ConsumerRecord } from '@naru/client';
import { type Command, CommandError } from '../command.ts';
import { bootstrapFlags, describeTopics, readPropertiesFile, withClient } from '../connection.ts';
import { ConsumedOffsets } from '../consumed-offsets.ts';
import { type FlagValues, keyValues, parseFlags, UsageError, wholeNumber } from '../flags.ts';
import { Output } from '../output.ts';

const flags = {
  ...bootstrapFlags,
  topic: { kind: 'value', value: 'name', doc: 'the topic to read' },
  include: { kind: 'value', value: 'regex', doc: 'read every topic that matches, instead of --topic' },
  partition: { kind: 'value', value: 'number', doc: 'only this partition' },
  offset: { kind: 'value', value: 'n|earliest|latest', doc: 'where to begin in --partition' },
  'from-beginning': { kind: 'switch', doc: 'begin with the earliest record instead of the latest' },
  'max-messages': { kind: 'value', value: 'count', doc: 'end after so many records' },
  'timeout-ms': { kind: 'value', value: 'ms', doc: 'end when no record came for so long' },
  'isolation-level': { kind: 'value', value: 'level', doc: 'read_uncommitted or read_committed' },
  'skip-message-on-error': { kind: 'switch', doc: 'go on after a record that cannot be printed' },
  property: {
    kind: 'list',
    value: 'key=value',
    doc: 'print.timestamp, print.partition, print.offset, print.epoch, print.headers, print.key, print.value, key.separator, line.separator, headers.separator, null.literal',
  },
  'formatter-property': { kind: 'list', value: 'key=value', doc: 'the same as --property' },
  'consumer-property': { kind: 'list', value: 'key=value', doc: 'any setting of the consumer' },
  'command-property': { kind: 'list', value: 'key=value', doc: 'the same as --consumer-property' },
  'consumer.config': { kind: 'value', value: 'file', doc: 'properties file for the consumer' },
  group: {
    kind: 'value',
    value: 'id',
    doc: 'join this group: share the partitions, go on at its offsets, commit what was printed',
  },
} as const;

type Values = FlagValues<typeof flags>;

export const command: Command<typeof flags> = {
  name: 'console-consumer',
  summary: 'Prints the records of a topic, one line each.',
  usage: 'kafka-console-consumer.sh --bootstrap-server <host:port> --topic <name> [--from-beginning] [flags]',
  flags,
  run: async (argv) => {
    const { values } = parseFlags(flags, argv);
    const format = recordFormat({
      ...keyValues('property', values.property),
      ...keyValues('formatter-property', values['formatter-property']),
    });
    const max =
      values['max-messages'] === undefined
        ? Number.POSITIVE_INFINITY
        : wholeNumber('max-messages', values['max-messages'], -1);
    const timeoutMs =
      values['timeout-ms'] === undefined
        ? Number.POSITIVE_INFINITY
        : wholeNumber('timeout-ms', values['timeout-ms'], 0);
    checkStart(values);
    const settings = consumerSettings(values);
    const group = settings['group.id'];
    return withClient({ ...values, 'command-config': undefined }, {}, async (client) => {
      const consumer = client.consumer(settings);
      try {
        if (group !== undefined && values.partition === undefined) subscribe(consumer, values);
        else await assign(client, consumer, values);
        const printed = new ConsumedOffsets();
        const limit = max < 0 ? Number.POSITIVE_INFINITY : max;
        const count = await print(consumer, format, { max: limit, timeoutMs, printed });
        if (group !== undefined && settings['enable.auto.commit'] !== 'false') await printed.commit(consumer);
        process.stderr.write(`Processed a total of ${count} messages\n`);
      } finally {
        await consumer.close();
      }
      return 0;
    });
  },
};

function checkStart(values: Values): void {
  if ((values.topic === undefined) === (values.include === undefined))
    throw new UsageError('give --topic or --include');
  if (values.offset !== undefined && values.partition === undefined) throw new UsageError('--offset needs --partition');
  if (values.offset !== undefined && values['from-beginning'])
    throw new UsageError('give --offset or --from-beginning, not both');
}

function subscribe(consumer: Consumer, values: Values): void {
  if (values.include !== undefined) consumer.subscribe(new RegExp(`^(?:${values.include})$`));
  else consumer.subscribe([values.topic as string]);
}

function consumerSettings(values: Values): Record<string, string> {
  const settings: Record<string, string> = {
    'auto.offset.reset': values['from-beginning'] ? 'earliest' : 'latest',
    ...(values['isolation-level'] === undefined ? {} : { 'isolation.level': values['isolation-level'] }),
    ...readPropertiesFile(values['consumer.config']),
    ...readPropertiesFile(values['command-config']),
    ...keyValues('consumer-property', values['consumer-property']),
    ...keyValues('command-property', values['command-property']),
  };
  const given = settings['group.id'];
  if (values.group === undefined) return settings;
  if (given !== undefined && given !== values.group) {
    throw new UsageError(`--group says '${values.group}', the consumer's properties say group.id=${given}`);
  }
  return { ...settings, 'group.id': values.group };
}

async function assign(client: Client, consumer: Consumer, values: Values): Promise<void> {
  const admin = client.admin();
  let names = [values.topic as string];
  if (values.include !== undefined) {
    const pattern = new RegExp(`^(?:${values.include})$`);
    names = (await admin.listTopics()).map((topic) => topic.name).filter((name) => pattern.test(name));
  }
  if (names.length === 0) throw new CommandError(`no topic matches ${values.include}`);
  const topics = await describeTopics(admin, names);
  const all = topics.flatMap((topic) => topic.partitions.map(({ partition }) => ({ topic: topic.name, partition })));
  const only = values.partition === undefined ? undefined : wholeNumber('partition', values.partition, 0);
  const partitions = all.filter(({ partition }) => only === undefined || partition === only);
  if (partitions.length === 0) throw new CommandError(`topic ${names.join(', ')} has no partition ${only}`);
  consumer.assign(partitions);
  if (values.offset === undefined) return;
  if (values.offset === 'earliest') consumer.seekToBeginning(partitions);
  else if (values.offset === 'latest') consumer.seekToEnd(partitions);
  else for (const partition of partitions) consumer.seek(partition, BigInt(wholeNumber('offset', values.offset, 0)));
}

interface PrintOptions {
  readonly max: number;
  readonly timeoutMs: number;
  readonly printed: ConsumedOffsets;
}

async function print(consumer: Consumer, format: RecordFormat, options: PrintOptions): Promise<number> {
  const { max, timeoutMs, printed } = options;
  const output = new Output(process.stdout);
  let ended = false;
  const end = () => {
    ended = true;
    consumer.wakeup();
  };
  process.once('SIGINT', end).once('SIGTERM', end);
  let count = 0;
  let quietSince = performance.now();
  while (!ended && count < max) {
    const patience = Math.min(1000, quietSince + timeoutMs - performance.now());
    if (patience <= 0) break;
    const records = await consumer.poll(patience).catch((error: Error) => {
      if (ended) return [];
      throw error;
    });
    if (records.length > 0) quietSince = performance.now();
    for (const record of records) {
      if (count === max) break;
      for (const part of format(record)) output.write(part);
      printed.add(record);
      count++;
    }
    await output.flush();
  }
  return count;
}

type RecordFormat = (record: ConsumerRecord) => (string | Uint8Array)[];

const formatProperties = {
  'print.timestamp': 'false',
  'print.partition': 'false',
  'print.offset': 'false',
  'print.epoch': 'false',
  'print.headers': 'false',
  'print.key': 'false',
  'print.value': 'true',
  'key.separator': '\t',
  'line.separator': '\n',
  'headers.separator': ',',
  'null.literal': 'null',
};

/** The order of the fields is that of Kafka's DefaultMessageFormatter. */
export function recordFormat(given: Readonly<Record<string, string>>): RecordFormat {
  for (const key of Object.keys(given)) {
    if (!Object.hasOwn(formatProperties, key))
      throw new UsageError(
        `unknown formatter property '${key}'; there are ${Object.keys(formatProperties).join(', ')}`,
      );
  }
  const property = { ...formatProperties, ...given };
  const on = (name: keyof typeof formatProperties) => property[name] === 'true';
  const nullLiteral = property['null.literal'];
  const fields: ((record: ConsumerRecord) => (string | Uint8Array)[])[] = [];
  if (on('print.timestamp')) fields.push((record) => [`CreateTime:${record.timestamp}`]);
  if (on('print.partition')) fields.push((record) => [`Partition:${record.partition}`]);
  if (on('print.offset')) fields.push((record) => [`Offset:${record.offset}`]);
  if (on('print.epoch')) fields.push((record) => [`Epoch:${record.leaderEpoch}`]);
  if (on('print.headers')) fields.push((record) => headerText(record, property['headers.separator'], nullLiteral));
  if (on('print.key')) fields.push((record) => [record.key ?? nullLiteral]);
  if (on('print.value')) fields.push((record) => [record.value ?? nullLiteral]);
  return (record) => {
    const parts: (string | Uint8Array)[] = [];
    for (const [i, field] of fields.entries()) {
      if (i > 0) parts.push(property['key.separator']);
      parts.push(...field(record));
    }
    parts.push(property['line.separator']);
    return parts;
  };
}

function headerText(record: ConsumerRecord, separator: string, nullLiteral: string): string[] {
  if (record.headers.length === 0) return ['NO_HEADERS'];
  return [
    record.headers.map(([name, value]) => `${name}:${value === null ? nullLiteral : value.toString()}`).join(separator),
  ];
}
