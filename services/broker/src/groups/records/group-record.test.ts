import { ProtocolError } from '@naru/kafka-protocol';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeGroupMetadata, type GroupMetadataValue } from './group-metadata-value.ts';
import { decodeRecord, encodeRecord, type GroupRecord } from './group-record.ts';
import { decodeOffsetCommit } from './offset-commit-value.ts';
import { decodeKey } from './record-key.ts';
import { subscribedTopics } from './subscribed-topics.ts';

const name = fc.string({ unit: 'grapheme', maxLength: 30 });
const bytes = fc.uint8Array({ maxLength: 40 });
const int32 = fc.integer({ min: -0x80000000, max: 0x7fffffff });
const int64 = fc.maxSafeInteger();

const offsetRecord = fc.record({
  kind: fc.constant('offset' as const),
  group: name,
  topic: name,
  partition: fc.nat(),
  value: fc.option(fc.record({ offset: int64, leaderEpoch: int32, metadata: name, commitTimestampMs: int64 })),
});

const metadata: fc.Arbitrary<GroupMetadataValue> = fc.record({
  protocolType: name,
  generation: int32,
  protocol: fc.option(name),
  leader: fc.option(name),
  stateTimestampMs: int64,
  members: fc.array(
    fc.record({
      memberId: name,
      instanceId: fc.option(name),
      clientId: name,
      clientHost: name,
      rebalanceTimeoutMs: fc.nat(),
      sessionTimeoutMs: fc.nat(),
      subscription: bytes,
      assignment: bytes,
    }),
    { maxLength: 5 },
  ),
});

const groupRecord = fc.record({
  kind: fc.constant('group' as const),
  group: name,
  value: fc.option(metadata),
});

const topicPartitions = fc.array(
  fc.record({
    topicId: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((id) => Buffer.from(id).toString('base64url')),
    partitions: fc.array(int32, { maxLength: 4 }),
  }),
  { maxLength: 3 },
);

const consumerGroupRecord: fc.Arbitrary<GroupRecord> = fc.oneof(
  fc.record({
    kind: fc.constant('consumer-group' as const),
    group: name,
    value: fc.option(fc.record({ epoch: int32, metadataHash: fc.nat() })),
  }),
  fc.record({
    kind: fc.constant('target-epoch' as const),
    group: name,
    value: fc.option(fc.record({ assignmentEpoch: int32 })),
  }),
  fc.record({
    kind: fc.constant('consumer-member' as const),
    group: name,
    member: name,
    value: fc.option(
      fc.record({
        instanceId: fc.option(name),
        rackId: fc.option(name),
        clientId: name,
        clientHost: name,
        subscribedTopicNames: fc.array(name, { maxLength: 3 }),
        subscribedTopicRegex: fc.option(name),
        rebalanceTimeoutMs: int32,
        serverAssignor: fc.option(name),
        classic: fc.option(
          fc.record({
            sessionTimeoutMs: int32,
            protocols: fc.array(fc.record({ name, metadata: fc.uint8Array({ maxLength: 9 }) }), { maxLength: 3 }),
          }),
        ),
      }),
    ),
  }),
  fc.record({
    kind: fc.constant('target-assignment' as const),
    group: name,
    member: name,
    value: fc.option(fc.record({ topicPartitions })),
  }),
  fc.record({
    kind: fc.constant('current-assignment' as const),
    group: name,
    member: name,
    value: fc.option(
      fc.record({
        memberEpoch: int32,
        previousMemberEpoch: int32,
        state: fc.integer({ min: -128, max: 127 }),
        assignedPartitions: topicPartitions,
        partitionsPendingRevocation: topicPartitions,
      }),
    ),
  }),
);

const record: fc.Arbitrary<GroupRecord> = fc.oneof(offsetRecord, groupRecord, consumerGroupRecord);

