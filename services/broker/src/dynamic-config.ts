import { defineConfig, type Setting } from '@naru/config';
import type { Logger } from '@naru/observability';
import { type BrokerConfig, brokerConfigDefinition, topicDefaultsOf } from './broker-config.ts';
import { type ConfigOverrides, defaultBrokerConfig, noConfig } from './cluster/metadata-image.ts';
import type { LogConfig } from './log/log-config.ts';

/**
 * Settings that can be changed while brokers run (KIP-226): of one broker in `/config/brokers/ID`, of all in `/config/brokers/<default>`. Those of one broker come before
 * those of all, and both before the properties file.
 *
 * Not `min.insync.replicas` and `unclean.leader.election.enable`: the controller decides by them, and every broker must decide alike, whoever becomes the controller.
 */
const names = [
  // Topic defaults: every log of the broker has them at once.
  'message.max.bytes',
  'log.cleanup.policy',
  'log.segment.bytes',
  'log.roll.ms',
  'log.retention.ms',
  'log.retention.bytes',
  'log.index.interval.bytes',
  'log.index.size.max.bytes',
  'log.segment.delete.delay.ms',
  'log.message.timestamp.type',
  'log.cleaner.min.cleanable.ratio',
  'log.cleaner.min.compaction.lag.ms',
  'log.cleaner.max.compaction.lag.ms',
  'log.cleaner.delete.retention.ms',
  // Limits for connections that come from now on.
  'max.connections',
  'max.connections.per.ip',
] as const satisfies readonly (keyof typeof brokerConfigDefinition.settings)[];

type DynamicName = (typeof names)[number];

export const dynamicConfigDefinition = defineConfig(
  Object.fromEntries(names.map((name): [string, Setting] => [name, brokerConfigDefinition.settings[name]])),
);

/** A broker's settings as they are now. */
export class DynamicConfig {
  readonly #config: BrokerConfig;
  readonly #logger: Logger;
  #values: Pick<BrokerConfig, DynamicName>;
  #topicDefaults: LogConfig;
  #own: ConfigOverrides = noConfig;
  #ofAll: ConfigOverrides = noConfig;

  constructor(config: BrokerConfig, logger: Logger) {
    this.#config = config;
    this.#logger = logger;
    this.#values = config;
    this.#topicDefaults = config.topicDefaults;
  }

  /** What topics have that override nothing. */
  get topicDefaults(): LogConfig {
    return this.#topicDefaults;
  }

  get<Name extends DynamicName>(name: Name): Pick<BrokerConfig, DynamicName>[Name] {
    return this.#values[name];
  }

  /** This broker's overrides, and those of all brokers, as they stand in the coordinator's tree. */
  get overrides(): { readonly own: ConfigOverrides; readonly ofAll: ConfigOverrides } {
    return { own: this.#own, ofAll: this.#ofAll };
  }

  /** Takes over what the metadata says. */
  apply(brokerConfigs: ReadonlyMap<string, ConfigOverrides>): void {
    this.#own = brokerConfigs.get(String(this.#config['broker.id'])) ?? noConfig;
    this.#ofAll = brokerConfigs.get(defaultBrokerConfig) ?? noConfig;
    const values: Record<string, unknown> = { ...this.#config };
    for (const [name, value] of [...this.#ofAll, ...this.#own]) {
      try {
        if (dynamicConfigDefinition.has(name)) values[name] = dynamicConfigDefinition.parseValue(name, value);
      } catch (error) {
        this.#logger.warn(
          { error, name, value },
          'a dynamic setting cannot be used; the one of the file stays in force',
        );
      }
    }
    this.#values = values as unknown as BrokerConfig;
    this.#topicDefaults = topicDefaultsOf(values as unknown as BrokerConfig);
    this.#logger.info(
      { own: Object.fromEntries(this.#own), ofAll: Object.fromEntries(this.#ofAll) },
      'dynamic settings',
    );
  }
}
