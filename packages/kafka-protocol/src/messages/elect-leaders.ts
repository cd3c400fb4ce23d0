import { defineApi } from '../api.ts';
import { array, int8, int16, int32, string, structs } from '../schema.ts';

/** KIP-183 as version 0: preferred leaders only; KIP-460 from 1 on. */
export const electLeaders = defineApi({
  key: 43,
  name: 'ElectLeaders',
  versions: '0-2',
  flexible: '2+',
  request: {
    /** 0 preferred, 1 unclean. */
    electionType: int8({ versions: '1+', default: 0 }),
    /** Null: all. */
    topicPartitions: structs({ topic: string(), partitions: array(int32()) }, { nullable: '0+' }),
    timeoutMs: int32({ default: 60_000 }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    errorCode: int16({ versions: '1+', default: 0 }),
    replicaElectionResults: structs({
      topic: string(),
      partitionResult: structs({
        partitionId: int32(),
        errorCode: int16(),
        errorMessage: string({ nullable: '0+', default: null }),
      }),
    }),
  },
});
