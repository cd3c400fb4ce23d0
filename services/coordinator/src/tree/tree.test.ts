import { beforeEach, describe, expect, test } from 'vitest';
import type { Applied, Command, WriteStep } from './command.ts';
import { limits } from './limits.ts';
import { createPathFault, pathFault } from './path.ts';
import { sessionIdOf } from './sessions.ts';
import { Tree } from './tree.ts';

const none = new Uint8Array(0);
let tree: Tree;
let zxid: number;
let session: string;

function apply(command: Command, term = 1): Applied {
  zxid += 1;
  return tree.apply({ zxid, term }, command);
}

function newSession(): string {
  const { outcome } = apply({ kind: 'create-session', timeMs: 1, password: new Uint8Array([zxid]), timeoutMs: 6_000 });
  return outcome.ok && outcome.kind === 'session' ? outcome.session : '';
}

function write(steps: readonly WriteStep[], by = session): Applied {
  return apply({ kind: 'write', timeMs: 1_000 + zxid, session: by, steps });
}

function create(
  path: string,
  options: { ephemeral?: boolean; sequential?: boolean; data?: Uint8Array } = {},
): WriteStep {
  const { ephemeral = false, sequential = false, data = none } = options;
  return { kind: 'create', path, data, ephemeral, sequential };
}

beforeEach(() => {
  tree = new Tree();
  zxid = 0;
  session = newSession();
});

describe('writes', () => {
  test('stat: czxid, mzxid, pzxid, versions and times come from the entries', () => {
    write([create('/a')]);
    write([create('/a/b')]);
    write([{ kind: 'set-data', path: '/a', data: new Uint8Array(3), version: 0 }]);
    expect(tree.get('/a')?.stat).toEqual({
      czxid: 2,
      mzxid: 4,
      pzxid: 3,
      version: 1,
      cversion: 1,
      ephemeralOwner: '',
      numChildren: 1,
      dataLength: 3,
      ctimeMs: 1_001,
      mtimeMs: 1_003,
    });
  });

  test('a sequential znode gets ten digits that strictly grow per parent, also after deletes (Z8)', () => {
    write([create('/q')]);
    write([create('/q/n-', { sequential: true }), create('/q/', { sequential: true })]);
    write([{ kind: 'delete', path: '/q/n-0000000000', version: -1 }]);
    write([create('/q/n-', { sequential: true })]);
    expect(tree.children('/q')).toEqual(['0000000001', 'n-0000000002']);
  });

  test('a multi may delete and create one path: a new czxid, told as two changes of one zxid (row 10)', () => {
    write([create('/brokers'), create('/brokers/1', { ephemeral: true })]);
    const other = newSession();
    const { outcome, changes } = write(
      [
        { kind: 'check', path: '/brokers/1', version: -1, czxid: 2 },
        { kind: 'delete', path: '/brokers/1', version: -1 },
        create('/brokers/1', { ephemeral: true }),
      ],
      other,
    );
    expect(outcome.ok).toBe(true);
    expect(changes.map((change) => change.kind)).toEqual(['deleted', 'created']);
    expect(tree.get('/brokers/1')?.stat).toMatchObject({ czxid: 4, version: 0, ephemeralOwner: other });
    expect(tree.sessions.get(session)?.ephemerals.size).toBe(0);
  });

  test('the end of the old session does not remove what a new session created at the same path (row 26)', () => {
    write([create('/1', { ephemeral: true })]);
    const other = newSession();
    write([{ kind: 'delete', path: '/1', version: -1 }, create('/1', { ephemeral: true })], other);
    apply({ kind: 'close-session', timeMs: 9, session });
    expect(tree.get('/1')?.stat.ephemeralOwner).toBe(other);
  });

  test('a check by czxid refuses another creation of the same path and version (row 10)', () => {
    write([create('/a')]);
    const { outcome } = write([{ kind: 'check', path: '/a', version: 0, czxid: 1 }, create('/b')]);
    expect(outcome).toMatchObject({ ok: false, code: 'bad-version', failedIndex: 0 });
    expect(tree.get('/b')).toBeUndefined();
  });

  test('a failed multi leaves no trace, not even in a counter or a session', () => {
    write([create('/q'), create('/e', { ephemeral: true })]);
    const before = [tree.subtree('/', true), tree.sessions.get(session)?.ephemeralBytes];
    const { outcome, changes } = write([
      create('/q/n-', { sequential: true }),
      { kind: 'delete', path: '/e', version: -1 },
      create('/e2', { ephemeral: true, data: new Uint8Array(50) }),
      { kind: 'set-data', path: '/q', data: new Uint8Array(5), version: 7 },
    ]);
    expect(outcome).toMatchObject({ ok: false, code: 'bad-version', failedIndex: 3 });
    expect(changes).toEqual([]);
    expect([tree.subtree('/', true), tree.sessions.get(session)?.ephemeralBytes]).toEqual(before);
    write([create('/q/n-', { sequential: true })]);
    expect(tree.children('/q')).toEqual(['n-0000000000']);
  });
});

