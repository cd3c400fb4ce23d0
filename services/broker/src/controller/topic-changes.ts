import type { ConfigDefinition, Settings } from '@naru/config';
import type { WriteOperation } from '@naru/coordinator-client';
import type { Random } from '@naru/runtime';
import type { ConfigOverrides, TopicImage } from '../cluster/metadata-image.ts';
import { encodePartitionState } from '../cluster/partition-state-codec.ts';
import { assignmentOf } from '../cluster/topic-draft.ts';
import {
  encodeConfig,
  encodeDeletedTopic,
  encodeDeleteTopic,
  encodeTopic,
  isTopicId,
} from '../cluster/znode-codecs.ts';
import { paths } from '../cluster/znode-paths.ts';
import { type ClusterView, decidePartition } from './partition-decision.ts';
import { type ControllerGuard, controllerCheck } from './planner.ts';
import { type Refusal, refuse } from './refusal.ts';
import { configFaultOf } from './topic-config-change.ts';
import { collidingTopic, internalTopicRefusal, topicNameFault } from './topic-name.ts';
import { addedReplicas, partitionsPerTopicMax, replicasOf } from './topic-replicas.ts';

/** Partitions that are created or deleted in one multi. A topic with more appears with all its partitions, and their states follow. */
export const partitionsPerMultiMax = 2_000;

/** Proofs of deletion that are kept; the oldest go first. A broker that was away for longer keeps those logs aside. */
export const deletedTopicsMax = 10_000;

/** What will be written: one multi after the other, each guarded by the controller epoch. */
export interface TopicChange {
  readonly ok: true;
  readonly topicId: string;
  readonly replicas: readonly (readonly number[])[];
  readonly multis: readonly (readonly WriteOperation[])[];
}

export interface TopicRules {
  readonly guard: ControllerGuard;
  readonly random: Random;
  /** Topic-level settings; a key that is not in it is refused. */
  readonly topicConfig: ConfigDefinition<Settings>;
  readonly numPartitions: number;
  readonly defaultReplicationFactor: number;
}

export interface TopicSpec {
  readonly name: string;
  /** Of the topic to be created. */
  readonly topicId: string;
  /** -1: the default. */
  readonly numPartitions: number;
  readonly replicationFactor: number;
  /** Replicas by partition; empty: to be assigned. */
  readonly assignments: readonly (readonly number[])[];
  readonly configs: ConfigOverrides;
  /** Asked for by a broker: it may be one of the brokers' own topics. */
  readonly forBrokers?: boolean;
}

/**
 * Everything of a new topic in one multi, as far as it fits: it is there with its config and its leaders, or not at all. A topic that is there already
 * with this very id is an earlier attempt of the same request, and nothing is left to do; nor if it was deleted since: an id is never used again, for its
 * proof of deletion would delete the new logs.
 */
export function planCreateTopic(view: ClusterView, spec: TopicSpec, rules: TopicRules): TopicChange | Refusal {
  const { image } = view;
  const fault = topicNameFault(spec.name);
  if (fault !== undefined) return refuse('INVALID_TOPIC_EXCEPTION', fault);
  const internal = spec.forBrokers ? undefined : internalTopicRefusal(spec.name);
  if (internal !== undefined) return internal;
  if (!isTopicId(spec.topicId)) return refuse('INVALID_REQUEST', `'${spec.topicId}' is not a topic id`);
  const existing = image.topics.get(spec.name);
  const isDone = existing?.id === spec.topicId || image.deletedTopicIds.has(spec.topicId);
  if (isDone) {
    const replicas = existing?.id === spec.topicId ? existing.partitions.map((partition) => partition.replicas) : [];
    return { ok: true, topicId: spec.topicId, replicas, multis: [] };
  }
  if (existing !== undefined) return refuse('TOPIC_ALREADY_EXISTS', `Topic '${spec.name}' already exists.`);
  const collision = collidingTopic(spec.name, image.topics.keys());
  if (collision !== undefined) {
    return refuse('INVALID_TOPIC_EXCEPTION', `Topic '${spec.name}' collides with existing topic: ${collision}`);
  }
  const configFault = configFaultOf(rules.topicConfig, spec.configs);
  if (configFault !== undefined) return refuse('INVALID_CONFIG', configFault);
  const assigned = replicasOf(view, spec, rules);
  if (!assigned.ok) return assigned;
  const { replicas } = assigned;
  const topic = newTopicImage(spec, replicas);
  const unplaced = image.unplaced.get(spec.name);
  const first: WriteOperation[] = [
    { kind: 'create', path: paths.topic(spec.name), data: encodeTopic(assignmentOf(topic)) },
    { kind: 'create', path: paths.partitions(spec.name), data: new Uint8Array() },
    ...configWrites(spec.name, spec.configs, unplaced?.configVersion ?? -1),
  ];
  const multis = partitionMultis(view, topic, 0, first, rules.guard);
  return { ok: true, topicId: spec.topicId, replicas, multis };
}

/** A config that outlived an earlier topic of this name must not fall upon the new one. */
function configWrites(topic: string, configs: ConfigOverrides, existingVersion: number): readonly WriteOperation[] {
  const path = paths.topicConfig(topic);
  const data = encodeConfig(configs);
  if (existingVersion >= 0) return [{ kind: 'set-data', path, data, version: existingVersion }];
  return configs.size === 0 ? [] : [{ kind: 'create', path, data }];
}

function newTopicImage(spec: TopicSpec, replicas: readonly (readonly number[])[]): TopicImage {
  return {
    name: spec.name,
    id: spec.topicId,
    version: 0,
    czxid: 0,
    config: spec.configs,
    configVersion: -1,
    deletionMark: undefined,
    markedForDeletion: false,
    partitions: replicas.map((list) => newPartition(list)),
  };
}

