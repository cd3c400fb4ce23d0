import { defineApi } from '../api.ts';
import { array, int8, int16, int32, string, structs } from '../schema.ts';

export const findCoordinator = defineApi({
  key: 10,
  name: 'FindCoordinator',
  versions: '0-6',
  flexible: '3+',
  request: {
    key: string({ versions: '0-3', default: '' }),
    /** 0 group, 1 transaction, 2 share. */
    keyType: int8({ versions: '1+', default: 0 }),
    coordinatorKeys: array(string(), { versions: '4+', default: [] }),
  },
  response: {
    throttleTimeMs: int32({ versions: '1+', default: 0 }),
    errorCode: int16({ versions: '0-3', default: 0 }),
    errorMessage: string({ versions: '1-3', nullable: '1-3', default: null }),
    nodeId: int32({ versions: '0-3', default: -1 }),
    host: string({ versions: '0-3', default: '' }),
    port: int32({ versions: '0-3', default: -1 }),
    coordinators: structs(
      {
        key: string(),
        nodeId: int32(),
        host: string(),
        port: int32(),
        errorCode: int16(),
        errorMessage: string({ nullable: '4+', default: null }),
      },
      { versions: '4+', default: [] },
    ),
  },
});
