import { defineApi } from '../api.ts';
import { int16, int32, int64, optionalStruct, records, string, structs, uuid, zeroUuid } from '../schema.ts';

const currentLeader = { leaderId: int32({ default: -1 }), leaderEpoch: int32({ default: -1 }) } as const;

/** Versions below 3 carry message sets, which no broker takes any more (KIP-724); they are declared so that they can be refused in their own words. */
export const produce = defineApi({
  key: 0,
  name: 'Produce',
  versions: '0-13',
  flexible: '9+',
  request: {
    transactionalId: string({ versions: '3+', nullable: '3+', default: null }),
    /** -1 all, 0 none (then there is no response), 1 the leader. */
    acks: int16(),
    timeoutMs: int32(),
    topics: structs({
      name: string({ versions: '0-12', default: '' }),
      topicId: uuid({ versions: '13+', default: zeroUuid }),
      partitions: structs({ index: int32(), records: records({ nullable: '0+' }) }),
    }),
  },
  response: {
    topics: structs({
      name: string({ versions: '0-12', default: '' }),
      topicId: uuid({ versions: '13+', default: zeroUuid }),
      partitions: structs({
        index: int32(),
        errorCode: int16(),
        baseOffset: int64(),
        logAppendTimeMs: int64({ versions: '2+', default: -1 }),
        logStartOffset: int64({ versions: '5+', default: -1 }),
        recordErrors: structs(
          { batchIndex: int32(), message: string({ nullable: '8+', default: null }) },
          { versions: '8+', default: [] },
        ),
        errorMessage: string({ versions: '8+', nullable: '8+', default: null }),
        currentLeader: optionalStruct(currentLeader, { versions: '10+', tag: 0 }),
      }),
    }),
    throttleTimeMs: int32({ versions: '1+', default: 0 }),
    nodeEndpoints: structs(
      { nodeId: int32(), host: string(), port: int32(), rack: string({ nullable: '10+', default: null }) },
      { versions: '10+', tag: 0, default: [] },
    ),
  },
});
