import { apis } from '@naru/kafka-protocol';
import { findCoordinator } from '../groups/find-coordinator.ts';
import { heartbeat } from '../groups/heartbeat.ts';
import { joinGroup } from '../groups/join-group.ts';
import { leaveGroup } from '../groups/leave-group.ts';
import { syncGroup } from '../groups/sync-group.ts';
import { consumerGroupApis } from './consumer-groups.ts';
import { groupAdministrationApis } from './group-administration.ts';
import { groupOffsetApis } from './group-offsets.ts';
import { answeredApi, type KafkaApi } from './kafka-api.ts';
import type { KafkaDependencies } from './kafka-dependencies.ts';
import { unexpected } from './unexpected.ts';
import { orNull } from './wire-values.ts';

/** Versions from which on a request names several groups or members. */
const findsManyVersion = 4;
const leavesManyVersion = 3;
/** KIP-394. Before, a member without an id is admitted at once. */
const memberIdRequiredVersion = 4;
/** Before, the name of a protocol could not be null. */
const nullableProtocolVersion = 7;

/** Consumer groups, classic protocol: FindCoordinator 0–6, JoinGroup 0–9, SyncGroup 0–5, Heartbeat 0–4, LeaveGroup 0–5, and what is around them. */
export function groupApis(deps: KafkaDependencies): readonly KafkaApi[] {
  return [
    findCoordinatorApi(deps),
    joinGroupApi(deps),
    syncGroupApi(deps),
    heartbeatApi(deps),
    leaveGroupApi(deps),
    ...groupOffsetApis(deps),
    ...groupAdministrationApis(deps),
    ...consumerGroupApis(deps),
  ];
}

function findCoordinatorApi(deps: KafkaDependencies): KafkaApi {
  const options = { versions: [0, 6], authorization: 'Describe on Group', onError: unexpected(deps.logger) } as const;
  return answeredApi(apis.findCoordinator, options, async (request, version, { listener }) => {
    const { keyType } = request;
    const keys = version >= findsManyVersion ? [...request.coordinatorKeys] : [request.key];
    const { coordinators } = await findCoordinator(deps.groups, { keyType, keys }, listener);
    const found = coordinators.map(({ key, nodeId, host, port, errorCode, errorMessage }) => {
      return { key, nodeId, host, port, errorCode, errorMessage: orNull(errorMessage) };
    });
    if (version >= findsManyVersion) return { coordinators: found };
    const { key: _, ...one } = found[0] as (typeof found)[number];
    return one;
  });
}

function joinGroupApi(deps: KafkaDependencies): KafkaApi {
  const options = { versions: [0, 9], authorization: 'Read on Group', onError: unexpected(deps.logger) } as const;
  return answeredApi(apis.joinGroup, options, async (request, version, caller) => {
    const joined = await joinGroup(
      deps.groups,
      {
        ...request,
        groupInstanceId: request.groupInstanceId ?? '',
        protocols: request.protocols as { name: string; metadata: Uint8Array }[],
        clientId: caller.clientId,
        reason: request.reason ?? '',
        admitWithoutMemberId: version < memberIdRequiredVersion,
      },
      `/${caller.host}`,
    );
    const isNullable = version >= nullableProtocolVersion;
    return {
      ...joined,
      protocolType: orNull(joined.protocolType),
      protocolName: isNullable ? orNull(joined.protocolName) : joined.protocolName,
      members: joined.members.map(({ memberId, groupInstanceId, metadata }) => {
        return { memberId, groupInstanceId: orNull(groupInstanceId), metadata };
      }),
    };
  });
}

function syncGroupApi(deps: KafkaDependencies): KafkaApi {
  const options = { versions: [0, 5], authorization: 'Read on Group', onError: unexpected(deps.logger) } as const;
  return answeredApi(apis.syncGroup, options, async (request) => {
    const synced = await syncGroup(deps.groups, {
      ...request,
      groupInstanceId: request.groupInstanceId ?? '',
      protocolType: request.protocolType ?? '',
      protocolName: request.protocolName ?? '',
      assignments: request.assignments as { memberId: string; assignment: Uint8Array }[],
    });
    const { errorCode, protocolType, protocolName, assignment } = synced;
    return { errorCode, protocolType: orNull(protocolType), protocolName: orNull(protocolName), assignment };
  });
}

function heartbeatApi(deps: KafkaDependencies): KafkaApi {
  const options = { versions: [0, 4], authorization: 'Read on Group', onError: unexpected(deps.logger) } as const;
  return answeredApi(apis.heartbeat, options, async (request) => {
    const { errorCode } = await heartbeat(deps.groups, {
      ...request,
      groupInstanceId: request.groupInstanceId ?? '',
      maxWaitMs: 0,
    });
    return { errorCode };
  });
}

function leaveGroupApi(deps: KafkaDependencies): KafkaApi {
  const options = { versions: [0, 5], authorization: 'Read on Group', onError: unexpected(deps.logger) } as const;
  return answeredApi(apis.leaveGroup, options, ({ groupId, memberId, members }, version) => {
    const leaving = version >= leavesManyVersion ? members : [{ memberId, groupInstanceId: null, reason: null }];
    const left = leaveGroup(deps.groups, {
      groupId,
      members: leaving.map((member) => ({
        memberId: member.memberId,
        groupInstanceId: member.groupInstanceId ?? '',
        reason: member.reason ?? '',
      })),
    });
    // One member's error is the request's where only one can leave.
    const own = version >= leavesManyVersion ? 0 : (left.members[0]?.errorCode ?? 0);
    return {
      errorCode: left.errorCode === 0 ? own : left.errorCode,
      members: left.members.map((member) => ({
        memberId: member.memberId,
        groupInstanceId: orNull(member.groupInstanceId),
        errorCode: member.errorCode,
      })),
    };
  });
}
