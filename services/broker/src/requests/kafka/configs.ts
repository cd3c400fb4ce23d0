import type { Setting } from '@naru/config';
import { apis, errorCodes, kafkaError, type RequestOf, type ResponseOf } from '@naru/kafka-protocol';
import type { broker } from '@naru/rpc';
import { alterConfigs, overridesOf } from '../alter-configs.ts';
import { describeConfigs } from '../describe-configs.ts';
import { answeredApi, type KafkaApi } from './kafka-api.ts';
import type { KafkaDependencies } from './kafka-dependencies.ts';
import { unexpected } from './unexpected.ts';
import { orNull } from './wire-values.ts';

/** Kafka's ConfigResource.Type. */
const resourceTypes = { topic: 2, broker: 4 } as const;
/** Kafka's ConfigEntry.ConfigType. */
const configTypes: { readonly [Type in Setting['type']]: number } = {
  boolean: 1,
  string: 2,
  int: 3,
  long: 5,
  double: 6,
  list: 7,
};
const unknownType = 0;
const defaultSource = 5;
const costBytes = 65_536;

type Description = ResponseOf<typeof apis.describeConfigs>['results'][number];
type Alterations = RequestOf<typeof apis.incrementalAlterConfigs>['resources'];

interface Resource {
  readonly resourceType: number;
  readonly resourceName: string;
}

function resourceOf({ resourceType, resourceName }: Resource): broker.ConfigResource {
  const type = Object.entries(resourceTypes).find(([, code]) => code === resourceType)?.[0];
  return { type: type ?? String(resourceType), name: resourceName };
}

/** DescribeConfigs 0–4. */
export function describeConfigsApi(deps: KafkaDependencies): KafkaApi {
  const options = {
    versions: [0, 4],
    costBytes,
    authorization: 'DescribeConfigs on Topic or Cluster',
    onError: unexpected(deps.logger),
  } as const;
  return answeredApi(apis.describeConfigs, options, (request) => ({
    results: request.resources.map((asked) => {
      const [found] = describeConfigs(deps.describe, { resources: [resourceOf(asked)] }).results;
      const { errorCode, errorMessage, entries } = found as broker.ConfigDescription;
      const wanted = entries.filter(({ name }) => isWanted(asked.configurationKeys, name));
      return {
        errorCode,
        errorMessage: orNull(errorMessage),
        resourceType: asked.resourceType,
        resourceName: asked.resourceName,
        configs: wanted.map((entry) => describedEntry(deps, asked.resourceType, entry, request)),
      };
    }),
  }));
}

function isWanted(keys: readonly string[] | null, name: string): boolean {
  return keys === null || keys.includes(name);
}

function describedEntry(
  deps: KafkaDependencies,
  resourceType: number,
  entry: broker.ConfigEntry,
  include: { readonly includeSynonyms: boolean; readonly includeDocumentation: boolean },
): Description['configs'][number] {
  const settings = resourceType === resourceTypes.topic ? deps.describe.topicSettings : deps.describe.brokerSettings;
  const setting = settings[entry.name];
  return {
    name: entry.name,
    value: orNull(entry.value),
    readOnly: entry.readOnly,
    isDefault: entry.source === defaultSource,
    configSource: entry.source,
    isSensitive: entry.sensitive,
    synonyms: include.includeSynonyms ? entry.synonyms.map((one) => ({ ...one, value: orNull(one.value) })) : [],
    configType: setting === undefined ? unknownType : configTypes[setting.type],
    documentation: include.includeDocumentation ? entry.documentation : null,
  };
}

const operations = { set: 0, delete: 1, append: 2, subtract: 3 } as const;

/** IncrementalAlterConfigs 0–1. Appending and subtracting are for lists, and start from what is in force as this broker knows it. */
export function incrementalAlterConfigsApi(deps: KafkaDependencies): KafkaApi {
  const options = {
    versions: [0, 1],
    costBytes,
    authorization: 'AlterConfigs on Topic or Cluster',
    onError: unexpected(deps.logger),
  } as const;
  return answeredApi(apis.incrementalAlterConfigs, options, ({ resources, validateOnly }) =>
    alter(deps, resources, validateOnly, (resource) => incremental(deps, resource as Alterations[number])),
  );
}

