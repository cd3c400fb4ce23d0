import { type Admin, type ConfigEntry, orThrow, type PartitionDescription, type TopicDescription } from '@naru/client';
import { type Command, CommandError } from '../command.ts';
import { bootstrapFlags, describeTopics, withClient } from '../connection.ts';
import { type FlagValues, keyValues, parseFlags, UsageError, wholeNumber } from '../flags.ts';

const flags = {
  ...bootstrapFlags,
  create: { kind: 'switch', doc: 'create a topic' },
  delete: { kind: 'switch', doc: 'delete topics' },
  describe: { kind: 'switch', doc: 'show topics and their partitions' },
  list: { kind: 'switch', doc: 'list the names of topics' },
  alter: { kind: 'switch', doc: 'raise the number of partitions' },
  topic: { kind: 'value', value: 'name', doc: 'the topic; a regular expression except with --create' },
  partitions: { kind: 'value', value: 'count', doc: 'number of partitions (default: num.partitions of the brokers)' },
  'replication-factor': {
    kind: 'value',
    value: 'count',
    doc: 'replicas of each partition (default: default.replication.factor of the brokers)',
  },
  'replica-assignment': { kind: 'value', value: '1:2,2:3', doc: 'brokers of each partition, instead of the two above' },
  config: { kind: 'list', value: 'key=value', doc: 'with --create: a topic configuration' },
  'if-exists': { kind: 'switch', doc: 'no error when the topic is missing' },
  'if-not-exists': { kind: 'switch', doc: 'no error when the topic is there already' },
  'exclude-internal': { kind: 'switch', doc: 'leave out internal topics' },
  'under-replicated-partitions': { kind: 'switch', doc: 'with --describe: only partitions with a replica out of sync' },
  'unavailable-partitions': { kind: 'switch', doc: 'with --describe: only partitions without a leader' },
  'under-min-isr-partitions': {
    kind: 'switch',
    doc: 'with --describe: only partitions with fewer than min.insync.replicas in sync',
  },
  'at-min-isr-partitions': {
    kind: 'switch',
    doc: 'with --describe: only partitions with exactly min.insync.replicas in sync',
  },
  'topics-with-overrides': { kind: 'switch', doc: 'with --describe: only topics with configurations of their own' },
  zookeeper: { kind: 'value', value: 'address', doc: 'gone since Kafka 3.0; use --bootstrap-server' },
} as const;

type Values = FlagValues<typeof flags>;

export const command: Command<typeof flags> = {
  name: 'topics',
  summary: 'Creates, deletes, describes, lists or alters topics.',
  usage: 'kafka-topics.sh --bootstrap-server <host:port> --create|--delete|--describe|--list|--alter [flags]',
  flags,
  run: async (argv) => {
    const { values } = parseFlags(flags, argv);
    const actions = (['create', 'delete', 'describe', 'list', 'alter'] as const).filter((action) => values[action]);
    if (actions.length !== 1)
      throw new UsageError('give exactly one of --create, --delete, --describe, --list, --alter');
    if (values.zookeeper !== undefined)
      throw new UsageError('--zookeeper is gone since Kafka 3.0; give --bootstrap-server <host:port>');
    checkCreateFlags(values);
    const action = { create, delete: remove, describe, list, alter }[actions[0] as 'create'];
    try {
      return await withClient(values, {}, (client) => action(client.admin(), values));
    } catch (error) {
      if (error instanceof UsageError) throw error;
      throw new CommandError(`Error while executing topic command : ${(error as Error).message}`, { cause: error });
    }
  },
};

/** Left unsaid, nothing would tell that they change nothing. */
function checkCreateFlags(values: Values): void {
  if (values.create) return;
  if (values.config.length > 0)
    throw new UsageError('--config goes with --create; kafka-configs.sh changes the settings of a topic that is there');
  if (values['replication-factor'] !== undefined)
    throw new UsageError('--replication-factor goes with --create; kafka-reassign-partitions.sh changes the replicas');
}

async function create(admin: Admin, values: Values): Promise<number> {
  const name = requireTopic(values, '--create');
  const assignments = values['replica-assignment'];
  if (assignments !== undefined && (values.partitions !== undefined || values['replication-factor'] !== undefined)) {
    throw new UsageError(
      '--replica-assignment already says the partitions and replicas; leave out --partitions and --replication-factor',
    );
  }
  if (values['if-not-exists'] && (await topicNames(admin)).includes(name)) return 0;
  if (/[._]/.test(name)) {
    process.stdout.write(
      "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could collide. To avoid issues it is best to use either, but not both.\n",
    );
  }
  const counts = {
    ...(values.partitions === undefined ? {} : { partitions: wholeNumber('partitions', values.partitions, 1) }),
    ...(values['replication-factor'] === undefined
      ? {}
      : { replicationFactor: wholeNumber('replication-factor', values['replication-factor'], 1, 32_767) }),
  };
  const outcomes = await admin.createTopics([
    {
      name,
      configs: keyValues('config', values.config),
      ...(assignments === undefined ? counts : { assignments: parseAssignments(assignments) }),
    },
  ]);
  orThrow(outcomes);
  process.stdout.write(`Created topic ${name}.\n`);
  return 0;
}

