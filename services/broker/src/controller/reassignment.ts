import type { WriteOperation } from '@naru/coordinator-client';
import type { KafkaErrorName } from '@naru/kafka-protocol';
import type { MetadataImage, PartitionImage, TopicImage } from '../cluster/metadata-image.ts';
import { noLeader, type PartitionState } from '../cluster/partition-state.ts';
import { encodePartitionState } from '../cluster/partition-state-codec.ts';
import { assignmentOf } from '../cluster/topic-draft.ts';
import { encodeTopic } from '../cluster/znode-codecs.ts';
import { paths } from '../cluster/znode-paths.ts';
import { type ClusterView, decideWithin } from './partition-decision.ts';
import { type ControllerGuard, controllerCheck } from './planner.ts';

/**
 * Moving partitions between brokers (KIP-455): grow, catch up, shrink (row 13). All of it is in the tree, so that any controller goes on with it:
 *
 *   1. alter: `replicas` becomes target + those that go, `adding` and `removing` say which; the added ones begin to fetch;
 *   2. leaders take them into the ISR (R6);
 *   3. when all added ones are in it, one multi makes the target the replicas, takes those that go out of ISR and ELR, gives the leadership to one that stays, and raises
 *      the leader epoch, so that nothing that a leader knows of a replica outlives the replica (row 12);
 *   4. brokers that see an assignment without them delete their log.
 *
 * A cancellation is 3 with the original replicas in the target's place.
 */

/** Partitions that are changed in one multi. */
const partitionsPerMultiMax = 500;

export interface PartitionMove {
  readonly partition: number;
  /** Undefined: what is under way is cancelled. */
  readonly target: readonly number[] | undefined;
}

export interface MoveResult {
  readonly partition: number;
  /** Undefined: it was begun, or cancelled. */
  readonly refusal: { readonly error: KafkaErrorName; readonly message: string } | undefined;
}

/** What users asked for, answered partition by partition, and the multi that does it. */
export interface MovesPlan {
  readonly ok: true;
  readonly results: readonly MoveResult[];
  readonly multis: readonly (readonly WriteOperation[])[];
}

export interface MoveOptions {
  readonly guard: ControllerGuard;
  /** KIP-860: false refuses a target with another number of replicas. */
  readonly allowReplicationFactorChange: boolean;
  /** An earlier attempt of the same may have been written: what it has cancelled is not under way any more. */
  readonly isRepeat?: boolean;
}

/** A partition's new assignment, with the state that belongs to it when replicas go. */
interface Change {
  readonly partition: number;
  readonly assignment: Pick<PartitionImage, 'replicas' | 'adding' | 'removing'>;
  readonly state: PartitionState | undefined;
}

type Outcome = { readonly ok: true; readonly change: Change | undefined } | ({ readonly ok: false } & Fault);
interface Fault {
  readonly error: KafkaErrorName;
  readonly message: string;
}

export function isMoving({ adding, removing }: PartitionImage): boolean {
  return adding.length + removing.length > 0;
}

/** The replicas as they were before what is under way. */
function originalOf({ replicas, adding }: PartitionImage): readonly number[] {
  return replicas.filter((id) => !adding.includes(id));
}

/** The replicas as they shall be. */
function targetOf({ replicas, removing }: PartitionImage): readonly number[] {
  return replicas.filter((id) => !removing.includes(id));
}

export function planMoves(
  view: ClusterView,
  topic: TopicImage,
  moves: readonly PartitionMove[],
  options: MoveOptions,
): MovesPlan {
  const changes: Change[] = [];
  const results = moves.map(({ partition, target }): MoveResult => {
    const image = topic.partitions[partition];
    const outcome = image === undefined ? unknownPartition : moveOf(view, topic, { partition, target }, image, options);
    if (outcome.ok && outcome.change !== undefined) changes.push(outcome.change);
    return { partition, refusal: outcome.ok ? undefined : { error: outcome.error, message: outcome.message } };
  });
  return { ok: true, results, multis: multiOf(topic, changes, options.guard) };
}

/** What of a topic's moves has come so far that it can be finished; again and again until there is nothing. */
export function planCompletions(
  view: ClusterView,
  topic: TopicImage,
  guard: ControllerGuard,
): readonly (readonly WriteOperation[])[] {
  const changes: Change[] = [];
  for (const [partition, image] of topic.partitions.entries()) {
    const change = isMoving(image) ? completionOf(view, topic, partition, image) : undefined;
    if (change !== undefined) changes.push(change);
    if (changes.length === partitionsPerMultiMax) break;
  }
  return multiOf(topic, changes, guard);
}

const done: Outcome = { ok: true, change: undefined };

const unknownPartition: Outcome = {
  ok: false,
  error: 'UNKNOWN_TOPIC_OR_PARTITION',
  message: 'The partition does not exist.',
};

