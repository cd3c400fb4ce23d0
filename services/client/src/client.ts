import type { Runtime } from '@naru/runtime';
import { createNodeRuntime } from '@naru/runtime/node';
import { Admin } from './admin/admin-names.ts';
import { parseBootstrapServers } from './cluster/addresses.ts';
import { Cluster } from './cluster/cluster.ts';
import {
  type CommonConfigInput,
  type ConsumerConfigInput,
  type ProducerConfigInput,
  parseAdminConfig,
  parseCommonConfig,
  parseConsumerConfig,
  parseProducerConfig,
} from './config.ts';
import { Consumer } from './consumer/consumer.ts';
import { deadLetterWriter } from './consumer/dead-letter.ts';
import {
  type DeserializationErrorHandler,
  type DeserializationPolicy,
  PolicedDeserializers,
} from './consumer/deserialization.ts';
import type { Assignor } from './consumer/groups/assignors/assignor.ts';
import type { DeadLetterFunction } from './consumer/record-runner.ts';
import { ConfigError, IllegalStateError } from './errors.ts';
import { settingsWithoutEffect } from './foreign-settings.ts';
import { type ClientLogger, silentLogger } from './logger.ts';
import type { PartitionFunction } from './producer/partitioner.ts';
import { type CloseOptions, Producer } from './producer/producer.ts';
import type { Deserializer, Serde, Serializer } from './serialization/serde.ts';
import { serdeNamed } from './serialization/serde-names.ts';

export interface ClientOptions extends CommonConfigInput {
  readonly logger?: ClientLogger | undefined;
  /** The outside world; left out: this machine. The simulation passes its own. */
  readonly runtime?: Runtime | undefined;
}

/** Kafka's settings of a producer, as `linger.ms` or `lingerMs`, and what only code can say. */
export interface ProducerOptions<K, V> extends ProducerConfigInput {
  /** Left out, with `key.serializer`, too: text becomes UTF-8, bytes stay as they are. */
  readonly key?: Serializer<K> | undefined;
  readonly value?: Serializer<V> | undefined;
  /** Instead of `partitioner.class`. */
  readonly partitioner?: PartitionFunction | undefined;
}

/** Kafka's settings of a consumer, as `group.id` or `groupId`, and what only code can say. */
export interface ConsumerOptions<K, V> extends ConsumerConfigInput {
  /** Left out, with `key.deserializer`, too: bytes. */
  readonly key?: Deserializer<K> | undefined;
  readonly value?: Deserializer<V> | undefined;
  /** What becomes of records that cannot be deserialized; default `fail`. */
  readonly onDeserializationError?: DeserializationPolicy | DeserializationErrorHandler | undefined;
  /** Assignors of one's own, to be named in `partition.assignment.strategy`. */
  readonly assignors?: readonly Assignor[] | undefined;
}

/**
 * The door to a cluster. Producers, consumers and admins made here take its settings where they are given none of their own; each has its own
 * connections and opens them at its first call. Throws `ConfigError` for a key or value that cannot be used.
 */
export class Client {
  readonly #settings: CommonConfigInput;
  readonly #runtime: Runtime;
  readonly #logger: ClientLogger;
  readonly #open = new Set<{ close(options?: CloseOptions): Promise<void> }>();
  /** Writes what consumers could not handle; made when the first one needs it. */
  #deadLetters: Producer | undefined;
  #isClosed = false;

  constructor(options: ClientOptions) {
    // Without types nothing keeps one from leaving them out.
    const { logger, runtime, ...settings }: Partial<ClientOptions> = options ?? {};
    const servers = parseCommonConfig(settings)['bootstrap.servers'];
    // They may as well be given to each producer, consumer and admin.
    if (servers !== undefined && servers.length > 0) parseBootstrapServers(servers);
    this.#settings = settings;
    this.#logger = logger ?? silentLogger;
    this.#runtime = runtime ?? createNodeRuntime();
    this.#tellWithoutEffect(settings);
  }

