import type { Random } from '@naru/runtime';
import type { TopicImage } from '../cluster/metadata-image.ts';
import { type AssignableBroker, assignReplicas } from './assignment.ts';
import type { ClusterView } from './partition-decision.ts';
import { type Refusal, refuse } from './refusal.ts';
import type { TopicRules, TopicSpec } from './topic-changes.ts';

/** Partitions of one topic; the topic's znode must stay below 1 MiB. */
export const partitionsPerTopicMax = 20_000;

export type Replicas = { readonly ok: true; readonly replicas: readonly (readonly number[])[] };

/** The replicas of a new topic: as given, or assigned. */
export function replicasOf(view: ClusterView, spec: TopicSpec, rules: TopicRules): Replicas | Refusal {
  if (spec.assignments.length > 0) {
    if (spec.numPartitions > 0 || spec.replicationFactor > 0) {
      return refuse(
        'INVALID_REQUEST',
        'Both a replica assignment and a number of partitions or a replication factor were given; give one of them.',
      );
    }
    return checkAssignment(view, spec.assignments, 0);
  }
  const partitions = spec.numPartitions === -1 ? rules.numPartitions : spec.numPartitions;
  const replicationFactor = spec.replicationFactor === -1 ? rules.defaultReplicationFactor : spec.replicationFactor;
  if (partitions <= 0) {
    return refuse('INVALID_PARTITIONS', `Number of partitions must be larger than 0, not ${partitions}.`);
  }
  if (partitions > partitionsPerTopicMax) {
    return refuse(
      'INVALID_PARTITIONS',
      `Number of partitions must be at most ${partitionsPerTopicMax}, not ${partitions}.`,
    );
  }
  if (replicationFactor <= 0) {
    return refuse('INVALID_REPLICATION_FACTOR', `Replication factor must be larger than 0, not ${replicationFactor}.`);
  }
  return assign(view, { partitions, replicationFactor }, rules.random);
}

function assign(
  view: ClusterView,
  wanted: {
    readonly partitions: number;
    readonly replicationFactor: number;
    readonly firstPartition?: number;
    readonly startBroker?: number | undefined;
  },
  random: Random,
): Replicas | Refusal {
  const assigned = assignReplicas({ brokers: assignableBrokers(view, wanted.replicationFactor), ...wanted }, random);
  if (assigned.ok) return assigned;
  const { replicationFactor } = wanted;
  return refuse(
    'INVALID_REPLICATION_FACTOR',
    `Unable to replicate the partition ${replicationFactor} time(s): the target replication factor of ${replicationFactor} ` +
      `cannot be reached because only ${assigned.registered} broker(s) are registered.`,
  );
}

/** Brokers in a shutdown are given replicas only when the others do not suffice. */
function assignableBrokers({ image, stopping }: ClusterView, replicationFactor: number): readonly AssignableBroker[] {
  const all = [...image.brokers.values()];
  const staying = all.filter((broker) => !stopping.has(broker.id));
  return staying.length >= replicationFactor ? staying : all;
}

function checkAssignment(
  view: ClusterView,
  assignments: readonly (readonly number[])[],
  firstPartition: number,
): Replicas | Refusal {
  const factor = assignments[0]?.length ?? 0;
  if (assignments.length > partitionsPerTopicMax) {
    return refuse(
      'INVALID_PARTITIONS',
      `Number of partitions must be at most ${partitionsPerTopicMax}, not ${assignments.length}.`,
    );
  }
  for (const [index, list] of assignments.entries()) {
    const partition = firstPartition + index;
    const fail = (message: string): Refusal =>
      refuse('INVALID_REPLICA_ASSIGNMENT', `Partition ${partition}: ${message}`);
    if (list.length === 0) return fail('the list of replicas is empty.');
    if (list.length !== factor) return fail(`it has ${list.length} replicas, another partition ${factor}.`);
    if (new Set(list).size !== list.length) return fail(`a broker stands twice in ${list.join(',')}.`);
    const unknown = list.find((brokerId) => !view.image.brokers.has(brokerId));
    if (unknown !== undefined) return fail(`broker ${unknown} is not registered.`);
  }
  return { ok: true, replicas: assignments };
}

/** The replicas of partitions that are added: as given, or continuing the pattern of those that are there. */
export function addedReplicas(
  view: ClusterView,
  topic: TopicImage,
  count: number,
  assignments: readonly (readonly number[])[],
  random: Random,
): Replicas | Refusal {
  const existing = topic.partitions.length;
  const first = topic.partitions[0]?.replicas ?? [];
  if (assignments.length === 0) {
    const wanted = {
      partitions: count - existing,
      replicationFactor: first.length,
      firstPartition: existing,
      startBroker: first[0],
    };
    return assign(view, wanted, random);
  }
  if (assignments.length !== count - existing) {
    return refuse(
      'INVALID_REPLICA_ASSIGNMENT',
      `Increasing the number of partitions by ${count - existing} but ${assignments.length} assignments provided.`,
    );
  }
  if (assignments.some((list) => list.length !== first.length)) {
    return refuse(
      'INVALID_REPLICA_ASSIGNMENT',
      `Every partition of topic ${topic.name} has ${first.length} replica(s); the new ones must have as many.`,
    );
  }
  return checkAssignment(view, assignments, existing);
}
