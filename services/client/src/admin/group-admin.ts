import { errorCodes } from '@naru/kafka-protocol';
import { groupMethods, type groups, type UnaryMethod } from '@naru/rpc';
import { sleep } from '@naru/runtime';
import type { Cluster } from '../cluster/cluster.ts';
import { wireOffset } from '../consumer/groups/offset-commits.ts';
import type { KafkaError } from '../errors.ts';
import { errorFromCode, errorFromRpc } from '../errors-from-wire.ts';
import type { TopicPartition } from '../topic-partition.ts';
import { describedByCoordinator, describedClassic } from './group-description.ts';
import type {
  GroupDescription,
  GroupListing,
  GroupOffset,
  GroupOffsetChange,
  GroupOffsetOutcome,
  GroupOutcome,
  GroupState,
  MemberOutcome,
  MemberToRemove,
} from './group-results.ts';

interface Answer {
  readonly errorCode: number;
  readonly errorMessage: string;
}

const groupKeyType = 0;
/** A commit from outside of the group's own protocol. */
const outsider = { generationId: -1, memberId: '', groupInstanceId: '' };

/** Consumer groups, as an administrator sees them: each call finds the coordinator and tries again until the deadline. */
export class GroupAdmin {
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  async list(
    brokerIds: readonly number[],
    { states, types }: { readonly states: readonly string[]; readonly types: readonly string[] },
    deadlineMs: number,
  ): Promise<GroupListing[]> {
    const request = { states: [...states], types: [...types] };
    const answers = await Promise.all(
      brokerIds.map((id) => this.#retried(deadlineMs, () => this.#askForList(id, request, deadlineMs))),
    );
    const listed = answers.flatMap((answer) => answer.groups);
    return listed
      .map((group) => ({ ...group, state: group.state as GroupState }))
      .sort((a, b) => (a.groupId < b.groupId ? -1 : 1));
  }

  async #askForList(
    brokerId: number,
    request: groups.ListGroupsRequest,
    deadlineMs: number,
  ): Promise<groups.ListGroupsResponse> {
    const answer = await this.#cluster.callOnce(brokerId, groupMethods.listGroups, request, deadlineMs);
    if (answer.errorCode !== 0) throw errorFromCode(answer.errorCode, answer.errorMessage, { broker: brokerId });
    return answer;
  }

