import type { BrokerImage, ConfigOverrides, MetadataImage, PartitionImage, TopicImage } from './metadata-image.ts';
import { SharedMap } from './shared-map.ts';

/**
 * What happened between two images. Always a comparison of the two, whether the watch told changes or, after a reconnect that lost the history, a new
 * snapshot: a broker that bounced in the gap is `reborn`, because brokers are compared by (id, epoch) (rows 10, 25).
 */
export interface MetadataDelta {
  readonly brokersAppeared: readonly BrokerImage[];
  /** As they were. */
  readonly brokersGone: readonly BrokerImage[];
  /** The same id with a new epoch: a death followed by a birth. */
  readonly brokersReborn: readonly { readonly before: BrokerImage; readonly after: BrokerImage }[];
  /** The same incarnation says something else about itself (a damaged replica). */
  readonly brokersChanged: readonly BrokerImage[];
  /** New topic ids, also under a name that another topic had before. */
  readonly topicsCreated: readonly TopicImage[];
  /** Topic ids whose deletion is committed: their logs go. */
  readonly topicsDeleted: readonly TopicIdentity[];
  /** Topics that are missing without a committed deletion: their logs must be kept (row 58). */
  readonly topicsVanished: readonly TopicIdentity[];
  /** Every partition, new topics' included, whose replicas or state changed; those of topics that are gone are not listed. */
  readonly partitionsChanged: readonly PartitionChange[];
  /** Topics that were there before and whose overrides changed. */
  readonly topicConfigsChanged: readonly TopicImage[];
  readonly topicsMarkedForDeletion: readonly TopicImage[];
  /** Broker ids as text, `<default>`. */
  readonly brokerConfigsChanged: readonly string[];
  readonly controllerChanged: boolean;
}

export interface TopicIdentity {
  readonly name: string;
  readonly id: string;
}

export interface PartitionChange {
  readonly topic: TopicImage;
  readonly partition: number;
  readonly before: PartitionImage | undefined;
  readonly after: PartitionImage;
}

export function diffImages(before: MetadataImage, after: MetadataImage): MetadataDelta {
  return {
    ...diffBrokers(before, after),
    ...diffTopics(before, after),
    brokerConfigsChanged: diffBrokerConfigs(before, after),
    controllerChanged: before.controllerId !== after.controllerId || before.controllerEpoch !== after.controllerEpoch,
  };
}

type BrokerDelta = Pick<MetadataDelta, 'brokersAppeared' | 'brokersGone' | 'brokersReborn' | 'brokersChanged'>;

function diffBrokers(before: MetadataImage, after: MetadataImage): BrokerDelta {
  const appeared: BrokerImage[] = [];
  const gone: BrokerImage[] = [];
  const reborn: { before: BrokerImage; after: BrokerImage }[] = [];
  const changed: BrokerImage[] = [];
  if (before.brokers !== after.brokers) {
    for (const broker of after.brokers.values()) {
      const old = before.brokers.get(broker.id);
      if (old === undefined) appeared.push(broker);
      else if (old.epoch !== broker.epoch) reborn.push({ before: old, after: broker });
      else if (old.version !== broker.version) changed.push(broker);
    }
    for (const old of before.brokers.values()) {
      if (!after.brokers.has(old.id)) gone.push(old);
    }
  }
  return { brokersAppeared: appeared, brokersGone: gone, brokersReborn: reborn, brokersChanged: changed };
}

type TopicDelta = Omit<MetadataDelta, keyof BrokerDelta | 'brokerConfigsChanged' | 'controllerChanged'>;

function diffTopics(before: MetadataImage, after: MetadataImage): TopicDelta {
  const created: TopicImage[] = [];
  const deleted: TopicIdentity[] = [];
  const vanished: TopicIdentity[] = [];
  const partitions: PartitionChange[] = [];
  const configs: TopicImage[] = [];
  const marked: TopicImage[] = [];
  for (const name of SharedMap.differences(before.topics, after.topics)) {
    const old = before.topics.get(name);
    const topic = after.topics.get(name);
    const same = old?.id === topic?.id ? old : undefined;
    if (old !== undefined && same === undefined) {
      (after.deletedTopicIds.has(old.id) ? deleted : vanished).push({ name, id: old.id });
    }
    if (topic === undefined) continue;
    if (same === undefined) created.push(topic);
    else if (!sameConfig(same.config, topic.config)) configs.push(topic);
    if (topic.markedForDeletion && !same?.markedForDeletion) marked.push(topic);
    partitions.push(...diffPartitions(same, topic));
  }
  return {
    topicsCreated: created,
    topicsDeleted: deleted,
    topicsVanished: vanished,
    partitionsChanged: partitions,
    topicConfigsChanged: configs,
    topicsMarkedForDeletion: marked,
  };
}

function* diffPartitions(before: TopicImage | undefined, after: TopicImage): Iterable<PartitionChange> {
  if (before?.partitions === after.partitions) return;
  for (const [partition, next] of after.partitions.entries()) {
    const old = before?.partitions[partition];
    if (old === undefined || !samePartition(old, next)) yield { topic: after, partition, before: old, after: next };
  }
}

/** The zxid of its last change names a state's content, whichever way the znode came to its version. */
export function samePartition(a: PartitionImage, b: PartitionImage): boolean {
  if (a === b) return true;
  return (
    a.stateZxid === b.stateZxid &&
    a.stateVersion === b.stateVersion &&
    sameNumbers(a.replicas, b.replicas) &&
    sameNumbers(a.adding, b.adding) &&
    sameNumbers(a.removing, b.removing)
  );
}

export function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  return a === b || (a.length === b.length && a.every((value, index) => value === b[index]));
}

export function sameConfig(a: ConfigOverrides, b: ConfigOverrides): boolean {
  if (a === b) return true;
  if (a.size !== b.size) return false;
  for (const [name, value] of a) if (b.get(name) !== value) return false;
  return true;
}

function diffBrokerConfigs(before: MetadataImage, after: MetadataImage): readonly string[] {
  if (before.brokerConfigs === after.brokerConfigs) return [];
  const names = new Set([...before.brokerConfigs.keys(), ...after.brokerConfigs.keys()]);
  return [...names].filter((name) => {
    return !sameConfig(before.brokerConfigs.get(name) ?? new Map(), after.brokerConfigs.get(name) ?? new Map());
  });
}

export function isEmptyDelta(delta: MetadataDelta): boolean {
  return !delta.controllerChanged && Object.values(delta).every((part) => !Array.isArray(part) || part.length === 0);
}