describe('records of __consumer_offsets', () => {
  test('what is written is read', () => {
    fc.assert(
      fc.property(record, (written) => {
        const { key, value } = encodeRecord(written);
        expect(decodeRecord(key, value)).toEqual(written);
      }),
    );
  });

  test('cut off anywhere, or with a byte too many: refused, never half read', () => {
    fc.assert(
      fc.property(record, fc.nat(), (written, at) => {
        const { key, value } = encodeRecord(written);
        expect(() => decodeRecord(key.subarray(0, at % key.length), value)).toThrow(ProtocolError);
        expect(() => decodeRecord(Buffer.concat([key, Buffer.of(0)]), value)).toThrow(ProtocolError);
        if (value === null) return;
        expect(() => decodeRecord(key, value.subarray(0, at % value.length))).toThrow(ProtocolError);
        expect(() => decodeRecord(key, Buffer.concat([value, Buffer.of(0)]))).toThrow(ProtocolError);
      }),
    );
  });

  test('with flipped bits, or of nothing but noise: a record or a ProtocolError', () => {
    const decoded = (key: Uint8Array, value: Uint8Array | null): void => {
      try {
        decodeRecord(key, value);
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
      }
    };
    fc.assert(
      fc.property(record, fc.nat(), fc.integer({ min: 0, max: 7 }), bytes, (written, at, bit, noise) => {
        const { key, value } = encodeRecord(written);
        const flipped = Buffer.from(value ?? key);
        flipped[at % flipped.length] = (flipped[at % flipped.length] as number) ^ (1 << bit);
        decoded(value === null ? flipped : key, value === null ? null : flipped);
        decoded(key, noise);
        decoded(noise, value);
        subscribedTopics(noise);
      }),
    );
  });
});

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');

