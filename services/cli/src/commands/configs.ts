import { type Admin, type ConfigEntry, type ConfigResource, type ConfigSource, orThrow } from '@naru/client';
import { type Command, CommandError } from '../command.ts';
import { configChange } from '../config-change.ts';
import { bootstrapFlags, withClient } from '../connection.ts';
import { type FlagValues, parseFlags, UsageError, wholeNumber } from '../flags.ts';

const flags = {
  ...bootstrapFlags,
  describe: { kind: 'switch', doc: 'show the settings that were changed, or --all' },
  alter: { kind: 'switch', doc: 'change settings: --add-config, --delete-config' },
  all: { kind: 'switch', doc: 'with --describe: every setting with its value in force' },
  'entity-type': { kind: 'value', value: 'topics|brokers', doc: 'whose settings' },
  'entity-name': {
    kind: 'value',
    value: 'name',
    doc: "of this topic, or of the broker with this id; left out with --describe: everyone's",
  },
  'entity-default': { kind: 'switch', doc: 'with brokers: what holds for all of them' },
  topic: { kind: 'value', value: 'name', doc: 'the same as --entity-type topics --entity-name <name>' },
  broker: { kind: 'value', value: 'id', doc: 'the same as --entity-type brokers --entity-name <id>' },
  'broker-defaults': { kind: 'switch', doc: 'the same as --entity-type brokers --entity-default' },
  'add-config': { kind: 'list', value: 'key=value,key=[a,b],…', doc: 'set these; a list stands in brackets' },
  'add-config-file': { kind: 'value', value: 'file', doc: 'set what this properties file says' },
  'delete-config': { kind: 'list', value: 'key,…', doc: 'take these back to their defaults' },
  force: { kind: 'switch', doc: 'accepted and without effect: nothing is asked' },
  zookeeper: { kind: 'value', value: 'address', doc: 'gone since Kafka 3.0; use --bootstrap-server' },
} as const;

type Values = FlagValues<typeof flags>;

/** What else has settings in Kafka, with the flag that is short for it. */
const missing: readonly { readonly type: string; readonly flag: string; readonly reason: string }[] = [
  {
    type: 'groups',
    flag: 'group',
    reason: "groups have no settings of their own yet; the brokers' group.* hold for all of them",
  },
  { type: 'users', flag: 'user', reason: 'there are no quotas and no passwords yet' },
  { type: 'clients', flag: 'client', reason: 'there are no quotas yet' },
  { type: 'ips', flag: 'ip', reason: 'there are no quotas yet; max.connections.per.ip bounds connections' },
  { type: 'client-metrics', flag: 'client-metrics', reason: 'brokers ask clients for no metrics' },
  { type: 'broker-loggers', flag: 'broker-logger', reason: 'log.level is read when a broker starts' },
];

export const command: Command<typeof flags> = {
  name: 'configs',
  summary: 'Shows and changes the settings of topics and brokers while they run.',
  usage:
    'kafka-configs.sh --bootstrap-server <host:port> --describe|--alter --topic <name>|--broker <id>|--broker-defaults [--add-config <key=value,…>] [--delete-config <key,…>]',
  flags,
  run: async (argv) => {
    refuseMissing(argv);
    const { values } = parseFlags(flags, argv);
    if (values.zookeeper !== undefined)
      throw new UsageError('--zookeeper is gone since Kafka 3.0; give --bootstrap-server <host:port>');
    if (values.describe === values.alter) throw new UsageError('give exactly one of --describe, --alter');
    const entity = entityOf(values);
    const change = configChange(values['add-config'], values['add-config-file'], values['delete-config']);
    const isChange = Object.keys(change.set).length + change.remove.length > 0;
    if (values.describe && isChange) throw new UsageError('--add-config and --delete-config go with --alter');
    if (values.alter && !isChange)
      throw new UsageError('--alter needs --add-config, --add-config-file or --delete-config');
    if (values.alter && values.all) throw new UsageError('--all goes with --describe');
    const work = async (admin: Admin): Promise<number> => {
      if (values.describe) return describe(admin, entity, values.all);
      const resource = { type: entity.type, name: entity.name ?? '' };
      if (entity.name === undefined && !entity.isDefault) throw new UsageError(`--alter needs --entity-name`);
      orThrow(await admin.incrementalAlterConfigs([{ resource, ...change }]));
      const what = entity.isDefault ? 'default config for brokers in the cluster' : `config for ${titleOf(resource)}`;
      process.stdout.write(`Completed updating ${what}.\n`);
      return 0;
    };
    try {
      return await withClient(values, {}, (client) => work(client.admin()));
    } catch (error) {
      if (error instanceof UsageError || error instanceof CommandError) throw error;
      throw new CommandError(`Error while executing config command: ${(error as Error).message}`, { cause: error });
    }
  },
};

