import { defineApi } from '../api.ts';
import { int16, int32, int64, string, structs } from '../schema.ts';

export const offsetForLeaderEpoch = defineApi({
  key: 23,
  name: 'OffsetForLeaderEpoch',
  versions: '2-4',
  flexible: '4+',
  request: {
    /** -1 for consumers; -2 where nobody said. */
    replicaId: int32({ versions: '3+', default: -2 }),
    topics: structs({
      topic: string(),
      partitions: structs({
        partition: int32(),
        currentLeaderEpoch: int32({ default: -1 }),
        leaderEpoch: int32(),
      }),
    }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    topics: structs({
      topic: string(),
      partitions: structs({
        errorCode: int16(),
        partition: int32(),
        leaderEpoch: int32({ default: -1 }),
        endOffset: int64({ default: -1 }),
      }),
    }),
  },
});
