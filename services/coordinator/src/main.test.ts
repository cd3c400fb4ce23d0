import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type CoordinatorSession, coordinatorStatus, openSession } from '@naru/coordinator-client';
import { createNodeRuntime } from '@naru/runtime/node';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

/** The process as users meet it; real time and real disks are the subject. */

const main = fileURLToPath(new URL('main.ts', import.meta.url));
const runtime = createNodeRuntime();
let directory: string;
let children: ChildProcess[];
let sessions: CoordinatorSession[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'naru-coordinator-'));
  children = [];
  sessions = [];
});

afterEach(async () => {
  for (const session of sessions) await session.close();
  for (const child of children) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((listening) => server.once('listening', listening));
  const address = server.address();
  await new Promise((closed) => server.close(closed));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

interface Ended {
  readonly status: number | null;
  readonly stderr: string;
}

/** Resolves with the line that begins with `ready`, or with how it ended. */
function run(...args: string[]): {
  readonly child: ChildProcess;
  readonly ready: Promise<string | Ended>;
  readonly ended: Promise<Ended>;
} {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  children.push(child);
  let stderr = '';
  child.stderr?.on('data', (text) => {
    stderr += text;
  });
  const ended = new Promise<Ended>((resolve) => child.once('close', (status) => resolve({ status, stderr })));
  const line = new Promise<string>((resolve) => {
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (text) => {
      if (text.startsWith('ready')) resolve(text);
    });
  });
  return { child, ready: Promise.race([line, ended]), ended };
}

async function properties(): Promise<{ readonly file: string; readonly address: string }> {
  const [clientPort, peerPort] = [await freePort(), await freePort()];
  const file = join(directory, 'coordinator.properties');
  writeFileSync(
    file,
    `node.id=1\ndata.dir=${join(directory, 'data')}\nclient.port=${clientPort}\npeer.port=${peerPort}\n`,
  );
  return { file, address: `127.0.0.1:${clientPort}` };
}

async function session(address: string): Promise<CoordinatorSession> {
  const opened = await openSession(runtime, { servers: [address], connectTimeoutMs: 10_000 });
  sessions.push(opened);
  return opened;
}

describe('the coordinator process', () => {
  test('says that it is ready, writes node.pid, and kill -9 loses nothing that was acknowledged (row 37)', async () => {
    const { file, address } = await properties();
    const first = run('--config', file);
    expect(await first.ready).toBe(`ready coordinator 1 on ${address}`);
    const pidFile = join(directory, 'data', 'node.pid');
    expect(Number(readFileSync(pidFile, 'utf8'))).toBe(first.child.pid);
    const writer = await session(address);
    const path = '/acknowledged';
    const { zxid } = await writer.write([{ kind: 'create', path, data: Buffer.from('yes') }]);
    first.child.kill('SIGKILL');
    await first.ended;

    const second = run('--config', file);
    await second.ready;
    const node = await (await session(address)).getData(path);
    expect([Buffer.from(node?.data ?? []).toString(), node?.stat.czxid]).toEqual(['yes', zxid]);
    await expect(coordinatorStatus(runtime, address)).resolves.toMatchObject({ nodeId: 1, role: 'leader', znodes: 2 });
    second.child.kill('SIGTERM');
    expect(await second.ended).toEqual({ status: 0, stderr: '' });
    expect(existsSync(pidFile)).toBe(false);
  });

  test('ends when its starter is gone', async () => {
    const { file } = await properties();
    const { child, ready, ended } = run('--config', file, '--supervised');
    await ready;
    child.stdin?.end();
    expect((await ended).status).toBe(0);
  });

  test('bad input is one line and a status, and nothing is harmed', async () => {
    const { file } = await properties();
    const running = run('--config', file);
    await running.ready;
    const faults: [string[], RegExp][] = [
      [['--config', file], /^coordinator: .*another process uses it\n$/],
      [['--config', join(directory, 'missing')], /^coordinator: cannot read .*missing.*\n$/],
      [['--config', file, '--override', 'client.prot=1'], /^coordinator: .*did you mean 'client.port'\?\n$/],
      [['--config', file, '--override', 'client.port=many'], /^coordinator: invalid value "many".*\n$/],
      [
        ['--config', file, '--override', `data.dir=${directory}/other`],
        /^coordinator: cannot listen on .*address is in use .*\n$/,
      ],
      [['--config', file, '--override', 'members=2@localhost:1:2'], /^coordinator: .*does not name this node, 1\n$/],
      [['--what'], /^coordinator: unknown argument '--what'.*\n$/],
    ];
    for (const [args, message] of faults) {
      const { status, stderr } = await run(...args).ended;
      expect([status, stderr]).toEqual([1, expect.stringMatching(message)]);
    }
    running.child.kill('SIGTERM');
    await running.ended;
    const foreign = await run('--config', file, '--override', 'node.id=2').ended;
    expect([foreign.status, foreign.stderr]).toEqual([
      1,
      expect.stringMatching(/^coordinator: .*belongs to coordinator 1.*\n$/),
    ]);
  });
});
