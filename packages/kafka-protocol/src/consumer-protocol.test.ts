import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Assignment,
  decodeAssignment,
  decodeStickyUserData,
  decodeSubscription,
  encodeAssignment,
  encodeStickyUserData,
  encodeSubscription,
  type Subscription,
} from './consumer-protocol.ts';
import { ProtocolError } from './protocol-error.ts';

const name = fc.string({ minLength: 1, maxLength: 20 });
const bytes = fc.option(
  fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array)),
  { nil: null },
);
/** Topics stand together on the wire, so lists are built that way. */
const partitions = fc
  .uniqueArray(
    fc.record({ topic: name, numbers: fc.uniqueArray(fc.nat(2_147_483_647), { minLength: 1, maxLength: 5 }) }),
    { selector: (entry) => entry.topic, maxLength: 5 },
  )
  .map((list) => list.flatMap(({ topic, numbers }) => numbers.map((partition) => ({ topic, partition }))));
const subscription: fc.Arbitrary<Subscription> = fc.record({
  topics: fc.array(name, { maxLength: 5 }),
  userData: bytes,
  ownedPartitions: partitions,
  generationId: fc.integer({ min: -1, max: 2_147_483_647 }),
  rackId: fc.option(name, { nil: null }),
});
const assignment: fc.Arbitrary<Assignment> = fc.record({ partitions, userData: bytes });

const expectOnlyProtocolErrors = (decode: () => unknown): void => {
  try {
    decode();
  } catch (error) {
    expect(error).toBeInstanceOf(ProtocolError);
  }
};

describe('consumer protocol (Kafka: ConsumerProtocolSubscription, ConsumerProtocolAssignment)', () => {
  test('the bytes of version 1, field by field', () => {
    const encoded = encodeSubscription(
      {
        topics: ['ab'],
        userData: Buffer.from([7]),
        ownedPartitions: [{ topic: 'ab', partition: 3 }],
        generationId: 9,
        rackId: null,
      },
      1,
    );
    const expected = ['0001', '00000001', '0002', '6162', '00000001', '07'];
    expected.push('00000001', '0002', '6162', '00000001', '00000003');
    expect(Buffer.from(encoded).toString('hex')).toBe(expected.join(''));
    const assigned = encodeAssignment({ partitions: [{ topic: 'ab', partition: 3 }], userData: null }, 0);
    expect(Buffer.from(assigned).toString('hex')).toBe('0000000000010002616200000001' + '00000003' + 'ffffffff');
  });

  test('round trip in every version; what a version does not have is gone', () => {
    fc.assert(
      fc.property(subscription, fc.integer({ min: 0, max: 3 }), (value, version) => {
        expect(decodeSubscription(encodeSubscription(value, version))).toEqual({
          topics: value.topics,
          userData: value.userData,
          ownedPartitions: version >= 1 ? value.ownedPartitions : [],
          generationId: version >= 2 ? value.generationId : -1,
          rackId: version >= 3 ? value.rackId : null,
        });
      }),
      { numRuns: 200 },
    );
    fc.assert(
      fc.property(assignment, fc.integer({ min: 0, max: 3 }), (value, version) => {
        expect(decodeAssignment(encodeAssignment(value, version))).toEqual(value);
      }),
    );
    fc.assert(
      fc.property(partitions, fc.integer(), (list, generation) => {
        const value = { partitions: list, generation };
        expect(decodeStickyUserData(encodeStickyUserData(value))).toEqual(value);
      }),
    );
  });

  test('a newer version is read as far as it is known', () => {
    const known = encodeSubscription({
      topics: ['t'],
      userData: null,
      ownedPartitions: [],
      generationId: 4,
      rackId: 'r',
    });
    const newer = Buffer.concat([known, Buffer.from([1, 2, 3])]);
    newer.writeInt16BE(9, 0);
    expect(decodeSubscription(newer)).toMatchObject({ topics: ['t'], generationId: 4, rackId: 'r' });
  });

  test('KafkaJS calls itself version 1 and ends where version 0 does: it owns nothing', () => {
    const bytes = Buffer.from('0001' + '00000001' + '000174' + '00000000', 'hex');
    expect(decodeSubscription(bytes)).toMatchObject({ topics: ['t'], ownedPartitions: [], generationId: -1 });
  });

  test('no bytes are an empty assignment', () => {
    expect(decodeAssignment(new Uint8Array(0))).toEqual({ partitions: [], userData: null });
  });

  test('cut anywhere, and any bytes at all: a ProtocolError or a value, nothing else', () => {
    fc.assert(
      fc.property(subscription, assignment, (value, assigned) => {
        const whole = encodeSubscription(value);
        for (let end = 0; end < whole.length; end++) {
          expect(() => decodeSubscription(whole.subarray(0, end))).toThrow(ProtocolError);
        }
        const answer = encodeAssignment(assigned);
        for (let end = 1; end < answer.length; end++) {
          expect(() => decodeAssignment(answer.subarray(0, end))).toThrow(ProtocolError);
        }
      }),
      { numRuns: 30 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (random) => {
        expectOnlyProtocolErrors(() => decodeSubscription(random));
        expectOnlyProtocolErrors(() => decodeAssignment(random));
        expectOnlyProtocolErrors(() => decodeStickyUserData(random));
      }),
      { numRuns: 500 },
    );
  });

  test('a count beyond what can follow is not believed', () => {
    expect(() => decodeSubscription(Buffer.from('00037fffffff', 'hex'))).toThrow(ProtocolError);
    expect(() => decodeAssignment(Buffer.from('0000ffffffff', 'hex'))).toThrow(ProtocolError);
    expect(() => decodeSubscription(Buffer.from('ffff', 'hex'))).toThrow(ProtocolError);
  });
});
