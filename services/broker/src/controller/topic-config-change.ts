import { type ConfigDefinition, ConfigError, type Settings } from '@naru/config';
import type { WriteOperation } from '@naru/coordinator-client';
import type { ConfigOverrides, TopicImage } from '../cluster/metadata-image.ts';
import { encodePartitionState } from '../cluster/partition-state-codec.ts';
import { encodeConfig } from '../cluster/znode-codecs.ts';
import { textLengthMax } from '../cluster/znode-fields.ts';
import { paths } from '../cluster/znode-paths.ts';
import { type ClusterView, decidePartition } from './partition-decision.ts';
import { controllerCheck } from './planner.ts';
import { type Refusal, refuse } from './refusal.ts';
import type { TopicRules } from './topic-changes.ts';

/** New overrides: `remove` first, then `set`. */
export interface ConfigChange {
  readonly set: ConfigOverrides;
  readonly remove: readonly string[];
}

/**
 * Changes a topic's overrides. When that lets the ISR of a partition suffice where it did not (a lower `min.insync.replicas`), its ELR ends in the same multi: with the
 * new bound records are acknowledged that its members do not have.
 */
export function planAlterTopicConfig(
  view: ClusterView,
  topic: TopicImage,
  change: ConfigChange,
  rules: Pick<TopicRules, 'guard' | 'topicConfig'>,
): { readonly ok: true; readonly multis: readonly (readonly WriteOperation[])[] } | Refusal {
  const fault = configFaultOf(rules.topicConfig, change.set);
  if (fault !== undefined) return refuse('INVALID_CONFIG', fault);
  // What is not there may be removed, known or not: Kafka's tools take back throttles that nobody has set.
  const twice = change.remove.find((name) => change.set.has(name));
  if (twice !== undefined) return refuse('INVALID_REQUEST', `configuration key '${twice}' is both set and removed`);
  const config = new Map(topic.config);
  for (const name of change.remove) config.delete(name);
  for (const [name, value] of change.set) config.set(name, value);
  const path = paths.topicConfig(topic.name);
  const data = encodeConfig(config);
  const write: WriteOperation =
    topic.configVersion < 0
      ? { kind: 'create', path, data }
      : { kind: 'set-data', path, data, version: topic.configVersion };
  return { ok: true, multis: [[controllerCheck(rules.guard), write, ...endedElrs(view, { ...topic, config })]] };
}

function endedElrs(view: ClusterView, topic: TopicImage): readonly WriteOperation[] {
  return [...topic.partitions.entries()].flatMap(([partition, { state, stateVersion }]): readonly WriteOperation[] => {
    if (state === undefined || state.elr.length === 0) return [];
    const after = decidePartition(view, topic, partition)?.state;
    if (after === undefined || after.elr.length > 0 || after.leaderEpoch !== state.leaderEpoch) return [];
    const path = paths.partitionState(topic.name, partition);
    return [{ kind: 'set-data', path, data: encodePartitionState(after), version: stateVersion }];
  });
}

/** What is wrong with the first override that is wrong, or undefined. */
export function configFaultOf(definition: ConfigDefinition<Settings>, configs: ConfigOverrides): string | undefined {
  for (const [name, value] of configs) {
    try {
      if (!definition.has(name)) throw definition.unknownKey(name);
      definition.parseValue(name, value);
      if (value.length > textLengthMax) {
        throw new ConfigError(name, `the value of '${name}' has more than ${textLengthMax} characters`);
      }
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      return error.message;
    }
  }
  return undefined;
}
