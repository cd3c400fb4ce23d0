import type { OffsetSpec } from '@naru/client';
import type { Command } from '../command.ts';
import { bootstrapFlags, describeTopics, withClient } from '../connection.ts';
import { parseFlags, UsageError, wholeNumber } from '../flags.ts';

const flags = {
  ...bootstrapFlags,
  'broker-list': { kind: 'value', value: 'host:port', doc: 'old name of --bootstrap-server' },
  topic: { kind: 'value', value: 'name', doc: 'a regular expression; default: every topic' },
  partitions: { kind: 'value', value: '0,1,…', doc: 'only these partitions' },
  'topic-partitions': {
    kind: 'value',
    value: 't:0,u:1-3',
    doc: 'topics with partitions or ranges of them, instead of the two above',
  },
  time: {
    kind: 'value',
    value: 'time',
    default: '-1',
    doc: 'milliseconds since the epoch, or -1 latest, -2 earliest, -3 max-timestamp, or those names',
  },
  'exclude-internal-topics': { kind: 'switch', doc: 'leave out internal topics' },
} as const;

export const command: Command<typeof flags> = {
  name: 'get-offsets',
  summary: 'Prints offsets as topic:partition:offset.',
  usage: 'kafka-get-offsets.sh --bootstrap-server <host:port> [--topic <name>] [--time -1|-2|-3|<ms>]',
  flags,
  run: async (argv) => {
    const { values } = parseFlags(flags, argv);
    if (values['topic-partitions'] !== undefined && (values.topic !== undefined || values.partitions !== undefined)) {
      throw new UsageError('--topic-partitions stands instead of --topic and --partitions');
    }
    const wanted = partitionFilter(values['topic-partitions'], values.topic, values.partitions);
    const spec = parseTime(values.time);
    return withClient(values, {}, async (client) => {
      const admin = client.admin();
      const listed = await admin.listTopics({ includeInternal: !values['exclude-internal-topics'] });
      const described = await describeTopics(
        admin,
        listed.map((topic) => topic.name),
      );
      const partitions = described.flatMap((topic) =>
        topic.partitions
          .map(({ partition }) => ({ topic: topic.name, partition, spec }))
          .filter(({ partition }) => wanted(topic.name, partition)),
      );
      if (partitions.length === 0) {
        process.stderr.write('Could not match any topic-partitions with the specified filters\n');
        return 1;
      }
      for (const { topic, partition, offset } of await admin.listOffsets(partitions)) {
        process.stdout.write(`${topic}:${partition}:${offset ?? ''}\n`);
      }
      return 0;
    });
  },
};

function parseTime(text: string): OffsetSpec {
  const named: Record<string, OffsetSpec> = {
    latest: 'latest',
    '-1': 'latest',
    earliest: 'earliest',
    '-2': 'earliest',
    'max-timestamp': 'max-timestamp',
    '-3': 'max-timestamp',
  };
  return named[text] ?? { timestamp: wholeNumber('time', text, 0) };
}

type Filter = (topic: string, partition: number) => boolean;

function partitionFilter(
  topicPartitions: string | undefined,
  topic: string | undefined,
  partitions: string | undefined,
): Filter {
  if (topicPartitions !== undefined) {
    const rules = topicPartitions.split(',').map((rule) => {
      const colon = rule.lastIndexOf(':');
      return colon === -1
        ? topicFilter(rule, () => true)
        : topicFilter(rule.slice(0, colon), range(rule.slice(colon + 1)));
    });
    return (name, partition) => rules.some((rule) => rule(name, partition));
  }
  const ranges = partitions?.split(',').map(range) ?? [];
  return topicFilter(topic ?? '.*', (partition) => ranges.length === 0 || ranges.some((inRange) => inRange(partition)));
}

function topicFilter(pattern: string, partitionMatches: (partition: number) => boolean): Filter {
  const expression = new RegExp(`^(?:${pattern || '.*'})$`);
  return (topic, partition) => expression.test(topic) && partitionMatches(partition);
}

/** `3`, `1-4` (the end is exclusive, as in Kafka's tool), `2-`, `-4`. */
function range(text: string): (partition: number) => boolean {
  const match = /^(\d*)(-?)(\d*)$/.exec(text.trim());
  if (match === null || (match[1] === '' && match[3] === ''))
    throw new UsageError(`'${text}' is no partition and no range of partitions`);
  const from = match[1] === '' ? 0 : Number(match[1]);
  if (match[2] === '') return (partition) => partition === from;
  const to = match[3] === '' ? Number.POSITIVE_INFINITY : Number(match[3]);
  return (partition) => partition >= from && partition < to;
}
