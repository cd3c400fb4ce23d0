import { coordinatorMethods, createRpc, type RpcChannel, coordinator as wire } from '@naru/rpc';
import type { Runtime } from '@naru/runtime';
import { parseAddress } from './server-list.ts';

/** What a coordinator says of itself and of the quorum as it sees it. */
export type CoordinatorStatus = wire.StatusResponse;
export type QuorumMember = wire.Member;

export type MembershipChangeKind = 'add-learner' | 'promote' | 'remove';

const defaultTimeoutMs = 3_000;

/** Asks one node, whatever its role. Fails with `RpcError`: `unavailable` when there is none at `address`. */
export function coordinatorStatus(
  runtime: Runtime,
  address: string,
  options: { readonly timeoutMs?: number } = {},
): Promise<CoordinatorStatus> {
  const { timeoutMs = defaultTimeoutMs } = options;
  return withChannel(runtime, address, timeoutMs, (channel) =>
    channel.call(coordinatorMethods.status, {}, { timeoutMs }),
  );
}

/** Asks the leader at `address` to hand over to node `to`. Fails with `RpcError` `failed-precondition` when it does not lead. */
export async function transferLeadership(runtime: Runtime, address: string, to: number): Promise<void> {
  const timeoutMs = 10_000;
  await withChannel(runtime, address, timeoutMs, (channel) =>
    channel.call(coordinatorMethods.transferLeadership, { to }, { timeoutMs }),
  );
}

/** Asks the leader at `address` for one change of the members; resolves with the members after it. */
export async function changeMembership(
  runtime: Runtime,
  address: string,
  kind: MembershipChangeKind,
  member: QuorumMember,
): Promise<readonly QuorumMember[]> {
  const timeoutMs = 30_000;
  const request = { kind: kinds[kind], member };
  const { members } = await withChannel(runtime, address, timeoutMs, (channel) =>
    channel.call(coordinatorMethods.changeMembership, request, { timeoutMs }),
  );
  return members;
}

const kinds = {
  'add-learner': wire.ChangeMembershipRequest_Kind.KIND_ADD_LEARNER,
  promote: wire.ChangeMembershipRequest_Kind.KIND_PROMOTE,
  remove: wire.ChangeMembershipRequest_Kind.KIND_REMOVE,
} as const;

async function withChannel<T>(
  runtime: Runtime,
  address: string,
  timeoutMs: number,
  call: (channel: RpcChannel) => Promise<T>,
): Promise<T> {
  const channel = await createRpc(runtime).connect(parseAddress(address), { timeoutMs });
  try {
    return await call(channel);
  } finally {
    await channel.close();
  }
}
