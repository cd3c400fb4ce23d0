import { camelCase } from '@naru/config';
import { ConfigError } from './errors.ts';

type Input = Readonly<Record<string, unknown>>;

/** Settings of Kafka's clients that steer what is not there or decides itself here. They come along in properties files, and do no harm. */
const withoutEffect: readonly string[] = [
  'allow.auto.create.topics',
  'auto.include.jmx.reporter',
  'client.dns.lookup',
  'compression.lz4.level',
  'connections.max.idle.ms',
  'enable.metrics.push',
  'metadata.max.idle.ms',
  'metadata.recovery.rebootstrap.trigger.ms',
  'metadata.recovery.strategy',
  'metric.reporters',
  'metrics.num.samples',
  'metrics.recording.level',
  'metrics.sample.window.ms',
  'partitioner.availability.timeout.ms',
  'receive.buffer.bytes',
  'send.buffer.bytes',
  'socket.connection.setup.timeout.max.ms',
  'transaction.timeout.ms',
];

/** Settings that ask for what is not there: to go on without would be something else than was asked for. */
const refused: readonly (readonly [pattern: RegExp, reason: string])[] = [
  [/^(sasl|ssl)\./, 'TLS and SASL are not there yet'],
  [/^security\.protocol$/, "TLS and SASL are not there yet, only 'PLAINTEXT' is"],
  [/^transactional\.id$/, 'transactions are not there yet'],
  [/^interceptor\.classes$/, 'there are no interceptors; node:diagnostics_channel tells what happens'],
  [/^(sasl|ssl)$/, 'TLS and SASL are not there yet'],
];

/** KafkaJS's names that are too far from ours to be taken for a slip. */
const kafkaJsNames: Readonly<Record<string, string>> = {
  autoCommit: "'enable.auto.commit'",
  autoCommitInterval: "'auto.commit.interval.ms'",
  brokers: "'bootstrap.servers'",
  connectionTimeout: "'socket.connection.setup.timeout.ms'",
  createPartitioner: "'partitioner'",
  fromBeginning: "'auto.offset.reset', 'earliest',",
  idempotent: "'enable.idempotence'",
  logCreator: "'logger'",
  logLevel: "'logger'",
  maxBytes: "'fetch.max.bytes'",
  maxBytesPerPartition: "'max.partition.fetch.bytes'",
  maxInFlightRequests: "'max.in.flight.requests.per.connection'",
  maxWaitTimeInMs: "'fetch.max.wait.ms'",
  minBytes: "'fetch.min.bytes'",
  partitionAssigners: "'assignors'",
  rackId: "'client.rack'",
  readUncommitted: "'isolation.level'",
  retry: "'retry.backoff.ms'",
};

/** As Java's configurations name them. */
const partitioners: Readonly<Record<string, string>> = {
  'org.apache.kafka.clients.producer.internals.DefaultPartitioner': 'default',
  'org.apache.kafka.clients.producer.UniformStickyPartitioner': 'uniform-sticky',
  'org.apache.kafka.clients.producer.RoundRobinPartitioner': 'round-robin',
};

const inert = new Map(withoutEffect.flatMap((key) => [key, camelCase(key)].map((written) => [written, key])));

/** The settings that mean something here. Throws `ConfigError` for what Kafka's clients have and these do not. */
export function withoutForeign(input: Input): Input {
  const known = Object.entries(input).filter(([key, value]) => {
    if (Object.hasOwn(kafkaJsNames, key)) {
      throw new ConfigError(`unknown configuration key '${key}': what KafkaJS calls so is ${kafkaJsNames[key]} here`);
    }
    if (inert.has(key)) return false;
    const asked = value !== undefined && value !== '';
    const [, reason] = refused.find(([pattern]) => pattern.test(dotted(key))) ?? [];
    if (reason === undefined || !asked) return reason === undefined;
    if (dotted(key) === 'security.protocol' && value === 'PLAINTEXT') return false;
    throw new ConfigError(`configuration '${dotted(key)}' cannot be used: ${reason}`);
  });
  return Object.fromEntries(
    known.map(([key, value]) => {
      const isPartitioner = camelCase(key) === 'partitionerClass' && typeof value === 'string';
      return [key, isPartitioner ? (partitioners[value] ?? value) : value];
    }),
  );
}

/** What was given and changes nothing, for the log. */
export function settingsWithoutEffect(input: Input): readonly string[] {
  return Object.keys(input).flatMap((key) => inert.get(key) ?? []);
}

/** `sasl.mechanism` of `saslMechanism`. */
function dotted(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `.${letter.toLowerCase()}`);
}
