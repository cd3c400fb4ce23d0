import { errorCodes } from '@naru/kafka-protocol';
import { groupMethods, type groups, type RpcChannel, RpcError, type UnaryMethod } from '@naru/rpc';
import { sleep } from '@naru/runtime';
import type { SimulatedCluster } from './simulated-cluster.ts';

export interface MemberOptions {
  readonly cluster: SimulatedCluster;
  readonly groupId: string;
  readonly topic: string;
  readonly partitions: number;
  readonly instanceId?: string;
  readonly history: GroupHistory;
}

/** What the members of a group were told, for the checks afterwards. */
export class GroupHistory {
  /** Highest offset of which a commit was answered well, by partition (G3). */
  readonly acked = new Map<number, number>();
  /** Generation to the partitions of each member, as SyncGroup gave them out (G1). */
  readonly assigned = new Map<number, Map<string, readonly number[]>>();
  readonly leaders = new Map<number, string>();
  readonly violations: string[] = [];

  joined(generation: number, leader: string): void {
    const known = this.leaders.get(generation);
    if (known !== undefined && known !== leader)
      this.violations.push(`generation ${generation} was given out twice (G2)`);
    this.leaders.set(generation, leader);
  }

  synced(generation: number, member: string, partitions: readonly number[]): void {
    const all = this.assigned.get(generation) ?? new Map<string, readonly number[]>();
    this.assigned.set(generation, all.set(member, partitions));
    const owned = [...all.values()].flat();
    if (new Set(owned).size !== owned.length) this.violations.push(`generation ${generation}: a partition of two (G1)`);
  }

  committed(partition: number, offset: number): void {
    this.acked.set(partition, Math.max(offset, this.acked.get(partition) ?? -1));
  }
}

const sessionTimeoutMs = 6_000;
const heartbeatMs = 1_000;
const metadata = Buffer.from('00010000000100066576656e7473ffffffff00000000', 'hex');

/**
 * A consumer that does nothing but be a member: joins, syncs, keeps its place with heartbeats, and commits the next offset of what it owns, as the owner
 * of a partition that reads what was committed before it goes on (G3).
 */
export class GroupMember {
  readonly #options: MemberOptions;
  readonly #stopping = new AbortController();
  #channel: RpcChannel | undefined;
  memberId = '';
  generation = -1;
  owned: readonly number[] = [];
  #done: Promise<void> | undefined;

  constructor(options: MemberOptions) {
    this.#options = options;
  }

  start(): void {
    this.#done = this.#run();
  }

  /** Without a word: its session has to expire. */
  async vanish(): Promise<void> {
    this.#stopping.abort();
    await this.#done;
  }

