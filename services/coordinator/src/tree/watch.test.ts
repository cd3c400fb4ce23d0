import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Change } from './command.ts';
import { encodeCommand } from './command-codec.ts';
import { History } from './history.ts';
import { arbitraryCommands } from './testing/arbitrary-command.ts';
import { TreeMachine } from './tree-machine.ts';
import { covers, WatchIndex } from './watch-index.ts';

function deleted(path: string): Change {
  return { kind: 'deleted', path };
}

describe('the watch index', () => {
  test('tells a single watch its own path, a recursive one everything below', () => {
    const index = new WatchIndex();
    const told: string[] = [];
    const watcher = (name: string, path: string, recursive: boolean) => ({
      path,
      recursive,
      onChanges: (changes: readonly Change[], zxid: number) =>
        told.push(`${name}@${zxid}:${changes.map((c) => c.path)}`),
    });
    index.add(watcher('root', '/', true));
    index.add(watcher('single', '/a', false));
    index.add(watcher('below', '/a', true));
    index.add(watcher('other', '/ab', true));
    index.dispatch(7, [deleted('/a/b'), deleted('/a'), deleted('/c')]);
    expect(told.sort()).toEqual(['below@7:/a/b,/a', 'root@7:/a/b,/a,/c', 'single@7:/a']);
    expect(index.size).toBe(4);
  });

  test('a removed watch hears nothing more', () => {
    const index = new WatchIndex();
    let heard = 0;
    const watcher = { path: '/a', recursive: true, onChanges: () => (heard += 1) };
    index.add(watcher);
    index.add(watcher);
    index.remove(watcher);
    index.remove(watcher);
    index.dispatch(1, [deleted('/a')]);
    expect([heard, index.size]).toEqual([0, 0]);
  });
});

describe('the history', () => {
  test('gives everything after a zxid, or nothing at all when a part is gone', () => {
    const history = new History({ entriesMax: 3, bytesMax: 1_000_000 });
    for (const zxid of [2, 4, 6, 8, 10]) history.push(zxid, [deleted(`/${zxid}`)]);
    expect(history.since(10)).toEqual([]);
    expect(history.since(7)?.map((entry) => entry.zxid)).toEqual([8, 10]);
    expect(history.since(4)?.map((entry) => entry.zxid)).toEqual([6, 8, 10]);
    expect(history.since(3)).toBeUndefined();
  });

  test('is bounded by bytes, too', () => {
    const history = new History({ entriesMax: 1_000, bytesMax: 1_000 });
    for (let zxid = 1; zxid <= 100; zxid += 1) history.push(zxid, [deleted('/a')]);
    expect(history.since(90)).toBeUndefined();
    expect(history.since(97)).toHaveLength(3);
  });

  test('knows nothing of what was before a restored snapshot', () => {
    const history = new History();
    history.push(3, [deleted('/a')]);
    history.restartAt(9);
    expect(history.since(8)).toBeUndefined();
    expect(history.since(9)).toEqual([]);
  });

  test('a watch that resumes on another node hears every change once and in order (Z10)', () => {
    fc.assert(
      fc.property(
        arbitraryCommands,
        fc.nat(60),
        fc.constantFrom('/', '/a', '/a/b'),
        fc.boolean(),
        (commands, cut, path, recursive) => {
          const nodes = [new TreeMachine(), new TreeMachine()] as const;
          const live: number[] = [];
          const resumed: number[] = [];
          const onChanges = (_: readonly Change[], zxid: number) => live.push(zxid);
          nodes[0].watches.add({ path, recursive, onChanges });
          const entries = commands.map((command, index) => ({
            index: index + 1,
            term: 1,
            data: encodeCommand(command),
          }));
          for (const entry of entries) for (const node of nodes) node.apply(entry);
          const seen = live.filter((zxid) => zxid <= cut);
          for (const { zxid, changes } of nodes[1].history.since(cut) ?? []) {
            if (changes.some((change) => covers({ path, recursive }, change.path))) resumed.push(zxid);
          }
          expect([...seen, ...resumed]).toEqual(live);
        },
      ),
      { numRuns: 100 },
    );
  });
});
