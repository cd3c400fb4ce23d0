import { errorCodes } from '@naru/kafka-protocol';
import { type broker, controllerMethods } from '@naru/rpc';
import { randomUuid } from '@naru/runtime';
import type { MetadataImage } from '../cluster/metadata-image.ts';
import { isAlive, topicById } from '../cluster/metadata-image.ts';
import type { Controller } from '../controller/controller.ts';
import type { ControllerCall } from '../controller/forwarder.ts';
import {
  type AdminDependencies,
  asController,
  deadlineOf,
  duplicatesOf,
  isNotController,
  seenInTime,
  seenSoon,
  timedOut,
  topicError,
  topicResult,
  topicsPerRequestMax,
} from './admin-dependencies.ts';

/**
 * Creates topics: forwards to the controller, then answers when this broker knows the topics and every partition has a leader, so that a client that goes
 * on at this broker finds them. The topic ids are chosen here: a request that has to be sent to a second controller creates nothing twice.
 */
export function createTopics(
  deps: AdminDependencies,
  request: broker.CreateTopicsRequest,
): Promise<broker.CreateTopicsResponse> {
  return create(deps, { ...request, forBrokers: false });
}

/** The brokers' own: clients can neither create nor delete these. */
export function createInternalTopics(
  deps: AdminDependencies,
  request: broker.CreateTopicsRequest,
): Promise<broker.CreateTopicsResponse> {
  return create(deps, { ...request, forBrokers: true });
}

async function create(
  deps: AdminDependencies,
  request: broker.CreateTopicsRequest,
): Promise<broker.CreateTopicsResponse> {
  const deadlineMs = deadlineOf(deps.clock, request.timeoutMs);
  const topics = request.topics.map((topic) => ({ ...topic, topicId: randomUuid(deps.random) }));
  const forwarded = await deps.forwarder.forward(createTopicsCall, { ...request, topics }, deadlineMs);
  if (!forwarded.ok) return { topics: topics.map(({ name }) => topicResult(name, timedOut)) };
  const { response } = forwarded;
  if (request.validateOnly) return response;
  return { topics: await Promise.all(response.topics.map((result) => untilUsable(deps, result, deadlineMs))) };
}

async function untilUsable(
  deps: AdminDependencies,
  result: broker.TopicResult,
  deadlineMs: number,
): Promise<broker.TopicResult> {
  if (result.errorCode !== errorCodes.NONE) return result;
  const knows = (image: MetadataImage): boolean =>
    image.topicNames.has(result.topicId) || image.deletedTopicIds.has(result.topicId);
  if (!(await seenInTime(deps, deadlineMs, knows))) {
    const message = 'The topic is created, but this broker has not heard of it yet.';
    return topicError(result.name, 'REQUEST_TIMED_OUT', message);
  }
  // The topic is there, also without leaders: whoever uses it meets LEADER_NOT_AVAILABLE and tries again.
  await seenSoon(deps, deadlineMs, (image) => hasLeaders(image, result.topicId));
  return result;
}

function hasLeaders(image: MetadataImage, topicId: string): boolean {
  const topic = topicById(image, topicId);
  if (topic === undefined) return true;
  return topic.partitions.every(({ state }) => {
    const leader = state?.isr.find((member) => member.brokerId === state.leader);
    return leader !== undefined && isAlive(image, leader);
  });
}

/** The controller's part. */
export async function createTopicsAtController(
  controller: Controller,
  request: broker.CreateTopicsRequest,
): Promise<broker.CreateTopicsResponse> {
  const duplicates = duplicatesOf(request.topics.map((topic) => topic.name));
  const create = async (topic: broker.NewTopic, index: number): Promise<broker.TopicResult> => {
    if (index >= topicsPerRequestMax) {
      return topicError(topic.name, 'INVALID_REQUEST', `A request creates at most ${topicsPerRequestMax} topics.`);
    }
    if (duplicates.has(topic.name)) {
      return topicError(topic.name, 'INVALID_REQUEST', `Topic '${topic.name}' stands more than once in the request.`);
    }
    const spec = {
      name: topic.name,
      topicId: topic.topicId,
      numPartitions: topic.numPartitions,
      replicationFactor: topic.replicationFactor,
      assignments: topic.assignments.map((assignment) => assignment.brokerIds),
      configs: new Map(Object.entries(topic.configs)),
      forBrokers: request.forBrokers ?? false,
    };
    return topicResult(
      topic.name,
      await asController(controller, (term) => term.createTopic(spec, request.validateOnly)),
    );
  };
  return { topics: await Promise.all(request.topics.map(create)) };
}

const createTopicsCall: ControllerCall<broker.CreateTopicsRequest, broker.CreateTopicsResponse> = {
  method: controllerMethods.createTopics,
  answer: createTopicsAtController,
  isNotController,
};
