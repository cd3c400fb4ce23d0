import { defineApi } from '../api.ts';
import { int8, int16, int32, int64, string, structs } from '../schema.ts';

export const listOffsets = defineApi({
  key: 2,
  name: 'ListOffsets',
  versions: '1-11',
  flexible: '6+',
  request: {
    replicaId: int32({ default: -1 }),
    isolationLevel: int8({ versions: '2+', default: 0 }),
    topics: structs({
      name: string(),
      partitions: structs({
        partitionIndex: int32(),
        currentLeaderEpoch: int32({ versions: '4+', default: -1 }),
        /**
         * Milliseconds, or -1 latest, -2 earliest, -3 largest timestamp (7+), -4 earliest on local disks (8+), -5 latest in tiered storage
         * (9+), -6 earliest not in tiered storage yet (11+).
         */
        timestamp: int64(),
      }),
    }),
    timeoutMs: int32({ versions: '10+', default: 0 }),
  },
  response: {
    throttleTimeMs: int32({ versions: '2+', default: 0 }),
    topics: structs({
      name: string(),
      partitions: structs({
        partitionIndex: int32(),
        errorCode: int16(),
        timestamp: int64({ default: -1 }),
        offset: int64({ default: -1 }),
        leaderEpoch: int32({ versions: '4+', default: -1 }),
      }),
    }),
  },
});
