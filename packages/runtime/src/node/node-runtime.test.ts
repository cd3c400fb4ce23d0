import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { connect as connectHttp2, createServer } from 'node:http2';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Connection } from '../network.ts';
import { createNodeRuntime, type NodeConnection } from './index.ts';

const { disk, network, stores } = createNodeRuntime();

let directory = '';

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'naru-runtime-'));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

/** Another process that locks the directory, says so, and stays. */
async function lockElsewhere(path: string): Promise<() => Promise<void>> {
  const script = `
    const { createNodeRuntime } = await import(${JSON.stringify(new URL('./index.ts', import.meta.url).href)});
    await createNodeRuntime().disk.lock(${JSON.stringify(path)});
    process.stdout.write('locked');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
}

describe('the real disk', () => {
  test('a directory locked by another process is free the moment that process is killed', async () => {
    const kill = await lockElsewhere(directory);
    await expect(disk.lock(directory)).rejects.toMatchObject({
      code: 'locked',
      message: expect.stringContaining(directory),
    });
    await kill();
    const lock = await disk.lock(directory);
    await lock.release();
  });

  test('row 61: a lock that a power cut left unreadable is made anew; one that is held is not', async () => {
    await (await disk.lock(directory)).release();
    for (const name of ['CURRENT', 'MANIFEST-000002', '000003.log']) {
      await writeFile(join(directory, '.lock', name), 'MANIFEST-000001\n');
    }
    const lock = await disk.lock(directory);
    await expect(disk.lock(directory)).rejects.toMatchObject({ code: 'locked' });
    await lock.release();
  });

  test('a full device fails the append with full, and the size stays', async () => {
    await symlink('/dev/full', join(directory, 'full'));
    const file = await disk.open(join(directory, 'full'));
    expect(() => file.append([Buffer.from('a'), Buffer.from('b')])).toThrow('no space left on device');
    expect(file.size).toBe(0);
    await file.close();
  });

  test('errors are one line: what was tried, where, why', async () => {
    await writeFile(join(directory, 'file'), '');
    await expect(disk.open(join(directory, 'missing'))).rejects.toThrow(
      `cannot open ${directory}/missing: ENOENT: no such file or directory`,
    );
    await expect(disk.open(directory)).rejects.toMatchObject({
      code: 'io',
      message: expect.stringContaining('EISDIR'),
    });
    await expect(disk.list(join(directory, 'file'))).rejects.toMatchObject({ code: 'io' });
    await expect(disk.makeDirectory(join(directory, 'file', 'x'))).rejects.toMatchObject({ code: 'io' });
  });

  test.skipIf(process.getuid?.() === 0)('what may not be written is not-permitted', async () => {
    await chmod(directory, 0o500);
    await expect(disk.open(join(directory, 'x'), { create: true })).rejects.toMatchObject({ code: 'not-permitted' });
    await chmod(directory, 0o700);
  });

  test('a damaged store is corrupt, not empty', async () => {
    const path = join(directory, 'store');
    const store = await stores.open(path);
    await store.batch([{ kind: 'put', key: 'a', value: Buffer.from('1') }], { sync: true });
    await store.close();
    await writeFile(join(path, 'CURRENT'), 'nonsense');
    await expect(stores.open(path)).rejects.toMatchObject({ name: 'StoreError', code: 'corrupt' });
  });
});

describe('the real network', () => {
  test('an accepted socket can be handed to an HTTP/2 server after its first bytes were read', async () => {
    const http2 = createServer((_request, response) => response.end('over http2'));
    const sniffed: string[] = [];
    const listener = await network.listen({ host: '127.0.0.1', port: 0 }, (connection) =>
      sniff(connection, sniffed, http2),
    );
    const session = connectHttp2(`http://127.0.0.1:${listener.address.port}`);
    const request = session.request({ ':path': '/' });
    request.setEncoding('utf8');
    let body = '';
    for await (const part of request) body += part;
    expect(body).toBe('over http2');
    expect(sniffed[0]?.startsWith('PRI * HTTP/2.0')).toBe(true);
    session.destroy();
    await listener.close();
  });

  test('an IPv4 peer has its own address, also where both families are listened for', async () => {
    const { promise: accepted, resolve } = Promise.withResolvers<string>();
    const listener = await network.listen({ host: '', port: 0 }, (connection) => resolve(connection.remote.host));
    const client = await network.connect({ host: '127.0.0.1', port: listener.address.port });
    expect(await accepted).toBe('127.0.0.1');
    client.destroy();
    await listener.close();
  });

  test('after detach the handler hears nothing more', async () => {
    const heard: string[] = [];
    let taken: Socket | undefined;
    const listener = await network.listen({ host: '127.0.0.1', port: 0 }, (connection) => {
      connection.handle({ onData: () => heard.push('data'), onClose: () => heard.push('close') });
      taken = (connection as NodeConnection).detach();
      taken.on('error', () => {});
    });
    const client = await network.connect(listener.address);
    client.handle({ onData: () => {}, onClose: () => {} });
    client.write([Buffer.from('x')]);
    while (taken === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
    const [bytes] = await once(taken.resume(), 'data');
    expect(String(bytes)).toBe('x');
    client.end();
    await once(taken, 'close');
    expect(heard).toEqual([]);
    await listener.close();
  });

  test('an attempt to connect ends after its time', async () => {
    // TEST-NET-1: no route on most machines, no answer on the others.
    const attempt = network.connect({ host: '192.0.2.1', port: 9 }, { timeoutMs: 50 });
    await expect(attempt).rejects.toMatchObject({ code: expect.stringMatching(/timeout|unreachable|refused/) });
  });
});

function sniff(connection: Connection, sniffed: string[], http2: ReturnType<typeof createServer>): void {
  connection.handle({
    onData: (bytes) => {
      sniffed.push(Buffer.from(bytes).toString('latin1'));
      const socket = (connection as NodeConnection).detach();
      socket.unshift(bytes);
      http2.emit('connection', socket);
    },
    onClose: () => {},
  });
}
