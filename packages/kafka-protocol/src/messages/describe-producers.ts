import { defineApi } from '../api.ts';
import { array, int16, int32, int64, string, structs } from '../schema.ts';

/** What a partition knows of idempotent producers (KIP-664). */
export const describeProducers = defineApi({
  key: 61,
  name: 'DescribeProducers',
  versions: '0',
  flexible: '0+',
  request: {
    topics: structs({ name: string(), partitionIndexes: array(int32()) }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    topics: structs({
      name: string(),
      partitions: structs({
        partitionIndex: int32(),
        errorCode: int16(),
        errorMessage: string({ nullable: '0+', default: null }),
        activeProducers: structs({
          producerId: int64(),
          producerEpoch: int32(),
          lastSequence: int32({ default: -1 }),
          lastTimestamp: int64({ default: -1 }),
          coordinatorEpoch: int32(),
          currentTxnStartOffset: int64({ default: -1 }),
        }),
      }),
    }),
  },
});
