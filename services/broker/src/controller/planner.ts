import type { WriteOperation } from '@naru/coordinator-client';
import { unreachable } from '@naru/runtime';
import type { MetadataDelta } from '../cluster/metadata-delta.ts';
import type { PartitionImage, TopicImage } from '../cluster/metadata-image.ts';
import type { PartitionState } from '../cluster/partition-state.ts';
import { encodePartitionState } from '../cluster/partition-state-codec.ts';
import { paths } from '../cluster/znode-paths.ts';
import {
  type ClusterView,
  type Decision,
  type DecisionReason,
  decidePartition,
  decidePreferred,
} from './partition-decision.ts';

/** What a plan looks at. Looking at more than has changed costs time and nothing else: what is as it should be is left alone. */
export type Scope =
  /** After taking office nothing is known of what the predecessor finished; and a change of liveness may concern any partition. */
  | { readonly kind: 'everything' }
  | { readonly kind: 'partitions'; readonly partitions: readonly PartitionKey[] }
  | { readonly kind: 'replicas-of'; readonly brokerId: number }
  /** Leaderships go back to first replicas that are in sync, where a broker lacks more of those that are meant for it than `imbalancePercentage`. */
  | { readonly kind: 'preferred-leaders'; readonly imbalancePercentage: number };

export interface PartitionKey {
  readonly topic: string;
  readonly partition: number;
}

/** A decided change of one partition's state, with the version that it was decided on. */
export interface PartitionWrite extends PartitionKey {
  readonly topicId: string;
  /** Undefined: the state is created. */
  readonly before: PartitionState | undefined;
  readonly expectedVersion: number;
  readonly after: PartitionState;
  readonly reason: DecisionReason;
}

/** Controller writes are refused once another controller has taken office (row 23). */
export interface ControllerGuard {
  readonly controllerEpochVersion: number;
}

/** One multi. */
export interface WriteGroup {
  readonly operations: readonly WriteOperation[];
  readonly writes: readonly PartitionWrite[];
  /** Whose operation it is, by index; undefined for a check that all of them share. */
  readonly owners: readonly (PartitionWrite | undefined)[];
}

/** Partitions decided in one multi: large enough that a broker with thousands is done in a few commits, small enough that a conflict costs little. */
export const partitionsPerWriteMax = 500;

/** What shall be written; partitions without a leader first. Pure: the same view and scope give the same plan. */
export function plan(view: ClusterView, scope: Scope): readonly PartitionWrite[] {
  const writes: PartitionWrite[] = [];
  const decide = scope.kind === 'preferred-leaders' ? decidePreferred : decidePartition;
  for (const [topic, partition] of partitionsIn(view, scope)) {
    if (topic.markedForDeletion) continue;
    const decision = decide(view, topic, partition);
    if (decision !== undefined) writes.push(writeOf(topic, partition, decision));
  }
  return writes.sort((a, b) => urgency(a) - urgency(b));
}

/** Which topics of a scope have partitions that move to other brokers (KIP-455). */
export function movingTopics(view: ClusterView, scope: Scope): ReadonlySet<string> {
  const names = new Set<string>();
  for (const [topic, partition] of partitionsIn(view, scope)) {
    const { adding, removing } = topic.partitions[partition] as PartitionImage;
    if (adding.length + removing.length > 0) names.add(topic.name);
  }
  return names;
}

function partitionsIn(view: ClusterView, scope: Scope): Iterable<readonly [TopicImage, number]> {
  switch (scope.kind) {
    case 'everything':
      return everyPartition(view);
    case 'preferred-leaders':
      return imbalancedPartitions(view, scope.imbalancePercentage);
    case 'replicas-of':
      return replicasOf(view, scope.brokerId);
    case 'partitions':
      return namedPartitions(view, scope.partitions);
    default:
      return unreachable(scope);
  }
}

function* everyPartition(view: ClusterView): Iterable<readonly [TopicImage, number]> {
  for (const topic of view.image.topics.values()) {
    for (let partition = 0; partition < topic.partitions.length; partition++) yield [topic, partition];
  }
}

/** As Kafka counts: of the partitions whose first replica a broker is, those that another one leads. What is moving or going is left alone. */
function imbalancedPartitions(view: ClusterView, percentage: number): Iterable<readonly [TopicImage, number]> {
  const byPreferred = Map.groupBy(
    everyPartition(view),
    ([topic, partition]) => topic.partitions[partition]?.replicas[0],
  );
  return [...byPreferred.values()].flatMap((meant) => {
    const elsewhere = meant.filter(([topic, partition]) => {
      const { state, replicas, adding, removing } = topic.partitions[partition] as PartitionImage;
      return state !== undefined && state.leader !== replicas[0] && adding.length + removing.length === 0;
    });
    return 100 * elsewhere.length > percentage * meant.length ? elsewhere : [];
  });
}

