import type { Client, Consumer } from '@naru/client';
import { type Command, CommandError } from '../command.ts';
import { bootstrapFlags, describeTopics, readPropertiesFile, withClient } from '../connection.ts';
import { formatPropertyNames, formatterNames, type RecordFormat, recordFormat } from '../console/record-format.ts';
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
    doc: formatPropertyNames,
  },
  formatter: {
    kind: 'value',
    value: 'class',
    doc: formatterNames,
  },
  'formatter-config': { kind: 'value', value: 'file', doc: 'properties file for the formatter' },
  'key-deserializer': { kind: 'value', value: 'class', doc: 'string, integer, long, … or the class in Java' },
  'value-deserializer': { kind: 'value', value: 'class', doc: 'the same for values' },
  'enable-systest-events': { kind: 'switch', doc: 'print shutdown_complete at the end' },
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
    const format = recordFormat(formatProperties(values), values.formatter);
    const max =
      values['max-messages'] === undefined
        ? Number.POSITIVE_INFINITY
        : wholeNumber('max-messages', values['max-messages'], -1);
    const timeoutMs =
      values['timeout-ms'] === undefined
        ? Number.POSITIVE_INFINITY
        : wholeNumber('timeout-ms', values['timeout-ms'], -1);
    checkStart(values);
    const settings = consumerSettings(values);
    const group = settings['group.id'];
    return withClient({ ...values, 'command-config': undefined }, {}, async (client) => {
      const consumer = client.consumer(settings);
      try {
        if (group !== undefined) subscribe(consumer, values);
        else await assign(client, consumer, values);
        const printed = new ConsumedOffsets();
        const limit = max < 0 ? Number.POSITIVE_INFINITY : max;
        const options = { max: limit, timeoutMs: timeoutMs < 0 ? Number.POSITIVE_INFINITY : timeoutMs, printed };
        const count = await print(consumer, skipping(format, values['skip-message-on-error']), options);
        if (group !== undefined && settings['enable.auto.commit'] !== 'false') await printed.commit(consumer);
        process.stderr.write(`Processed a total of ${count} messages\n`);
      } finally {
        await consumer.close();
      }
      if (values['enable-systest-events']) process.stdout.write('shutdown_complete\n');
      return 0;
    });
  },
};

function formatProperties(values: Values): Record<string, string> {
  const { 'key-deserializer': key, 'value-deserializer': value } = values;
  return {
    ...readPropertiesFile(values['formatter-config']),
    ...(key === undefined ? {} : { 'key.deserializer': key }),
    ...(value === undefined ? {} : { 'value.deserializer': value }),
    ...keyValues('property', values.property),
    ...keyValues('formatter-property', values['formatter-property']),
  };
}

/** What cannot be printed ends it, or is told and passed over. */
function skipping(format: RecordFormat, isLenient: boolean): RecordFormat {
  return (record) => {
    try {
      return format(record);
    } catch (error) {
      const where = `${record.topic}-${record.partition} at offset ${record.offset}`;
      const message = `Error processing message of ${where}: ${(error as Error).message}`;
      if (!isLenient) throw new CommandError(message, { cause: error });
      process.stderr.write(`${message}; skipped\n`);
      return [];
    }
  };
}

function checkStart(values: Values): void {
  if ((values.topic === undefined) === (values.include === undefined))
    throw new UsageError('give --topic or --include');
  if (values.offset !== undefined && values.partition === undefined) throw new UsageError('--offset needs --partition');
  if (values.offset !== undefined && values['from-beginning'])
    throw new UsageError('give --offset or --from-beginning, not both');
  if (values.partition !== undefined && values.include !== undefined) throw new UsageError('--partition needs --topic');
}

function subscribe(consumer: Consumer, values: Values): void {
  if (values.include !== undefined) consumer.subscribe(patternOf(values.include));
  else consumer.subscribe([values.topic as string]);
}

/** Of whole names. */
function patternOf(include: string): RegExp {
  try {
    return new RegExp(`^(?:${include})$`);
  } catch (error) {
    const reason = (error as Error).message.split(': ').at(-1);
    throw new UsageError(`--include: '${include}' is no regular expression: ${reason}`);
  }
}

function consumerSettings(values: Values): Record<string, string> {
  const given: Record<string, string> = {
    ...readPropertiesFile(values['consumer.config']),
    ...readPropertiesFile(values['command-config']),
    ...keyValues('consumer-property', values['consumer-property']),
    ...keyValues('command-property', values['command-property']),
  };
  const { 'group.id': groupId = values.group, 'auto.offset.reset': reset } = given;
  if (values.group !== undefined && groupId !== values.group) {
    throw new UsageError(`--group says '${values.group}', the consumer's properties say group.id=${groupId}`);
  }
  if (groupId !== undefined && values.partition !== undefined) {
    throw new UsageError('give --group or --partition, not both: a group shares out all partitions');
  }
  if (values['from-beginning'] && reset !== undefined && reset !== 'earliest') {
    throw new UsageError(`--from-beginning contradicts auto.offset.reset=${reset}`);
  }
  return {
    'client.id': 'console-consumer',
    'auto.offset.reset': values['from-beginning'] ? 'earliest' : 'latest',
    ...given,
    ...(values['isolation-level'] === undefined ? {} : { 'isolation.level': values['isolation-level'] }),
    ...(groupId === undefined ? {} : { 'group.id': groupId }),
  };
}

async function assign(client: Client, consumer: Consumer, values: Values): Promise<void> {
  const admin = client.admin();
  let names = [values.topic as string];
  if (values.include !== undefined) {
    const pattern = patternOf(values.include);
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
