import {
  type Admin,
  ElectionNotNeededError,
  type ElectionType,
  type PartitionOutcome,
  type TopicPartition,
} from '@naru/client';
import { type Command, CommandError } from '../command.ts';
import { bootstrapFlags, withClient } from '../connection.ts';
import { type FlagValues, parseFlags, UsageError, wholeNumber } from '../flags.ts';
import { listIn, namesOf, partitionOf } from '../partition-lists.ts';

const flags = {
  ...bootstrapFlags,
  'admin.config': { kind: 'value', value: 'file', doc: "Kafka's old name of --command-config" },
  'election-type': {
    kind: 'value',
    value: 'preferred|unclean',
    doc: 'preferred: the first replica; unclean: any live replica where nobody leads, records may be lost',
    required: true,
  },
  topic: { kind: 'value', value: 'name', doc: 'with --partition: of this topic' },
  partition: { kind: 'value', value: 'number', doc: 'with --topic: this partition' },
  'all-topic-partitions': { kind: 'switch', doc: 'every partition that needs an election' },
  'path-to-json-file': {
    kind: 'value',
    value: 'file',
    doc: 'partitions: {"partitions": [{"topic": "foo", "partition": 1}]}',
  },
} as const;

type Values = FlagValues<typeof flags>;

export const command: Command<typeof flags> = {
  name: 'leader-election',
  summary: 'Elects leaders of partitions: the preferred ones, or any live replica.',
  usage:
    'kafka-leader-election.sh --bootstrap-server <host:port> --election-type preferred|unclean --all-topic-partitions|--topic <name> --partition <number>|--path-to-json-file <file>',
  flags,
  run: async (argv) => {
    const { values } = parseFlags(flags, argv);
    const type = electionType(values['election-type']);
    const partitions = wanted(values);
    const config = { ...values, 'command-config': values['command-config'] ?? values['admin.config'] };
    return withClient(config, {}, (client) => elect(client.admin(), type, partitions));
  },
};

function electionType(text: string): ElectionType {
  const type = text.toLowerCase();
  if (type === 'preferred' || type === 'unclean') return type;
  throw new UsageError(`--election-type must be preferred or unclean, not '${text}'`);
}

/** Undefined: all. */
function wanted(values: Values): readonly TopicPartition[] | undefined {
  const { topic, partition } = values;
  const file = values['path-to-json-file'];
  const ways = [topic !== undefined, values['all-topic-partitions'], file !== undefined].filter((given) => given);
  if (ways.length !== 1) {
    throw new UsageError('give exactly one of --topic, --all-topic-partitions, --path-to-json-file');
  }
  if ((topic === undefined) !== (partition === undefined)) {
    throw new UsageError('--topic and --partition belong together: give both');
  }
  if (values['all-topic-partitions']) return undefined;
  if (topic !== undefined) return [{ topic, partition: wholeNumber('partition', partition ?? '', 0) }];
  const flag = 'path-to-json-file';
  const partitions = listIn(flag, file as string, 'partitions').map((entry) => partitionOf(flag, entry));
  if (new Set(partitions.map((each) => `${each.topic}-${each.partition}`)).size === partitions.length)
    return partitions;
  throw new UsageError(`--${flag}: a partition stands there twice`);
}

async function elect(
  admin: Admin,
  type: ElectionType,
  partitions: readonly TopicPartition[] | undefined,
): Promise<number> {
  const outcomes = await admin.electLeaders(type, partitions);
  const kind = type.toUpperCase();
  const isNeedless = ({ error }: PartitionOutcome): boolean => error instanceof ElectionNotNeededError;
  const elected = outcomes.filter(({ error }) => error === undefined);
  const needless = outcomes.filter(isNeedless);
  const failed = outcomes.filter((outcome) => outcome.error !== undefined && !isNeedless(outcome));
  if (elected.length > 0) {
    const names = namesOf(elected, ', ');
    process.stdout.write(`Successfully completed leader election (${kind}) for partitions ${names}\n`);
  }
  if (needless.length > 0) {
    process.stdout.write(`Valid replica already elected for partitions ${namesOf(needless, ', ')}\n`);
  }
  for (const { topic, partition, error } of failed) {
    const name = `${topic}-${partition}`;
    process.stdout.write(`Error completing leader election (${kind}) for partition: ${name}: ${error?.message}\n`);
  }
  if (failed.length > 0) throw new CommandError(`${failed.length} replica(s) could not be elected`);
  return 0;
}
