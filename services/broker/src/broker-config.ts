import { ConfigError, type ConfigInput, type ConfigValues, defineConfig } from '@naru/config';
import { securityProtocols } from './cluster/endpoint.ts';
import { withoutForeign } from './foreign-settings.ts';
import { type Listeners, parseListeners } from './listener-config.ts';
import { type LogConfig, logConfigDefinition } from './log/log-config.ts';

const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;
const portMax = 65_535;

/**
 * A broker's own settings, by Kafka's names where Kafka has them and with Kafka 4's defaults. What a topic may override stands in
 * `log/log-config.ts`; `topicDefaultsOf` joins both.
 */
export const brokerConfigDefinition = defineConfig({
  // Identity and addresses.
  'broker.id': { type: 'int', min: 0, doc: 'Number of this broker, unique in its cluster.' },
  'node.id': { type: 'int', min: 0, doc: 'Another name of broker.id.' },
  'broker.rack': {
    type: 'string',
    doc: 'Rack (or zone) of this broker; replicas of a partition are spread over racks.',
  },
  listeners: {
    type: 'list',
    default: ['PLAINTEXT://127.0.0.1:9092'],
    doc: 'NAME://host:port of every listener. An empty host binds every address of the machine; port 0 takes a free one.',
  },
  'advertised.listeners': {
    type: 'list',
    doc: 'NAME://host:port that clients and other brokers are told; default: listeners.',
  },
  'listener.security.protocol.map': {
    type: 'list',
    default: securityProtocols.map((protocol) => `${protocol}:${protocol}`),
    doc: 'NAME:PROTOCOL of every listener. Only PLAINTEXT is served yet.',
  },
  'inter.broker.listener.name': {
    type: 'string',
    doc: 'Listener by which brokers reach each other; default: the one named as security.inter.broker.protocol.',
  },
  'security.inter.broker.protocol': {
    type: 'string',
    oneOf: securityProtocols,
    doc: 'Names the listener for brokers by its protocol; default: PLAINTEXT.',
  },
  'metrics.host': { type: 'string', default: '127.0.0.1', doc: 'Address that metrics.port binds.' },
  'metrics.port': { type: 'int', default: -1, min: -1, max: portMax, doc: 'Port for /metrics and /readyz; -1: none.' },

  // The coordinators.
  'coordinator.connect': {
    type: 'list',
    default: ['127.0.0.1:2181'],
    doc: "host:port of the coordinators' client ports, separated by commas.",
  },
  'session.timeout.ms': {
    type: 'int',
    default: 6_000,
    min: 500,
    doc: 'After so long a silence the coordinators declare this broker dead, milliseconds.',
  },

  // Storage.
  'node.dir': { type: 'string', doc: 'Directory of node.pid and node.log; default: log.dirs.' },
  'log.dirs': { type: 'string', default: 'data', doc: 'Data directory.' },
  'log.memory.bytes': {
    type: 'long',
    default: 64 * mebibyte,
    min: 0,
    doc: 'Memory for the newest batches of all partitions, from which followers and consumers that keep up are served.',
  },
  'log.flush.offset.checkpoint.interval.ms': {
    type: 'long',
    default: 60_000,
    min: 1,
    doc: 'How often logs are flushed and recovery points and high watermarks written, milliseconds.',
  },
  'log.retention.check.interval.ms': {
    type: 'long',
    default: 300_000,
    min: 1,
    doc: 'How often old segments and silent producers are looked for, milliseconds.',
  },
  'producer.id.expiration.ms': {
    type: 'long',
    default: 86_400_000,
    min: 1,
    doc: 'How long a partition remembers what an idempotent producer that is silent has written, milliseconds.',
  },

  // Compaction.
  'log.cleaner.enable': { type: 'boolean', default: true, doc: 'Whether compacted topics are cleaned by this broker.' },
  'log.cleaner.backoff.ms': {
    type: 'long',
    default: 15_000,
    min: 1,
    doc: 'Pause of the log cleaner when no log is dirty enough, milliseconds.',
  },
  'log.cleaner.dedupe.buffer.size': {
    type: 'long',
    default: 128 * mebibyte,
    min: kibibyte,
    max: 4 * 1024 * mebibyte,
    doc: 'Memory of the log cleaner for the keys of one pass, bytes: 24 per key, taken only while a pass runs.',
  },
  'log.cleaner.io.max.bytes.per.second': {
    type: 'long',
    default: Number.MAX_SAFE_INTEGER,
    min: 1,
    doc: 'Bytes that the log cleaner may read in a second.',
  },

  // Topics that nobody gave other values.
  'num.partitions': { type: 'int', default: 1, min: 1, doc: 'Partitions of a new topic.' },
  'default.replication.factor': { type: 'int', default: 1, min: 1, max: 32_767, doc: 'Replicas of a new topic.' },
  'min.insync.replicas': {
    type: 'int',
    default: 1,
    min: 1,
    doc: 'Topic default: fewest in-sync replicas for acks=all.',
  },
  'flush.before.ack': { type: 'boolean', default: true, doc: 'Topic default: acks=all waits for the disks.' },
  'message.max.bytes': {
    type: 'int',
    default: mebibyte + 12,
    min: 0,
    doc: 'Topic default: largest record batch, bytes.',
  },
  'unclean.leader.election.enable': {
    type: 'boolean',
    default: false,
    doc: 'Topic default: whether a replica outside the ISR may lead when nobody else is left.',
  },
  'log.segment.bytes': { type: 'int', default: 1024 * mebibyte, min: mebibyte, doc: 'Topic default: segment.bytes.' },
  'log.roll.ms': { type: 'long', min: 1, doc: 'Topic default: segment.ms.' },
  'log.roll.hours': { type: 'int', default: 168, min: 1, doc: 'Topic default: segment.ms, in hours.' },
  'log.retention.ms': { type: 'long', min: -1, doc: 'Topic default: retention.ms.' },
  'log.retention.minutes': { type: 'int', min: -1, doc: 'Topic default: retention.ms, in minutes.' },
  'log.retention.hours': { type: 'int', default: 168, min: -1, doc: 'Topic default: retention.ms, in hours.' },
  'log.retention.bytes': { type: 'long', default: -1, min: -1, doc: 'Topic default: retention.bytes.' },
  'log.index.interval.bytes': { type: 'int', default: 4_096, min: 0, doc: 'Topic default: index.interval.bytes.' },
  'log.index.size.max.bytes': {
    type: 'int',
    default: 10 * mebibyte,
    min: 4,
    doc: 'Topic default: segment.index.bytes.',
  },
  'log.segment.delete.delay.ms': { type: 'long', default: 60_000, min: 0, doc: 'Topic default: file.delete.delay.ms.' },
  'log.cleanup.policy': {
    type: 'list',
    default: ['delete'],
    oneOf: ['delete', 'compact'],
    doc: 'Topic default: cleanup.policy.',
  },
  'log.cleaner.min.cleanable.ratio': {
    type: 'double',
    default: 0.5,
    min: 0,
    max: 1,
    doc: 'Topic default: min.cleanable.dirty.ratio.',
  },
  'log.cleaner.min.compaction.lag.ms': {
    type: 'long',
    default: 0,
    min: 0,
    doc: 'Topic default: min.compaction.lag.ms.',
  },
  'log.cleaner.max.compaction.lag.ms': {
    type: 'long',
    default: Number.MAX_SAFE_INTEGER,
    min: 1,
    doc: 'Topic default: max.compaction.lag.ms.',
  },
  'log.cleaner.delete.retention.ms': {
    type: 'long',
    default: 86_400_000,
    min: 0,
    doc: 'Topic default: delete.retention.ms.',
  },
  'log.message.timestamp.type': {
    type: 'string',
    default: 'CreateTime',
    oneOf: ['CreateTime', 'LogAppendTime'],
    doc: 'Topic default: message.timestamp.type.',
  },
  'auto.create.topics.enable': {
    type: 'boolean',
    default: true,
    doc: 'Whether asking for a topic that does not exist creates it.',
  },
  'delete.topic.enable': { type: 'boolean', default: true, doc: 'Whether topics may be deleted.' },

  // Replication.
  'replica.lag.time.max.ms': {
    type: 'long',
    default: 30_000,
    min: 1,
    doc: 'A follower that has not caught up for so long leaves the ISR, milliseconds.',
  },
  'replica.fetch.max.bytes': {
    type: 'int',
    default: mebibyte,
    min: 0,
    doc: 'Bytes of one partition in a replica fetch.',
  },
  'replica.fetch.response.max.bytes': {
    type: 'int',
    default: 10 * mebibyte,
    min: 0,
    doc: 'Bytes of one replica fetch.',
  },
  'replica.fetch.wait.max.ms': {
    type: 'int',
    default: 500,
    min: 1,
    doc: 'How long a leader may hold an empty replica fetch.',
  },
  'replica.fetch.backoff.ms': {
    type: 'int',
    default: 1_000,
    min: 1,
    doc: 'Longest pause after a failed replica fetch.',
  },

  // Consumer groups.
  'group.initial.rebalance.delay.ms': {
    type: 'int',
    default: 3_000,
    min: 0,
    doc: 'How long the first rebalance of a group waits for more members, milliseconds.',
  },
  'group.min.session.timeout.ms': {
    type: 'int',
    default: 6_000,
    min: 1,
    doc: 'Shortest session timeout that a member may ask for, milliseconds.',
  },
  'group.max.session.timeout.ms': {
    type: 'int',
    default: 1_800_000,
    min: 1,
    doc: 'Longest session timeout that a member may ask for, milliseconds.',
  },
  'group.max.size': { type: 'int', default: 2_147_483_647, min: 1, doc: 'Members of one group.' },
  'group.consumer.session.timeout.ms': {
    type: 'int',
    default: 45_000,
    min: 1,
    doc: 'Silence that puts a member out of a group with a server-side assignor, milliseconds.',
  },
  'group.consumer.min.session.timeout.ms': { type: 'int', default: 45_000, min: 1, doc: 'Lower bound of it.' },
  'group.consumer.max.session.timeout.ms': { type: 'int', default: 60_000, min: 1, doc: 'Upper bound of it.' },
  'group.consumer.heartbeat.interval.ms': {
    type: 'int',
    default: 5_000,
    min: 1,
    doc: 'How often members of such a group are told to send heartbeats, milliseconds.',
  },
  'group.consumer.min.heartbeat.interval.ms': { type: 'int', default: 5_000, min: 1, doc: 'Lower bound of it.' },
  'group.consumer.max.heartbeat.interval.ms': { type: 'int', default: 15_000, min: 1, doc: 'Upper bound of it.' },
  'group.consumer.max.size': { type: 'int', default: 2_147_483_647, min: 1, doc: 'Members of one such group.' },
  'group.consumer.assignors': {
    type: 'list',
    default: ['uniform', 'range'],
    oneOf: ['uniform', 'range'],
    doc: 'Server-side assignors that members may ask for; the first is the default.',
  },
  'group.consumer.migration.policy': {
    type: 'string',
    default: 'bidirectional',
    oneOf: ['bidirectional', 'upgrade', 'downgrade', 'disabled'],
    doc: 'Which way a group changes between the classic protocol and server-side assignment while members are in it.',
  },
  'offset.metadata.max.bytes': {
    type: 'int',
    default: 4_096,
    min: 0,
    max: 32_767,
    doc: 'Longest text beside a committed offset, bytes.',
  },
  'offsets.retention.minutes': {
    type: 'int',
    default: 10_080,
    min: 1,
    doc: 'How long the offsets of a group without members are kept, minutes.',
  },
  'offsets.retention.check.interval.ms': {
    type: 'long',
    default: 600_000,
    min: 1,
    doc: 'How often expired offsets are looked for, milliseconds.',
  },
  'offsets.commit.timeout.ms': {
    type: 'int',
    default: 5_000,
    min: 1,
    doc: 'How long a commit waits for its replication before it is answered with an error, milliseconds.',
  },
  'offsets.topic.num.partitions': {
    type: 'int',
    default: 50,
    min: 1,
    doc: 'Partitions of __consumer_offsets; only counts when the topic is created.',
  },
  'offsets.topic.replication.factor': {
    type: 'int',
    default: 3,
    min: 1,
    max: 32_767,
    doc: 'Replicas of __consumer_offsets, at most one per broker; only counts when the topic is created.',
  },
  'offsets.topic.segment.bytes': {
    type: 'int',
    default: 100 * mebibyte,
    min: mebibyte,
    doc: 'segment.bytes of __consumer_offsets; only counts when the topic is created.',
  },

  // Requests.
  'queued.max.request.bytes': {
    type: 'long',
    default: 256 * mebibyte,
    min: mebibyte,
    doc: 'Bytes of produce requests that may wait for their acks before the broker stops reading more.',
  },
  'fetch.max.bytes': { type: 'int', default: 55 * mebibyte, min: 1_024, doc: 'Largest fetch answer, bytes.' },
  'socket.request.max.bytes': { type: 'int', default: 100 * mebibyte, min: 1, doc: 'Largest request, bytes.' },
  'connections.max.idle.ms': {
    type: 'long',
    default: 600_000,
    min: 1,
    doc: 'A connection without requests is closed after this time, milliseconds; not while one is being served, nor while a gRPC stream is open.',
  },
  'max.connections.per.ip': { type: 'int', default: 10_000, min: 0, doc: 'Connections from one address at once.' },
  'max.connections.per.ip.overrides': {
    type: 'list',
    default: [],
    doc: 'address:count where max.connections.per.ip is another for one address.',
  },
  'max.connections': {
    type: 'int',
    default: 10_000,
    min: 1,
    doc: 'Connections on all listeners at once; a listener that is only for brokers takes more.',
  },

  // Shutdown.
  'controlled.shutdown.enable': {
    type: 'boolean',
    default: true,
    doc: 'Whether leaderships are moved to other brokers before this one stops.',
  },
  'controlled.shutdown.timeout.ms': {
    type: 'int',
    default: 15_000,
    min: 0,
    doc: 'How long a stopping broker waits for its leaderships to move, milliseconds.',
  },
  'auto.leader.rebalance.enable': {
    type: 'boolean',
    default: true,
    doc: 'Whether the controller gives leadership back to preferred replicas.',
  },
  'leader.imbalance.per.broker.percentage': {
    type: 'int',
    default: 10,
    min: 0,
    max: 100,
    doc: 'How many of the leaderships that are meant for a broker may be elsewhere before they are moved back to it, percent.',
  },
  'leader.imbalance.check.interval.seconds': {
    type: 'int',
    default: 300,
    min: 1,
    doc: 'How often the controller looks for leaderships to give back, seconds.',
  },
  'log.level': {
    type: 'string',
    default: 'info',
    oneOf: ['debug', 'info', 'warn', 'error', 'silent'],
    doc: 'Least severe lines that are logged.',
  },
});

