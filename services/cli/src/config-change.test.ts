import { expect, test } from 'vitest';
import { configChange } from './config-change.ts';
import { UsageError } from './flags.ts';

const set = (...added: string[]): unknown => configChange(added, undefined, []).set;

test('commas separate settings, inside of brackets the entries of a list', () => {
  expect(set('a=1')).toEqual({ a: '1' });
  expect(set('a=1,b=[x,y],c=z')).toEqual({ a: '1', b: 'x,y', c: 'z' });
  expect(set('b=[x,y]', ' a = 1 ')).toEqual({ b: 'x,y', a: '1' });
  expect(set('a=', 'b=k=v')).toEqual({ a: '', b: 'k=v' });
});

test('what is no setting is refused', () => {
  for (const wrong of ['a', '=1', 'a=1,', 'a=1,b']) expect(() => set(wrong)).toThrow(UsageError);
  expect(() => configChange([], undefined, ['a,,b'])).toThrow(UsageError);
  expect(() => configChange(['a=1'], undefined, ['b,a'])).toThrow("'a' stands in --add-config and in --delete-config");
});

test('what is taken back', () => {
  expect(configChange([], undefined, ['a, b', 'c']).remove).toEqual(['a', 'b', 'c']);
});