interface Entity {
  readonly type: ConfigResource['type'];
  /** Undefined: all of the type, or what holds for all of them. */
  readonly name: string | undefined;
  readonly isDefault: boolean;
}

/** Before the flags are read: those for what is missing are none of this command's. */
function refuseMissing(argv: readonly string[]): void {
  const given = argv.map((argument) => argument.split('=', 1)[0]);
  for (const { flag, reason } of missing) {
    const short = [`--${flag}`, `--${flag}-defaults`].find((name) => given.includes(name));
    if (short !== undefined) throw new UsageError(`${short}: ${reason}`);
  }
}

function entityOf(values: Values): Entity {
  const { topic, broker } = values;
  const type = values['entity-type'];
  const ways = [type !== undefined, topic !== undefined, broker !== undefined, values['broker-defaults']];
  if (ways.filter(Boolean).length !== 1)
    throw new UsageError('give exactly one of --topic, --broker, --broker-defaults, --entity-type');
  if (type === undefined) {
    const name = topic ?? (broker === undefined ? undefined : brokerId('broker', broker));
    return { type: topic === undefined ? 'broker' : 'topic', name, isDefault: values['broker-defaults'] };
  }
  const singular = { topics: 'topic', brokers: 'broker' }[type] as ConfigResource['type'] | undefined;
  if (singular === undefined) {
    const reason = missing.find((one) => one.type === type)?.reason;
    throw new UsageError(`--entity-type must be topics or brokers here, not '${type}'${reason ? `: ${reason}` : ''}`);
  }
  const [name, isDefault] = [values['entity-name'], values['entity-default']];
  if (name !== undefined && isDefault) throw new UsageError('give --entity-name or --entity-default, not both');
  if (isDefault && singular === 'topic')
    throw new UsageError('--entity-default goes with brokers: topics take their defaults from there');
  return {
    type: singular,
    name: singular === 'broker' && name !== undefined ? brokerId('entity-name', name) : name,
    isDefault,
  };
}

function brokerId(flag: string, text: string): string {
  return String(wholeNumber(flag, text, 0));
}

async function describe(admin: Admin, entity: Entity, isAll: boolean): Promise<number> {
  const resources = await resourcesOf(admin, entity);
  for (const { resource, error, entries } of await admin.describeConfigs(resources)) {
    if (error !== undefined) throw error;
    const title =
      resource.name === ''
        ? 'Default configs for brokers in the cluster'
        : `${isAll ? 'All' : 'Dynamic'} configs for ${titleOf(resource)}`;
    process.stdout.write(`${title} are:\n`);
    const shown = entries.filter(({ source }) => isAll || source === ownSource(resource));
    for (const entry of shown.toSorted((a, b) => (a.name < b.name ? -1 : 1))) process.stdout.write(lineOf(entry));
  }
  return 0;
}

async function resourcesOf(admin: Admin, { type, name, isDefault }: Entity): Promise<ConfigResource[]> {
  if (isDefault) return [{ type, name: '' }];
  if (type === 'topic') {
    if (name !== undefined) return [{ type, name }];
    return (await admin.listTopics({ includeInternal: true })).map((topic) => ({ type, name: topic.name }));
  }
  const { brokers } = await admin.describeCluster();
  const ids = brokers.map(({ id }) => id).toSorted((a, b) => a - b);
  if (name !== undefined) {
    if (ids.includes(Number(name))) return [{ type, name }];
    throw new CommandError(`broker ${name} is not there; there are ${ids.join(', ')}`);
  }
  return [...ids.map((id) => ({ type, name: String(id) })), { type, name: '' }];
}

function titleOf({ type, name }: ConfigResource): string {
  return `${type} ${name}`;
}

/** Where a setting is that was changed for this resource alone. */
function ownSource({ type, name }: ConfigResource): ConfigSource {
  if (type === 'topic') return 'dynamic-topic';
  return name === '' ? 'dynamic-default-broker' : 'dynamic-broker';
}

const sourceNames: Readonly<Record<ConfigSource, string>> = {
  'dynamic-topic': 'DYNAMIC_TOPIC_CONFIG',
  'dynamic-broker': 'DYNAMIC_BROKER_CONFIG',
  'dynamic-default-broker': 'DYNAMIC_DEFAULT_BROKER_CONFIG',
  'static-broker': 'STATIC_BROKER_CONFIG',
  default: 'DEFAULT_CONFIG',
  unknown: 'UNKNOWN',
};

function lineOf({ name, value, sensitive, synonyms }: ConfigEntry): string {
  const shown = (text: string | undefined): string => text || 'null';
  const from = synonyms.map((one) => `${sourceNames[one.source]}:${one.name}=${shown(one.value)}`).join(', ');
  return `  ${name}=${shown(value)} sensitive=${sensitive} synonyms={${from}}\n`;
}
