import { encodeRecord } from '@naru/broker/group-record';
import type { ConsumerRecord } from '@naru/client';
import { expect, test } from 'vitest';
import { recordFormat } from './record-format.ts';

const record: ConsumerRecord = {
  topic: 't',
  partition: 3,
  offset: 5n,
  timestamp: 1_700_000_000_000,
  timestampType: 'CreateTime',
  key: Buffer.from('k'),
  value: Buffer.from('v'),
  headers: [
    ['h1', Buffer.from('v1')],
    ['h2', null],
  ],
  leaderEpoch: 7,
};

function print(properties: Record<string, string>, changes: Partial<ConsumerRecord> = {}, formatter?: string): string {
  const parts = recordFormat(properties, formatter)({ ...record, ...changes });
  return Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part))).toString();
}

const everything = Object.fromEntries(
  ['timestamp', 'partition', 'offset', 'delivery', 'epoch', 'headers', 'key', 'value'].map((f) => [
    `print.${f}`,
    'true',
  ]),
);

test("the fields in the order of Kafka's DefaultMessageFormatter", () => {
  expect(print({})).toBe('v\n');
  expect(print(everything)).toBe(
    'CreateTime:1700000000000\tPartition:3\tOffset:5\tDelivery:NOT_PRESENT\tEpoch:7\th1:v1,h2:null\tk\tv\n',
  );
  expect(print(everything, { headers: [], key: null, value: null, timestampType: 'LogAppendTime' })).toBe(
    'LogAppendTime:1700000000000\tPartition:3\tOffset:5\tDelivery:NOT_PRESENT\tEpoch:7\tNO_HEADERS\tnull\tnull\n',
  );
});

test('separators and the literal for null', () => {
  const separators = { 'key.separator': '|', 'line.separator': ';', 'headers.separator': '&', 'null.literal': 'NIL' };
  expect(print({ ...separators, 'print.key': 'true', 'print.headers': 'TRUE' }, { key: null })).toBe(
    'h1:v1&h2:NIL|NIL|v;',
  );
  expect(print({ 'print.value': 'false', 'print.key': 'true' })).toBe('k\n');
  expect(print({ 'print.value': 'false' })).toBe('');
});

test('bytes that are no text go through unchanged', () => {
  const [part] = recordFormat({})({ ...record, value: Buffer.from([0xff, 0]) });
  expect(part).toEqual(Buffer.from([0xff, 0]));
});

test("deserializers by short name or Java's class", () => {
  const long = Buffer.from('00000000000003e8', 'hex');
  expect(
    print({ 'value.deserializer': 'org.apache.kafka.common.serialization.LongDeserializer' }, { value: long }),
  ).toBe('1000\n');
  expect(
    print(
      { 'print.key': 'true', 'key.deserializer': 'long', 'value.deserializer': 'json' },
      {
        key: long,
        value: Buffer.from(' {"a": 1}'),
      },
    ),
  ).toBe('1000\t{"a":1}\n');
  expect(() => print({ 'value.deserializer': 'long' })).toThrow('a long has 8 bytes, not 1');
  expect(print({ 'value.deserializer': 'long' }, { value: null })).toBe('null\n');
});

test('other formatters by the last part of their names', () => {
  expect(print({}, {}, 'org.apache.kafka.tools.consumer.NoOpMessageFormatter')).toBe('');
  expect(print({}, {}, 'kafka.tools.LoggingMessageFormatter')).toBe('CreateTime:1700000000000, key:k, value:v\n');
  expect(() => print({}, {}, 'com.example.Mine')).toThrow("unknown formatter 'com.example.Mine'; there are Default");
  expect(() => print({ 'print.keys': 'true' })).toThrow("unknown formatter property 'print.keys'");
});

test('formatters for __consumer_offsets print the records of their kind and pass over all others', () => {
  const value = { offset: 3, leaderEpoch: -1, metadata: '', commitTimestampMs: 5 };
  const bytes = encodeRecord({ kind: 'offset', group: 'g', topic: 't', partition: 0, value });
  const committed = { key: Buffer.from(bytes.key), value: Buffer.from(bytes.value as Uint8Array) };
  const key = '{"key":{"type":1,"data":{"group":"g","topic":"t","partition":0}}';
  const offsets = 'org.apache.kafka.tools.consumer.OffsetsMessageFormatter';
  expect(print({}, committed, offsets)).toBe(
    `${key},"value":{"version":3,"data":{"offset":3,"leaderEpoch":-1,"metadata":"","commitTimestamp":5}}}\n`,
  );
  expect(print({}, { ...committed, value: null }, offsets)).toBe(`${key},"value":null}\n`);
  for (const other of [null, Buffer.from([0, 16])]) expect(print({}, { key: other }, offsets)).toBe('');
  expect(print({}, committed, 'GroupMetadataMessageFormatter')).toBe('');
});
