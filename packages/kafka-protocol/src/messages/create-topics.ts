import { defineApi } from '../api.ts';
import { array, bool, int8, int16, int32, string, structs, uuid, zeroUuid } from '../schema.ts';

export const createTopics = defineApi({
  key: 19,
  name: 'CreateTopics',
  versions: '0-7',
  flexible: '5+',
  request: {
    topics: structs({
      name: string(),
      /** -1 with assignments, and from version 4 on for the broker's default. */
      numPartitions: int32(),
      replicationFactor: int16(),
      assignments: structs({ partitionIndex: int32(), brokerIds: array(int32()) }, { default: [] }),
      configs: structs({ name: string(), value: string({ nullable: '0+' }) }, { default: [] }),
    }),
    timeoutMs: int32({ default: 60_000 }),
    validateOnly: bool({ versions: '1+', default: false }),
  },
  response: {
    throttleTimeMs: int32({ versions: '2+', default: 0 }),
    topics: structs({
      name: string(),
      topicId: uuid({ versions: '7+', default: zeroUuid }),
      errorCode: int16(),
      errorMessage: string({ versions: '1+', nullable: '0+', default: null }),
      topicConfigErrorCode: int16({ versions: '5+', tag: 0, default: 0 }),
      numPartitions: int32({ versions: '5+', default: -1 }),
      replicationFactor: int16({ versions: '5+', default: -1 }),
      configs: structs(
        {
          name: string(),
          value: string({ nullable: '5+' }),
          readOnly: bool(),
          configSource: int8({ default: -1 }),
          isSensitive: bool(),
        },
        { versions: '5+', nullable: '5+', default: [] },
      ),
    }),
  },
});
