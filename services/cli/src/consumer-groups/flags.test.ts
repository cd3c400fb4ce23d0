import { expect, test } from 'vitest';
import { parseFlags, UsageError } from '../flags.ts';
import { flags, parseTopic, statesOf, typesOf, type Values } from './flags.ts';

test('states and types by their names, in any case', () => {
  const values = (...argv: string[]): Values => parseFlags(flags, argv).values;
  expect(statesOf(values('--list', '--state'))).toEqual([]);
  expect(statesOf(values('--list', '--state', 'stable,Empty', '--timeout', '1'))).toEqual(['Stable', 'Empty']);
  expect(statesOf(values('--list', '--state=Dead'))).toEqual(['Dead']);
  expect(typesOf(values('--list', '--type', 'classic'))).toEqual(['Classic']);
  expect(() => statesOf(values('--list', '--state', 'sleeping'))).toThrow(UsageError);
});

test('topics with and without partitions', () => {
  expect(parseTopic('t')).toEqual({ topic: 't', partitions: undefined });
  expect(parseTopic('t:0,12')).toEqual({ topic: 't', partitions: [0, 12] });
  expect(() => parseTopic('t:x')).toThrow(UsageError);
});

test('a partition of --topic that is none is told with the whole of what was written', () => {
  expect(() => parseTopic('orders:x')).toThrow("--topic orders:x: 'x' is no partition; write orders or orders:0,1");
});