describe('sessions', () => {
  test('close removes all ephemerals in one zxid, and nothing is created after it (Z11)', () => {
    write([create('/d'), create('/d/a', { ephemeral: true }), create('/d/b', { ephemeral: true })]);
    const { changes } = apply({ kind: 'close-session', timeMs: 9, session });
    expect(changes).toEqual([
      { kind: 'deleted', path: '/d/a' },
      { kind: 'deleted', path: '/d/b' },
    ]);
    expect(tree.get('/d')?.stat).toMatchObject({ pzxid: zxid, cversion: 4, numChildren: 0 });
    expect(write([create('/late', { ephemeral: true })]).outcome).toMatchObject({ code: 'session-expired' });
  });

  test('an expiry that was decided before an attach does nothing (row 27, Z12)', () => {
    write([create('/e', { ephemeral: true })]);
    const attach = { kind: 'attach-session', timeMs: 5, session, password: new Uint8Array([0]) } as const;
    expect(apply(attach).outcome.ok).toBe(true);
    const expire = { kind: 'expire-session', timeMs: 5, session, touches: 0, term: 1 } as const;
    expect(apply(expire).outcome).toEqual({ ok: true, kind: 'ignored' });
    expect(tree.get('/e')).toBeDefined();
    expect(apply({ ...expire, touches: 1 }).changes).toHaveLength(1);
    expect(apply(attach).outcome).toMatchObject({ ok: false, code: 'session-expired' });
  });

  test('an expiry of another term does nothing (row 27)', () => {
    expect(apply({ kind: 'expire-session', timeMs: 5, session, touches: 0, term: 1 }, 2).outcome).toMatchObject({
      kind: 'ignored',
    });
    expect(tree.sessions.has(session)).toBe(true);
  });

  test('another password does not attach', () => {
    const { outcome } = apply({ kind: 'attach-session', timeMs: 5, session, password: new Uint8Array([9]) });
    expect(outcome).toMatchObject({ code: 'session-expired' });
    expect(tree.sessions.get(session)?.touches).toBe(0);
  });
});

describe('limits', () => {
  test('data of a znode', () => {
    expect(write([create('/a', { data: new Uint8Array(limits.znodeBytesMax) })]).outcome.ok).toBe(true);
    const tooLarge = new Uint8Array(limits.znodeBytesMax + 1);
    expect(write([create('/b', { data: tooLarge })]).outcome).toMatchObject({ code: 'limit-exceeded', failedIndex: 0 });
    const set = { kind: 'set-data', path: '/a', data: tooLarge, version: -1 } as const;
    expect(write([set]).outcome).toMatchObject({ code: 'limit-exceeded' });
  });

  test('ephemeral bytes of a session, whoever writes them (row 33)', () => {
    const data = new Uint8Array(limits.znodeBytesMax);
    for (let i = 0; i < 3; i += 1) expect(write([create(`/e${i}`, { ephemeral: true, data })]).outcome.ok).toBe(true);
    write([create('/small', { ephemeral: true })]);
    const grow = { kind: 'set-data', path: '/small', data, version: -1 } as const;
    expect(write([grow], newSession()).outcome).toMatchObject({ code: 'limit-exceeded' });
    expect(write([{ kind: 'delete', path: '/e0', version: -1 }, grow]).outcome.ok).toBe(true);
  });

  test('ephemerals of a session', () => {
    const steps = Array.from({ length: limits.ephemeralsPerSessionMax }, (_, i) =>
      create(`/e${i}`, { ephemeral: true }),
    );
    expect(write(steps).outcome.ok).toBe(true);
    expect(write([create('/one-more', { ephemeral: true })]).outcome).toMatchObject({ code: 'limit-exceeded' });
    expect(write([create('/persistent')]).outcome.ok).toBe(true);
    expect(apply({ kind: 'close-session', timeMs: 9, session }).changes).toHaveLength(limits.ephemeralsPerSessionMax);
  });

  test('operations and bytes of a write', () => {
    const steps = Array.from({ length: limits.operationsPerWriteMax + 1 }, () => create('/a'));
    expect(write(steps).outcome).toMatchObject({ code: 'limit-exceeded', failedIndex: -1 });
    const large = Array.from({ length: 9 }, (_, i) => create(`/${i}`, { data: new Uint8Array(limits.znodeBytesMax) }));
    expect(write(large).outcome).toMatchObject({ code: 'limit-exceeded', failedIndex: -1 });
  });

  test('sessions', () => {
    while (tree.sessions.size < limits.sessionsMax) expect(newSession()).toBe(sessionIdOf(zxid));
    expect(newSession()).toBe('');
  });
});

describe('paths', () => {
  test.each([
    '',
    'a',
    '/a/',
    '//',
    '/a//b',
    '/.',
    '/a/../b',
    '/a/.',
    '/a\u0000',
    '/\ud800',
    '/\u0007',
    `/${'x'.repeat(1_024)}`,
  ])('refuses %j', (path) => {
    expect(pathFault(path)).toBeTypeOf('string');
    expect(write([create(path)]).outcome).toMatchObject({ code: 'invalid-path' });
  });

  test.each(['/a', '/a/b', '/...', '/.a', '/a.', '/브로커', '/<default>', '/a b'])('takes %j', (path) => {
    expect(pathFault(path)).toBeUndefined();
  });

  test('a sequential znode may be named by its counter alone', () => {
    expect(createPathFault('/q/', true)).toBeUndefined();
    expect(createPathFault('/q/', false)).toBeTypeOf('string');
    expect(createPathFault('/q//', true)).toBeTypeOf('string');
  });
});
