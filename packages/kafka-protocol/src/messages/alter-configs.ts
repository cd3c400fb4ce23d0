import { defineApi } from '../api.ts';
import { bool, int8, int16, int32, string, structs } from '../schema.ts';

const response = {
  throttleTimeMs: int32({ default: 0 }),
  responses: structs({
    errorCode: int16(),
    errorMessage: string({ nullable: '0+', default: null }),
    resourceType: int8(),
    resourceName: string(),
  }),
} as const;

/** Replaces the whole configuration of a resource: what is not named goes back to its default. */
export const alterConfigs = defineApi({
  key: 33,
  name: 'AlterConfigs',
  versions: '0-2',
  flexible: '2+',
  request: {
    resources: structs({
      resourceType: int8(),
      resourceName: string(),
      configs: structs({ name: string(), value: string({ nullable: '0+' }) }),
    }),
    validateOnly: bool(),
  },
  response,
});

/** Changes single keys (KIP-339). */
export const incrementalAlterConfigs = defineApi({
  key: 44,
  name: 'IncrementalAlterConfigs',
  versions: '0-1',
  flexible: '1+',
  request: {
    resources: structs({
      resourceType: int8(),
      resourceName: string(),
      configs: structs({
        name: string(),
        /** 0 set, 1 delete, 2 append, 3 subtract. */
        configOperation: int8(),
        value: string({ nullable: '0+' }),
      }),
    }),
    validateOnly: bool(),
  },
  response,
});
