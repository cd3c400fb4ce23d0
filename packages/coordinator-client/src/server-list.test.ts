import { describe, expect, test } from 'vitest';
import { parseAddress, ServerList } from './server-list.ts';

const first = { nextFloat: () => 0, nextInt: () => 0, nextBytes: (length: number) => new Uint8Array(length) };

describe('where to look for the leader', () => {
  test('each server once, then the round is over', () => {
    const list = new ServerList(['a:1', 'b:2'], first);
    expect([list.next().host, list.roundIsOver(), list.next().host, list.roundIsOver()]).toEqual([
      'a',
      false,
      'b',
      true,
    ]);
    expect([list.next().host, list.roundIsOver()]).toEqual(['a', false]);
  });

  test('the leader that a node names comes next, also when it is not in the list', () => {
    const list = new ServerList(['a:1', 'b:2'], first);
    list.next();
    expect(list.suggest('c:3')).toBe(true);
    expect(list.next()).toEqual({ host: 'c', port: 3 });
    expect(list.next().host).toBe('b');
  });

  test('two nodes that name each other do not keep a client running without a pause', () => {
    const list = new ServerList(['a:1', 'b:2'], first);
    let pauses = 0;
    for (let i = 0; i < 50; i += 1) {
      list.suggest(list.next().host === 'a' ? 'b:2' : 'a:1');
      if (list.roundIsOver()) pauses += 1;
    }
    expect(pauses).toBeGreaterThan(5);
  });

  test.each(['host', 'host:', ':1', 'host:99999', 'a b:1', ''])('refuses the address %j', (text) => {
    expect(() => parseAddress(text)).toThrow(/host:port/);
  });

  test('takes IPv6 addresses in brackets', () => {
    expect(parseAddress('[::1]:2181')).toEqual({ host: '::1', port: 2181 });
  });
});
