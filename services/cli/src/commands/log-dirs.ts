import type { LogDirDescription } from '@naru/client';
import { type Command, CommandError } from '../command.ts';
import { bootstrapFlags, withClient } from '../connection.ts';
import { parseFlags, UsageError, wholeNumber } from '../flags.ts';

const flags = {
  ...bootstrapFlags,
  describe: { kind: 'switch', doc: 'what the directories hold (required)' },
  'topic-list': { kind: 'value', value: 't,…', doc: 'only these topics' },
  'broker-list': { kind: 'value', value: '1,…', doc: 'only these brokers' },
} as const;

export const command: Command<typeof flags> = {
  name: 'log-dirs',
  summary: 'Prints what the log directories of brokers hold, as JSON.',
  usage: 'kafka-log-dirs.sh --bootstrap-server <host:port> --describe [--topic-list <t,…>] [--broker-list <1,…>]',
  flags,
  run: async (argv) => {
    const { values } = parseFlags(flags, argv);
    if (!values.describe) throw new UsageError('missing required flag --describe');
    const topics = new Set(listed(values['topic-list']));
    const asked = [...new Set(listed(values['broker-list']).map((id) => wholeNumber('broker-list', id, 0)))];
    const { 'bootstrap-server': servers, 'command-config': config } = values;
    return withClient({ 'bootstrap-server': servers, 'command-config': config }, {}, async (client) => {
      const admin = client.admin();
      const live = (await admin.describeCluster()).brokers.map(({ id }) => id);
      const missing = asked.filter((id) => !live.includes(id));
      if (missing.length > 0) {
        throw new CommandError(`no broker ${missing.join(', ')} among ${live.join(', ')}`);
      }
      const ids = asked.length === 0 ? live : asked;
      process.stdout.write('Querying brokers for log directories information\n');
      const described = await admin.describeLogDirs(ids);
      process.stdout.write(`Received log directory information from brokers ${ids.join(',')}\n`);
      const brokers = [...described].map(([broker, directories]) => {
        return { broker, logDirs: directories.map((directory) => shown(directory, topics)) };
      });
      process.stdout.write(`${JSON.stringify({ brokers, version: 1 })}\n`);
      return 0;
    });
  },
};

function listed(text: string | undefined): string[] {
  return (text ?? '').split(',').filter((one) => one !== '');
}

function shown({ path, error, replicas }: LogDirDescription, topics: ReadonlySet<string>) {
  const wanted = replicas.filter(({ topic }) => topics.size === 0 || topics.has(topic));
  return {
    partitions: wanted.map(({ topic, partition, sizeBytes, offsetLag }) => {
      return { partition: `${topic}-${partition}`, size: sizeBytes, offsetLag, isFuture: false };
    }),
    error: error?.message ?? null,
    logDir: path,
  };
}
