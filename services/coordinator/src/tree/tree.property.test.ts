import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Change, Command, Outcome, WriteStep } from './command.ts';
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
        const hash = whole.stateHash();
        const snapshot = whole.snapshot();
        const outcomes = entries.slice(at).map((entry) => whole.apply(entry));
        // Whatever was applied since it was begun, it is of its beginning.
        restored.restore(Buffer.concat([...snapshot]), 2 * at);
        snapshot.release();
        expect(restored.stateHash()).toBe(hash);
        expect(entries.slice(at).map((entry) => restored.apply(entry))).toEqual(outcomes);
        expect(restored.stateHash()).toBe(whole.stateHash());
        expectEphemeralsOfLivingSessions(restored.tree);
      }),
      { numRuns: 100 },
    );
  });
});

test('a snapshot is made in pieces: a turn encodes few znodes, and what changes between two turns is as it was (row 32)', () => {
  const machine = new TreeMachine();
  let index = 0;
  const apply = (command: Command): void => {
    machine.apply({ index: ++index, term, data: encodeCommand(command) });
  };
  apply({ kind: 'create-session', timeMs: 1, password: new Uint8Array([1]), timeoutMs: 6_000 });
  const [session = ''] = machine.tree.sessions.keys();
  const write = (...steps: WriteStep[]): void => apply({ kind: 'write', session, timeMs: 1, steps });
  const create = (name: number): WriteStep => {
    const data = Buffer.alloc(100, 'a');
    return { kind: 'create', path: `/n${name}`, data, ephemeral: false, sequential: false };
  };
  for (let name = 0; name < 5_000; name += 100) write(...Array.from({ length: 100 }, (_, i) => create(name + i)));
  const hash = machine.stateHash();
  const snapshot = machine.snapshot();
  const pieces: Uint8Array[] = [];
  for (const piece of snapshot) {
    const name = pieces.push(piece);
    expect(piece.length).toBeLessThan(400_000);
    write({ kind: 'set-data', path: `/n${5_000 - name}`, data: Buffer.from('b'), version: -1 });
    write(
      { kind: 'delete', path: `/n${name}`, version: -1 },
      { kind: 'delete', path: `/n${4_900 - name}`, version: -1 },
    );
    write(create(9_000 + name));
  }
  snapshot.release();
  expect(pieces.length).toBeGreaterThan(5);
  expect(machine.stateHash()).not.toBe(hash);
  const restored = new TreeMachine();
  restored.restore(Buffer.concat(pieces), index);
  expect(restored.stateHash()).toBe(hash);
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
