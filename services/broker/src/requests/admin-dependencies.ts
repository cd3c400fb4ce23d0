import { errorCodes, type KafkaErrorName } from '@naru/kafka-protocol';
import type { broker } from '@naru/rpc';
import type { Clock, Random } from '@naru/runtime';
import type { MetadataImage } from '../cluster/metadata-image.ts';
import { type MetadataPublisher, MetadataTimeoutError } from '../cluster/metadata-publisher.ts';
import type { Controller } from '../controller/controller.ts';
import type { ControllerForwarder } from '../controller/forwarder.ts';
import { FencedControllerError } from '../controller/plan-writer.ts';
import type { Refusal } from '../controller/refusal.ts';
import type { TopicDone } from '../controller/term.ts';

/** What the handlers of changes need, on any broker. */
export interface AdminDependencies {
  readonly publisher: MetadataPublisher;
  readonly forwarder: ControllerForwarder;
  readonly clock: Clock;
  readonly random: Random;
}

const timeoutDefaultMs = 30_000;
const timeoutMaxMs = 300_000;

/** A request's own time limit, as a moment of the monotonic clock. */
export function deadlineOf(clock: Clock, timeoutMs: number): number {
  return clock.monotonicMs() + (timeoutMs > 0 ? Math.min(timeoutMs, timeoutMaxMs) : timeoutDefaultMs);
}

function remainingMs(clock: Clock, deadlineMs: number): number {
  return Math.max(1, deadlineMs - clock.monotonicMs());
}

type ImageCondition = (image: MetadataImage) => boolean;

/** Whether this broker comes to see in its metadata what the controller has done. */
export function seenInTime(deps: AdminDependencies, deadlineMs: number, isSeen: ImageCondition): Promise<boolean> {
  return seenWithin(deps.publisher, remainingMs(deps.clock, deadlineMs), isSeen);
}

const seenSoonMsMax = 5_000;

/** So that who asked sees on this broker what was done. Somebody may have changed it again meanwhile; then only the time ends the wait. */
export async function seenSoon(deps: AdminDependencies, deadlineMs: number, isSeen: ImageCondition): Promise<void> {
  await seenWithin(deps.publisher, Math.min(seenSoonMsMax, remainingMs(deps.clock, deadlineMs)), isSeen);
}

async function seenWithin(publisher: MetadataPublisher, waitMs: number, isSeen: ImageCondition): Promise<boolean> {
  try {
    await publisher.waitUntil(isSeen, waitMs);
    return true;
  } catch (error) {
    if (error instanceof MetadataTimeoutError) return false;
    throw error;
  }
}

/** Topics in one request; each is a commit of its own. */
export const topicsPerRequestMax = 10_000;

export const timedOut: Refusal = {
  ok: false,
  error: 'REQUEST_TIMED_OUT',
  message: 'The controller did not answer in time.',
};

/** Runs one change as the controller; when this broker is not, or no longer, the controller, it says so. */
export async function asController<Done>(
  controller: Controller,
  change: (term: NonNullable<Controller['term']>) => Promise<Done | Refusal>,
): Promise<Done | Refusal> {
  const { term } = controller;
  if (term === undefined) return notController;
  try {
    return await change(term);
  } catch (error) {
    if (error instanceof FencedControllerError) return notController;
    if (error instanceof RangeError) return { ok: false, error: 'POLICY_VIOLATION', message: error.message };
    throw error;
  }
}

const notController: Refusal = { ok: false, error: 'NOT_CONTROLLER', message: 'This broker is not the controller.' };

export function topicResult(name: string, result: TopicDone | Refusal): broker.TopicResult {
  if (!result.ok) return topicError(name, result.error, result.message);
  return {
    name,
    topicId: result.topicId,
    errorCode: errorCodes.NONE,
    errorMessage: '',
    numPartitions: result.replicas.length,
    replicationFactor: result.replicas[0]?.length ?? -1,
  };
}

export function topicError(name: string, error: KafkaErrorName, message: string): broker.TopicResult {
  return {
    name,
    topicId: '',
    errorCode: errorCodes[error],
    errorMessage: message,
    numPartitions: -1,
    replicationFactor: -1,
  };
}

export function isNotController(response: { readonly topics: readonly broker.TopicResult[] }): boolean {
  return response.topics.some((topic) => topic.errorCode === errorCodes.NOT_CONTROLLER);
}

/** Names that stand more than once in a request: which of them is meant cannot be known, so none is done. */
export function duplicatesOf(names: readonly string[]): ReadonlySet<string> {
  const seen = new Set<string>();
  return new Set(names.filter((name) => seen.size === seen.add(name).size));
}
