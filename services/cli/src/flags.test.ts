import { describe, expect, test } from 'vitest';
import { formatHelp, keyValues, parseFlags, UsageError, wholeNumber } from './flags.ts';

const flags = {
  'bootstrap-server': { kind: 'value', doc: 'Where' },
  topic: { kind: 'value', required: true, doc: 'Which' },
  config: { kind: 'list', doc: 'Settings' },
  'producer-props': { kind: 'words', doc: 'Settings' },
  'producer.config': { kind: 'value', doc: 'File' },
  create: { kind: 'switch', doc: 'Create' },
  state: { kind: 'optional', doc: 'State' },
  time: { kind: 'value', default: '-1', doc: 'Time' },
} as const;

const parse = (...argv: string[]) => parseFlags(flags, argv).values;

describe('parseFlags', () => {
  test('a value that may be left out', () => {
    const state = (...argv: string[]) => parse('--topic', 't', ...argv).state;
    expect([
      state(),
      state('--state'),
      state('--state', '--create'),
      state('--state', 'x'),
      state('--state=x'),
    ]).toEqual([undefined, '', '', 'x', 'x']);
  });

  test('values, lists, switches, words and defaults', () => {
    expect(
      parse(
        '--topic',
        't',
        '--config',
        'a=1',
        '--config=b=2',
        '--create',
        '--producer-props',
        'x=1',
        'y=2',
        '--time',
        '-2',
      ),
    ).toEqual({
      topic: 't',
      config: ['a=1', 'b=2'],
      create: true,
      'producer-props': ['x=1', 'y=2'],
      time: '-2',
      'bootstrap-server': undefined,
      'producer.config': undefined,
    });
    expect(parse('--topic', 't').time).toBe('-1');
  });

  test('an unambiguous beginning of a name is enough', () => {
    expect(parse('--top', 't', '--boot', 'h:1')['bootstrap-server']).toBe('h:1');
    expect(() => parse('--produc', 'x')).toThrow('--produc is ambiguous: --producer-props, --producer.config');
  });

  test.each([
    [['--topik', 't'], 'unknown flag --topik; did you mean --topic?'],
    [[], 'missing required flag --topic'],
    [['--topic'], '--topic needs a value'],
    [['--topic', '--create'], '--topic needs a value'],
    [['--topic', 't', '--create=yes'], '--create takes no value'],
    [['--topic', 't', 'stray'], "unexpected argument 'stray'"],
  ])('refuses %j', (argv, message) => {
    expect(() => parseFlags(flags, argv)).toThrow(UsageError);
    expect(() => parseFlags(flags, argv)).toThrow(message);
  });
});

test('numbers and pairs name the flag that is wrong', () => {
  expect(wholeNumber('partitions', '3', 1)).toBe(3);
  expect(() => wholeNumber('partitions', '0', 1)).toThrow("--partitions must be a whole number of at least 1, not '0'");
  expect(() => wholeNumber('partitions', '3x', 1)).toThrow(UsageError);
  expect(keyValues('config', ['a=b=c'])).toEqual({ a: 'b=c' });
  expect(() => keyValues('config', ['a'])).toThrow("--config must be of the form key=value, not 'a'");
});

test('help shows every flag with its default', () => {
  const help = formatHelp('tool --topic <name>', 'A tool.', flags);
  for (const name of Object.keys(flags)) expect(help).toContain(`--${name}`);
  expect(help).toContain('Which (required)');
  expect(help).toContain('Time (default: -1)');
});
