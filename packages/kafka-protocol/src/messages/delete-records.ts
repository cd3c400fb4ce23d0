import { defineApi } from '../api.ts';
import { int16, int32, int64, string, structs } from '../schema.ts';

export const deleteRecords = defineApi({
  key: 21,
  name: 'DeleteRecords',
  versions: '0-2',
  flexible: '2+',
  request: {
    topics: structs({
      name: string(),
      partitions: structs({
        partitionIndex: int32(),
        /** Everything below goes; -1: everything that is committed. */
        offset: int64(),
      }),
    }),
    timeoutMs: int32(),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    topics: structs({
      name: string(),
      partitions: structs({ partitionIndex: int32(), lowWatermark: int64(), errorCode: int16() }),
    }),
  },
});
