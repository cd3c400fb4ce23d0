import { apis, errorCodes } from '@naru/kafka-protocol';
import { deleteGroups } from '../groups/delete-groups.ts';
import { describeGroups } from '../groups/describe-groups.ts';
import { listGroups } from '../groups/list-groups.ts';
import { groupOperations } from './authorized-operations.ts';
import { answeredApi, type KafkaApi } from './kafka-api.ts';
import type { KafkaDependencies } from './kafka-dependencies.ts';
import { unexpected } from './unexpected.ts';
import { orNull } from './wire-values.ts';

const costBytes = 65_536;
/** KIP-1043: before, a group that does not exist is "Dead" and no error. */
const notFoundVersion = 6;

/** DescribeGroups 0–6, ListGroups 0–5, DeleteGroups 0–2. */
export function groupAdministrationApis(deps: KafkaDependencies): readonly KafkaApi[] {
  return [describeGroupsApi(deps), listGroupsApi(deps), deleteGroupsApi(deps)];
}

function describeGroupsApi(deps: KafkaDependencies): KafkaApi {
  const options = {
    versions: [0, 6],
    costBytes,
    authorization: 'Describe on Group',
    onError: unexpected(deps.logger),
  } as const;
  return answeredApi(apis.describeGroups, options, (request, version) => {
    const described = describeGroups(deps.groups, { groupIds: [...request.groups] });
    return {
      groups: described.groups.map((group) => ({
        errorCode: codeFor(group.errorCode, version),
        errorMessage: orNull(group.errorMessage),
        groupId: group.groupId,
        groupState: group.state,
        protocolType: group.protocolType,
        protocolData: group.protocolName,
        members: group.members.map((member) => ({
          memberId: member.memberId,
          groupInstanceId: orNull(member.groupInstanceId),
          clientId: member.clientId,
          clientHost: member.clientHost,
          memberMetadata: member.metadata,
          memberAssignment: member.assignment,
        })),
        ...(request.includeAuthorizedOperations ? { authorizedOperations: groupOperations } : {}),
      })),
    };
  });
}

function codeFor(errorCode: number, version: number): number {
  return version < notFoundVersion && errorCode === errorCodes.GROUP_ID_NOT_FOUND ? errorCodes.NONE : errorCode;
}

function listGroupsApi(deps: KafkaDependencies): KafkaApi {
  const options = {
    versions: [0, 5],
    costBytes,
    authorization: 'Describe on Group',
    onError: unexpected(deps.logger),
  } as const;
  return answeredApi(apis.listGroups, options, ({ statesFilter, typesFilter }) => {
    const listed = listGroups(deps.groups, { states: [...statesFilter], types: [...typesFilter] });
    return {
      errorCode: listed.errorCode,
      groups: listed.groups.map(({ groupId, protocolType, state, type }) => {
        return { groupId, protocolType, groupState: state, groupType: type };
      }),
    };
  });
}

function deleteGroupsApi(deps: KafkaDependencies): KafkaApi {
  const options = {
    versions: [0, 2],
    costBytes,
    authorization: 'Delete on Group',
    onError: unexpected(deps.logger),
  } as const;
  return answeredApi(apis.deleteGroups, options, async ({ groupsNames }) => {
    const deleted = await deleteGroups(deps.groups, { groupIds: [...groupsNames] });
    return { results: deleted.groups.map(({ groupId, errorCode }) => ({ groupId, errorCode })) };
  });
}