type Parsed = ConfigValues<typeof brokerConfigDefinition.settings>;

/** Parsed settings, the id resolved, and the topic defaults that follow from them. */
export type BrokerConfig = Omit<Parsed, 'broker.id' | 'node.id'> & {
  readonly 'broker.id': number;
  /** What the settings about listeners say together. */
  readonly listening: Listeners;
  /** `max.connections.per.ip.overrides`. */
  readonly connectionsPerAddress: ReadonlyMap<string, number>;
  readonly topicDefaults: LogConfig;
  /** What was given and changes nothing: a line for each reason. */
  readonly remarks: readonly string[];
};

/** Throws `ConfigError` with one line that says what is wrong. */
export function parseBrokerConfig(input: ConfigInput): BrokerConfig {
  const { settings, remarks } = withoutForeign(input);
  const parsed = brokerConfigDefinition.parse(settings);
  const { 'broker.id': brokerId, 'node.id': nodeId } = parsed;
  if (brokerId !== undefined && nodeId !== undefined && brokerId !== nodeId) {
    throw new ConfigError('node.id', `node.id ${nodeId} and broker.id ${brokerId} are two names of one setting`);
  }
  const id = brokerId ?? nodeId;
  if (id === undefined) throw new ConfigError('broker.id', "configuration 'broker.id' is missing");
  if (parsed['log.dirs'].includes(',')) throw new ConfigError('log.dirs', "'log.dirs' must name one directory");
  checkWithin(parsed, 'session.timeout.ms');
  checkWithin(parsed, 'heartbeat.interval.ms');
  return {
    ...parsed,
    'broker.id': id,
    listening: parseListeners(parsed),
    connectionsPerAddress: connectionsPerAddress(parsed['max.connections.per.ip.overrides']),
    topicDefaults: topicDefaultsOf(parsed),
    remarks,
  };
}

