import { defineApi } from '../api.ts';
import {
  array,
  int8,
  int16,
  int32,
  int64,
  optionalStruct,
  records,
  string,
  structs,
  uuid,
  zeroUuid,
} from '../schema.ts';

const intMax = 0x7fffffff;

export const fetch = defineApi({
  key: 1,
  name: 'Fetch',
  versions: '4-17',
  flexible: '12+',
  request: {
    clusterId: string({ versions: '12+', nullable: '12+', tag: 0, default: null }),
    /** -1 for consumers. */
    replicaId: int32({ versions: '0-14', default: -1 }),
    replicaState: optionalStruct(
      { replicaId: int32({ default: -1 }), replicaEpoch: int64({ default: -1 }) },
      { versions: '15+', tag: 1 },
    ),
    maxWaitMs: int32(),
    minBytes: int32(),
    maxBytes: int32({ default: intMax }),
    /** 0 read_uncommitted, 1 read_committed. */
    isolationLevel: int8({ default: 0 }),
    sessionId: int32({ versions: '7+', default: 0 }),
    sessionEpoch: int32({ versions: '7+', default: -1 }),
    topics: structs({
      topic: string({ versions: '0-12', default: '' }),
      topicId: uuid({ versions: '13+', default: zeroUuid }),
      partitions: structs({
        partition: int32(),
        currentLeaderEpoch: int32({ versions: '9+', default: -1 }),
        fetchOffset: int64(),
        lastFetchedEpoch: int32({ versions: '12+', default: -1 }),
        logStartOffset: int64({ versions: '5+', default: -1 }),
        partitionMaxBytes: int32(),
        replicaDirectoryId: uuid({ versions: '17+', tag: 0, default: zeroUuid }),
      }),
    }),
    forgottenTopics: structs(
      {
        topic: string({ versions: '7-12', default: '' }),
        topicId: uuid({ versions: '13+', default: zeroUuid }),
        partitions: array(int32()),
      },
      { versions: '7+', default: [] },
    ),
    rackId: string({ versions: '11+', default: '' }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    errorCode: int16({ versions: '7+', default: 0 }),
    sessionId: int32({ versions: '7+', default: 0 }),
    topics: structs({
      topic: string({ versions: '0-12', default: '' }),
      topicId: uuid({ versions: '13+', default: zeroUuid }),
      partitions: structs({
        partition: int32(),
        errorCode: int16(),
        highWatermark: int64(),
        lastStableOffset: int64({ default: -1 }),
        logStartOffset: int64({ versions: '5+', default: -1 }),
        divergingEpoch: optionalStruct(
          { epoch: int32({ default: -1 }), endOffset: int64({ default: -1 }) },
          { versions: '12+', tag: 0 },
        ),
        currentLeader: optionalStruct(
          { leaderId: int32({ default: -1 }), leaderEpoch: int32({ default: -1 }) },
          { versions: '12+', tag: 1 },
        ),
        snapshotId: optionalStruct(
          { endOffset: int64({ default: -1 }), epoch: int32({ default: -1 }) },
          { versions: '12+', tag: 2 },
        ),
        abortedTransactions: structs({ producerId: int64(), firstOffset: int64() }, { nullable: '4+', default: null }),
        preferredReadReplica: int32({ versions: '11+', default: -1 }),
        records: records({ nullable: '0+' }),
      }),
    }),
    nodeEndpoints: structs(
      { nodeId: int32(), host: string(), port: int32(), rack: string({ nullable: '16+', default: null }) },
      { versions: '16+', tag: 0, default: [] },
    ),
  },
});
