import { spawnSync } from 'node:child_process';
import { linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { losePower, parseJournal } from './power-loss.ts';
import { compileShim, ShimControl } from './preload-shim.ts';

const directory = mkdtempSync(join(tmpdir(), 'naru-chaos-power-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function nodeDirectory(name: string): { node: string; journal: string } {
  const node = join(directory, name);
  mkdirSync(join(node, 'data'), { recursive: true });
  return { node, journal: join(node, 'shim-journal') };
}

test('a directory sync settles the renames and removals in it, no others', () => {
  const journal = parseJournal('S 7 100\nR - 8 /d/x.tmp\t/d/x\nR 1-2 9 /e/y.tmp\t/e/y\nU 1-3 5 /e/z\nS 7 140\nD /d\n');
  expect(journal.synced).toEqual(new Map([[7, 140]]));
  expect(journal.openChanges).toEqual([
    { kind: 'rename', kept: '1-2', inode: 9, from: '/e/y.tmp', path: '/e/y' },
    { kind: 'removal', kept: '1-3', inode: 5, path: '/e/z' },
  ]);
});

test.each([
  ['nothing of the rest stays', 0, 6],
  ['half of it stays', 0.5, 8],
])('a file keeps what was synced: %s', (_, dice, size) => {
  const { node, journal } = nodeDirectory(`cut-${dice}`);
  const path = join(node, 'data', '1.log');
  writeFileSync(path, 'synced rest'.slice(0, 10));
  writeFileSync(journal, `S ${statSync(path).ino} 6\n`);
  losePower(node, journal, () => dice);
  expect(statSync(path).size).toBe(size);
  expect(readFileSync(path, 'latin1').slice(0, 6)).toBe('synced');
});

test('a file that was never synced may be empty; what survived once is safe from the next loss', () => {
  const { node, journal } = nodeDirectory('never');
  writeFileSync(join(node, 'data', 'a'), 'abc');
  losePower(node, journal, () => 0);
  expect(statSync(join(node, 'data', 'a')).size).toBe(0);
  writeFileSync(join(node, 'data', 'a'), 'xy');
  writeFileSync(journal, `${readFileSync(journal, 'utf8')}S ${statSync(join(node, 'data', 'a')).ino} 2\n`);
  losePower(node, journal, () => 0);
  expect(readFileSync(join(node, 'data', 'a'), 'utf8')).toBe('xy');
});

test('row 61: a rename without a sync of the directory may be undone, and the old file is back', () => {
  const { node, journal } = nodeDirectory('rename');
  const path = join(node, 'data', 'checkpoint');
  writeFileSync(path, 'new');
  writeFileSync(join(directory, 'old'), 'old');
  linkSync(join(directory, 'old'), `${journal}.1-1`);
  const [inode, old] = [statSync(path).ino, statSync(join(directory, 'old')).ino];
  writeFileSync(journal, `S ${inode} 3\nS ${old} 3\nR 1-1 ${inode} ${path}.tmp\t${path}\n`);
  losePower(node, journal, () => 0);
  expect(readFileSync(path, 'utf8')).toBe('old');
  expect(readFileSync(`${path}.tmp`, 'utf8')).toBe('new');
});

const { library: shim } = compileShim(directory);

describe.skipIf(shim === undefined)('the preloaded shim', () => {
  function script(control: ShimControl, text: string): string {
    return spawnSync(process.execPath, ['-e', text], {
      env: { ...process.env, ...control.environment },
      encoding: 'utf8',
      cwd: directory,
    }).stdout;
  }

  test('journals syncs and renames of node:fs', () => {
    const { node } = nodeDirectory('shim-journal');
    const control = new ShimControl(shim as string, node);
    script(
      control,
      `const fs = require('node:fs'); const f = fs.openSync('${node}/data/a', 'w'); fs.writeSync(f, 'abc'); fs.fdatasyncSync(f); fs.writeSync(f, 'de');
       fs.renameSync('${node}/data/a', '${node}/data/b'); const d = fs.openSync('${node}/data', 'r'); fs.fsyncSync(d);
       fs.unlinkSync('${node}/data/b');`,
    );
    const [, ino] = /^S (\d+) 3\n/.exec(readFileSync(control.journalFile, 'utf8')) ?? [];
    expect(readFileSync(control.journalFile, 'utf8')).toMatch(
      new RegExp(
        `^S ${ino} 3\nR - ${ino} ${node}/data/a\t${node}/data/b\nD ${node}/data\nU \\d+-\\d+ ${ino} ${node}/data/b\n$`,
      ),
    );
    losePower(node, control.journalFile, () => 0);
    expect(readFileSync(join(node, 'data', 'b'), 'utf8')).toBe('abc');
  });

  test('row 61: what a store has synced outlives the loss of every change of names that was not', () => {
    const { node } = nodeDirectory('store');
    const control = new ShimControl(shim as string, node);
    const runtime = JSON.stringify(new URL('../../../packages/runtime/src/node/index.ts', import.meta.url).href);
    const withStore = (text: string) =>
      script(
        control,
        `import(${runtime}).then(async ({ createNodeRuntime }) => {
           const store = await createNodeRuntime().stores.open('${node}/data/store');
           ${text}
         }).catch((error) => { console.log(error.message); process.exit(1); });`,
      );
    for (let round = 0; round < 3; round++) {
      const kept = `const value = await store.get('key'); console.log(String(value ?? 'nothing'));`;
      const write = `await store.batch([{ kind: 'put', key: 'key', value: Buffer.from('${round}') }], { sync: true });`;
      expect(withStore(`${kept} ${write} process.kill(process.pid, 'SIGKILL');`)).toBe(
        round === 0 ? 'nothing\n' : `${round - 1}\n`,
      );
      losePower(node, control.journalFile, () => 0);
    }
  });

  test('row 56: makes a sync fail with EIO, also the one of a promise', () => {
    const { node } = nodeDirectory('shim-fails');
    const control = new ShimControl(shim as string, node);
    control.setSyncs({ fails: true, delayMs: 0 });
    const printed = script(
      control,
      `const fs = require('node:fs/promises'); fs.open('${node}/data/a', 'w').then((f) => f.datasync()).then(() => console.log('synced'), (e) => console.log(e.code));`,
    );
    expect(printed).toBe('EIO\n');
  });

  test('makes the wall clock wrong, and the monotonic clock not', () => {
    const { node } = nodeDirectory('shim-clock');
    const control = new ShimControl(shim as string, node);
    const aheadMs = 3_000_000;
    control.setClock(aheadMs);
    const [wallMs, monotonicMs] = script(control, 'console.log(Date.now(), Number(process.hrtime.bigint() / 1000000n))')
      .split(' ')
      .map(Number) as [number, number];
    expect(wallMs - Date.now()).toBeGreaterThan(aheadMs / 2);
    expect(monotonicMs - Number(process.hrtime.bigint() / 1_000_000n)).toBeLessThan(aheadMs / 2);
  });
});
