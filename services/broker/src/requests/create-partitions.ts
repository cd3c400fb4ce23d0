import { errorCodes } from '@naru/kafka-protocol';
import { type broker, controllerMethods } from '@naru/rpc';
import type { MetadataImage } from '../cluster/metadata-image.ts';
import type { Controller } from '../controller/controller.ts';
import type { ControllerCall } from '../controller/forwarder.ts';
import {
  type AdminDependencies,
  asController,
  deadlineOf,
  duplicatesOf,
  isNotController,
  seenInTime,
  timedOut,
  topicError,
  topicResult,
} from './admin-dependencies.ts';

/** Adds partitions to topics; their number never goes down. Answered when this broker knows them. */
export async function createPartitions(
  deps: AdminDependencies,
  request: broker.CreatePartitionsRequest,
): Promise<broker.CreatePartitionsResponse> {
  const deadlineMs = deadlineOf(deps.clock, request.timeoutMs);
  const before = new Map(
    request.topics.map(({ name }) => [name, deps.publisher.image.topics.get(name)?.partitions.length ?? 0]),
  );
  const forwarded = await deps.forwarder.forward(createPartitionsCall, request, deadlineMs);
  if (!forwarded.ok) return { topics: request.topics.map(({ name }) => topicResult(name, timedOut)) };
  const { response, mayRepeat } = forwarded;
  const settle = async (result: broker.TopicResult, index: number): Promise<broker.TopicResult> => {
    const count = request.topics[index]?.count ?? 0;
    // Sent twice: the second controller found as many partitions as were asked for, because the first had added them.
    const isRepeat =
      mayRepeat && result.errorCode === errorCodes.INVALID_PARTITIONS && (before.get(result.name) ?? 0) < count;
    const now = deps.publisher.image.topics.get(result.name);
    if (isRepeat && now?.partitions.length === count) {
      return topicResult(result.name, { ok: true, topicId: now.id, replicas: now.partitions.map((p) => p.replicas) });
    }
    if (result.errorCode !== errorCodes.NONE || request.validateOnly) return result;
    return untilVisible(deps, result, count, deadlineMs);
  };
  return { topics: await Promise.all(response.topics.map(settle)) };
}

async function untilVisible(
  deps: AdminDependencies,
  result: broker.TopicResult,
  count: number,
  deadlineMs: number,
): Promise<broker.TopicResult> {
  const isThere = (image: MetadataImage): boolean => {
    const topic = image.topics.get(result.name);
    return topic?.id !== result.topicId || topic.partitions.length >= count;
  };
  if (await seenInTime(deps, deadlineMs, isThere)) return result;
  const message = 'The partitions are added, but this broker has not heard of them yet.';
  return topicError(result.name, 'REQUEST_TIMED_OUT', message);
}

/** The controller's part. */
export async function createPartitionsAtController(
  controller: Controller,
  request: broker.CreatePartitionsRequest,
): Promise<broker.CreatePartitionsResponse> {
  const duplicates = duplicatesOf(request.topics.map((topic) => topic.name));
  const add = async ({ name, count, assignments }: broker.NewPartitions): Promise<broker.TopicResult> => {
    if (duplicates.has(name)) {
      return topicError(name, 'INVALID_REQUEST', `Topic '${name}' stands more than once in the request.`);
    }
    const replicas = assignments.map((assignment) => assignment.brokerIds);
    const change = asController(controller, (term) => term.addPartitions(name, count, replicas, request.validateOnly));
    return topicResult(name, await change);
  };
  return { topics: await Promise.all(request.topics.map(add)) };
}

const createPartitionsCall: ControllerCall<broker.CreatePartitionsRequest, broker.CreatePartitionsResponse> = {
  method: controllerMethods.createPartitions,
  answer: createPartitionsAtController,
  isNotController,
};