function newPartition(replicas: readonly number[]): TopicImage['partitions'][number] {
  return { replicas, adding: [], removing: [], state: undefined, stateVersion: -1, stateZxid: 0 };
}

/** First states for the partitions from `firstPartition` on; `first` are the operations that must come before them. */
function partitionMultis(
  view: ClusterView,
  topic: TopicImage,
  firstPartition: number,
  first: readonly WriteOperation[],
  guard: ControllerGuard,
): readonly (readonly WriteOperation[])[] {
  const multis: WriteOperation[][] = [];
  let current = [controllerCheck(guard), ...first];
  for (let partition = firstPartition; partition < topic.partitions.length; partition++) {
    const decision = decidePartition(view, topic, partition);
    if (decision === undefined) continue;
    const inCurrent = partition - firstPartition - multis.length * partitionsPerMultiMax;
    if (inCurrent >= partitionsPerMultiMax) {
      multis.push(current);
      current = [controllerCheck(guard)];
    }
    current.push(
      { kind: 'create', path: paths.partition(topic.name, partition), data: new Uint8Array() },
      { kind: 'create', path: paths.partitionState(topic.name, partition), data: encodePartitionState(decision.state) },
    );
  }
  return [...multis, current];
}

/** The first step of a deletion: from here on the topic goes, whatever happens to this controller. */
export function planDeletionMark(topic: TopicImage, guard: ControllerGuard): readonly WriteOperation[] {
  const path = paths.deleteTopic(topic.name);
  const data = encodeDeleteTopic(topic.id);
  // A mark that names another topic of that name has outlived it.
  const write: WriteOperation =
    topic.deletionMark === undefined ? { kind: 'create', path, data } : { kind: 'set-data', path, data };
  return [controllerCheck(guard), write];
}

/**
 * Removes what a marked topic consists of: the states in batches, and with the last of them the topic itself, together with the proof of its deletion. Brokers delete its
 * logs when they see the proof, and never because a topic is merely missing (row 58).
 */
export function planRemoval(
  view: ClusterView,
  topic: TopicImage,
  guard: ControllerGuard,
): readonly (readonly WriteOperation[])[] {
  const multis: WriteOperation[][] = [];
  let current: WriteOperation[] = [controllerCheck(guard)];
  let inCurrent = 0;
  for (const [partition, { state }] of topic.partitions.entries()) {
    if (state === undefined) continue;
    if (inCurrent === partitionsPerMultiMax) {
      multis.push(current);
      current = [controllerCheck(guard)];
      inCurrent = 0;
    }
    inCurrent += 1;
    current.push(
      { kind: 'delete', path: paths.partitionState(topic.name, partition) },
      { kind: 'delete', path: paths.partition(topic.name, partition) },
    );
  }
  current.push(
    { kind: 'delete', path: paths.partitions(topic.name) },
    { kind: 'delete', path: paths.topic(topic.name), version: topic.version },
    { kind: 'delete', path: paths.deleteTopic(topic.name) },
    { kind: 'create', path: paths.deletedTopic(topic.id), data: encodeDeletedTopic(topic.name) },
  );
  if (topic.configVersion >= 0) current.push({ kind: 'delete', path: paths.topicConfig(topic.name) });
  current.push(...forgetOldestDeletion(view));
  return [...multis, current];
}

function forgetOldestDeletion({ image }: ClusterView): readonly WriteOperation[] {
  if (image.deletedTopicIds.size < deletedTopicsMax) return [];
  let oldest: { readonly topicId: string; readonly zxid: number } | undefined;
  for (const [topicId, { zxid }] of image.deletedTopicIds) {
    if (oldest === undefined || zxid < oldest.zxid) oldest = { topicId, zxid };
  }
  return oldest === undefined ? [] : [{ kind: 'delete', path: paths.deletedTopic(oldest.topicId) }];
}

/** Raises the number of partitions to `count`; `assignments` are those of the added ones, empty: to be assigned. */
export function planAddPartitions(
  view: ClusterView,
  topic: TopicImage,
  count: number,
  assignments: readonly (readonly number[])[],
  rules: TopicRules,
): TopicChange | Refusal {
  const existing = topic.partitions.length;
  if (topic.partitions.some(({ adding, removing }) => adding.length + removing.length > 0)) {
    return refuse(
      'REASSIGNMENT_IN_PROGRESS',
      `Partitions of topic ${topic.name} are being reassigned; add to it afterwards.`,
    );
  }
  if (count === existing)
    return refuse('INVALID_PARTITIONS', `Topic ${topic.name} already has ${existing} partition(s).`);
  if (count < existing) {
    return refuse(
      'INVALID_PARTITIONS',
      `The topic ${topic.name} currently has ${existing} partition(s); ${count} would not be an increase.`,
    );
  }
  if (count > partitionsPerTopicMax) {
    return refuse('INVALID_PARTITIONS', `Number of partitions must be at most ${partitionsPerTopicMax}, not ${count}.`);
  }
  const added = addedReplicas(view, topic, count, assignments, rules.random);
  if (!added.ok) return added;
  const partitions = [...topic.partitions, ...added.replicas.map(newPartition)];
  const grown: TopicImage = { ...topic, partitions };
  const set: WriteOperation = {
    kind: 'set-data',
    path: paths.topic(topic.name),
    data: encodeTopic(assignmentOf(grown)),
    version: topic.version,
  };
  const multis = partitionMultis(view, grown, existing, [set], rules.guard);
  return { ok: true, topicId: topic.id, replicas: partitions.map((partition) => partition.replicas), multis };
}