function moveOf(
  view: ClusterView,
  topic: TopicImage,
  { partition, target }: PartitionMove,
  image: PartitionImage,
  { allowReplicationFactorChange, isRepeat = false }: MoveOptions,
): Outcome {
  if (target === undefined) {
    return isRepeat && !isMoving(image) ? done : cancellationOf(view, topic, partition, image);
  }
  const original = originalOf(image);
  const fault = targetFault(view.image, image, target);
  if (fault !== undefined) return { ok: false, error: 'INVALID_REPLICA_ASSIGNMENT', message: fault };
  if (!allowReplicationFactorChange && target.length !== targetOf(image).length) {
    const message = `The replication factor is changed from ${targetOf(image).length} to ${target.length}`;
    return { ok: false, error: 'INVALID_REPLICATION_FACTOR', message };
  }
  const replicas = [...target, ...original.filter((id) => !target.includes(id))];
  const adding = replicas.filter((id) => !original.includes(id));
  const removing = replicas.filter((id) => !target.includes(id));
  // Another move was under way: whom that one has added and this one does not want, goes at once.
  return changeTo(view, topic, partition, image, { replicas, adding, removing });
}

function cancellationOf(view: ClusterView, topic: TopicImage, partition: number, image: PartitionImage): Outcome {
  if (!isMoving(image)) {
    return { ok: false, error: 'NO_REASSIGNMENT_IN_PROGRESS', message: 'No partition reassignment is in progress.' };
  }
  return changeTo(view, topic, partition, image, { replicas: originalOf(image), adding: [], removing: [] });
}

function changeTo(
  view: ClusterView,
  topic: TopicImage,
  partition: number,
  image: PartitionImage,
  assignment: Change['assignment'],
): Outcome {
  const keepsAll = image.replicas.every((id) => assignment.replicas.includes(id));
  if (keepsAll || image.state === undefined) return { ok: true, change: { partition, assignment, state: undefined } };
  const state = decideWithin(view, topic, partition, assignment.replicas);
  if (state !== undefined) return { ok: true, change: { partition, assignment, state } };
  const message = `Of the replicas ${assignment.replicas.join(',')} too few are in sync; they would lack what the others have.`;
  return { ok: false, error: 'INVALID_REPLICA_ASSIGNMENT', message };
}

function completionOf(
  view: ClusterView,
  topic: TopicImage,
  partition: number,
  image: PartitionImage,
): Change | undefined {
  const { state, adding } = image;
  const assignment = { replicas: targetOf(image), adding: [], removing: [] };
  // Without a state there are no records.
  if (state === undefined) return { partition, assignment, state: undefined };
  if (state.leader === noLeader) return undefined;
  const isShrinking = image.removing.length > 0;
  const after = isShrinking ? decideWithin(view, topic, partition, assignment.replicas) : state;
  // In sync, and still alive as who it was when it joined.
  const hasJoined = (id: number): boolean => after?.isr.some((member) => member.brokerId === id) ?? false;
  if (after === undefined || !adding.every(hasJoined)) return undefined;
  return { partition, assignment, state: isShrinking ? after : undefined };
}

/** In the words of Kafka's controller. */
function targetFault(
  image: MetadataImage,
  { replicas }: PartitionImage,
  target: readonly number[],
): string | undefined {
  if (target.length === 0) return 'The manual partition assignment includes an empty replica list.';
  const twice = target.find((id, index) => target.indexOf(id) !== index);
  if (twice !== undefined) return `The manual partition assignment includes the broker ${twice} more than once.`;
  const unknown = target.find((id) => !replicas.includes(id) && !image.brokers.has(id));
  if (unknown === undefined) return undefined;
  return `The manual partition assignment includes broker ${unknown}, but no such broker is registered.`;
}

/** The topic's znode and the states that belong to it change together or not at all. */
function multiOf(
  topic: TopicImage,
  changes: readonly Change[],
  guard: ControllerGuard,
): readonly (readonly WriteOperation[])[] {
  if (changes.length === 0) return [];
  const partitions = [...topic.partitions];
  const states: WriteOperation[] = [];
  const leaders = new Map<number, number>();
  for (const { partition, assignment, state } of changes) {
    const image = topic.partitions[partition] as PartitionImage;
    partitions[partition] = { ...image, ...assignment };
    if (state === undefined) continue;
    const path = paths.partitionState(topic.name, partition);
    states.push({ kind: 'set-data', path, data: encodePartitionState(state), version: image.stateVersion });
    const leader = state.isr.find((member) => member.brokerId === state.leader);
    if (leader !== undefined) leaders.set(leader.brokerId, leader.brokerEpoch);
  }
  const checks = [...leaders].map(
    ([brokerId, czxid]): WriteOperation => ({ kind: 'check', path: paths.broker(brokerId), czxid }),
  );
  const data = encodeTopic(assignmentOf({ ...topic, partitions }));
  const assignment: WriteOperation = { kind: 'set-data', path: paths.topic(topic.name), data, version: topic.version };
  return [[controllerCheck(guard), ...checks, assignment, ...states]];
}
