import type { ConfigDefinition, Settings } from '@naru/config';
import type { WriteOperation } from '@naru/coordinator-client';
import { type ConfigOverrides, defaultBrokerConfig, type MetadataImage, noConfig } from '../cluster/metadata-image.ts';
import { encodeConfig } from '../cluster/znode-codecs.ts';
import { paths } from '../cluster/znode-paths.ts';
import { type ControllerGuard, controllerCheck } from './planner.ts';
import { type Refusal, refuse } from './refusal.ts';
import { type ConfigChange, configFaultOf } from './topic-config-change.ts';

/** Changes the settings of one broker, or of all (`<default>`). Only the controller writes them, so its own last write is what there is. */
export function planAlterBrokerConfig(
  image: MetadataImage,
  name: string,
  change: ConfigChange,
  { guard, dynamicConfig }: { readonly guard: ControllerGuard; readonly dynamicConfig: ConfigDefinition<Settings> },
): { readonly ok: true; readonly multis: readonly (readonly WriteOperation[])[] } | Refusal {
  if (name !== defaultBrokerConfig && !isKnown(image, name)) {
    return refuse(
      'INVALID_REQUEST',
      `There is no broker '${name}'; without a name the settings of all brokers are meant.`,
    );
  }
  const current = image.brokerConfigs.get(name);
  // What is not there may be removed, known or not: Kafka's tools take back throttles that nobody has set.
  const other = [...change.set.keys()].find((key) => !dynamicConfig.has(key));
  if (other !== undefined) {
    const possible = Object.keys(dynamicConfig.settings).join(', ');
    return refuse('INVALID_CONFIG', `'${other}' cannot be changed while brokers run; these can: ${possible}.`);
  }
  const fault = configFaultOf(dynamicConfig, change.set);
  if (fault !== undefined) return refuse('INVALID_CONFIG', fault);
  const data = encodeConfig(changed(current ?? noConfig, change));
  const path = paths.brokerConfig(name);
  const write: WriteOperation =
    current === undefined ? { kind: 'create', path, data } : { kind: 'set-data', path, data };
  return { ok: true, multis: [[controllerCheck(guard), write]] };
}

/** Also one that is down. */
function isKnown(image: MetadataImage, name: string): boolean {
  const id = Number(name);
  return String(id) === name && (image.brokers.has(id) || image.directories.has(id));
}

function changed(config: ConfigOverrides, { set, remove }: ConfigChange): ConfigOverrides {
  const result = new Map(config);
  for (const key of remove) result.delete(key);
  for (const [key, value] of set) result.set(key, value);
  return result;
}
