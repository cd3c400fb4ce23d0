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

const record: fc.Arbitrary<GroupRecord> = fc.oneof(offsetRecord, groupRecord);

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

  test('keys of groups of a kind to come are left alone', () => {
    expect(decodeRecord(hex('0003 0001 67'), hex('0000 00000001'))).toBeUndefined();
  });

  test('the topics of a subscription, and of bytes that are none', () => {
    expect(subscribedTopics(hex('0001 00000002 0001 61 0001 62 ffffffff 00000000'))).toEqual(new Set(['a', 'b']));
    expect(subscribedTopics(hex('0001 00000002 0001 61'))).toBeUndefined();
    expect(subscribedTopics(hex(''))).toBeUndefined();
  });
});
