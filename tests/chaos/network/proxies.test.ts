import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { client } from './network.ts';
import { ProxyNetwork } from './proxies.ts';

const endpoints = ['broker-1', client];
const open: { close(): unknown }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

/** A server behind a proxy that answers every byte with the same byte, and a connection to it. */
async function echo(): Promise<{ network: ProxyNetwork; socket: Socket; heard: () => string }> {
  const network = new ProxyNetwork(endpoints);
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, network.listenHost('broker-1'), resolve));
  const port = (server.address() as { port: number }).port;
  await network.open([{ endpoint: 'broker-1', port }]);
  network.started(client, process.pid);
  const socket = connect({ host: network.advertisedHost('broker-1'), port });
  let heard = '';
  socket.on('data', (bytes) => {
    heard += bytes.toString();
  });
  open.push(network, server, { close: () => [...sockets, socket].map((one) => one.destroy()) });
  return { network, socket, heard: () => heard };
}

const soon = { timeout: 5_000, interval: 5 };

test('a direction that is cut holds everything back until it heals; the other goes on', async () => {
  const { network, socket, heard } = await echo();
  socket.write('a');
  await expect.poll(heard, soon).toBe('a');
  network.cut('broker-1', client);
  socket.write('b');
  network.cut(client, 'broker-1');
  socket.write('c');
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(heard()).toBe('a');
  network.heal();
  await expect.poll(heard, soon).toBe('abc');
});

test('late messages keep their order', async () => {
  const { network, socket, heard } = await echo();
  network.delay(client, 'broker-1', 80);
  const began = performance.now();
  socket.write('a');
  socket.write('b');
  await expect.poll(heard, soon).toBe('ab');
  expect(performance.now() - began).toBeGreaterThan(75);
});

test('an end is not told while the direction is cut', async () => {
  const { network, socket, heard } = await echo();
  socket.write('a');
  await expect.poll(heard, soon).toBe('a');
  network.cut('broker-1', client);
  let isClosed = false;
  socket.once('close', () => {
    isClosed = true;
  });
  socket.end();
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(isClosed).toBe(false);
  network.heal();
  await expect.poll(() => isClosed, soon).toBe(true);
});