function connectionsPerAddress(items: readonly string[]): ReadonlyMap<string, number> {
  return new Map(
    items.map((item) => {
      const [, bracketed, plain = '', count] = /^(?:\[(.+)\]|(.+)):(\d{1,9})$/.exec(item) ?? [];
      if (count !== undefined) return [bracketed ?? plain, Number(count)];
      const key = 'max.connections.per.ip.overrides';
      throw new ConfigError(key, `'${key}' has '${item}', which is not address:count, as 127.0.0.1:200`);
    }),
  );
}

function checkWithin(parsed: Parsed, setting: 'session.timeout.ms' | 'heartbeat.interval.ms'): void {
  const name = `group.consumer.${setting}` as const;
  const [min, max] = [parsed[`group.consumer.min.${setting}`], parsed[`group.consumer.max.${setting}`]];
  const value = parsed[name];
  if (value >= min && value <= max) return;
  throw new ConfigError(name, `${name}=${value} must be between group.consumer.min.${setting}=${min} and max ${max}`);
}

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

/** The finer unit wins, as in Kafka: ms before minutes before hours. */
export function topicDefaultsOf(parsed: Omit<Parsed, 'broker.id' | 'node.id'>): LogConfig {
  const hours = parsed['log.retention.hours'];
  const minutes = parsed['log.retention.minutes'];
  const retentionMs = minutes === undefined ? scaled(hours, hourMs) : scaled(minutes, minuteMs);
  return logConfigDefinition.parse({
    'segment.bytes': parsed['log.segment.bytes'],
    'segment.ms': parsed['log.roll.ms'] ?? parsed['log.roll.hours'] * hourMs,
    'segment.index.bytes': parsed['log.index.size.max.bytes'],
    'index.interval.bytes': parsed['log.index.interval.bytes'],
    'retention.ms': parsed['log.retention.ms'] ?? retentionMs,
    'retention.bytes': parsed['log.retention.bytes'],
    'max.message.bytes': parsed['message.max.bytes'],
    'flush.before.ack': parsed['flush.before.ack'],
    'message.timestamp.type': parsed['log.message.timestamp.type'],
    'cleanup.policy': parsed['log.cleanup.policy'],
    'min.cleanable.dirty.ratio': parsed['log.cleaner.min.cleanable.ratio'],
    'min.compaction.lag.ms': parsed['log.cleaner.min.compaction.lag.ms'],
    'max.compaction.lag.ms': parsed['log.cleaner.max.compaction.lag.ms'],
    'delete.retention.ms': parsed['log.cleaner.delete.retention.ms'],
    'file.delete.delay.ms': parsed['log.segment.delete.delay.ms'],
    'min.insync.replicas': parsed['min.insync.replicas'],
    'unclean.leader.election.enable': parsed['unclean.leader.election.enable'],
  });
}

function scaled(value: number, unitMs: number): number {
  return value < 0 ? value : value * unitMs;
}
