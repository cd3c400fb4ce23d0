import type { coordinator as wire } from '@naru/rpc';
import { describe, expect, test } from 'vitest';
import { ClientWatch } from './client-watch.ts';

function node(path: string): wire.Znode {
  return { path, data: new Uint8Array(0), stat: undefined };
}

function changes(zxid: number, ...paths: string[]): wire.WatchChanges {
  return { watchId: 1, zxid, changes: paths.map((path) => ({ kind: 2, node: node(path) })) };
}

function recorded(): { readonly watch: ClientWatch; readonly told: string[] } {
  const told: string[] = [];
  const watch = new ClientWatch(1, '/', true, {
    onSnapshot: (nodes, zxid) => told.push(`snapshot ${zxid}: ${nodes.map((each) => each.path)}`),
    onChanges: (all, zxid) =>
      told.push(`changes ${zxid}: ${all.map((each) => (each.kind === 'deleted' ? each.path : each.node.path))}`),
  });
  return { watch, told };
}

describe('a watch over several links', () => {
  test('tells a snapshot when it is whole, then the changes; an empty list only says where it stands', () => {
    const { watch, told } = recorded();
    watch.onSnapshot({ watchId: 1, zxid: 5, nodes: [node('/')], done: false });
    watch.onSnapshot({ watchId: 1, zxid: 5, nodes: [node('/a')], done: true });
    watch.onChanges(changes(6));
    watch.onChanges(changes(7, '/a'));
    expect(told).toEqual(['snapshot 5: /,/a', 'changes 7: /a']);
  });

  test('half a snapshot is forgotten with its link', () => {
    const { watch, told } = recorded();
    watch.onSnapshot({ watchId: 1, zxid: 5, nodes: [node('/old')], done: false });
    watch.onBroken(9);
    expect(watch.request().afterZxid).toBe(0);
    watch.onSnapshot({ watchId: 1, zxid: 9, nodes: [node('/new')], done: true });
    expect(told).toEqual(['snapshot 9: /new']);
  });

  test('a live watch resumes from the last zxid that it heard of, a watch that is not live yet from its own (Z10)', () => {
    const { watch } = recorded();
    watch.onSnapshot({ watchId: 1, zxid: 5, nodes: [], done: true });
    watch.onBroken(50);
    expect(watch.request().afterZxid).toBe(5);
    watch.onChanges(changes(8, '/a'));
    watch.onChanges(changes(9));
    watch.onBroken(60);
    expect(watch.request().afterZxid).toBe(60);
  });

  test('a change that comes twice is told once', () => {
    const { watch, told } = recorded();
    watch.onChanges(changes(8, '/a'));
    watch.onChanges(changes(8, '/a'));
    expect(told).toEqual(['changes 8: /a']);
  });
});
