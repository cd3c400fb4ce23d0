import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { UsageError } from '../../command-line.ts';
import { OutDirectory } from './out-directory.ts';

describe('where chaos writes', () => {
  let path: string;
  beforeEach(() => {
    path = mkdtempSync(join(tmpdir(), 'naru chaos out-'));
  });
  afterEach(() => rmSync(path, { recursive: true }));

  test('what an earlier harness kept stays: numbers go on', () => {
    mkdirSync(join(path, '007-steady-kill-leader'));
    const out = new OutDirectory(path);
    expect([out.next('a/b'), out.next('c/d')].map((one) => basename(one))).toEqual(['008-a-b', '009-c-d']);
  });

  test('one harness at a time; who has died does not count', () => {
    const out = new OutDirectory(path);
    expect(() => new OutDirectory(path)).toThrow(`process ${process.pid} writes to ${path}; give another directory`);
    out.close();
    new OutDirectory(path).close();
    writeFileSync(join(path, 'harness'), `${process.pid}.1`);
    new OutDirectory(path).close();
  });

  test('two harnesses to which nobody gave a directory have one each', () => {
    vi.stubEnv('TMPDIR', path);
    const [one, other] = [OutDirectory.usual(), OutDirectory.usual()];
    expect([one.path, other.path].map((taken) => basename(taken))).toEqual(['naru-chaos', `naru-chaos-${process.pid}`]);
    for (const out of [one, other]) out.close();
    vi.unstubAllEnvs();
  });

  test('no directory can be made there', () => {
    writeFileSync(join(path, 'file'), '');
    expect(() => new OutDirectory(join(path, 'file', 'out'))).toThrow(UsageError);
  });
});