/** AlterConfigs 0–2: what is not named goes back to its default. */
export function alterConfigsApi(deps: KafkaDependencies): KafkaApi {
  const options = {
    versions: [0, 2],
    costBytes,
    authorization: 'AlterConfigs on Topic or Cluster',
    onError: unexpected(deps.logger),
  } as const;
  return answeredApi(apis.alterConfigs, options, ({ resources, validateOnly }) =>
    alter(deps, resources, validateOnly, (resource) => replacement(deps, resource)),
  );
}

interface Change {
  readonly set: Record<string, string>;
  readonly remove: string[];
}

interface Wrong {
  readonly error: 'INVALID_REQUEST' | 'INVALID_CONFIG';
  readonly message: string;
}

/** A change, or what is wrong with it. */
type Planned = Change | Wrong;

function incremental(deps: KafkaDependencies, asked: Alterations[number]): Planned {
  const { configs } = asked;
  const resource = resourceOf(asked);
  const change: Change = { set: {}, remove: [] };
  const names = new Set<string>();
  for (const { name, configOperation, value } of configs) {
    if (names.has(name)) return wrong('INVALID_REQUEST', `'${name}' stands more than once in the request.`);
    names.add(name);
    if (configOperation === operations.delete) {
      change.remove.push(name);
      continue;
    }
    if (value === null) return wrong('INVALID_REQUEST', `The value of '${name}' is null.`);
    if (configOperation === operations.set) {
      change.set[name] = value;
      continue;
    }
    const settings = resource.type === 'topic' ? deps.describe.topicSettings : deps.describe.brokerSettings;
    if (settings[name]?.type !== 'list') {
      return wrong('INVALID_CONFIG', `'${name}' is not a list: it can only be set or deleted.`);
    }
    const now = listOf(effective(deps, resource, name));
    const given = listOf(value);
    const next =
      configOperation === operations.append
        ? [...now, ...given.filter((one) => !now.includes(one))]
        : now.filter((one) => !given.includes(one));
    change.set[name] = next.join(',');
  }
  return change;
}

function wrong(error: Wrong['error'], message: string): Wrong {
  return { error, message };
}

/** What is in force, as this broker knows it. */
function effective(deps: KafkaDependencies, resource: broker.ConfigResource, name: string): string {
  const [described] = describeConfigs(deps.describe, { resources: [resource] }).results;
  return described?.entries.find((entry) => entry.name === name)?.value ?? '';
}

function listOf(text: string): string[] {
  return text
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');
}

function replacement(deps: KafkaDependencies, asked: ReplacedResource): Planned {
  const set = Object.fromEntries(asked.configs.flatMap(({ name, value }) => (value === null ? [] : [[name, value]])));
  const overrides = overridesOf(deps.admin.publisher.image, resourceOf(asked))?.keys() ?? [];
  return { set, remove: [...overrides].filter((name) => !Object.hasOwn(set, name)) };
}

type ReplacedResource = RequestOf<typeof apis.alterConfigs>['resources'][number];

async function alter<R extends Resource>(
  deps: KafkaDependencies,
  resources: readonly R[],
  validateOnly: boolean,
  plan: (resource: R) => Planned,
): Promise<ResponseOf<typeof apis.alterConfigs>> {
  const planned = resources.map((resource) => ({ resource, change: plan(resource) }));
  const changes = planned.flatMap(({ resource, change }) =>
    'error' in change ? [] : [{ resource: resourceOf(resource), ...change }],
  );
  const { results } = await alterConfigs(deps.admin, { resources: changes, validateOnly });
  let next = 0;
  return {
    responses: planned.map(({ resource: { resourceType, resourceName }, change }) => {
      if ('error' in change) {
        return { errorCode: errorCodes[change.error], errorMessage: change.message, resourceType, resourceName };
      }
      const { errorCode, errorMessage } = results[next++] ?? { errorCode: -1, errorMessage: kafkaError(-1).message };
      return { errorCode, errorMessage: orNull(errorMessage), resourceType, resourceName };
    }),
  };
}
