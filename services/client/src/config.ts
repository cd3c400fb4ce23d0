import { type ConfigValues, camelCase, defineConfig, ConfigError as InvalidSetting, type Settings } from '@naru/config';
import { whyUnavailable } from '@naru/record';
import { ConfigError } from './errors.ts';
import { withoutForeign } from './foreign-settings.ts';

/** Settings of every client; names, defaults and meaning as in Kafka 4.x. */
const commonSettings = {
  'bootstrap.servers': { type: 'list', doc: 'host:port of some brokers, tried in order until one answers' },
  'client.id': { type: 'string', default: 'naru', doc: 'Name of the application in logs' },
  'request.timeout.ms': { type: 'int', default: 30_000, min: 1, doc: 'How long to wait for the answer to one request' },
  'default.api.timeout.ms': { type: 'int', default: 60_000, min: 1, doc: 'How long a call may take, retries included' },
  'retry.backoff.ms': { type: 'int', default: 100, min: 1, doc: 'Pause before the first retry; doubles each time' },
  'retry.backoff.max.ms': { type: 'int', default: 1_000, min: 1, doc: 'Longest pause before a retry' },
  'reconnect.backoff.ms': {
    type: 'int',
    default: 50,
    min: 1,
    doc: 'Pause before the first reconnect; doubles each time',
  },
  'reconnect.backoff.max.ms': { type: 'int', default: 1_000, min: 1, doc: 'Longest pause before a reconnect' },
  'socket.connection.setup.timeout.ms': { type: 'int', default: 3_000, min: 1, doc: 'Limit of one connection attempt' },
  'metadata.max.age.ms': { type: 'int', default: 300_000, min: 1, doc: 'Metadata older than this is fetched anew' },
} as const satisfies Settings;

const serdeDoc =
  'string, short, integer, long, float, double, boolean, bytes, uuid, json, void, or the class in Java; an object in `key` or `value` counts more';

const producerSettings = {
  ...commonSettings,
  acks: {
    type: 'string',
    default: 'all',
    oneOf: ['all', '-1', '0', '1'],
    doc: 'all: on every in-sync replica; 1: on the leader; 0: no answer is awaited',
  },
  'enable.idempotence': {
    type: 'boolean',
    default: true,
    doc: 'Each record is written once and in order, whatever had to be sent again; needs acks=all, retries and at most 5 requests in flight',
  },
  'batch.size': {
    type: 'int',
    default: 16_384,
    min: 0,
    doc: 'Bytes of one batch of one partition; 0: one record each',
  },
  'linger.ms': { type: 'int', default: 5, min: 0, doc: 'How long a batch that is not full waits for more records' },
  'buffer.memory': {
    type: 'long',
    default: 33_554_432,
    min: 1,
    doc: 'Bytes that may wait for or be under way to brokers',
  },
  'max.block.ms': { type: 'int', default: 60_000, min: 0, doc: 'How long send waits for metadata and buffer space' },
  'max.request.size': { type: 'int', default: 1_048_576, min: 1, doc: 'Bytes of one request, and so of one record' },
  'compression.type': {
    type: 'string',
    default: 'none',
    oneOf: ['none', 'gzip', 'snappy', 'lz4', 'zstd'],
    doc: 'Codec of a batch',
  },
  'compression.gzip.level': {
    type: 'int',
    default: -1,
    min: -1,
    max: 9,
    doc: '1 fast to 9 small; -1: the default of gzip',
  },
  'compression.zstd.level': {
    type: 'int',
    default: 3,
    min: -131_072,
    max: 22,
    doc: 'A larger number is slower and smaller',
  },
  'max.in.flight.requests.per.connection': {
    type: 'int',
    default: 5,
    min: 1,
    doc: 'Requests open at once per broker, each over other partitions: a partition has one at most, which keeps its order',
  },
  retries: {
    type: 'int',
    default: 2_147_483_647,
    min: 0,
    doc: 'Retries of a batch; delivery.timeout.ms ends them too',
  },
  'delivery.timeout.ms': { type: 'int', default: 120_000, min: 1, doc: 'From send to success or failure of a record' },
  'key.serializer': { type: 'string', default: '', doc: serdeDoc },
  'value.serializer': { type: 'string', default: '', doc: serdeDoc },
  'partitioner.ignore.keys': { type: 'boolean', default: false, doc: 'Place every record as if it had no key' },
  'partitioner.adaptive.partitioning.enable': {
    type: 'boolean',
    default: true,
    doc: 'Records without a key go to partitions with shorter queues more often (KIP-794)',
  },
  'partitioner.class': {
    type: 'string',
    default: 'default',
    oneOf: ['default', 'uniform-sticky', 'round-robin'],
    doc: 'default: murmur2 of the key, sticky without one; uniform-sticky: as if no record had a key; round-robin',
  },
} as const satisfies Settings;

