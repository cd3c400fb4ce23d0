import { readFileSync } from 'node:fs';
import { type Admin, Client, type TopicDescription } from '@naru/client';
import { parseProperties } from '@naru/config';
import { CommandError } from './command.ts';
import { UsageError } from './flags.ts';

/** The flags by which every tool finds its cluster. */
export const bootstrapFlags = {
  'bootstrap-server': { kind: 'value', value: 'host:port[,…]', doc: 'brokers to begin with (required)' },
  'command-config': { kind: 'value', value: 'file', doc: 'properties file for the client' },
} as const;

/** A person waits in front of the terminal: a cluster that nobody can reach is told sooner than after Kafka's minute. */
const apiTimeoutMs = 15_000;

interface Bootstrap {
  readonly 'bootstrap-server'?: string | undefined;
  readonly 'command-config'?: string | undefined;
  /** Kafka's old name of the same. */
  readonly 'broker-list'?: string | undefined;
}

/** Makes a client for the flags, closes it afterwards, whatever happens. */
export async function withClient<T>(
  flags: Bootstrap,
  settings: Readonly<Record<string, unknown>>,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const servers = flags['bootstrap-server'] ?? flags['broker-list'];
  if (servers === undefined) throw new UsageError('missing required flag --bootstrap-server');
  const client = new Client({
    'client.id': 'naru-cli',
    'default.api.timeout.ms': apiTimeoutMs,
    ...readPropertiesFile(flags['command-config']),
    ...settings,
    'bootstrap.servers': servers,
  });
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

/** The settings of a properties file; nothing without a file. Keys that a producer or consumer needs are passed on as they are. */
export function readPropertiesFile(file: string | undefined): Record<string, string> {
  if (file === undefined) return {};
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new CommandError(`cannot read ${file}: ${(error as Error).message}`);
  }
  return parseProperties(text);
}

/** Describes every named topic, or throws the first one's error. */
export async function describeTopics(admin: Admin, names: readonly string[]): Promise<TopicDescription[]> {
  if (names.length === 0) return [];
  return (await admin.describeTopics(names)).map((topic) => {
    if ('error' in topic) throw topic.error;
    return topic;
  });
}
