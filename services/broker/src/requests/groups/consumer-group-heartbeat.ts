import type { groups } from '@naru/rpc';
import type { HeartbeatResult } from '../../groups/coordinator/consumer-groups.ts';
import { isTooLong } from '../../groups/coordinator/coordinator-settings.ts';
import type { MemberHeartbeat } from '../../groups/core/consumer/consumer-group-types.ts';
import { partitionSet } from '../../groups/core/consumer/partition-set.ts';
import { type GroupDependencies, noError, wireError } from './group-dependencies.ts';
import { heartbeatWaitMsMax } from './heartbeat.ts';
import { memberPartitions } from './member-partitions.ts';

const joinEpoch = 0;
const leaveEpoch = -1;
const awayEpoch = -2;
const topicsMax = 10_000;

/** ConsumerGroupHeartbeat (KIP-848): answered when what it changed is in the log, or when there is news, or after `max_wait_ms`. */
export async function consumerGroupHeartbeat(
  deps: GroupDependencies,
  request: groups.ConsumerGroupHeartbeatRequest,
  clientHost: string,
): Promise<groups.ConsumerGroupHeartbeatResponse> {
  const { groupId, rackId, rebalanceTimeoutMs, subscribedTopics: topics, owned, maxWaitMs, ...rest } = request;
  const heartbeat: MemberHeartbeat = {
    ...rest,
    rackId,
    rebalanceTimeoutMs,
    topics,
    topicPattern: request.subscribedTopicRegex,
    assignor: request.serverAssignor,
    owned: partitionSet(owned),
    clientHost,
  };
  const result = await heartbeatOrLeave(deps, groupId, heartbeat, Math.min(maxWaitMs, heartbeatWaitMsMax));
  const { heartbeatIntervalMs, sessionTimeoutMs } = deps.coordinator.settings.consumer;
  const intervals = { heartbeatIntervalMs, sessionTimeoutMs };
  const { memberId, memberEpoch } = request;
  if (!result.ok) {
    const error = wireError(result.error, result.message);
    return { ...error, memberId, memberEpoch, ...intervals, hasAssignment: false, assignment: [] };
  }
  const { assignment } = result;
  return {
    ...noError,
    memberId: result.memberId,
    memberEpoch: result.memberEpoch,
    ...intervals,
    hasAssignment: assignment !== undefined,
    assignment: assignment === undefined ? [] : memberPartitions(assignment, deps.coordinator.publisher.image),
  };
}

/** What both wires ask for; undefined parts of a heartbeat are as they were. */
export async function heartbeatOrLeave(
  { coordinator }: GroupDependencies,
  groupId: string,
  heartbeat: MemberHeartbeat,
  maxWaitMs: number,
): Promise<HeartbeatResult> {
  if (isMalformed(heartbeat)) return { ok: false, error: 'INVALID_REQUEST' };
  const { memberId, instanceId, memberEpoch } = heartbeat;
  const { consumerGroups } = coordinator;
  if (memberEpoch < 0) return consumerGroups.leave(groupId, memberId, instanceId, memberEpoch);
  return consumerGroups.heartbeat(groupId, heartbeat, maxWaitMs);
}

function isMalformed(heartbeat: MemberHeartbeat): boolean {
  const { memberId, memberEpoch, instanceId, clientId, rackId, topics, topicPattern } = heartbeat;
  if (isTooLong(memberId, instanceId, clientId, rackId ?? '', topicPattern ?? '', ...(topics ?? []))) return true;
  if (memberId === '' || (topics?.length ?? 0) > topicsMax || memberEpoch < awayEpoch) return true;
  if (memberEpoch === awayEpoch) return instanceId === '';
  if (memberEpoch === leaveEpoch) return false;
  const { rebalanceTimeoutMs, owned } = heartbeat;
  if (rebalanceTimeoutMs !== undefined && rebalanceTimeoutMs <= 0) return true;
  if (memberEpoch !== joinEpoch) return false;
  const isSubscribed = topics !== undefined || (topicPattern ?? '') !== '';
  return !isSubscribed || rebalanceTimeoutMs === undefined || owned?.size !== 0;
}
