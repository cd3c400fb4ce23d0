import { defineApi } from '../api.ts';
import { array, bool, bytes, int16, int32, string, structs } from '../schema.ts';
import { noAuthorizedOperations } from './metadata.ts';

export const describeGroups = defineApi({
  key: 15,
  name: 'DescribeGroups',
  versions: '0-6',
  flexible: '5+',
  request: {
    groups: array(string()),
    includeAuthorizedOperations: bool({ versions: '3+', default: false }),
  },
  response: {
    throttleTimeMs: int32({ versions: '1+', default: 0 }),
    groups: structs({
      errorCode: int16(),
      errorMessage: string({ versions: '6+', nullable: '6+', default: null }),
      groupId: string(),
      groupState: string(),
      protocolType: string(),
      protocolData: string(),
      members: structs({
        memberId: string(),
        groupInstanceId: string({ versions: '4+', nullable: '4+', default: null }),
        clientId: string(),
        clientHost: string(),
        memberMetadata: bytes(),
        memberAssignment: bytes(),
      }),
      authorizedOperations: int32({ versions: '3+', default: noAuthorizedOperations }),
    }),
  },
});

export const listGroups = defineApi({
  key: 16,
  name: 'ListGroups',
  versions: '0-5',
  flexible: '3+',
  request: {
    /** Empty: all. */
    statesFilter: array(string(), { versions: '4+', default: [] }),
    typesFilter: array(string(), { versions: '5+', default: [] }),
  },
  response: {
    throttleTimeMs: int32({ versions: '1+', default: 0 }),
    errorCode: int16(),
    groups: structs({
      groupId: string(),
      protocolType: string(),
      groupState: string({ versions: '4+', default: '' }),
      groupType: string({ versions: '5+', default: '' }),
    }),
  },
});

export const deleteGroups = defineApi({
  key: 42,
  name: 'DeleteGroups',
  versions: '0-2',
  flexible: '2+',
  request: { groupsNames: array(string()) },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    results: structs({ groupId: string(), errorCode: int16() }),
  },
});