/** `1:2,2:3`: partition 0 on brokers 1 and 2, partition 1 on brokers 2 and 3. */
function parseAssignments(text: string): number[][] {
  return text
    .split(',')
    .map((replicas) => replicas.split(':').map((id) => wholeNumber('replica-assignment', id.trim(), 0)));
}

async function remove(admin: Admin, values: Values): Promise<number> {
  const names = await matchingTopics(admin, values, requireTopic(values, '--delete'));
  if (names.length > 0) orThrow(await admin.deleteTopics(names));
  return 0;
}

async function list(admin: Admin, values: Values): Promise<number> {
  const pattern = values.topic === undefined ? undefined : topicPattern(values.topic);
  for (const name of await topicNames(admin)) {
    if (pattern === undefined || pattern.test(name)) process.stdout.write(`${name}\n`);
  }
  return 0;
}

async function alter(admin: Admin, values: Values): Promise<number> {
  if (values.partitions === undefined) throw new UsageError('--alter needs --partitions');
  const count = wholeNumber('partitions', values.partitions, 1);
  const names = await matchingTopics(admin, values, requireTopic(values, '--alter'));
  orThrow(await admin.createPartitions(names.map((topic) => ({ topic, count }))));
  return 0;
}

async function describe(admin: Admin, values: Values): Promise<number> {
  const names =
    values.topic === undefined ? await topicNames(admin) : await matchingTopics(admin, values, values.topic);
  if (names.length === 0) return 0;
  const topics = (await describeTopics(admin, names)).filter(
    (topic) => !(values['exclude-internal'] && topic.internal),
  );
  const configs = orThrow(
    await admin.describeConfigs(topics.map((topic) => ({ type: 'topic' as const, name: topic.name }))),
  );
  const reports = (
    [
      'under-replicated-partitions',
      'unavailable-partitions',
      'under-min-isr-partitions',
      'at-min-isr-partitions',
    ] as const
  ).filter((flag) => values[flag]);
  for (const [i, topic] of topics.entries()) {
    const entries = configs[i]?.entries ?? [];
    const overrides = entries.filter((entry) => entry.source === 'dynamic-topic');
    if (values['topics-with-overrides'] && overrides.length === 0) continue;
    if (reports.length === 0) process.stdout.write(topicLine(topic, overrides));
    if (values['topics-with-overrides']) continue;
    const minIsr = Number(entries.find((entry) => entry.name === 'min.insync.replicas')?.value ?? 1);
    for (const partition of topic.partitions) {
      if (reports.every((report) => belongsTo(report, partition, minIsr)))
        process.stdout.write(partitionLine(topic.name, partition));
    }
  }
  return 0;
}

function belongsTo(report: string, partition: PartitionDescription, minIsr: number): boolean {
  switch (report) {
    case 'under-replicated-partitions':
      return partition.isr.length < partition.replicas.length;
    case 'unavailable-partitions':
      return partition.leader === undefined;
    case 'under-min-isr-partitions':
      return partition.isr.length < minIsr;
    default:
      return partition.isr.length === minIsr;
  }
}

function topicLine(topic: TopicDescription, overrides: readonly ConfigEntry[]): string {
  const replicationFactor = topic.partitions[0]?.replicas.length ?? 0;
  const configs = overrides.map((entry) => `${entry.name}=${entry.value}`).join(',');
  return `Topic: ${topic.name}\tTopicId: ${topic.topicId}\tPartitionCount: ${topic.partitions.length}\tReplicationFactor: ${replicationFactor}\tConfigs: ${configs}\n`;
}

function partitionLine(topic: string, partition: PartitionDescription): string {
  const leader = partition.leader === undefined ? 'none' : String(partition.leader);
  const moving =
    partition.addingReplicas.length + partition.removingReplicas.length === 0
      ? ''
      : `\tAdding Replicas: ${partition.addingReplicas.join(',')}\tRemoving Replicas: ${partition.removingReplicas.join(',')}`;
  return `\tTopic: ${topic}\tPartition: ${partition.partition}\tLeader: ${leader}\tReplicas: ${partition.replicas.join(',')}\tIsr: ${partition.isr.join(',')}${moving}\tElr: ${partition.elr.join(',')}\tLastKnownElr: ${partition.lastKnownElr.join(',')}\n`;
}

async function topicNames(admin: Admin): Promise<string[]> {
  return (await admin.listTopics({ includeInternal: true })).map((topic) => topic.name);
}

async function matchingTopics(admin: Admin, values: Values, topic: string): Promise<string[]> {
  const pattern = topicPattern(topic);
  const names = (await topicNames(admin)).filter((name) => pattern.test(name));
  if (names.length === 0 && !values['if-exists']) throw new CommandError(`Topic '${topic}' does not exist as expected`);
  return names;
}

function topicPattern(text: string): RegExp {
  try {
    return new RegExp(`^(?:${text})$`);
  } catch (error) {
    throw new UsageError(`--topic is not a valid regular expression: ${(error as Error).message}`);
  }
}

function requireTopic(values: Values, action: string): string {
  if (values.topic === undefined) throw new UsageError(`${action} needs --topic`);
  return values.topic;
}