const consumerSettings = {
  ...commonSettings,
  'fetch.min.bytes': { type: 'int', default: 1, min: 0, doc: 'A fetch is answered when this much is there' },
  'fetch.max.wait.ms': { type: 'int', default: 500, min: 0, doc: 'A fetch is answered after this in any case' },
  'fetch.max.bytes': {
    type: 'int',
    default: 52_428_800,
    min: 1,
    doc: 'Bytes fetched ahead of the application, all partitions',
  },
  'max.partition.fetch.bytes': { type: 'int', default: 1_048_576, min: 1, doc: 'Bytes of one partition in one answer' },
  'max.poll.records': { type: 'int', default: 500, min: 1, doc: 'Records that one poll returns' },
  'auto.offset.reset': {
    type: 'string',
    default: 'latest',
    doc: 'Where to begin without a position: latest, earliest, none (an error) or by_duration:PT1H',
  },
  'key.deserializer': { type: 'string', default: '', doc: serdeDoc },
  'value.deserializer': { type: 'string', default: '', doc: serdeDoc },
  'check.crcs': { type: 'boolean', default: true, doc: 'Check the CRC of every batch that is read' },
  'isolation.level': {
    type: 'string',
    default: 'read_uncommitted',
    oneOf: ['read_uncommitted', 'read_committed'],
    doc: 'read_committed: nothing of an open or aborted transaction',
  },
  'group.id': { type: 'string', default: '', doc: 'The group whose members share the partitions and the offsets' },
  'group.protocol': {
    type: 'string',
    default: 'classic',
    oneOf: ['classic', 'consumer'],
    doc: 'classic: the members assign; consumer: their coordinator does, and nobody stops for it (KIP-848)',
  },
  'group.remote.assignor': {
    type: 'string',
    default: '',
    doc: "With group.protocol=consumer: uniform or range; empty: the brokers' choice",
  },
  'group.instance.id': {
    type: 'string',
    default: '',
    doc: 'Makes it a static member: it keeps its partitions over a restart within session.timeout.ms (KIP-345)',
  },
  'enable.auto.commit': { type: 'boolean', default: true, doc: 'Commit processed offsets without being asked' },
  'auto.commit.interval.ms': { type: 'int', default: 5_000, min: 0, doc: 'Pause between automatic commits' },
  'session.timeout.ms': {
    type: 'int',
    default: 45_000,
    min: 1,
    doc: 'A member that is silent for longer is out of the group',
  },
  'heartbeat.interval.ms': { type: 'int', default: 3_000, min: 1, doc: 'Pause between signs of life' },
  'max.poll.interval.ms': {
    type: 'int',
    default: 300_000,
    min: 1,
    doc: 'A member whose application does not poll for longer leaves the group',
  },
  'rebalance.timeout.ms': {
    type: 'int',
    default: -1,
    min: -1,
    doc: 'How long a rebalance waits for this member; -1: max.poll.interval.ms',
  },
  'partition.assignment.strategy': {
    type: 'list',
    default: ['range', 'cooperative-sticky'],
    doc: 'range, roundrobin, sticky, cooperative-sticky, RoundRobinAssigner (KafkaJS) or the name of an own assignor; the first that all members have is used',
  },
  'client.rack': { type: 'string', default: '', doc: 'Where the client stands' },
  'exclude.internal.topics': { type: 'boolean', default: true, doc: 'A pattern does not match internal topics' },
} as const satisfies Settings;

export type CommonConfig = ConfigValues<typeof commonSettings>;
export type ProducerConfig = ConfigValues<typeof producerSettings>;
export type ConsumerConfig = ConfigValues<typeof consumerSettings>;

