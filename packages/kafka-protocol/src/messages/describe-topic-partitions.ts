import { defineApi } from '../api.ts';
import { array, bool, int16, int32, optionalStruct, string, structs, uuid } from '../schema.ts';
import { noAuthorizedOperations } from './metadata.ts';

/** KIP-966: topics page by page, with the eligible leader replicas. */
export const describeTopicPartitions = defineApi({
  key: 75,
  name: 'DescribeTopicPartitions',
  versions: '0',
  flexible: '0+',
  request: {
    /** Empty: all. */
    topics: structs({ name: string() }),
    responsePartitionLimit: int32({ default: 2_000 }),
    cursor: optionalStruct({ topicName: string(), partitionIndex: int32() }, { nullable: '0+' }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    topics: structs({
      errorCode: int16(),
      name: string({ nullable: '0+' }),
      topicId: uuid(),
      isInternal: bool({ default: false }),
      partitions: structs({
        errorCode: int16(),
        partitionIndex: int32(),
        leaderId: int32(),
        leaderEpoch: int32({ default: -1 }),
        replicaNodes: array(int32()),
        isrNodes: array(int32()),
        eligibleLeaderReplicas: array(int32(), { nullable: '0+', default: null }),
        lastKnownElr: array(int32(), { nullable: '0+', default: null }),
        offlineReplicas: array(int32()),
      }),
      topicAuthorizedOperations: int32({ default: noAuthorizedOperations }),
    }),
    nextCursor: optionalStruct({ topicName: string(), partitionIndex: int32() }, { nullable: '0+' }),
  },
});
