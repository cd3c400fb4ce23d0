import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Change, Command, Outcome } from './command.ts';
import { CommandError, decodeCommand, encodeCommand } from './command-codec.ts';
import { arbitraryCommand, arbitraryCommands } from './testing/arbitrary-command.ts';
import { emptyModel, type Model, modelApply, text } from './testing/tree-model.ts';
import { Tree } from './tree.ts';
import { TreeMachine } from './tree-machine.ts';

const term = 1;

function codeOf(outcome: Outcome): string {
  if (!outcome.ok) return outcome.failedIndex >= 0 ? `${outcome.code}@${outcome.failedIndex}` : outcome.code;
  return outcome.kind === 'ignored' ? 'ignored' : 'ok';
}

function expectSame(tree: Tree, model: Model): void {
  const expected = [...model.nodes].sort((a, b) => (a.path < b.path ? -1 : 1));
  const found = tree.subtree('/', true).map(({ path, data, stat }) => ({
    path,
    data: text(data),
    version: stat.version,
    cversion: stat.cversion,
    czxid: stat.czxid,
    mzxid: stat.mzxid,
    pzxid: stat.pzxid,
    owner: stat.ephemeralOwner,
    nextSequence: tree.znodes.get(path)?.nextSequence,
  }));
  expect(found).toEqual(expected);
  const live = [...tree.sessions.values()].map(({ id, touches }) => ({ id, touches }));
  expect(live).toEqual(model.sessions.map(({ id, touches }) => ({ id, touches })));
}

/** Z11, and what a session remembers of its ephemerals. */
function expectEphemeralsOfLivingSessions(tree: Tree): void {
  const owned = new Map<string, string[]>();
  for (const node of tree.subtree('/', true)) {
    const owner = node.stat.ephemeralOwner;
    if (owner === '') continue;
    expect(tree.sessions.has(owner)).toBe(true);
    owned.set(owner, [...(owned.get(owner) ?? []), node.path]);
    expect(node.stat.numChildren).toBe(0);
  }
  for (const session of tree.sessions.values()) {
    const paths = owned.get(session.id) ?? [];
    expect([...session.ephemerals].sort()).toEqual(paths);
    const bytes = paths.reduce((sum, path) => sum + path.length + (tree.get(path)?.data.length ?? 0), 0);
    expect(session.ephemeralBytes).toBe(bytes);
  }
}

describe('the tree', () => {
  test('does what the model does, command by command; a refused write leaves no trace', () => {
    fc.assert(
      fc.property(arbitraryCommands, (commands) => {
        const tree = new Tree();
        let model = emptyModel;
        for (const [index, command] of commands.entries()) {
          const zxid = index + 1;
          const { outcome } = tree.apply({ zxid, term }, command);
          const expected = modelApply(model, zxid, term, command);
          model = expected.model;
          expect(codeOf(outcome)).toBe(expected.code);
          expectSame(tree, model);
          expectEphemeralsOfLivingSessions(tree);
        }
      }),
      { numRuns: 150 },
    );
  });

  test('tells changes that, applied to a copy, keep the copy equal (watches carry the whole truth)', () => {
    fc.assert(
      fc.property(arbitraryCommands, (commands) => {
        const tree = new Tree();
        const copy = new Map<string, string>([['/', '0:']]);
        for (const [index, command] of commands.entries()) {
          const { changes } = tree.apply({ zxid: index + 1, term }, command);
          for (const change of changes) replay(copy, change);
          const now = tree.subtree('/', true).map(({ path, data, stat }) => [path, `${stat.version}:${text(data)}`]);
          expect([...copy].sort()).toEqual(now);
        }
      }),
      { numRuns: 100 },
    );
  });

  test('restore(snapshot i) and the log (i, j] give the state of replaying j (Z14, row 32), and equal hashes (Z4, Z7)', () => {
    fc.assert(
      fc.property(arbitraryCommands, fc.nat(60), (commands, cut) => {
        const whole = new TreeMachine();
        const restored = new TreeMachine();
        const entries = commands.map((command, index) => ({
          index: 2 * index + 1,
          term,
          data: encodeCommand(command),
        }));
        const at = Math.min(cut, entries.length);
        for (const entry of entries.slice(0, at)) whole.apply(entry);
        restored.restore(Buffer.concat(whole.snapshot()), 2 * at);
        expect(restored.stateHash()).toBe(whole.stateHash());
        for (const entry of entries.slice(at)) expect(restored.apply(entry)).toEqual(whole.apply(entry));
        expect(restored.stateHash()).toBe(whole.stateHash());
        expectEphemeralsOfLivingSessions(restored.tree);
      }),
      { numRuns: 100 },
    );
  });
});

function replay(copy: Map<string, string>, change: Change): void {
  if (change.kind === 'deleted') expect(copy.delete(change.path)).toBe(true);
  else {
    expect(copy.has(change.path)).toBe(change.kind === 'changed');
    copy.set(change.path, `${change.stat.version}:${text(change.data)}`);
  }
}

describe('the command codec', () => {
  test('reads back what it wrote', () => {
    fc.assert(
      fc.property(arbitraryCommand, (command) => {
        expect(plain(decodeCommand(encodeCommand(command)))).toEqual(plain(command));
      }),
    );
  });

  test('refuses what is no command with its own error, never with another', () => {
    fc.assert(
      fc.property(arbitraryCommand, fc.nat(), fc.nat(255), (command, position, flip) => {
        const bytes = encodeCommand(command);
        const cut = bytes.slice(0, position % (bytes.length + 1));
        const bent = bytes.slice();
        if (bent.length > 0) bent[position % bent.length] = flip;
        for (const input of [cut, bent]) {
          try {
            decodeCommand(input);
          } catch (error) {
            expect(error).toBeInstanceOf(CommandError);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  test('does not keep the buffer that it decoded from', () => {
    const step = { kind: 'set-data', path: '/a', data: new Uint8Array([7]), version: -1 } as const;
    const bytes = Buffer.from(encodeCommand({ kind: 'write', timeMs: 1, session: 's', steps: [step] }));
    const decoded = decodeCommand(bytes);
    bytes.fill(0);
    expect(decoded.kind === 'write' && decoded.steps[0]).toEqual(step);
  });
});

/** Byte arrays as lists: a Buffer and a Uint8Array with the same bytes are the same command. */
function plain(command: Command): unknown {
  return JSON.parse(JSON.stringify(command, (_, value) => (value instanceof Uint8Array ? [...value] : value)));
}