type CamelCase<Key extends string> = Key extends `${infer Head}.${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : Key;
type InputOf<T extends Settings> = {
  readonly [Key in (keyof T & string) | CamelCase<keyof T & string>]?:
    | string
    | number
    | boolean
    | readonly string[]
    | undefined;
};

/** Keys as `linger.ms` or `lingerMs`; values as themselves or as text. */
export type CommonConfigInput = InputOf<typeof commonSettings>;
/** The same for a producer's settings. */
export type ProducerConfigInput = InputOf<typeof producerSettings>;
/** The same for a consumer's settings. */
export type ConsumerConfigInput = InputOf<typeof consumerSettings>;

const common = defineConfig(commonSettings);
const producer = defineConfig(producerSettings);
const consumer = defineConfig(consumerSettings);

/** For `--help` and documentation. */
export const clientSettings = { common: commonSettings, producer: producerSettings, consumer: consumerSettings };

export function parseCommonConfig(input: CommonConfigInput): CommonConfig {
  return translated(() => common.parse(withoutForeign(input)));
}

/** What the client was given counts unless the producer was given the same key. Throws `ConfigError`. */
export function parseProducerConfig(client: CommonConfigInput, input: ProducerConfigInput): ProducerConfig {
  const given = merged(client, input);
  const config = translated(() => producer.parse(given));
  // Here and not at the first batch: what is found out while a request is filled has nobody to be told.
  const unavailable = whyUnavailable(config['compression.type']);
  if (unavailable !== undefined) throw new ConfigError(unavailable);
  const isExplicit = Object.entries(given).some(
    ([key, value]) => camelCase(key) === 'enableIdempotence' && value !== undefined,
  );
  return { ...config, 'enable.idempotence': isIdempotent(config, isExplicit) };
}

/** Brokers remember five batches of a producer for certain. */
const inFlightMaxWithIdempotence = 5;

/**
 * KIP-679: idempotence is on by default, and off without a word where other settings speak against it; who asked for it by name is
 * told. More than 5 requests in flight are an error in either case, as in Kafka 4.
 */
function isIdempotent(config: ProducerConfig, isExplicit: boolean): boolean {
  if (!config['enable.idempotence']) return false;
  const inFlight = config['max.in.flight.requests.per.connection'];
  const against = [
    config.acks !== 'all' && config.acks !== '-1' ? 'acks must be all' : undefined,
    config.retries === 0 ? 'retries must not be 0' : undefined,
  ].find((reason) => reason !== undefined);
  if (against !== undefined && !isExplicit) return false;
  if (against !== undefined) throw new ConfigError(`with enable.idempotence ${against}`);
  if (inFlight > inFlightMaxWithIdempotence) {
    throw new ConfigError(
      `with enable.idempotence max.in.flight.requests.per.connection must be at most ${inFlightMaxWithIdempotence}, it is ${inFlight}`,
    );
  }
  return true;
}

/** With `group.protocol=consumer` these are the coordinator's to say, as in Kafka. */
const classicOnly = ['partition.assignment.strategy', 'session.timeout.ms', 'heartbeat.interval.ms'];

export function parseConsumerConfig(client: CommonConfigInput, input: ConsumerConfigInput): ConsumerConfig {
  const config = translated(() => consumer.parse(merged(client, input)));
  parseResetPolicy(config['auto.offset.reset']);
  if (config['group.protocol'] === 'consumer') {
    const given = new Set(Object.keys(merged(client, input)).map(camelCase));
    const [extra] = classicOnly.filter((key) => given.has(camelCase(key)));
    if (extra !== undefined) throw new ConfigError(`'${extra}' cannot be set with group.protocol=consumer`);
  } else if (config['group.remote.assignor'] !== '') {
    throw new ConfigError("'group.remote.assignor' needs group.protocol=consumer");
  }
  if (config['heartbeat.interval.ms'] >= config['session.timeout.ms']) {
    throw new ConfigError("'heartbeat.interval.ms' must be below 'session.timeout.ms', best a third of it");
  }
  if (config['group.instance.id'] !== '' && config['group.id'] === '') {
    throw new ConfigError("'group.instance.id' needs a 'group.id'");
  }
  return config;
}

export function parseAdminConfig(client: CommonConfigInput, input: CommonConfigInput): CommonConfig {
  return translated(() => common.parse(merged(client, input)));
}

/** Where a partition without a valid position begins. */
export type ResetPolicy =
  | { readonly kind: 'latest' }
  | { readonly kind: 'earliest' }
  | { readonly kind: 'none' }
  /** At the first record that is at most `durationMs` old (KIP-1106). */
  | { readonly kind: 'by-duration'; readonly durationMs: number };

export function parseResetPolicy(text: string): ResetPolicy {
  if (text === 'latest' || text === 'earliest' || text === 'none') return { kind: text };
  const match = /^by_duration:P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$/.exec(text);
  const parts = match?.slice(1).filter((part) => part !== undefined) ?? [];
  if (match === null || parts.length === 0) {
    const wanted = 'latest, earliest, none or by_duration:<ISO 8601 duration, for example PT1H>';
    throw new ConfigError(
      `invalid value ${JSON.stringify(text)} for configuration 'auto.offset.reset': it must be ${wanted}`,
    );
  }
  const [days, hours, minutes, seconds] = match.slice(1).map((part) => Number(part ?? 0)) as [
    number,
    number,
    number,
    number,
  ];
  return { kind: 'by-duration', durationMs: (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1_000 };
}

/** On the scale of the codec that is chosen. */
export function compressionLevel(config: ProducerConfig): number | undefined {
  if (config['compression.type'] === 'gzip') return config['compression.gzip.level'];
  return config['compression.type'] === 'zstd' ? config['compression.zstd.level'] : undefined;
}

type Input = Readonly<Record<string, unknown>>;

function merged(client: Input, own: Input): Input {
  const ownKeys = new Set(Object.keys(own).map(camelCase));
  const inherited = Object.entries(client).filter(([key]) => !ownKeys.has(camelCase(key)));
  return withoutForeign({ ...Object.fromEntries(inherited), ...own });
}

function translated<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof InvalidSetting) throw new ConfigError(error.message, { cause: error });
    throw error;
  }
}
