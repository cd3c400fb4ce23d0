import { type ChildProcess, spawn } from 'node:child_process';
import { afterAll, expect, test } from 'vitest';
import { NamespaceNetwork } from './namespaces.ts';
import { client } from './network.ts';

const broker = 'broker-1';

function open(): NamespaceNetwork | undefined {
  try {
    return new NamespaceNetwork([broker, client]);
  } catch {
    return undefined;
  }
}

const network = open();
const processes: ChildProcess[] = [];
afterAll(() => {
  for (const one of processes) one.kill('SIGKILL');
  network?.close();
});

/** A process at `here` that sends datagrams to `there` all the time; tells how many have come to `here`. */
function talk(here: string, there: string): () => number {
  const net = network as NamespaceNetwork;
  const script = `
    const socket = require('node:dgram').createSocket('udp4');
    socket.on('message', () => process.stdout.write('.'));
    socket.on('error', () => {});
    socket.bind(9000, '${net.listenHost(here)}', () => setInterval(() => socket.send('x', 9000, '${net.advertisedHost(there)}'), 5));`;
  const [command, ...args] = [...net.commandPrefix(here), process.execPath, '-e', script];
  const child = spawn(command as string, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  processes.push(child);
  let heard = 0;
  child.stdout?.on('data', (bytes: Buffer) => {
    heard += bytes.length;
  });
  return () => heard;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test.skipIf(network === undefined)('a cut drops one direction alone, silently, until it heals', async () => {
  const net = network as NamespaceNetwork;
  const atBroker = talk(broker, client);
  const atClient = talk(client, broker);
  await expect.poll(() => Math.min(atBroker(), atClient()), { timeout: 10_000, interval: 5 }).toBeGreaterThan(3);
  net.cut(client, broker);
  // What was on its way arrives.
  await pause(50);
  const before = { broker: atBroker(), client: atClient() };
  await expect.poll(atClient, { timeout: 10_000, interval: 5 }).toBeGreaterThan(before.client + 10);
  expect(atBroker()).toBe(before.broker);
  net.heal();
  await expect.poll(atBroker, { timeout: 10_000, interval: 5 }).toBeGreaterThan(before.broker + 10);
});
