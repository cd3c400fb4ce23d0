import { expect, test } from 'vitest';
import { lineParser } from './line-parser.ts';

const parse = (properties: Readonly<Record<string, string>>, ...lines: string[]): unknown[] => {
  const parser = lineParser(properties, 't');
  return lines.map((line) => {
    const { topic, ...record } = parser(line);
    return record;
  });
};

test("lines as Kafka's LineMessageReader takes them apart", () => {
  expect(parse({}, 'a\tb')).toEqual([{ value: 'a\tb' }]);
  expect(parse({ 'parse.key': ' TRUE ' }, 'k\tv\tw', '\t')).toEqual([
    { key: 'k', value: 'v\tw' },
    { key: '', value: '' },
  ]);
  expect(parse({ 'parse.key': 'true', 'key.separator': '::' }, 'k::v')).toEqual([{ key: 'k', value: 'v' }]);
  expect(parse({ 'parse.headers': 'true', 'parse.key': 'true' }, 'h1:v1,h2:,h1:a:b\tk\tv')).toEqual([
    {
      key: 'k',
      value: 'v',
      headers: [
        ['h1', 'v1'],
        ['h2', ''],
        ['h1', 'a:b'],
      ],
    },
  ]);
  const separators = { 'headers.delimiter': '|', 'headers.separator': ';', 'headers.key.separator': '=' };
  expect(parse({ 'parse.headers': 'true', ...separators }, 'a=1;b=2|v')).toEqual([
    {
      value: 'v',
      headers: [
        ['a', '1'],
        ['b', '2'],
      ],
    },
  ]);
});

test('null.marker stands for null in keys, values, header values and all headers', () => {
  const all = { 'parse.headers': 'true', 'parse.key': 'true', 'null.marker': 'NULL' };
  expect(parse(all, 'a:NULL\tNULL\tNULL', 'NULL\tk\tv')).toEqual([
    { key: null, value: null, headers: [['a', null]] },
    { key: 'k', value: 'v' },
  ]);
  expect(() => parse(all, 'NULL:a\tk\tv')).toThrow(
    "Header keys should not be equal to the null marker 'NULL' as they can't be null",
  );
});

test('ignore.error takes what it can', () => {
  const lenient = { 'parse.key': 'true', 'parse.headers': 'true', 'ignore.error': 'true' };
  expect(parse(lenient, 'plain', 'h\tk\tv')).toEqual([
    { value: 'plain' },
    { key: 'k', value: 'v', headers: [['h', null]] },
  ]);
});

test.each([
  [{ 'parse.key': 'true' }, "No key separator found on line number 2: 'bad'"],
  [{ 'parse.headers': 'true' }, "No headers delimiter found on line number 2: 'bad'"],
])('a line that does not fit is named by its number: %j', (properties, message) => {
  expect(() => parse(properties, 'h:v\tx', 'bad')).toThrow(message);
});

test('a pair without a separator is named', () => {
  expect(() => parse({ 'parse.headers': 'true' }, 'a:1,b\tv')).toThrow(
    "No header key separator found in pair 'b' on line number 1",
  );
});

test.each([
  [{ 'parse.kee': 'true' }, /unknown reader property 'parse\.kee'; there are parse\.key/],
  [{ 'headers.separator': ':' }, 'headers.separator and headers.key.separator may not be equal'],
  [{ 'null.marker': '\t' }, 'null.marker and key.separator may not be equal'],
])('properties that cannot be: %j', (properties, message) => {
  expect(() => lineParser(properties as Record<string, string>, 't')).toThrow(message);
});
