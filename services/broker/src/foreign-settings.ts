import { ConfigError, type ConfigInput } from '@naru/config';

/**
 * Settings of Kafka's brokers that are none of ours, so that a `server.properties` of Kafka can be used here. What steers a part that Naru does not have, or that decides
 * for itself here, is left out and told. What asks for something that is not there is refused: to go on without would be something else than was asked for.
 */
interface Foreign {
  /** Names with blanks between; one that ends in `*` stands for all that begin so. */
  readonly keys: string;
  readonly reason: string;
}

const withoutEffect: readonly Foreign[] = [
  {
    keys: `
      num.io.threads num.network.threads num.recovery.threads.per.data.dir num.replica.fetchers
      background.threads log.cleaner.threads group.coordinator.threads group.coordinator.background.threads`,
    reason: 'one event loop does the work of these threads',
  },
  {
    keys: `
      socket.send.buffer.bytes socket.receive.buffer.bytes socket.listen.backlog.size
      replica.socket.receive.buffer.bytes`,
    reason: 'the kernel sizes the buffers of connections',
  },
  {
    keys: 'queued.max.requests',
    reason: 'a request is begun where it is read; queued.max.request.bytes bounds what waits',
  },
  {
    keys: 'max.connection.creation.rate',
    reason: 'connections are limited in number, by max.connections and max.connections.per.ip',
  },
  { keys: 'zookeeper.*', reason: 'there is no ZooKeeper; coordinator.connect and session.timeout.ms count' },
  { keys: 'quota.window.* controller.quota.window.* replication.quota.*', reason: 'quotas are not there' },
  {
    keys: `
      controller.* metadata.* internal.metadata.* initial.broker.registration.timeout.ms
      broker.heartbeat.interval.ms early.start.listeners server.max.startup.time.ms
      control.plane.listener.name`,
    reason: 'there is no KRaft; coordinator.connect and session.timeout.ms count',
  },
  { keys: 'broker.id.generation.enable reserved.broker.max.id', reason: 'broker.id is always given' },
  {
    keys: 'transaction.* transactional.id.expiration.ms add.partitions.to.txn.*',
    reason: 'transactions are not there yet',
  },
  { keys: 'share.* group.share.* group.streams.*', reason: 'of groups there are classic and consumer' },
  {
    keys: 'group.coordinator.new.enable group.coordinator.rebalance.protocols',
    reason: 'classic and consumer groups are always served; group.consumer.migration.policy says who may change',
  },
  {
    keys: `
      group.coordinator.append.linger.ms group.coordinator.cached.buffer.max.bytes
      offsets.load.buffer.size offsets.commit.required.acks offsets.topic.compression.codec
      group.consumer.assignment.interval.ms group.consumer.min.assignment.interval.ms
      group.consumer.max.assignment.interval.ms group.consumer.regex.refresh.interval.ms`,
    reason: 'the group coordinator paces itself',
  },
  {
    keys: `
      log.flush.interval.messages log.flush.interval.ms log.flush.scheduler.interval.ms
      log.flush.start.offset.checkpoint.interval.ms replica.high.watermark.checkpoint.interval.ms`,
    reason: 'flush.before.ack syncs before the answer, log.flush.offset.checkpoint.interval.ms all the rest',
  },
  {
    keys: `
      log.preallocate log.roll.jitter.* log.initial.task.delay.ms log.cleaner.io.buffer.size
      log.cleaner.io.buffer.load.factor producer.id.expiration.check.interval.ms`,
    reason: 'the log decides that for itself',
  },
  {
    keys: 'log.dir.failure.timeout.ms cordoned.log.dirs num.replica.alter.log.dirs.threads alter.log.dirs.replication.*',
    reason: 'a broker has one data directory',
  },
  {
    keys: 'log.message.format.version log.message.downconversion.enable inter.broker.protocol.version',
    reason: 'there is one format of records, v2, and one protocol between brokers',
  },
  {
    keys: 'compression.gzip.level compression.lz4.level compression.zstd.level',
    reason: 'batches are stored as the producer compressed them',
  },
  {
    keys: 'log.local.retention.* remote.* follower.fetch.last.tiered.offset.enable',
    reason: 'tiered storage is not there',
  },
  {
    keys: 'replica.selector.class',
    reason: 'consumers read from leaders',
  },
  {
    keys: `
      replica.fetch.min.bytes replica.socket.timeout.ms request.timeout.ms socket.connection.setup.*
      max.incremental.fetch.session.cache.slots max.request.partition.size.limit`,
    reason: 'connections and sessions between brokers have their own limits',
  },
  {
    keys: 'producer.purgatory.* fetch.purgatory.* delete.records.purgatory.*',
    reason: 'requests that wait are woken, not searched for',
  },
  {
    keys: `
      metric.reporters kafka.metrics.* metrics.num.samples metrics.recording.level
      metrics.sample.window.ms auto.include.jmx.reporter telemetry.max.bytes`,
    reason: 'metrics.port serves the metrics',
  },
  {
    keys: 'controlled.shutdown.max.retries controlled.shutdown.retry.backoff.ms',
    reason: 'controlled.shutdown.timeout.ms says how long it is tried',
  },
  { keys: 'eligible.leader.replicas.enable', reason: 'eligible leader replicas (KIP-966) are always kept' },
  { keys: 'unclean.leader.election.interval.ms', reason: 'the controller elects as soon as it may' },
  { keys: 'unstable.* alter.config.policy.kraft.compatibility.enable', reason: 'there is nothing of the kind' },
];

