import type { Setting, Settings } from '@naru/config';
import { errorCodes, type KafkaErrorName } from '@naru/kafka-protocol';
import type { broker } from '@naru/rpc';
import type { ConfigOverrides } from '../cluster/metadata-image.ts';
import type { MetadataPublisher } from '../cluster/metadata-publisher.ts';

/** Kafka's ConfigSource. */
const source = { dynamicTopic: 1, dynamicBroker: 2, dynamicDefaultBroker: 3, staticBroker: 4, default: 5 } as const;

export interface DescribeConfigsDependencies {
  readonly publisher: MetadataPublisher;
  readonly brokerId: number;
  readonly topicSettings: Settings;
  /** This broker's values for topics that override nothing. */
  readonly topicDefaults: () => Readonly<Record<string, unknown>>;
  /** What is overridden while the broker runs, and what can be. */
  readonly dynamic: { readonly overrides: { readonly own: ConfigOverrides; readonly ofAll: ConfigOverrides } };
  readonly dynamicSettings: Settings;
  readonly brokerSettings: Settings;
  readonly brokerValues: Readonly<Record<string, unknown>>;
}

/** Every setting of a topic or of this broker, with where its value comes from; of no broker in particular, what is set for all. Another broker's settings only that broker knows. */
export function describeConfigs(
  deps: DescribeConfigsDependencies,
  request: broker.DescribeConfigsRequest,
): broker.DescribeConfigsResponse {
  return {
    results: request.resources.map((resource) => {
      if (resource.type === 'topic') return describeTopic(deps, resource);
      if (resource.type === 'broker') return describeBroker(deps, resource);
      return failure(
        resource,
        'INVALID_REQUEST',
        `Resource type '${resource.type}' is not known; it is topic or broker.`,
      );
    }),
  };
}

function describeTopic(deps: DescribeConfigsDependencies, resource: broker.ConfigResource): broker.ConfigDescription {
  const topic = deps.publisher.image.topics.get(resource.name);
  if (topic === undefined)
    return failure(resource, 'UNKNOWN_TOPIC_OR_PARTITION', `Topic '${resource.name}' does not exist.`);
  const defaults = deps.topicDefaults();
  const entries = Object.entries(deps.topicSettings).map(([name, setting]) => {
    const override = topic.config.get(name);
    const underlying = staticEntry(name, defaults[name], setting, false);
    if (override === undefined) return underlying;
    const own = entry(name, override, source.dynamicTopic, false, setting);
    return { ...own, synonyms: [...own.synonyms, ...underlying.synonyms] };
  });
  entries.push(...unknownOverrides(topic.config, deps.topicSettings));
  return { resource, errorCode: errorCodes.NONE, errorMessage: '', entries };
}

/** Written by another version of Naru; shown, so that they can be removed. */
function unknownOverrides(config: ConfigOverrides, settings: Settings): readonly broker.ConfigEntry[] {
  return [...config]
    .filter(([name]) => !Object.hasOwn(settings, name))
    .map(([name, value]) => entry(name, value, source.dynamicTopic, false, undefined));
}

function describeBroker(deps: DescribeConfigsDependencies, resource: broker.ConfigResource): broker.ConfigDescription {
  if (resource.name !== '' && resource.name !== String(deps.brokerId)) {
    const message = `This is broker ${deps.brokerId}; only broker ${resource.name} itself knows its configuration.`;
    return failure(resource, 'INVALID_REQUEST', message);
  }
  const { own, ofAll } = deps.dynamic.overrides;
  if (resource.name === '') {
    const shared = [...ofAll].map(([name, value]) =>
      entry(name, value, source.dynamicDefaultBroker, false, deps.brokerSettings[name]),
    );
    return { resource, errorCode: errorCodes.NONE, errorMessage: '', entries: shared };
  }
  const entries = Object.entries(deps.brokerSettings).map(([name, setting]) => {
    const [mine, all] = [own.get(name), ofAll.get(name)];
    if (mine !== undefined) return entry(name, mine, source.dynamicBroker, false, setting);
    if (all !== undefined) return entry(name, all, source.dynamicDefaultBroker, false, setting);
    return staticEntry(name, deps.brokerValues[name], setting, !Object.hasOwn(deps.dynamicSettings, name));
  });
  return { resource, errorCode: errorCodes.NONE, errorMessage: '', entries };
}

function staticEntry(name: string, value: unknown, setting: Setting, readOnly: boolean): broker.ConfigEntry {
  const from = textOf(value) === textOf(setting.default) ? source.default : source.staticBroker;
  return entry(name, textOf(value), from, readOnly, setting);
}

function entry(
  name: string,
  value: string,
  from: number,
  readOnly: boolean,
  setting: Setting | undefined,
): broker.ConfigEntry {
  const synonyms = [{ name, value, source: from }];
  return { name, value, source: from, readOnly, sensitive: false, documentation: setting?.doc ?? '', synonyms };
}

function textOf(value: unknown): string {
  if (value === undefined || value === null) return '';
  return Array.isArray(value) ? value.join(',') : String(value);
}

function failure(resource: broker.ConfigResource, error: KafkaErrorName, message: string): broker.ConfigDescription {
  return { resource, errorCode: errorCodes[error], errorMessage: message, entries: [] };
}
