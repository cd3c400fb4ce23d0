import { describe, expect, test } from 'vitest';
import { isLinearizable, type RegisterOperation } from './linearizability.ts';

function write(value: string, calledMs: number, returnedMs: number): RegisterOperation {
  return { kind: 'write', value, calledMs, returnedMs };
}

function read(value: string | undefined, calledMs: number, returnedMs: number): RegisterOperation {
  return { kind: 'read', value, calledMs, returnedMs };
}

const unknown = Number.POSITIVE_INFINITY;

describe('the checker accepts', () => {
  test.each([
    ['nothing', []],
    ['a read before any write', [read(undefined, 0, 1), write('a', 2, 3)]],
    ['concurrent writes in either order', [write('a', 0, 9), write('b', 0, 9), read('a', 10, 11)]],
    ['a read of a write that is under way', [write('a', 0, 9), read('a', 1, 2)]],
    [
      'a lost write that took effect late',
      [write('a', 0, unknown), write('b', 1, 2), read('b', 3, 4), read('a', 5, 6)],
    ],
    ['a lost write that never took effect', [write('a', 0, unknown), read(undefined, 3, 4)]],
  ])('%s', (_, history) => expect(isLinearizable(history)).toBe(true));
});

describe('the checker finds', () => {
  test.each([
    ['a lost write', [write('a', 0, 1), read(undefined, 2, 3)]],
    ['a stale read', [write('a', 0, 1), write('b', 2, 3), read('a', 4, 5)]],
    ['a read that goes back', [write('a', 0, 1), write('b', 2, 9), read('b', 3, 4), read('a', 5, 6)]],
    ['a value from nowhere', [read('z', 0, 1)]],
    [
      'a lost write that took effect twice',
      [write('a', 0, unknown), read('a', 1, 2), write('b', 3, 4), read('b', 5, 6), read('a', 7, 8)],
    ],
  ])('%s', (_, history) => expect(isLinearizable(history)).toBe(false));
});