const refused: readonly (Foreign & {
  /** Values that ask for nothing. */
  readonly harmless?: RegExp;
})[] = [
  {
    keys: `
      sasl.* ssl.* listener.name.* delegation.token.* password.encoder.* security.providers
      authorizer.class.name super.users allow.everyone.if.no.acl.found principal.builder.class
      connections.max.reauth.ms connection.failed.authentication.delay.ms`,
    reason: 'TLS, SASL and access control are not there yet',
  },
  {
    keys: 'create.topic.policy.class.name alter.config.policy.class.name client.quota.callback.class',
    reason: 'it names a class of Java',
  },
  { keys: 'config.providers', reason: 'values are taken as they are written' },
  { keys: 'remote.log.storage.system.enable', reason: 'tiered storage is not there', harmless: /^false$/i },
  { keys: 'compression.type', reason: 'batches are stored as the producer compressed them', harmless: /^producer$/ },
  {
    keys: `
      log.message.timestamp.before.max.ms log.message.timestamp.after.max.ms
      log.message.timestamp.difference.max.ms`,
    reason: "no record is refused for its time; 'log.message.timestamp.type=LogAppendTime' gives it the broker's",
    harmless: /^9223372036854775807$/,
  },
  {
    keys: 'host.name port advertised.host.name advertised.port',
    reason: "write 'listeners' and 'advertised.listeners', as PLAINTEXT://host:9092",
  },
];

/** Where Kafka's brokers find what the coordinators are here. */
const metadataAddresses = ['zookeeper.connect', 'controller.quorum.bootstrap.servers', 'controller.quorum.voters'];

/** Kafka's other names for the same. */
const synonyms: ReadonlyMap<string, string> = new Map([
  ['broker.session.timeout.ms', 'session.timeout.ms'],
  ['log.dir', 'log.dirs'],
]);

export interface OwnSettings {
  readonly settings: ConfigInput;
  /** A line for each reason why some of what was given has no effect. */
  readonly remarks: readonly string[];
}

/** The settings that mean something here. Throws `ConfigError` for what cannot be left out. */
export function withoutForeign(input: ConfigInput): OwnSettings {
  const settings: Record<string, unknown> = {};
  const leftOut = new Map<string, string[]>();
  for (const [key, value] of Object.entries(input)) {
    const synonym = synonyms.get(key);
    // As in Kafka, the older name counts where the newer one is not given.
    if (synonym !== undefined) settings[synonym] = input[synonym] ?? value;
    else {
      const reason = reasonToLeaveOut(key, String(value ?? '').trim(), input);
      if (reason === undefined) settings[key] = value;
      else leftOut.set(reason, [...(leftOut.get(reason) ?? []), key]);
    }
  }
  const controllers = itemsOf(input['controller.listener.names']);
  return {
    settings: controllers.length === 0 ? settings : withoutListeners(settings, controllers),
    remarks: Array.from(leftOut, ([reason, keys]) => `without effect: ${keys.join(', ')} (${reason})`),
  };
}

function reasonToLeaveOut(key: string, value: string, input: ConfigInput): string | undefined {
  if (key === 'process.roles') return reasonOfRoles(value);
  if (metadataAddresses.includes(key) && value !== '' && input['coordinator.connect'] === undefined) {
    throw cannotBeUsed(
      key,
      "name the coordinators with 'coordinator.connect', as 127.0.0.1:2181; then this key may stay",
    );
  }
  const refusal = refused.find((entry) => names(entry, key));
  if (refusal !== undefined && value !== '' && refusal.harmless?.test(value) !== true) {
    throw cannotBeUsed(key, refusal.reason);
  }
  return (refusal ?? withoutEffect.find((entry) => names(entry, key)))?.reason;
}

function reasonOfRoles(value: string): string {
  if (itemsOf(value).includes('BROKER')) return 'this process is a broker; coordinators are processes of their own';
  throw cannotBeUsed(
    'process.roles',
    "this process is a broker; see 'naru coordinator --help' for who keeps the metadata",
  );
}

/** Kafka 4's own file has the listeners of brokers and of KRaft's controllers in one list. */
function withoutListeners(settings: ConfigInput, listeners: readonly string[]): ConfigInput {
  const rest = { ...settings };
  for (const key of ['listeners', 'advertised.listeners']) {
    if (rest[key] === undefined) continue;
    rest[key] = itemsOf(rest[key]).filter((uri) => !listeners.includes(uri.split(':', 1)[0] ?? ''));
  }
  return rest;
}

/** Names of listeners are compared in capitals, as everywhere. */
function itemsOf(value: unknown): readonly string[] {
  return String(value ?? '')
    .split(',')
    .map((item) => item.trim().replace(/^[^:]+/, (name) => name.toUpperCase()))
    .filter((item) => item !== '');
}

function names({ keys }: Foreign, key: string): boolean {
  return keys
    .trim()
    .split(/\s+/)
    .some((name) => (name.endsWith('*') ? key.startsWith(name.slice(0, -1)) : key === name));
}

function cannotBeUsed(key: string, reason: string): ConfigError {
  return new ConfigError(key, `configuration '${key}' cannot be used: ${reason}`);
}
