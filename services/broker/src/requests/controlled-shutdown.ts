import { errorCodes } from '@naru/kafka-protocol';
import { controllerMethods, type replication } from '@naru/rpc';
import type { Clock } from '@naru/runtime';
import type { Member } from '../cluster/partition-state.ts';
import type { Controller } from '../controller/controller.ts';
import type { ControllerCall, ControllerForwarder } from '../controller/forwarder.ts';
import type { PartitionKey } from '../controller/planner.ts';
import { asController } from './admin-dependencies.ts';

export type ShutdownResult =
  /** What this broker still leads, because nobody else could take it. Stop fetching now: leaders have let this broker go. */
  | { readonly ok: true; readonly remaining: readonly PartitionKey[] }
  | { readonly ok: false; readonly reason: 'timeout' | 'stale-broker-epoch' };

/** Asks the controller to take over what this broker leads, before it stops. */
export async function leaveGracefully(
  deps: { readonly forwarder: ControllerForwarder; readonly clock: Clock },
  self: Member,
  timeoutMs: number,
): Promise<ShutdownResult> {
  const request = { brokerId: self.brokerId, brokerEpoch: self.brokerEpoch };
  const forwarded = await deps.forwarder.forward(controlledShutdownCall, request, deps.clock.monotonicMs() + timeoutMs);
  if (!forwarded.ok) return forwarded;
  const { errorCode, remaining } = forwarded.response;
  return errorCode === errorCodes.NONE ? { ok: true, remaining } : { ok: false, reason: 'stale-broker-epoch' };
}

/** The controller's part. */
export async function controlledShutdownAtController(
  controller: Controller,
  request: replication.ControlledShutdownRequest,
): Promise<replication.ControlledShutdownResponse> {
  const member = { brokerId: request.brokerId, brokerEpoch: request.brokerEpoch };
  const result = await asController(controller, async (term) => {
    const remaining = await term.controlledShutdown(member);
    return { ok: true, remaining } as const;
  });
  if (!result.ok) return { errorCode: errorCodes[result.error], remaining: [] };
  if (result.remaining === undefined) return { errorCode: errorCodes.STALE_BROKER_EPOCH, remaining: [] };
  return { errorCode: errorCodes.NONE, remaining: [...result.remaining] };
}

const controlledShutdownCall: ControllerCall<
  replication.ControlledShutdownRequest,
  replication.ControlledShutdownResponse
> = {
  method: controllerMethods.controlledShutdown,
  answer: controlledShutdownAtController,
  isNotController: (response) => response.errorCode === errorCodes.NOT_CONTROLLER,
};