  async leave(): Promise<void> {
    await this.vanish();
    const { groupId, instanceId = '' } = this.#options;
    const members = [{ memberId: this.memberId, groupInstanceId: instanceId, reason: '' }];
    await this.#call(groupMethods.leaveGroup, { groupId, members });
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const isIn = await this.#join();
      if (isIn) await this.#stay();
      else await this.#pause(200);
    }
    this.owned = [];
  }

  async #join(): Promise<boolean> {
    this.owned = [];
    const { groupId, instanceId = '', history } = this.#options;
    const joined = await this.#call(groupMethods.joinGroup, {
      groupId,
      sessionTimeoutMs,
      rebalanceTimeoutMs: 8_000,
      memberId: this.memberId,
      groupInstanceId: instanceId,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata }],
      clientId: 'sim',
      reason: '',
      admitWithoutMemberId: false,
    });
    if (joined === undefined) return false;
    if (joined.errorCode === errorCodes.MEMBER_ID_REQUIRED) this.memberId = joined.memberId;
    if (joined.errorCode === errorCodes.UNKNOWN_MEMBER_ID) this.memberId = '';
    if (joined.errorCode !== errorCodes.NONE) return false;
    this.memberId = joined.memberId;
    this.generation = joined.generationId;
    history.joined(joined.generationId, joined.leader);
    const synced = await this.#call(groupMethods.syncGroup, {
      groupId,
      generationId: this.generation,
      memberId: this.memberId,
      groupInstanceId: instanceId,
      protocolType: 'consumer',
      protocolName: 'range',
      assignments: joined.skipAssignment ? [] : this.#assign(joined.members),
    });
    if (synced === undefined || synced.errorCode !== errorCodes.NONE) return this.#refused(synced?.errorCode);
    this.owned = [...synced.assignment];
    history.synced(this.generation, this.memberId, this.owned);
    return true;
  }

  #assign(members: readonly groups.JoinedMember[]): groups.MemberAssignment[] {
    const partitions = Array.from({ length: this.#options.partitions }, (_, i) => i);
    return members.map(({ memberId }, i) => {
      return { memberId, assignment: Uint8Array.from(partitions.filter((p) => p % members.length === i)) };
    });
  }

  async #stay(): Promise<void> {
    const { groupId, instanceId = '' } = this.#options;
    const claim = { groupId, generationId: this.generation, memberId: this.memberId, groupInstanceId: instanceId };
    while (!this.#stopping.signal.aborted) {
      const answer = await this.#call(groupMethods.heartbeat, { ...claim, maxWaitMs: 0 });
      if (answer !== undefined && !isPassing(answer.errorCode)) {
        this.#refused(answer.errorCode);
        return;
      }
      for (const partition of this.owned) if (!(await this.#commitNext(claim, partition))) return;
      await this.#pause(heartbeatMs);
    }
  }

  /** False when it has lost its place. */
  async #commitNext(claim: Omit<groups.HeartbeatRequest, 'maxWaitMs'>, partition: number): Promise<boolean> {
    const { topic, history } = this.#options;
    const before = await this.#call(groupMethods.offsetFetch, {
      groupId: claim.groupId,
      memberId: '',
      generationId: -1,
      partitions: [{ topic, partition }],
      allPartitions: false,
      requireStable: false,
    });
    if (before === undefined || before.errorCode !== errorCodes.NONE) return true;
    const [found] = before.offsets as [groups.FetchedOffset];
    const offset = found.offset + 1;
    const offsets = [{ topic, partition, offset, leaderEpoch: -1, metadata: '' }];
    const answer = await this.#call(groupMethods.offsetCommit, { ...claim, offsets });
    const code = answer?.errorCode ?? errorCodes.COORDINATOR_NOT_AVAILABLE;
    if (code === errorCodes.NONE) history.committed(partition, offset);
    return isPassing(code) || this.#refused(code);
  }

  #refused(code: number | undefined): false {
    if (code === errorCodes.UNKNOWN_MEMBER_ID) this.memberId = '';
    return false;
  }

  /** Undefined when nobody answered. */
  async #call<Request, Response extends { errorCode: number }>(
    method: UnaryMethod<Request, Response>,
    request: Request,
  ): Promise<Response | undefined> {
    try {
      this.#channel ??= await this.#coordinator();
      const answer = await this.#channel?.call(method, request, { timeoutMs: 15_000 });
      if (answer?.errorCode === errorCodes.NOT_COORDINATOR) await this.#forget();
      return answer;
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      await this.#forget();
      return undefined;
    }
  }

  async #forget(): Promise<void> {
    const channel = this.#channel;
    this.#channel = undefined;
    await channel?.close();
  }

  async #coordinator(): Promise<RpcChannel | undefined> {
    const { cluster, groupId } = this.#options;
    for (const brokerId of cluster.brokerIds) {
      let channel: RpcChannel | undefined;
      try {
        channel = await cluster.rpc.connect(cluster.addressOf(brokerId), { timeoutMs: 500 });
        const request = { keyType: 0, keys: [groupId] };
        const { coordinators } = await channel.call(groupMethods.findCoordinator, request, { timeoutMs: 15_000 });
        const [found] = coordinators;
        if (found?.errorCode === errorCodes.NONE) return await cluster.rpc.connect(found, { timeoutMs: 500 });
      } catch (error) {
        if (!(error instanceof RpcError)) throw error;
      } finally {
        await channel?.close();
      }
    }
    await this.#pause(200);
    return undefined;
  }

  async #pause(ms: number): Promise<void> {
    await sleep(this.#options.cluster.client.runtime.timers, ms, this.#stopping.signal).catch(() => {});
  }
}

/** The coordinator is somewhere else, or not ready: the membership may well be in order. */
function isPassing(code: number): boolean {
  return (
    code === errorCodes.NONE ||
    code === errorCodes.NOT_COORDINATOR ||
    code === errorCodes.COORDINATOR_LOAD_IN_PROGRESS ||
    code === errorCodes.COORDINATOR_NOT_AVAILABLE
  );
}
