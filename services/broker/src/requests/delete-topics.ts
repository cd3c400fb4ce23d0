import { errorCodes } from '@naru/kafka-protocol';
import { type broker, controllerMethods } from '@naru/rpc';
import type { Controller } from '../controller/controller.ts';
import type { ControllerCall } from '../controller/forwarder.ts';
import {
  type AdminDependencies,
  asController,
  deadlineOf,
  isNotController,
  seenInTime,
  timedOut,
  topicError,
  topicResult,
  topicsPerRequestMax,
} from './admin-dependencies.ts';

/**
 * Deletes topics. Answered when the deletion is committed and this broker's metadata shows it; brokers that are down delete their logs when they come back and see
 * the proof of the deletion.
 */
export async function deleteTopics(
  deps: AdminDependencies,
  request: broker.DeleteTopicsRequest,
): Promise<broker.DeleteTopicsResponse> {
  const deadlineMs = deadlineOf(deps.clock, request.timeoutMs);
  const names = [...new Set(request.names)];
  const known = new Map(names.map((name) => [name, deps.publisher.image.topics.get(name)?.id]));
  const forwarded = await deps.forwarder.forward(deleteTopicsCall, { ...request, names }, deadlineMs);
  if (!forwarded.ok) return { topics: names.map((name) => topicResult(name, timedOut)) };
  const { response, mayRepeat } = forwarded;
  const settle = async (result: broker.TopicResult): Promise<broker.TopicResult> => {
    const topicId = known.get(result.name);
    // Sent twice: the second controller found nothing to delete, because the first had done it.
    const isDone = mayRepeat && topicId !== undefined && result.errorCode === errorCodes.UNKNOWN_TOPIC_OR_PARTITION;
    if (result.errorCode !== errorCodes.NONE && !isDone) return result;
    return untilGone(
      deps,
      isDone ? { ...result, topicId, errorCode: errorCodes.NONE, errorMessage: '' } : result,
      deadlineMs,
    );
  };
  return { topics: await Promise.all(response.topics.map(settle)) };
}

async function untilGone(
  deps: AdminDependencies,
  result: broker.TopicResult,
  deadlineMs: number,
): Promise<broker.TopicResult> {
  if (await seenInTime(deps, deadlineMs, (image) => !image.topicNames.has(result.topicId))) return result;
  const message = 'The topic is deleted, but this broker has not heard of it yet.';
  return topicError(result.name, 'REQUEST_TIMED_OUT', message);
}

/** The controller's part. */
export async function deleteTopicsAtController(
  controller: Controller,
  request: broker.DeleteTopicsRequest,
): Promise<broker.DeleteTopicsResponse> {
  const remove = async (name: string, index: number): Promise<broker.TopicResult> => {
    if (index >= topicsPerRequestMax) {
      return topicError(name, 'INVALID_REQUEST', `A request deletes at most ${topicsPerRequestMax} topics.`);
    }
    return topicResult(name, await asController(controller, (term) => term.deleteTopic(name)));
  };
  return { topics: await Promise.all(request.names.map(remove)) };
}

const deleteTopicsCall: ControllerCall<broker.DeleteTopicsRequest, broker.DeleteTopicsResponse> = {
  method: controllerMethods.deleteTopics,
  answer: deleteTopicsAtController,
  isNotController,
};
