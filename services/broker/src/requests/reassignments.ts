import { errorCodes } from '@naru/kafka-protocol';
import { type broker, controllerMethods } from '@naru/rpc';
import type { MetadataImage } from '../cluster/metadata-image.ts';
import type { Controller } from '../controller/controller.ts';
import type { ControllerCall } from '../controller/forwarder.ts';
import { isMoving, type PartitionMove, planMoves } from '../controller/reassignment.ts';
import { refuse } from '../controller/refusal.ts';
import { type AdminDependencies, asController, deadlineOf, seenSoon, timedOut } from './admin-dependencies.ts';
import { isNotControllerFor, partitionResult } from './partition-results.ts';

/** Begins moves of partitions to other brokers, or cancels them (KIP-455). Answered when this broker knows of them; not when they are finished. */
export async function alterPartitionReassignments(
  deps: AdminDependencies,
  request: broker.AlterPartitionReassignmentsRequest,
): Promise<broker.AlterPartitionReassignmentsResponse> {
  const deadlineMs = deadlineOf(deps.clock, request.timeoutMs);
  const forwarded = await deps.forwarder.forward(alterCall, request, deadlineMs);
  if (!forwarded.ok) return { partitions: request.partitions.map((each) => partitionResult(each, timedOut)) };
  const { response, mayRepeat } = forwarded;
  const partitions = response.partitions.map((result) => {
    // Sent twice: the first one has cancelled it.
    const isDone = mayRepeat && result.errorCode === errorCodes.NO_REASSIGNMENT_IN_PROGRESS;
    return isDone ? partitionResult(result, undefined) : result;
  });
  const begun = request.partitions.filter((_, index) => partitions[index]?.errorCode === errorCodes.NONE);
  await seenSoon(deps, deadlineMs, (image) => begun.every((each) => isSeen(image, each)));
  return { partitions };
}

function isSeen(image: MetadataImage, { topic, partition, target, cancel }: broker.PartitionReassignment): boolean {
  const found = image.topics.get(topic)?.partitions[partition];
  if (found === undefined) return true;
  return cancel ? !isMoving(found) : target.every((id) => found.replicas.includes(id));
}

/** The controller's part. Partitions of one topic change together. */
export async function alterPartitionReassignmentsAtController(
  controller: Controller,
  request: broker.AlterPartitionReassignmentsRequest,
): Promise<broker.AlterPartitionReassignmentsResponse> {
  const outcomes = new Map<broker.PartitionReassignment, broker.PartitionResult>();
  for (const [name, wanted] of Map.groupBy(request.partitions, (each) => each.topic)) {
    const moves = wanted.map(({ partition, target, cancel }): PartitionMove => {
      return { partition, target: cancel ? undefined : target };
    });
    const plan = await asController(controller, (term) =>
      term.change((view, guard, isRepeat) => {
        const topic = view.image.topics.get(name);
        if (topic === undefined || topic.markedForDeletion) {
          return refuse('UNKNOWN_TOPIC_OR_PARTITION', `Topic '${name}' does not exist.`);
        }
        const allowReplicationFactorChange = !request.keepReplicationFactor;
        return planMoves(view, topic, moves, { guard, allowReplicationFactorChange, isRepeat });
      }),
    );
    for (const [index, each] of wanted.entries()) {
      outcomes.set(each, partitionResult(each, plan.ok ? plan.results[index]?.refusal : plan));
    }
  }
  return { partitions: request.partitions.map((each) => outcomes.get(each) as broker.PartitionResult) };
}

/** Moves that are under way, as this broker knows them. */
export function listPartitionReassignments(
  { publisher }: AdminDependencies,
  request: broker.ListPartitionReassignmentsRequest,
): broker.ListPartitionReassignmentsResponse {
  const { topics } = publisher.image;
  const wanted = request.partitions.length === 0 ? undefined : request.partitions;
  const names =
    wanted ??
    [...topics.values()].flatMap(({ name, partitions }) =>
      [...partitions.keys()].map((partition) => ({ topic: name, partition })),
    );
  const partitions = names.flatMap(({ topic, partition }): broker.OngoingReassignment[] => {
    const found = topics.get(topic)?.partitions[partition];
    if (found === undefined || !isMoving(found)) return [];
    const { replicas, adding, removing } = found;
    return [
      {
        topic,
        partition,
        replicas: [...replicas],
        addingReplicas: [...adding],
        removingReplicas: [...removing],
      },
    ];
  });
  return { partitions };
}

const alterCall: ControllerCall<broker.AlterPartitionReassignmentsRequest, broker.AlterPartitionReassignmentsResponse> =
  {
    method: controllerMethods.alterPartitionReassignments,
    answer: alterPartitionReassignmentsAtController,
    isNotController: isNotControllerFor,
  };