function* replicasOf(view: ClusterView, brokerId: number): Iterable<readonly [TopicImage, number]> {
  for (const [topic, partition] of everyPartition(view)) {
    if ((topic.partitions[partition] as PartitionImage).replicas.includes(brokerId)) yield [topic, partition];
  }
}

function* namedPartitions(view: ClusterView, keys: readonly PartitionKey[]): Iterable<readonly [TopicImage, number]> {
  for (const { topic: name, partition } of keys) {
    const topic = view.image.topics.get(name);
    if (topic?.partitions[partition] !== undefined) yield [topic, partition];
  }
}

/** What has to be looked at after a change of the metadata. */
export function scopeOf(delta: MetadataDelta): Scope {
  const { brokersAppeared, brokersGone, brokersReborn, brokersChanged, brokerConfigsChanged } = delta;
  const liveness = [brokersAppeared, brokersGone, brokersReborn, brokersChanged, brokerConfigsChanged];
  if (liveness.some((list) => list.length > 0)) return { kind: 'everything' };
  const changed = delta.partitionsChanged.map(({ topic, partition }) => ({ topic: topic.name, partition }));
  const configured = delta.topicConfigsChanged.flatMap((topic) =>
    [...topic.partitions.keys()].map((partition) => ({ topic: topic.name, partition })),
  );
  return { kind: 'partitions', partitions: [...changed, ...configured] };
}

export function writeOf(topic: TopicImage, partition: number, { state, reason }: Decision): PartitionWrite {
  const image = topic.partitions[partition] as PartitionImage;
  return {
    topic: topic.name,
    topicId: topic.id,
    partition,
    before: image.state,
    expectedVersion: image.stateVersion,
    after: state,
    reason,
  };
}

const unhurried: ReadonlySet<DecisionReason> = new Set(['shrunk', 'preferred', 'recovered']);

/** Writers wait for a leader; that a follower is gone only delays them. */
function urgency(write: PartitionWrite): number {
  return unhurried.has(write.reason) ? 1 : 0;
}

/**
 * Packs decisions into multis. Each begins with the check of the controller epoch and of the registration of every leader that it elects, by czxid: a
 * leader that died after the decision is not elected.
 */
export function groupWrites(
  writes: readonly PartitionWrite[],
  guard: ControllerGuard,
  perWriteMax = partitionsPerWriteMax,
): readonly WriteGroup[] {
  const groups: WriteGroup[] = [];
  for (let start = 0; start < writes.length; start += perWriteMax) {
    groups.push(groupOf(writes.slice(start, start + perWriteMax), guard));
  }
  return groups;
}

function groupOf(writes: readonly PartitionWrite[], guard: ControllerGuard): WriteGroup {
  const operations: WriteOperation[] = [controllerCheck(guard)];
  const leaders = new Map<number, number>();
  for (const { before, after } of writes) {
    if (before?.leaderEpoch === after.leaderEpoch) continue;
    const leader = after.isr.find((member) => member.brokerId === after.leader);
    if (leader !== undefined) leaders.set(leader.brokerId, leader.brokerEpoch);
  }
  for (const [brokerId, czxid] of leaders) operations.push({ kind: 'check', path: paths.broker(brokerId), czxid });
  const owners: (PartitionWrite | undefined)[] = operations.map(() => undefined);
  for (const write of writes) {
    for (const operation of stateOperations(write)) {
      operations.push(operation);
      owners.push(write);
    }
  }
  return { operations, writes, owners };
}

/**
 * Stands first in every multi of a controller. Versions begin anew when a topic is deleted and created again (row 18), so that they alone would let a late
 * write through to the topic's successor; but only controllers delete and create topics: another one has raised the epoch before it does, and the same one
 * does so after its earlier writes were answered, over a session that orders nothing that was sent before an attach behind it.
 */
export function controllerCheck(guard: ControllerGuard): WriteOperation {
  return { kind: 'check', path: paths.controllerEpoch, version: guard.controllerEpochVersion };
}

function stateOperations({
  topic,
  partition,
  before,
  expectedVersion,
  after,
}: PartitionWrite): readonly WriteOperation[] {
  const path = paths.partitionState(topic, partition);
  const data = encodePartitionState(after);
  if (before !== undefined) return [{ kind: 'set-data', path, data, version: expectedVersion }];
  return [
    { kind: 'create', path: paths.partition(topic, partition), data: new Uint8Array() },
    { kind: 'create', path, data },
  ];
}
