import { defineApi } from '../api.ts';
import { array, bool, int16, int32, int64, string, structs, uuid, zeroUuid } from '../schema.ts';

/** From version 10 on topics are named by id. */
const topicName = string({ versions: '0-9', default: '' });
const topicId = uuid({ versions: '10+', default: zeroUuid });

export const offsetCommit = defineApi({
  key: 8,
  name: 'OffsetCommit',
  versions: '2-10',
  flexible: '8+',
  request: {
    groupId: string(),
    generationId: int32({ default: -1 }),
    memberId: string({ default: '' }),
    groupInstanceId: string({ versions: '7+', nullable: '7+', default: null }),
    retentionTimeMs: int64({ versions: '2-4', default: -1 }),
    topics: structs({
      topicId,
      name: topicName,
      partitions: structs({
        partitionIndex: int32(),
        committedOffset: int64(),
        committedLeaderEpoch: int32({ versions: '6+', default: -1 }),
        committedMetadata: string({ nullable: '0+' }),
      }),
    }),
  },
  response: {
    throttleTimeMs: int32({ versions: '3+', default: 0 }),
    topics: structs({
      topicId,
      name: topicName,
      partitions: structs({ partitionIndex: int32(), errorCode: int16() }),
    }),
  },
});

const fetchedPartition = {
  partitionIndex: int32(),
  committedOffset: int64(),
  committedLeaderEpoch: int32({ versions: '5+', default: -1 }),
  metadata: string({ nullable: '0+' }),
  errorCode: int16(),
} as const;

/** Up to version 7 for one group, from 8 on for several. */
export const offsetFetch = defineApi({
  key: 9,
  name: 'OffsetFetch',
  versions: '1-10',
  flexible: '6+',
  request: {
    groupId: string({ versions: '0-7', default: '' }),
    /** Null: all. */
    topics: structs(
      { name: string(), partitionIndexes: array(int32()) },
      { versions: '0-7', nullable: '2-7', default: [] },
    ),
    groups: structs(
      {
        groupId: string(),
        memberId: string({ versions: '9+', nullable: '9+', default: null }),
        memberEpoch: int32({ versions: '9+', default: -1 }),
        topics: structs({ topicId, name: topicName, partitionIndexes: array(int32()) }, { nullable: '8+' }),
      },
      { versions: '8+', default: [] },
    ),
    requireStable: bool({ versions: '7+', default: false }),
  },
  response: {
    throttleTimeMs: int32({ versions: '3+', default: 0 }),
    topics: structs({ name: string(), partitions: structs(fetchedPartition) }, { versions: '0-7', default: [] }),
    errorCode: int16({ versions: '2-7', default: 0 }),
    groups: structs(
      {
        groupId: string(),
        topics: structs({ topicId, name: topicName, partitions: structs(fetchedPartition) }),
        errorCode: int16({ default: 0 }),
      },
      { versions: '8+', default: [] },
    ),
  },
});

export const offsetDelete = defineApi({
  key: 47,
  name: 'OffsetDelete',
  versions: '0',
  flexible: 'none',
  request: {
    groupId: string(),
    topics: structs({ name: string(), partitions: structs({ partitionIndex: int32() }) }),
  },
  response: {
    errorCode: int16({ default: 0 }),
    throttleTimeMs: int32({ default: 0 }),
    topics: structs({ name: string(), partitions: structs({ partitionIndex: int32(), errorCode: int16() }) }),
  },
});
