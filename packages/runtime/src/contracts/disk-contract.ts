import { describe, expect } from 'vitest';
import { type Disk, type DiskErrorCode, type DiskFile, isDiskError, lockName } from '../disk.ts';
import { inWorld } from './in-world.ts';
import type { MakeWorld } from './world.ts';

const text = (value: string): Uint8Array => Buffer.from(value);
const string = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

/** What `Disk` and `DiskFile` promise to a process that is not interrupted. */
export function diskContract(make: MakeWorld): void {
  describe('disk contract', () => {
    fileContract(make);
    nameContract(make);
    lockContract(make);
  });
}

function fileContract(make: MakeWorld): void {
  const test = inWorld(make);

  test('a missing file is not-found unless it is to be created', async ({ runtime, directory, settle }) => {
    const path = `${directory}/a`;
    await failsWith('not-found', settle(runtime.disk.open(path)));
    expect(() => runtime.disk.openNow(path)).toThrow();
    const file = await settle(runtime.disk.open(path, { create: true }));
    expect(file.size).toBe(0);
    expect(runtime.disk.openNow(path).path).toBe(path);
  });

  test('append writes all chunks in order at the end', async (world) => {
    const file = await newFile(world);
    file.append([text('ab'), text(''), text('cd')]);
    file.append([]);
    file.append([text('e')]);
    expect(file.size).toBe(5);
    expect(string(await world.settle(file.read(0, 5)))).toBe('abcde');
  });

  test('append takes more chunks than one system call does', async (world) => {
    const file = await newFile(world);
    file.append(Array.from({ length: 3_000 }, (_, index) => text(String(index % 10))));
    expect(file.size).toBe(3_000);
    expect(string(file.readNow(2_995, 10))).toBe('56789');
  });

  test('a read ends at the end of the file, alike in both ways', async (world) => {
    const file = await newFile(world);
    file.append([text('abcdef')]);
    for (const [position, length, expected] of [
      [2, 3, 'cde'],
      [4, 100, 'ef'],
      [6, 1, ''],
      [60, 1, ''],
    ] as const) {
      expect(string(file.readNow(position, length))).toBe(expected);
      expect(string(await world.settle(file.read(position, length)))).toBe(expected);
    }
  });

  test('what was read is the reader’s own', async (world) => {
    const file = await newFile(world);
    file.append([text('abc')]);
    file.readNow(0, 3).fill(0);
    (await world.settle(file.read(0, 3))).fill(0);
    expect(string(file.readNow(0, 3))).toBe('abc');
  });

  test('writeAt overwrites in place and may extend, with zeros in the gap', async (world) => {
    const file = await newFile(world);
    file.append([text('abcdef')]);
    file.writeAt(1, text('XY'));
    expect(string(file.readNow(0, 10))).toBe('aXYdef');
    file.writeAt(8, text('Z'));
    expect(file.size).toBe(9);
    expect(string(file.readNow(5, 10))).toBe('f\0\0Z');
  });

  test('truncate cuts, and extends with zeros; appends go on from there', async (world) => {
    const file = await newFile(world);
    file.append([text('abcdef')]);
    file.truncate(2);
    file.append([text('X')]);
    expect(string(file.readNow(0, 10))).toBe('abX');
    file.truncate(5);
    expect(string(file.readNow(0, 10))).toBe('abX\0\0');
  });

  test('a reopened file has what was written', async (world) => {
    const file = await newFile(world);
    file.append([text('abc')]);
    await world.settle(file.sync());
    await world.settle(file.close());
    const again = await world.settle(world.runtime.disk.open(file.path));
    expect(again.size).toBe(3);
    expect(string(await world.settle(world.runtime.disk.readFile(file.path)))).toBe('abc');
  });

  test('a closed file refuses everything but close', async (world) => {
    const file = await newFile(world);
    await world.settle(file.close());
    await world.settle(file.close());
    expect(() => file.append([text('a')])).toThrow('closed');
    expect(() => file.truncate(0)).toThrow('closed');
    expect(() => file.readNow(0, 1)).toThrow('closed');
    await failsWith('closed', world.settle(file.read(0, 1)));
    await failsWith('closed', world.settle(file.sync()));
  });

  test('close waits for reads and syncs that are under way', async (world) => {
    const file = await newFile(world);
    file.append([text('abc')]);
    const read = file.read(0, 3);
    const sync = file.sync();
    await world.settle(file.close());
    expect(string(await world.settle(read))).toBe('abc');
    await world.settle(sync);
  });
}

