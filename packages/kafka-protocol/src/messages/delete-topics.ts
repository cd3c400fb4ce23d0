import { defineApi } from '../api.ts';
import { array, int16, int32, string, structs, uuid, zeroUuid } from '../schema.ts';

export const deleteTopics = defineApi({
  key: 20,
  name: 'DeleteTopics',
  versions: '0-6',
  flexible: '4+',
  request: {
    /** By name, or by id where the name is null. */
    topics: structs(
      { name: string({ nullable: '6+', default: null }), topicId: uuid({ default: zeroUuid }) },
      { versions: '6+', default: [] },
    ),
    topicNames: array(string(), { versions: '0-5', default: [] }),
    timeoutMs: int32(),
  },
  response: {
    throttleTimeMs: int32({ versions: '1+', default: 0 }),
    topics: structs({
      name: string({ nullable: '6+' }),
      topicId: uuid({ versions: '6+', default: zeroUuid }),
      errorCode: int16(),
      errorMessage: string({ versions: '5+', nullable: '5+', default: null }),
    }),
  },
});
