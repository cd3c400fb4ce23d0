import type { WriteOperation } from '@naru/coordinator-client';
import type { KafkaErrorName } from '@naru/kafka-protocol';
import type { PartitionImage, TopicImage } from '../cluster/metadata-image.ts';
import { noLeader } from '../cluster/partition-state.ts';
import { type ClusterView, type Decision, decidePartition, decidePreferred } from './partition-decision.ts';
import { type ControllerGuard, groupWrites, type PartitionKey, type PartitionWrite, writeOf } from './planner.ts';

/** KIP-460: the first replica, or, where nobody leads, anybody who lives. */
export type ElectionKind = 'preferred' | 'unclean';

export interface ElectionResult extends PartitionKey {
  /** Undefined: it is led by whom the election was for. */
  readonly refusal: { readonly error: KafkaErrorName; readonly message: string } | undefined;
}

export interface ElectionsPlan {
  readonly ok: true;
  readonly results: readonly ElectionResult[];
  readonly writes: readonly PartitionWrite[];
  readonly multis: readonly (readonly WriteOperation[])[];
}

export interface RequestedElections {
  readonly kind: ElectionKind;
  /** Undefined: every partition; those that need no election are then left out of the answer. */
  readonly keys: readonly PartitionKey[] | undefined;
  /** An earlier attempt of the same may have been written: what needs no election was elected by it. */
  readonly isRepeat?: boolean;
}

export function planElections(
  view: ClusterView,
  { kind, keys, isRepeat = false }: RequestedElections,
  guard: ControllerGuard,
): ElectionsPlan {
  const results: ElectionResult[] = [];
  const writes: PartitionWrite[] = [];
  for (const key of keys ?? everyKey(view)) {
    const topic = view.image.topics.get(key.topic);
    const outcome = topic === undefined || topic.markedForDeletion ? unknown : elect(view, kind, topic, key.partition);
    if ('state' in outcome) writes.push(writeOf(topic as TopicImage, key.partition, outcome));
    const isNotNeeded = 'error' in outcome && outcome.error === 'ELECTION_NOT_NEEDED';
    if (keys === undefined && isNotNeeded) continue;
    results.push({ ...key, refusal: 'state' in outcome || (isRepeat && isNotNeeded) ? undefined : outcome });
  }
  return { ok: true, results, writes, multis: groupWrites(writes, guard).map(({ operations }) => operations) };
}

function* everyKey({ image }: ClusterView): Iterable<PartitionKey> {
  for (const topic of image.topics.values()) {
    for (let partition = 0; partition < topic.partitions.length; partition++) yield { topic: topic.name, partition };
  }
}

type Refused = NonNullable<ElectionResult['refusal']>;

const unknown: Refused = { error: 'UNKNOWN_TOPIC_OR_PARTITION', message: 'The partition does not exist.' };

function elect(view: ClusterView, kind: ElectionKind, topic: TopicImage, partition: number): Decision | Refused {
  const image = topic.partitions[partition];
  if (image?.state === undefined) return unknown;
  return kind === 'preferred'
    ? electPreferred(view, topic, partition, image)
    : electUnclean(view, topic, partition, image);
}

function electPreferred(
  view: ClusterView,
  topic: TopicImage,
  partition: number,
  { state, replicas }: PartitionImage,
): Decision | Refused {
  if (state?.leader === replicas[0]) {
    return { error: 'ELECTION_NOT_NEEDED', message: 'The preferred replica leads already.' };
  }
  const message = `The preferred leader ${replicas[0]} is not available.`;
  return decidePreferred(view, topic, partition) ?? { error: 'PREFERRED_LEADER_NOT_AVAILABLE', message };
}

function electUnclean(
  view: ClusterView,
  topic: TopicImage,
  partition: number,
  { state }: PartitionImage,
): Decision | Refused {
  if (state?.leader !== noLeader) {
    return { error: 'ELECTION_NOT_NEEDED', message: `Broker ${state?.leader} leads already.` };
  }
  const settingsOf = (each: TopicImage) => ({ ...view.settingsOf(each), uncleanLeaderElection: true });
  const decision = decidePartition({ ...view, settingsOf }, topic, partition);
  if (decision !== undefined && decision.state.leader !== noLeader) return decision;
  return { error: 'ELIGIBLE_LEADERS_NOT_AVAILABLE', message: 'No replica is alive.' };
}
