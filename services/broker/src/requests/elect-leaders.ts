import { errorCodes } from '@naru/kafka-protocol';
import { type broker, controllerMethods } from '@naru/rpc';
import type { MetadataImage } from '../cluster/metadata-image.ts';
import { noLeader } from '../cluster/partition-state.ts';
import type { Controller } from '../controller/controller.ts';
import type { ControllerCall } from '../controller/forwarder.ts';
import { planElections } from '../controller/requested-election.ts';
import { type AdminDependencies, asController, deadlineOf, seenSoon, timedOut } from './admin-dependencies.ts';
import { isNotControllerFor, partitionResult } from './partition-results.ts';

/** Elects the first replicas, or, where nobody leads, anybody who lives (KIP-460). Answered when this broker knows the new leaders. */
export async function electLeaders(
  deps: AdminDependencies,
  request: broker.ElectLeadersRequest,
): Promise<broker.ElectLeadersResponse> {
  const deadlineMs = deadlineOf(deps.clock, request.timeoutMs);
  const forwarded = await deps.forwarder.forward(electCall, request, deadlineMs);
  if (!forwarded.ok) return failed(timedOut);
  const { response, mayRepeat } = forwarded;
  const partitions = response.partitions.map((result) => {
    // Sent twice: the first one has elected it.
    const isDone = mayRepeat && result.errorCode === errorCodes.ELECTION_NOT_NEEDED;
    return isDone ? partitionResult(result, undefined) : result;
  });
  const elected = partitions.filter((result) => result.errorCode === errorCodes.NONE);
  await seenSoon(deps, deadlineMs, (image) => elected.every((each) => isSeen(image, each, request.unclean)));
  return { ...response, partitions };
}

function isSeen(image: MetadataImage, { topic, partition }: broker.PartitionResult, unclean: boolean): boolean {
  const found = image.topics.get(topic)?.partitions[partition];
  if (found?.state === undefined) return true;
  return unclean ? found.state.leader !== noLeader : found.state.leader === found.replicas[0];
}

/** The controller's part. */
export async function electLeadersAtController(
  controller: Controller,
  request: broker.ElectLeadersRequest,
): Promise<broker.ElectLeadersResponse> {
  const keys = request.allPartitions ? undefined : request.partitions;
  const kind = request.unclean ? 'unclean' : 'preferred';
  const plan = await asController(controller, (term) =>
    term.change((view, guard, isRepeat) => planElections(view, { kind, keys, isRepeat }, guard)),
  );
  if (!plan.ok) return failed(plan);
  const partitions = plan.results.map((result) => partitionResult(result, result.refusal));
  return { partitions, errorCode: errorCodes.NONE, errorMessage: '' };
}

function failed({ error, message }: typeof timedOut): broker.ElectLeadersResponse {
  return { partitions: [], errorCode: errorCodes[error], errorMessage: message };
}

const electCall: ControllerCall<broker.ElectLeadersRequest, broker.ElectLeadersResponse> = {
  method: controllerMethods.electLeaders,
  answer: electLeadersAtController,
  isNotController: (response) => response.errorCode === errorCodes.NOT_CONTROLLER || isNotControllerFor(response),
};