function nameContract(make: MakeWorld): void {
  const test = inWorld(make);

  test('directories are made with their parents, also twice; names are listed in order', async (world) => {
    const { disk } = world.runtime;
    const path = `${world.directory}/x/y`;
    await world.settle(disk.makeDirectory(path));
    await world.settle(disk.makeDirectory(path));
    for (const name of ['b', 'a', 'c']) await world.settle(write(disk, `${path}/${name}`, name));
    expect(await world.settle(disk.list(path))).toEqual(['a', 'b', 'c']);
    await failsWith('not-found', world.settle(disk.list(`${path}/z`)));
  });

  test('stat tells files from directories and from nothing', async (world) => {
    const { disk } = world.runtime;
    const path = `${world.directory}/a`;
    await world.settle(write(disk, path, 'abc'));
    expect(await world.settle(disk.stat(path))).toMatchObject({ kind: 'file', size: 3 });
    expect((await world.settle(disk.stat(path)))?.modifiedMs).toBeGreaterThan(1_700_000_000_000);
    expect(await world.settle(disk.stat(world.directory))).toMatchObject({ kind: 'directory', size: 0 });
    expect(await world.settle(disk.stat(`${path}.missing`))).toBeUndefined();
  });

  test('replaceFile replaces the whole content and leaves no other name', async (world) => {
    const { disk } = world.runtime;
    const path = `${world.directory}/checkpoint`;
    await world.settle(disk.replaceFile(path, text('a long first version')));
    await world.settle(disk.replaceFile(path, text('second')));
    expect(string(await world.settle(disk.readFile(path)))).toBe('second');
    expect(await world.settle(disk.list(world.directory))).toEqual(['checkpoint']);
  });

  test('rename replaces a file and moves a directory with what is in it', async (world) => {
    const { disk } = world.runtime;
    await world.settle(disk.makeDirectory(`${world.directory}/d`));
    await world.settle(write(disk, `${world.directory}/d/a`, 'new'));
    await world.settle(write(disk, `${world.directory}/d/b`, 'old'));
    await world.settle(disk.rename(`${world.directory}/d/a`, `${world.directory}/d/b`));
    await world.settle(disk.rename(`${world.directory}/d`, `${world.directory}/e`));
    await world.settle(disk.syncDirectory(world.directory));
    expect(await world.settle(disk.list(world.directory))).toEqual(['e']);
    expect(string(await world.settle(disk.readFile(`${world.directory}/e/b`)))).toBe('new');
    await failsWith('not-found', world.settle(disk.rename(`${world.directory}/d`, `${world.directory}/f`)));
  });

  test('an open file keeps its content when its name goes', async (world) => {
    const { disk } = world.runtime;
    const file = await newFile(world);
    file.append([text('abc')]);
    await world.settle(disk.remove(file.path));
    expect(string(await world.settle(file.read(0, 3)))).toBe('abc');
    expect(await world.settle(disk.stat(file.path))).toBeUndefined();
  });

  test('remove takes a file, a whole directory, or nothing', async (world) => {
    const { disk } = world.runtime;
    await world.settle(disk.makeDirectory(`${world.directory}/d/e`));
    await world.settle(write(disk, `${world.directory}/d/e/f`, ''));
    await world.settle(write(disk, `${world.directory}/g`, ''));
    for (const name of ['d', 'g', 'missing']) await world.settle(disk.remove(`${world.directory}/${name}`));
    expect(await world.settle(disk.list(world.directory))).toEqual([]);
  });
}

function lockContract(make: MakeWorld): void {
  const test = inWorld(make);

  test('a directory has one owner at a time', async ({ runtime, directory, settle }) => {
    const lock = await settle(runtime.disk.lock(directory));
    await failsWith('locked', settle(runtime.disk.lock(directory)));
    await settle(lock.release());
    const again = await settle(runtime.disk.lock(directory));
    await settle(again.release());
    expect(await settle(runtime.disk.list(directory))).toEqual([lockName]);
  });

  test('a missing directory cannot be locked', async ({ runtime, directory, settle }) => {
    await failsWith('not-found', settle(runtime.disk.lock(`${directory}/missing`)));
  });
}

interface Place {
  readonly runtime: { readonly disk: Disk };
  readonly directory: string;
  settle<Value>(promise: Promise<Value>): Promise<Value>;
}

function newFile({ runtime, directory, settle }: Place): Promise<DiskFile> {
  return settle(runtime.disk.open(`${directory}/file`, { create: true }));
}

async function write(disk: Disk, path: string, content: string): Promise<void> {
  const file = await disk.open(path, { create: true });
  file.append([text(content)]);
  await file.close();
}

/** A message of one line that names a path, too: people read it. */
async function failsWith(code: DiskErrorCode, promise: Promise<unknown>): Promise<void> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(isDiskError(error, code), `expected a DiskError ${code}, got ${String(error)}`).toBe(true);
  expect((error as Error).message).toMatch(/^[^\n]*\/[^\n]*$/);
}
