import { expect, test } from 'vitest';
import { UsageError } from '../flags.ts';
import { parseTopic, takeStates } from './flags.ts';

test('--state alone, with a list behind it or after an equals sign', () => {
  expect(takeStates(['--list', '--state'])).toEqual({ argv: ['--list', '--state'], states: [] });
  expect(takeStates(['--state', '--list'])).toEqual({ argv: ['--state', '--list'], states: [] });
  expect(takeStates(['--list', '--state', 'stable,Empty', '--timeout', '1'])).toEqual({
    argv: ['--list', '--state', '--timeout', '1'],
    states: ['Stable', 'Empty'],
  });
  expect(takeStates(['--list', '--state=Dead']).states).toEqual(['Dead']);
  expect(() => takeStates(['--list', '--state', 'sleeping'])).toThrow(UsageError);
});

test('topics with and without partitions', () => {
  expect(parseTopic('t')).toEqual({ topic: 't', partitions: undefined });
  expect(parseTopic('t:0,12')).toEqual({ topic: 't', partitions: [0, 12] });
  expect(() => parseTopic('t:x')).toThrow(UsageError);
});