describe("Kafka's schemas, byte for byte", () => {
  test('OffsetCommitKey v1 and OffsetCommitValue v3', () => {
    const { key, value } = encodeRecord({
      kind: 'offset',
      group: 'g1',
      topic: 'tp',
      partition: 3,
      value: { offset: 258, leaderEpoch: 5, metadata: 'md', commitTimestampMs: 1_700_000_000_000 },
    });
    expect(Buffer.from(key)).toEqual(hex('0001 0002 6731 0002 7470 00000003'));
    expect(value).toEqual(hex('0003 0000000000000102 00000005 0002 6d64 0000018bcfe56800'));
  });

  test('GroupMetadataKey v2 and GroupMetadataValue v3', () => {
    const { key, value } = encodeRecord({
      kind: 'group',
      group: 'g1',
      value: {
        protocolType: 'consumer',
        generation: 7,
        protocol: 'range',
        leader: null,
        stateTimestampMs: 1,
        members: [
          {
            memberId: 'm',
            instanceId: null,
            clientId: 'c',
            clientHost: '/h',
            rebalanceTimeoutMs: 2,
            sessionTimeoutMs: 3,
            subscription: Uint8Array.of(9),
            assignment: new Uint8Array(0),
          },
        ],
      },
    });
    expect(Buffer.from(key)).toEqual(hex('0002 0002 6731'));
    expect(value).toEqual(
      hex(
        `0003 0008 636f6e73756d6572 00000007 0005 72616e6765 ffff 0000000000000001
         00000001 0001 6d ffff 0001 63 0002 2f68 00000002 00000003 00000001 09 00000000`,
      ),
    );
  });

  test('offsets of older and newer versions', () => {
    const common = { offset: 1, metadata: 'm', commitTimestampMs: 2 };
    const fields = '0000000000000001 0001 6d 0000000000000002';
    expect(decodeKey(hex('0000 0001 67 0001 74 00000000'))).toMatchObject({ kind: 'offset', group: 'g', topic: 't' });
    expect(decodeOffsetCommit(hex(`0000 ${fields}`))).toEqual({ ...common, leaderEpoch: -1 });
    expect(decodeOffsetCommit(hex(`0001 ${fields} 0000000000000003`))).toEqual({ ...common, leaderEpoch: -1 });
    expect(decodeOffsetCommit(hex(`0002 ${fields}`))).toEqual({ ...common, leaderEpoch: -1 });
    const flexible = '0004 0000000000000001 00000004 02 6d 0000000000000002 01 00 10 000102030405060708090a0b0c0d0e0f';
    expect(decodeOffsetCommit(hex(flexible))).toEqual({ ...common, leaderEpoch: 4 });
  });

  test('groups of older and newer versions', () => {
    const expected = { protocolType: 'c', generation: 1, protocol: 'r', leader: 'm' };
    const member = { memberId: 'm', clientId: '', clientHost: '', sessionTimeoutMs: 6 };
    const v0 = decodeGroupMetadata(
      hex('0000 0001 63 00000001 0001 72 0001 6d 00000001 0001 6d 0000 0000 00000006 00000000 00000000'),
    );
    expect(v0).toMatchObject({ ...expected, stateTimestampMs: -1 });
    expect(v0.members[0]).toMatchObject({ ...member, instanceId: null, rebalanceTimeoutMs: 6 });
    const v4 = decodeGroupMetadata(
      hex('0004 02 63 00000001 02 72 02 6d 0000000000000009 02 02 6d 02 69 01 01 00000005 00000006 01 01 00 00'),
    );
    expect(v4).toMatchObject({ ...expected, stateTimestampMs: 9 });
    expect(v4.members[0]).toMatchObject({ ...member, instanceId: 'i', rebalanceTimeoutMs: 5 });
  });

  const topicId = 'AAAAAAAAAAAAAAAAAAAAAQ';
  const wireId = '00000000000000000000000000000001';
  const member = { group: 'g', member: 'm' };
  /** As Kafka 4.3 writes them. */
  const ofConsumerGroups: readonly (readonly [GroupRecord, string, string])[] = [
    [
      { kind: 'consumer-group', group: 'g', value: { epoch: 7, metadataHash: 0x01020304 } },
      '0003 0001 67',
      '0000 00000007 01 0008 0000000001020304',
    ],
    [
      {
        kind: 'consumer-member',
        ...member,
        value: {
          instanceId: 'i',
          rackId: null,
          clientId: 'c',
          clientHost: '/h',
          subscribedTopicNames: ['t'],
          subscribedTopicRegex: 'a.*',
          rebalanceTimeoutMs: 1000,
          serverAssignor: 'range',
          classic: null,
        },
      },
      '0005 0001 67 0001 6d',
      '0000 02 69 00 02 63 03 2f68 02 02 74 04 612e2a 000003e8 06 72616e6765 00',
    ],
    [
      {
        kind: 'consumer-member',
        ...member,
        value: {
          instanceId: null,
          rackId: null,
          clientId: 'c',
          clientHost: '/h',
          subscribedTopicNames: ['t'],
          subscribedTopicRegex: null,
          rebalanceTimeoutMs: 1000,
          serverAssignor: null,
          classic: {
            sessionTimeoutMs: 6000,
            protocols: [{ name: 'range', metadata: Uint8Array.from([0xab, 0xcd]) }],
          },
        },
      },
      '0005 0001 67 0001 6d',
      // A tagged struct that may be null: its size, a 1, the struct.
      '0000 00 00 02 63 03 2f68 02 02 74 00 000003e8 00 01 00 11 01 00001770 02 06 72616e6765 03 abcd 00 00',
    ],
    [{ kind: 'target-epoch', group: 'g', value: { assignmentEpoch: 7 } }, '0006 0001 67', '0000 00000007 00'],
    [
      { kind: 'target-assignment', ...member, value: { topicPartitions: [{ topicId, partitions: [0, 2] }] } },
      '0007 0001 67 0001 6d',
      `0000 02 ${wireId} 03 00000000 00000002 00 00`,
    ],
    [
      {
        kind: 'current-assignment',
        ...member,
        value: {
          memberEpoch: 7,
          previousMemberEpoch: 6,
          state: 1,
          assignedPartitions: [{ topicId, partitions: [0] }],
          partitionsPendingRevocation: [{ topicId, partitions: [1] }],
        },
      },
      '0008 0001 67 0001 6d',
      `0000 00000007 00000006 01 02 ${wireId} 02 00000000 00 02 ${wireId} 02 00000001 00 00`,
    ],
  ];

  test.each(ofConsumerGroups)('groups with a server-side assignor: $kind', (record, key, value) => {
    expect(encodeRecord(record)).toEqual({ key: hex(key), value: hex(value) });
    expect(decodeRecord(hex(key), hex(value))).toEqual(record);
  });

  test('keys of groups of a kind to come are left alone', () => {
    expect(decodeRecord(hex('0010 0001 67 0001 61'), hex('0000 00000001'))).toBeUndefined();
  });

  test('the topics of a subscription, and of bytes that are none', () => {
    expect(subscribedTopics(hex('0001 00000002 0001 61 0001 62 ffffffff 00000000'))).toEqual(new Set(['a', 'b']));
    expect(subscribedTopics(hex('0001 00000002 0001 61'))).toBeUndefined();
    expect(subscribedTopics(hex(''))).toBeUndefined();
  });
});
