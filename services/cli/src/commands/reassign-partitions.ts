import type { Admin, PartitionOutcome } from '@naru/client';
import { createNodeRuntime } from '@naru/runtime/node';
import { type Command, CommandError } from '../command.ts';
import { bootstrapFlags, describeTopics, withClient } from '../connection.ts';
import { type FlagValues, parseFlags, UsageError, wholeNumber } from '../flags.ts';
import { inOrder, namesOf } from '../partition-lists.ts';
import { list, verify } from '../reassign/progress.ts';
import { formatPlacements, type Placement, readReassignment, readTopics } from '../reassign/reassignment-file.ts';

const flags = {
  ...bootstrapFlags,
  generate: { kind: 'switch', doc: 'propose an assignment; changes nothing' },
  execute: { kind: 'switch', doc: 'begin the moves of --reassignment-json-file' },
  verify: { kind: 'switch', doc: 'say how far the moves of --reassignment-json-file are' },
  cancel: { kind: 'switch', doc: 'cancel the moves of --reassignment-json-file' },
  list: { kind: 'switch', doc: 'show all moves that are under way' },
  'reassignment-json-file': {
    kind: 'value',
    value: 'file',
    doc: '{"version":1,"partitions":[{"topic":"foo","partition":1,"replicas":[1,2,3]}]}',
  },
  'topics-to-move-json-file': {
    kind: 'value',
    value: 'file',
    doc: 'with --generate: {"topics":[{"topic":"foo"}],"version":1}',
  },
  'broker-list': { kind: 'value', value: '1,2,3', doc: 'with --generate: the brokers to move the topics to' },
  'disable-rack-aware': { kind: 'switch', doc: 'with --generate: do not look at racks' },
  additional: { kind: 'switch', doc: 'with --execute: although other moves are under way' },
  'disallow-replication-factor-change': {
    kind: 'switch',
    doc: 'with --execute: refuse moves that change the number of replicas',
  },
  'preserve-throttles': { kind: 'switch', doc: 'accepted and without effect: nothing is throttled' },
  timeout: { kind: 'value', value: 'ms', default: '10000', doc: 'how long to wait for the brokers, milliseconds' },
  throttle: { kind: 'value', value: 'bytes/s', doc: 'refused: replication is not throttled' },
  'replica-alter-log-dirs-throttle': { kind: 'value', value: 'bytes/s', doc: 'refused: a broker has one directory' },
  zookeeper: { kind: 'value', value: 'address', doc: 'gone since Kafka 3.0; use --bootstrap-server' },
} as const;

type Values = FlagValues<typeof flags>;
const actions = ['generate', 'execute', 'verify', 'cancel', 'list'] as const;

export const command: Command<typeof flags> = {
  name: 'reassign-partitions',
  summary: 'Moves partitions to other brokers.',
  usage:
    'kafka-reassign-partitions.sh --bootstrap-server <host:port> --generate|--execute|--verify|--cancel|--list [flags]',
  flags,
  run: async (argv) => {
    const { values } = parseFlags(flags, argv);
    const action = actionOf(values);
    // --broker-list names brokers here, not where to connect to.
    const { 'broker-list': _, ...connection } = values;
    const timeoutMs = wholeNumber('timeout', values.timeout, 1);
    const work = { generate, execute, verify: verifyAll, cancel, list: listAll }[action];
    return withClient(connection, { 'default.api.timeout.ms': timeoutMs }, (client) => work(client.admin(), values));
  },
};

function actionOf(values: Values): (typeof actions)[number] {
  const given = actions.filter((action) => values[action]);
  const [action] = given;
  if (given.length !== 1 || action === undefined) {
    throw new UsageError('Command must include exactly one action: --generate, --execute, --verify, --cancel, --list');
  }
  if (values.zookeeper !== undefined) {
    throw new UsageError('--zookeeper is gone since Kafka 3.0; give --bootstrap-server <host:port>');
  }
  for (const flag of ['throttle', 'replica-alter-log-dirs-throttle'] as const) {
    if (values[flag] !== undefined) throw new UsageError(`--${flag} cannot be given: replication is not throttled`);
  }
  return action;
}

function placementsIn(values: Values): readonly Placement[] {
  const file = values['reassignment-json-file'];
  if (file === undefined) throw new UsageError('--reassignment-json-file is missing');
  return readReassignment(file);
}

