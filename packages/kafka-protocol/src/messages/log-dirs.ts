import { defineApi } from '../api.ts';
import { array, bool, int16, int32, int64, string, structs } from '../schema.ts';

export const describeLogDirs = defineApi({
  key: 35,
  name: 'DescribeLogDirs',
  versions: '1-5',
  flexible: '2+',
  request: {
    /** Null: all. */
    topics: structs({ topic: string(), partitions: array(int32()) }, { nullable: '0+' }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    errorCode: int16({ versions: '3+', default: 0 }),
    results: structs({
      errorCode: int16(),
      logDir: string(),
      topics: structs({
        name: string(),
        partitions: structs({
          partitionIndex: int32(),
          partitionSize: int64(),
          /** Of the log end behind the high watermark. */
          offsetLag: int64(),
          isFutureKey: bool(),
        }),
      }),
      totalBytes: int64({ versions: '4+', default: -1 }),
      usableBytes: int64({ versions: '4+', default: -1 }),
      isCordoned: bool({ versions: '5+', default: false }),
    }),
  },
});

/** Moves replicas between the log directories of one broker. */
export const alterReplicaLogDirs = defineApi({
  key: 34,
  name: 'AlterReplicaLogDirs',
  versions: '1-2',
  flexible: '2+',
  request: {
    dirs: structs({ path: string(), topics: structs({ name: string(), partitions: array(int32()) }) }),
  },
  response: {
    throttleTimeMs: int32({ default: 0 }),
    results: structs({
      topicName: string(),
      partitions: structs({ partitionIndex: int32(), errorCode: int16() }),
    }),
  },
});