  describe(groupIds: readonly string[], deadlineMs: number): Promise<GroupDescription[]> {
    return Promise.all(groupIds.map((groupId) => this.#describe(groupId, deadlineMs)));
  }

  /** What the one API calls dead may be a group that the other one knows. */
  async #describe(groupId: string, deadlineMs: number): Promise<GroupDescription> {
    const request = { groupIds: [groupId] };
    const { answer, coordinator } = await this.#atCoordinator(
      groupId,
      groupMethods.describeGroups,
      request,
      deadlineMs,
      (response) => response.groups[0],
    );
    const { nodeId: id, host, port } = coordinator;
    const classic = describedClassic(answer.groups[0] as groups.DescribedGroup, { id, host, port });
    if (classic.state !== 'Dead') return classic;
    const other = await this.#atCoordinator(
      groupId,
      groupMethods.consumerGroupDescribe,
      request,
      deadlineMs,
      (response) => response.groups[0],
    );
    const group = other.answer.groups[0];
    return group?.errorCode === 0 ? describedByCoordinator(group, { id, host, port }) : classic;
  }

  /** `partitions` undefined: all that have an offset. */
  async listOffsets(
    groupId: string,
    partitions: readonly TopicPartition[] | undefined,
    deadlineMs: number,
  ): Promise<GroupOffset[]> {
    const request = {
      groupId,
      memberId: '',
      generationId: -1,
      partitions: (partitions ?? []).map(({ topic, partition }) => ({ topic, partition })),
      allPartitions: partitions === undefined,
      requireStable: false,
    };
    const { answer } = await this.#atCoordinator(groupId, groupMethods.offsetFetch, request, deadlineMs, (r) => r);
    const error = toError(answer);
    if (error !== undefined) throw error;
    return answer.offsets.map(({ topic, partition, offset, leaderEpoch, metadata }) => {
      return { topic, partition, offset: offset < 0 ? undefined : BigInt(offset), leaderEpoch, metadata };
    });
  }

  async alterOffsets(
    groupId: string,
    changes: readonly GroupOffsetChange[],
    deadlineMs: number,
  ): Promise<GroupOffsetOutcome[]> {
    const request = { groupId, ...outsider, offsets: changes.map(wireOffset) };
    const { answer } = await this.#atCoordinator(groupId, groupMethods.offsetCommit, request, deadlineMs, (r) => r);
    return answer.offsets.map(({ topic, partition, errorCode }) => {
      return { topic, partition, error: toError({ errorCode, errorMessage: '' }, { topic, partition }) };
    });
  }

  async deleteOffsets(
    groupId: string,
    partitions: readonly TopicPartition[],
    deadlineMs: number,
  ): Promise<GroupOffsetOutcome[]> {
    const request = { groupId, partitions: partitions.map(({ topic, partition }) => ({ topic, partition })) };
    const { answer } = await this.#atCoordinator(groupId, groupMethods.offsetDelete, request, deadlineMs, (r) => r);
    const error = toError(answer);
    if (error !== undefined) throw error;
    return answer.partitions.map(({ topic, partition, errorCode }) => {
      return { topic, partition, error: toError({ errorCode, errorMessage: '' }, { topic, partition }) };
    });
  }

  delete(groupIds: readonly string[], deadlineMs: number): Promise<GroupOutcome[]> {
    const remove = async (groupId: string): Promise<GroupOutcome> => {
      const request = { groupIds: [groupId] };
      const { answer } = await this.#atCoordinator(
        groupId,
        groupMethods.deleteGroups,
        request,
        deadlineMs,
        (response) => response.groups[0],
      );
      return { groupId, error: toError(answer.groups[0] as groups.DeletedGroup) };
    };
    return Promise.all(groupIds.map(remove));
  }

  async removeMembers(
    groupId: string,
    members: readonly MemberToRemove[],
    deadlineMs: number,
  ): Promise<MemberOutcome[]> {
    if (members.length === 0) return [];
    const leaving = members.map(({ memberId = '', groupInstanceId = '' }) => {
      return { memberId, groupInstanceId, reason: 'removed by an administrator' };
    });
    const request = { groupId, members: leaving };
    const { answer } = await this.#atCoordinator(groupId, groupMethods.leaveGroup, request, deadlineMs, (r) => r);
    const error = toError(answer);
    if (error !== undefined) throw error;
    return answer.members.map(({ memberId, groupInstanceId, errorCode }) => {
      const instance = groupInstanceId === '' ? undefined : groupInstanceId;
      return { memberId, groupInstanceId: instance, error: toError({ errorCode, errorMessage: '' }) };
    });
  }

  /** `outcomeOf` finds the answer's own code: what says that the group is somewhere else, or not to be had now, is tried again. */
  #atCoordinator<Request, Response>(
    groupId: string,
    method: UnaryMethod<Request, Response>,
    request: Request,
    deadlineMs: number,
    outcomeOf: (answer: Response) => Answer | undefined,
  ): Promise<{ readonly answer: Response; readonly coordinator: groups.Coordinator }> {
    return this.#retried(deadlineMs, async () => {
      const question = { keyType: groupKeyType, keys: [groupId] };
      const { coordinators } = await this.#cluster.callAny(groupMethods.findCoordinator, question);
      const coordinator = coordinators[0] as groups.Coordinator;
      const missing = toError(coordinator);
      if (missing !== undefined) throw missing;
      const answer = await this.#cluster.callOnce(coordinator.nodeId, method, request, deadlineMs);
      const outcome = outcomeOf(answer);
      if (outcome !== undefined && isElsewhere(outcome.errorCode)) throw toError(outcome) as KafkaError;
      return { answer, coordinator };
    });
  }

  async #retried<Result>(deadlineMs: number, attempt: () => Promise<Result>): Promise<Result> {
    for (let count = 1; ; count++) {
      try {
        return await attempt();
      } catch (cause) {
        const error = errorFromRpc(cause);
        const pauseMs = this.#cluster.retryPauseMs(count);
        const isLate = this.#cluster.nowMs() + pauseMs >= deadlineMs;
        if (!error.retriable || isLate || this.#cluster.isClosed) throw error;
        this.#cluster.requestRefresh();
        await sleep(this.#cluster.runtime.timers, pauseMs);
      }
    }
  }
}

function isElsewhere(code: number): boolean {
  return (
    code === errorCodes.NOT_COORDINATOR ||
    code === errorCodes.COORDINATOR_NOT_AVAILABLE ||
    code === errorCodes.COORDINATOR_LOAD_IN_PROGRESS
  );
}

function toError({ errorCode, errorMessage }: Answer, where: Partial<TopicPartition> = {}): KafkaError | undefined {
  return errorCode === 0 ? undefined : errorFromCode(errorCode, errorMessage, where);
}
