import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { ClusterLayout } from './layout.ts';
import type { NodeStatus } from './node-process.ts';

/** What another terminal asks of the running starter, over a Unix socket that only the same user can open. */
export type ControlRequest =
  | { readonly command: 'status' }
  | { readonly command: 'stop' }
  | { readonly command: 'restart'; readonly node: string };

export type ControlResponse =
  | { readonly ok: true; readonly pid: number; readonly layout: ClusterLayout; readonly nodes: readonly NodeStatus[] }
  | { readonly ok: false; readonly message: string };

/** The socket of the cluster in this directory. Socket paths are limited to about 100 bytes, so a deep one gets a name in the temporary directory. */
export function controlSocket(dataDirectory: string): string {
  const inside = join(resolve(dataDirectory), 'cluster.sock');
  if (Buffer.byteLength(inside) < 100) return inside;
  return join(tmpdir(), `naru-${createHash('sha256').update(inside).digest('hex').slice(0, 16)}.sock`);
}

export async function serveControl(
  dataDirectory: string,
  handle: (request: ControlRequest) => Promise<ControlResponse>,
): Promise<{ close(): void }> {
  const path = controlSocket(dataDirectory);
  rmSync(path, { force: true });
  const server: Server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    createInterface({ input: socket }).once('line', (line) => {
      void Promise.resolve()
        .then(() => handle(JSON.parse(line) as ControlRequest))
        .catch((error: unknown) => ({ ok: false, message: error instanceof Error ? error.message : String(error) }))
        .then((response) => socket.end(`${JSON.stringify(response)}\n`));
    });
  });
  const mask = process.umask(0o077);
  try {
    await new Promise<void>((listening, failed) => server.once('error', failed).listen(path, listening));
  } finally {
    process.umask(mask);
  }
  // It also keeps the starter alive when every node is dead: somebody may bring them back.
  return {
    close: () => {
      server.close();
      rmSync(path, { force: true });
    },
  };
}

/** The starter's answer, or undefined when no starter runs for this directory. */
export function askControl(dataDirectory: string, request: ControlRequest): Promise<ControlResponse | undefined> {
  return new Promise((answered) => {
    const socket = connect(controlSocket(dataDirectory));
    let line = '';
    socket.setEncoding('utf8');
    socket.once('connect', () => socket.write(`${JSON.stringify(request)}\n`));
    socket.on('data', (text) => {
      line += text;
    });
    socket.once('error', () => answered(undefined));
    socket.once('close', () => answered(line === '' ? undefined : (JSON.parse(line) as ControlResponse)));
  });
}
