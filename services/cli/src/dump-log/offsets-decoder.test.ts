import { encodeRecord, type GroupRecord } from '@naru/broker/group-record';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { offsetsText } from './offsets-decoder.ts';

// What `kafka-dump-log.sh --offsets-decoder` of Apache Kafka 4.3 prints for the same bytes.

const partitions = [{ topicId: '2h7y3eV7SPGqZj65ji7Hbw', partitions: [0, 1] }];
const subscription = Buffer.from('AAMAAAABAAF0/////wAAAAD///////8=', 'base64');
const member = {
  memberId: 'me-1',
  instanceId: null,
  clientId: 'me',
  clientHost: '/127.0.0.1',
  rebalanceTimeoutMs: 300_000,
  sessionTimeoutMs: 45_000,
  subscription,
  assignment: Buffer.from('AAMAAAABAAF0AAAAAgAAAAAAAAAB/////w==', 'base64'),
};
const generation = {
  protocolType: 'consumer',
  generation: 1,
  protocol: 'range',
  leader: 'me-1',
  stateTimestampMs: 1_795_208_972_331,
  members: [member],
};
const serverSide = {
  instanceId: null,
  rackId: null,
  clientId: 'me',
  clientHost: '/127.0.0.1',
  subscribedTopicNames: ['t'],
  subscribedTopicRegex: null,
  rebalanceTimeoutMs: 300_000,
  serverAssignor: null,
};
const current = {
  memberEpoch: 1,
  previousMemberEpoch: 0,
  state: 0,
  assignedPartitions: partitions,
  partitionsPendingRevocation: [],
};
const classic = { sessionTimeoutMs: 45_000, protocols: [{ name: 'range', metadata: subscription }] };
const commit = { offset: 3, leaderEpoch: -1, metadata: 'a "b"', commitTimestampMs: 1_795_208_972_290 };

const cases: readonly (readonly [GroupRecord, key: string, payload: string])[] = [
  [
    { kind: 'offset', group: 'plain', topic: 't', partition: 0, value: commit },
    '{"type":"1","data":{"group":"plain","topic":"t","partition":0}}',
    String.raw`{"version":"3","data":{"offset":3,"leaderEpoch":-1,"metadata":"a \"b\"","commitTimestamp":1795208972290}}`,
  ],
  [
    { kind: 'offset', group: 'plain', topic: 't', partition: 0, value: null },
    '{"type":"1","data":{"group":"plain","topic":"t","partition":0}}',
    '<DELETE>',
  ],
  [
    { kind: 'group', group: 'g', value: generation },
    '{"type":"2","data":{"group":"g"}}',
    '{"version":"3","data":{"protocolType":"consumer","generation":1,"protocol":"range","leader":"me-1","currentStateTimestamp":1795208972331,"members":[{"memberId":"me-1","groupInstanceId":null,"clientId":"me","clientHost":"/127.0.0.1","rebalanceTimeout":300000,"sessionTimeout":45000,"subscription":{"topics":["t"],"userData":null,"ownedPartitions":[],"generationId":-1,"rackId":null},"assignment":{"assignedPartitions":[{"topic":"t","partitions":[0,1]}],"userData":null}}]}}',
  ],
  [
    { kind: 'consumer-member', group: 'g', member: 'm', value: { ...serverSide, classic: null } },
    '{"type":"5","data":{"groupId":"g","memberId":"m"}}',
    '{"version":"0","data":{"instanceId":null,"rackId":null,"clientId":"me","clientHost":"/127.0.0.1","subscribedTopicNames":["t"],"subscribedTopicRegex":null,"rebalanceTimeoutMs":300000,"serverAssignor":null}}',
  ],
  [
    { kind: 'consumer-member', group: 'g', member: 'm', value: { ...serverSide, classic } },
    '{"type":"5","data":{"groupId":"g","memberId":"m"}}',
    '{"version":"0","data":{"instanceId":null,"rackId":null,"clientId":"me","clientHost":"/127.0.0.1","subscribedTopicNames":["t"],"subscribedTopicRegex":null,"rebalanceTimeoutMs":300000,"serverAssignor":null,"classicMemberMetadata":{"sessionTimeoutMs":45000,"supportedProtocols":[{"name":"range","metadata":"AAMAAAABAAF0/////wAAAAD///////8="}]}}}',
  ],
  [
    { kind: 'consumer-group', group: 'g', value: { epoch: 1, metadataHash: 2_157_575_040 } },
    '{"type":"3","data":{"groupId":"g"}}',
    '{"version":"0","data":{"epoch":1,"metadataHash":2157575040}}',
  ],
  [
    { kind: 'consumer-group', group: 'g', value: { epoch: 1, metadataHash: 0 } },
    '{"type":"3","data":{"groupId":"g"}}',
    '{"version":"0","data":{"epoch":1}}',
  ],
  [
    { kind: 'target-assignment', group: 'g', member: 'm', value: { topicPartitions: partitions } },
    '{"type":"7","data":{"groupId":"g","memberId":"m"}}',
    '{"version":"0","data":{"topicPartitions":[{"topicId":"2h7y3eV7SPGqZj65ji7Hbw","partitions":[0,1]}]}}',
  ],
  [
    { kind: 'target-epoch', group: 'g', value: { assignmentEpoch: 1 } },
    '{"type":"6","data":{"groupId":"g"}}',
    '{"version":"0","data":{"assignmentEpoch":1}}',
  ],
  [
    { kind: 'current-assignment', group: 'g', member: 'm', value: current },
    '{"type":"8","data":{"groupId":"g","memberId":"m"}}',
    '{"version":"0","data":{"memberEpoch":1,"previousMemberEpoch":0,"state":0,"assignedPartitions":[{"topicId":"2h7y3eV7SPGqZj65ji7Hbw","partitions":[0,1]}],"partitionsPendingRevocation":[]}}',
  ],
];

test.each(cases)('$kind', (record, key, payload) => {
  expect(offsetsText({ offset: 0, ...encodeRecord(record) })).toEqual([`key: ${key}`, `payload: ${payload}`]);
});

test('what members of other protocols say stays base64, and what is no subscription, too', () => {
  const metadata = (protocolType: string, bytes: Uint8Array) => {
    const members = [{ ...member, subscription: bytes, assignment: Buffer.alloc(0) }];
    const record = { kind: 'group', group: 'g', value: { ...generation, protocolType, members } } as const;
    return offsetsText({ offset: 0, ...encodeRecord(record) })[1];
  };
  expect(metadata('connect', subscription)).toContain(
    `"subscription":"${subscription.toString('base64')}","assignment":""`,
  );
  expect(metadata('consumer', Buffer.from('no'))).toContain('"subscription":"bm8=","assignment":""');
});

test('a kind that is not known here, and bytes that are no record of this topic, are told with their offset', () => {
  expect(offsetsText({ offset: 7, key: Buffer.from([0, 16]), value: null })).toEqual([
    'key: Unknown record type 16 at offset 7, skipping.',
  ]);
  expect(offsetsText({ offset: 7, key: null, value: null })).toHaveLength(1);
  const bytes = fc.uint8Array({ maxLength: 64 });
  fc.assert(
    fc.property(bytes, fc.option(bytes), (key, value) => {
      const [first] = offsetsText({ offset: 7, key, value });
      expect(first).toMatch(/^key: (\{|Error at offset 7, skipping\. |Unknown record type \d+ at offset 7)/);
    }),
  );
});
