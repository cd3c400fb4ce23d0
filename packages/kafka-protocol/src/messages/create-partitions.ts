import { defineApi } from '../api.ts';
import { array, bool, int16, int32, string, structs } from '../schema.ts';

export const createPartitions = defineApi({
  key: 37,
  name: 'CreatePartitions',
  versions: '0-3',
  flexible: '2+',
  request: {
    topics: structs({
      name: string(),
      /** The new total. */
      count: int32(),
      assignments: structs({ brokerIds: array(int32()) }, { nullable: '0+', default: null }),
    }),
    timeoutMs: int32(),
    validateOnly: bool(),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    results: structs({ name: string(), errorCode: int16(), errorMessage: string({ nullable: '0+', default: null }) }),
  },
});
