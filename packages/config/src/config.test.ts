import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError, closest, defineConfig, formatProperties, parseProperties } from './index.ts';

const definition = defineConfig({
  'linger.ms': { type: 'int', default: 5, min: 0, doc: 'How long to wait for more records' },
  'compression.type': { type: 'string', default: 'none', oneOf: ['none', 'lz4'], doc: 'Codec' },
  'enable.idempotence': { type: 'boolean', default: true, doc: 'No duplicates' },
  'bootstrap.servers': { type: 'list', doc: 'Where to begin' },
  'retention.ms': { type: 'long', default: -1, min: -1, doc: 'Age' },
  policy: { type: 'list', default: ['delete'], oneOf: ['delete', 'compact'], doc: 'What happens' },
  ratio: { type: 'double', default: 0.5, min: 0, max: 1, doc: 'Share' },
});

describe('parse', () => {
  test('gives defaults, takes both spellings and text', () => {
    const config = definition.parse({ lingerMs: '7', 'bootstrap.servers': 'a:1, b:2', 'enable.idempotence': 'FALSE' });
    expect(config).toEqual({
      'linger.ms': 7,
      'compression.type': 'none',
      'enable.idempotence': false,
      'bootstrap.servers': ['a:1', 'b:2'],
      'retention.ms': -1,
      policy: ['delete'],
      ratio: 0.5,
    });
  });

  test.each([
    [{ 'linger.msx': 1 }, "unknown configuration key 'linger.msx'; did you mean 'linger.ms'?"],
    [{ lingerMS: 1 }, "unknown configuration key 'lingerMS'; did you mean 'linger.ms'?"],
    [{ 'zookeeper.connect': 'x' }, "unknown configuration key 'zookeeper.connect'"],
    [{ 'linger.ms': -1 }, "invalid value -1 for configuration 'linger.ms': it must be a whole number of at least 0"],
    [{ 'linger.ms': '' }, 'invalid value "" for'],
    [{ 'linger.ms': 1.5 }, 'it must be a whole number'],
    [{ 'linger.ms': 3e9 }, 'it must be a whole number'],
    [{ ratio: 2 }, 'it must be a number from 0 to 1'],
    [{ 'compression.type': 'lz5' }, 'it must be one of none, lz4'],
    [{ policy: 'compact, shred' }, 'it must be one or more of delete, compact'],
    [{ policy: '' }, 'it must be one or more of delete, compact'],
    [{ 'enable.idempotence': 'yes' }, 'it must be true or false'],
    [{ lingerMs: 1, 'linger.ms': 2 }, "'linger.ms' is given twice"],
  ])('refuses %j', (input, message) => {
    expect(() => definition.parse(input)).toThrow(ConfigError);
    expect(() => definition.parse(input)).toThrow(message);
  });

  test('a list of chosen items', () => {
    expect(definition.parse({ policy: 'compact, delete' }).policy).toEqual(['compact', 'delete']);
  });

  test("keys of Object's prototype are unknown keys", () => {
    expect(() => definition.parse({ constructor: 1 })).toThrow("unknown configuration key 'constructor'");
    expect(definition.has('toString')).toBe(false);
  });
});

describe('properties', () => {
  test('comments, separators, continuation and escapes', () => {
    expect(parseProperties('# c\n! d\n a = 1\nb: x\\\n   y\nc=\\u0041\\n\r\nempty=\n')).toEqual({
      a: '1',
      b: 'xy',
      c: 'A\n',
      empty: '',
    });
  });

  test('a key given twice is refused with its line', () => {
    expect(() => parseProperties('a=1\na=2')).toThrow("line 2: configuration key 'a' is given twice");
  });

  test('what is formatted is read back', () => {
    const key = fc.string({ minLength: 1, unit: fc.constantFrom('a', '.', ':', '=', '#', ' ', '\\', 'ß') });
    const value = fc.string({ unit: fc.constantFrom('a', ' ', '\\', '\n', '=', ':', '\t', '#', 'ß', '\r') });
    fc.assert(
      fc.property(fc.dictionary(key, value, { maxKeys: 5 }), (values) => {
        expect(parseProperties(formatProperties(values))).toEqual({ ...values });
      }),
    );
  });
});

test('closest finds the near and not the far', () => {
  expect(closest('bootstrap.server', ['bootstrap.servers', 'client.id'])).toBe('bootstrap.servers');
  expect(closest('abcdef', ['uvwxyz'])).toBeUndefined();
});