/** Kafka's assignment (leaders in turn, racks apart) of the topics to the brokers that are given. */
async function generate(admin: Admin, values: Values): Promise<number> {
  const file = values['topics-to-move-json-file'];
  const brokerList = values['broker-list'];
  if (file === undefined || brokerList === undefined) {
    throw new UsageError('--generate needs --topics-to-move-json-file and --broker-list');
  }
  const ids = brokerList.split(',').map((id) => wholeNumber('broker-list', id.trim(), 0));
  if (new Set(ids).size !== ids.length) throw new UsageError('--broker-list names a broker twice');
  const known = new Map((await admin.describeCluster()).brokers.map((broker) => [broker.id, broker]));
  const brokers = ids.map((id) => {
    const broker = known.get(id);
    if (broker === undefined) throw new CommandError(`broker ${id} of --broker-list is not registered`);
    return { id, rack: values['disable-rack-aware'] ? undefined : broker.rack };
  });
  const racks = brokers.filter(({ rack }) => rack !== undefined).length;
  if (racks > 0 && racks < brokers.length) {
    throw new CommandError(
      'Not all brokers have rack information. Add --disable-rack-aware in command line to make replica assignment without rack information.',
    );
  }
  const { assignReplicas } = await import('@naru/broker');
  const { random } = createNodeRuntime();
  const current: Placement[] = [];
  const proposed: Placement[] = [];
  for (const { name, partitions } of await describeTopics(admin, readTopics(file))) {
    const replicationFactor = partitions[0]?.replicas.length ?? 1;
    const assigned = assignReplicas({ brokers, partitions: partitions.length, replicationFactor }, random);
    if (!assigned.ok) throw new CommandError(`${name} has ${replicationFactor} replicas, and --broker-list is shorter`);
    for (const [index, { partition, replicas }] of partitions.entries()) {
      current.push({ topic: name, partition, replicas });
      proposed.push({ topic: name, partition, replicas: assigned.replicas[index] as readonly number[] });
    }
  }
  process.stdout.write(
    `Current partition replica assignment\n${formatPlacements(current)}\n\n` +
      `Proposed partition reassignment configuration\n${formatPlacements(proposed)}\n`,
  );
  return 0;
}

async function execute(admin: Admin, values: Values): Promise<number> {
  const wanted = placementsIn(values);
  if (!values.additional && (await admin.listPartitionReassignments()).length > 0) {
    throw new CommandError(
      'Cannot execute because there is an existing partition assignment.  Use --additional to override this and create a new partition assignment in addition to the existing one.',
    );
  }
  process.stdout.write(
    `Current partition replica assignment\n\n${formatPlacements(await currentOf(admin, wanted))}\n\n` +
      'Save this to use as the --reassignment-json-file option during rollback\n',
  );
  const allowReplicationFactorChange = !values['disallow-replication-factor-change'];
  refuse('reassigning', await admin.alterPartitionReassignments(wanted, { allowReplicationFactorChange }));
  process.stdout.write(`Successfully started partition ${plural(wanted)} for ${namesOf(wanted, ',')}\n`);
  return 0;
}

/** As it was before a move that is under way, so that it can be gone back to. */
async function currentOf(admin: Admin, wanted: readonly Placement[]): Promise<readonly Placement[]> {
  const topics = await describeTopics(admin, [...new Set(wanted.map(({ topic }) => topic))]);
  return wanted.map(({ topic, partition }) => {
    const found = topics.find(({ name }) => name === topic)?.partitions.find((each) => each.partition === partition);
    if (found === undefined) throw new CommandError(`Partition ${topic}-${partition} does not exist`);
    return { topic, partition, replicas: found.replicas.filter((id) => !found.addingReplicas.includes(id)) };
  });
}

async function verifyAll(admin: Admin, values: Values): Promise<number> {
  await verify(admin, placementsIn(values));
  return 0;
}

async function cancel(admin: Admin, values: Values): Promise<number> {
  const ongoing = await admin.listPartitionReassignments(placementsIn(values));
  if (ongoing.length === 0) {
    process.stdout.write('None of the specified partition reassignments are active.\n');
    return 0;
  }
  const cancellations = ongoing.map(({ topic, partition }) => ({ topic, partition, replicas: null }));
  refuse('cancelling', await admin.alterPartitionReassignments(cancellations));
  process.stdout.write(`Successfully cancelled partition ${plural(ongoing)} for: ${namesOf(ongoing, ',')}\n`);
  return 0;
}

async function listAll(admin: Admin): Promise<number> {
  await list(admin);
  return 0;
}

function plural(partitions: readonly unknown[]): string {
  return partitions.length === 1 ? 'reassignment' : 'reassignments';
}

function refuse(doing: string, outcomes: readonly PartitionOutcome[]): void {
  const failed = inOrder(outcomes.filter(({ error }) => error !== undefined));
  if (failed.length === 0) return;
  const lines = failed.map(({ topic, partition, error }) => `${topic}-${partition}: ${error?.message}`);
  throw new CommandError(`Error ${doing} partition(s):\n${lines.join('\n')}`);
}
