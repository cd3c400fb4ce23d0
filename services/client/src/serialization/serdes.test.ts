import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../errors.ts';
import type { Serde } from './serde.ts';
import { serdeNamed } from './serde-names.ts';
import * as serdes from './serdes.ts';

const context = { topic: 't', part: 'value', headers: [] } as const;
const write = <T>(serde: Serde<T>, value: T): string =>
  Buffer.from(serde.serialize(value, { ...context, headers: [] }) as Uint8Array).toString('hex');
const read = <T>(serde: Serde<T>, hex: string): T => serde.deserialize(Buffer.from(hex, 'hex'), context);

const { string, short, integer, long, float, double, boolean, bytes, uuid, json, nothing } = serdes;

describe("bytes as those of Kafka's serializers", () => {
  test.each<[string, Serde<unknown>, unknown, string]>([
    ['StringSerializer', string(), 'héllo', '68c3a96c6c6f'],
    ['ShortSerializer', short(), -2, 'fffe'],
    ['IntegerSerializer', integer(), 16_909_060, '01020304'],
    ['IntegerSerializer', integer(), -1, 'ffffffff'],
    ['LongSerializer', long(), 72_623_859_790_382_856n, '0102030405060708'],
    ['LongSerializer', long(), -(2n ** 63n), '8000000000000000'],
    ['FloatSerializer', float(), 1.5, '3fc00000'],
    ['DoubleSerializer', double(), Math.PI, '400921fb54442d18'],
    ['DoubleSerializer', double(), Number.NEGATIVE_INFINITY, 'fff0000000000000'],
    ['BooleanSerializer', boolean(), true, '01'],
    ['ByteArraySerializer', bytes(), Buffer.from([0, 255]), '00ff'],
    [
      'UUIDSerializer',
      uuid(),
      '123e4567-e89b-12d3-a456-426614174000',
      '31323365343536372d653839622d313264332d613435362d343236363134313734303030',
    ],
    ['JSON', json(), { a: [1, null] }, '7b2261223a5b312c6e756c6c5d7d'],
  ])('%s', (_, serde, value, hex) => {
    expect(write(serde, value)).toBe(hex);
    expect(read(serde, hex)).toEqual(value);
  });

  test('a long is written from a number, too', () => {
    expect(Buffer.from(long().serialize(5)).toString('hex')).toBe('0000000000000005');
  });

  test.each<[string, Serde<unknown>, fc.Arbitrary<unknown>]>([
    ['string', string(), fc.string({ unit: 'grapheme' })],
    ['utf-16', string('utf16le'), fc.string()],
    ['short', short(), fc.integer({ min: -32_768, max: 32_767 })],
    ['integer', integer(), fc.integer()],
    ['long', long(), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })],
    ['float', float(), fc.float()],
    ['double', double(), fc.double()],
    ['boolean', boolean(), fc.boolean()],
    ['uuid', uuid(), fc.uuid()],
    ['json', json(), fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)))],
  ])('what %s writes it reads', (_, serde, values) => {
    fc.assert(
      fc.property(values, (value) => {
        expect(read(serde, write(serde, value))).toEqual(value);
      }),
    );
  });

  test('any bytes are read or refused with an Error', () => {
    const all = [
      short(),
      integer(),
      long(),
      float(),
      double(),
      boolean(),
      uuid(),
      json(),
      string(),
    ] as Serde<unknown>[];
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.constantFrom(...all), (some, serde) => {
        try {
          serde.deserialize(Buffer.from(some), context);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
    );
  });
});

describe('refusals say what was wrong and what would be right', () => {
  test.each<[Serde<never>, unknown, string]>([
    [integer(), 2 ** 31, '2147483648 is no integer: a whole number from -2147483648 to 2147483647'],
    [short(), 1.5, '1.5 is no short: a whole number from -32768 to 32767'],
    [long(), 2 ** 53, 'is no long'],
    [long(), 2n ** 63n, 'is no long'],
    [double(), '1', 'a number is wanted, not a string'],
    [string(), Buffer.from('x'), 'a string is wanted, not bytes'],
    [bytes(), 'x', 'bytes are a Uint8Array or Buffer, not string'],
    [uuid(), 'x', 'is no UUID'],
    [json(), () => 1, 'a function has no JSON'],
    [nothing(), 'x', 'only null is expected'],
  ] as [Serde<never>, unknown, string][])('written: %#', (serde, value, message) => {
    expect(() => write(serde, value as never)).toThrow(message);
  });

  test.each([
    [integer(), '010203', 'a integer has 4 bytes, not 3'],
    [long(), '', 'a long has 8 bytes, not 0'],
    [boolean(), '02', 'the byte 0 or 1, not 2'],
    [json(), '7b', 'JSON'],
    [nothing(), '00', 'only null is expected'],
  ] as [Serde<unknown>, string, string][])('read: %#', (serde, hex, message) => {
    expect(() => read(serde, hex)).toThrow(message);
  });
});

describe('a Standard Schema', () => {
  const order = {
    '~standard': {
      validate: (value: unknown) => {
        const { id } = value as { id?: unknown };
        return typeof id === 'string'
          ? { value: { id: id.trim() } }
          : { issues: [{ message: 'must be text', path: ['items', { key: 0 }, 'id'] }] };
      },
    },
  };

  test('what it makes of a value is what is written and read', () => {
    const serde: Serde<{ id: string }> = json(order);
    expect(write(serde, { id: ' a ' })).toBe(Buffer.from('{"id":"a"}').toString('hex'));
    expect(read(serde, Buffer.from('{"id":"b "}').toString('hex'))).toEqual({ id: 'b' });
  });

  test('its complaints name the place', () => {
    expect(() => write(json(order), { id: 1 } as never)).toThrow('items.0.id: must be text');
  });

  test('one that must be awaited is refused', () => {
    const slow = { '~standard': { validate: async (value: unknown) => ({ value }) } };
    expect(() => write(json(slow), 1)).toThrow('asynchronous');
  });
});

test.each([
  ['string', 'a'],
  ['org.apache.kafka.common.serialization.StringDeserializer', 'a'],
  ['org.apache.kafka.common.serialization.ByteArraySerializer', Buffer.from('a')],
  ['json', 'a'],
])('configurations name them: %s', (name, value) => {
  const serde = serdeNamed('value.serializer', name);
  expect(read(serde, write(serde, value))).toEqual(value);
});

test('a name that is none is refused with a suggestion', () => {
  expect(() => serdeNamed('key.serializer', 'strng')).toThrow(ConfigError);
  expect(() => serdeNamed('key.serializer', 'strng')).toThrow("did you mean 'string'?");
  expect(() => serdeNamed('key.serializer', 'com.example.AvroSerializer')).toThrow('there are string, short');
  expect(() => serdeNamed('key.serializer', 'constructor')).toThrow(ConfigError);
});