  /** Makes a producer, which connects at its first send. Throws `ConfigError`; `IllegalStateError` after `close`. */
  producer<K = Uint8Array | string, V = Uint8Array | string>(options: ProducerOptions<K, V> = {}): Producer<K, V> {
    const { key, value, partitioner, ...settings } = options;
    const config = parseProducerConfig(this.#settings, settings);
    this.#tellWithoutEffect(settings);
    const cluster = new Cluster(this.#runtime, config, this.#logger);
    const keySerializer = having('serialize', key) ?? serdeOf<K>('key.serializer', config['key.serializer']);
    const valueSerializer = having('serialize', value) ?? serdeOf<V>('value.serializer', config['value.serializer']);
    const producer = new Producer<K, V>(cluster, config, { keySerializer, valueSerializer, partitioner });
    return this.#opened(producer, cluster);
  }

  /** With `raw` among its answers to what cannot be deserialized, keys and values may be bytes. */
  consumer<K = Buffer, V = Buffer>(
    options: ConsumerOptions<K, V> & { readonly onDeserializationError: 'raw' | DeserializationErrorHandler },
  ): Consumer<K | Buffer, V | Buffer>;
  consumer<K = Buffer, V = Buffer>(options?: ConsumerOptions<K, V>): Consumer<K, V>;
  consumer<K = Buffer, V = Buffer>(options: ConsumerOptions<K, V> = {}): Consumer<K, V> {
    const { key, value, assignors, onDeserializationError = 'fail', ...settings } = options;
    const config = parseConsumerConfig(this.#settings, settings);
    this.#tellWithoutEffect(settings);
    const cluster = new Cluster(this.#runtime, config, this.#logger);
    const deadLetterTo = (topic: string): DeadLetterFunction<K, V> => {
      this.#deadLetters ??= this.producer();
      deserializers.keepBytes();
      return deadLetterWriter(this.#deadLetters, topic, (record) => deserializers.bytesOf(record));
    };
    const parts = {
      key: having('deserialize', key) ?? serdeOf<K>('key.deserializer', config['key.deserializer']),
      value: having('deserialize', value) ?? serdeOf<V>('value.deserializer', config['value.deserializer']),
    };
    const deserializers = new PolicedDeserializers(parts, onDeserializationError, {
      logger: this.#logger,
      clientId: config['client.id'],
      groupId: config['group.id'],
    });
    const consumer = new Consumer<K, V>(cluster, config, { deserializers, assignors, deadLetterTo });
    return this.#opened(consumer, cluster);
  }

  /** Makes an admin, which connects at its first call. Throws `ConfigError`; `IllegalStateError` after `close`. */
  admin(options: CommonConfigInput = {}): Admin {
    const config = parseAdminConfig(this.#settings, options);
    const cluster = new Cluster(this.#runtime, config, this.#logger);
    return this.#opened(new Admin(cluster, config), cluster);
  }

  /** Closes everything that was made here; producers first send what they hold, for `timeoutMs` at most. */
  async close(options: CloseOptions = {}): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#open].map((part) => part.close(options)));
    this.#open.clear();
  }

  /** As `close()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #tellWithoutEffect(settings: CommonConfigInput): void {
    const idle = settingsWithoutEffect(settings);
    if (idle.length > 0) this.#logger.info({ settings: idle }, "settings of Kafka's clients that have no effect here");
  }

  #opened<Part extends { close(options?: CloseOptions): Promise<void> }>(part: Part, cluster: Cluster): Part {
    if (this.#isClosed) throw new IllegalStateError('the client is closed');
    this.#open.add(part);
    cluster.onClosed = () => this.#open.delete(part);
    return part;
  }
}

function serdeOf<T>(setting: string, name: string): Serde<T> | undefined {
  return name === '' ? undefined : (serdeNamed(setting, name) as Serde<T>);
}

/** What was given for `key` or `value`, if it can do its work. */
function having<T extends object>(method: keyof T & string, serde: T | undefined): T | undefined {
  if (serde === undefined || typeof serde[method] === 'function') return serde;
  throw new ConfigError(`'key' and 'value' take an object with a method '${method}', for instance serdes.json()`);
}
