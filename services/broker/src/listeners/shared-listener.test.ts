import { apis } from '@naru/kafka-protocol';
import type { Logger } from '@naru/observability';
import { createRpc } from '@naru/rpc';
import { createSimulation } from '@naru/runtime/simulated';
import { expect, test } from 'vitest';
import { kafkaApi } from '../requests/kafka/kafka-api.ts';
import type { ConnectionLimits } from './connection-quota.ts';
import { KafkaFront } from './kafka-front.ts';
import { ListenerSet } from './listener-set.ts';
import { RequestBudget } from './request-budget.ts';
import { KafkaPeer } from './testing/kafka-peer.ts';

const clientsPort = 9092;
const brokersPort = 9093;

/** A broker's listeners on a simulated machine; Metadata answers the name of the listener by which it was asked. */
async function start(limits: Partial<ConnectionLimits> = {}) {
  const sim = createSimulation({ seed: 1 });
  const server = sim.addNode('b1').runtime;
  const log: { peer: string; listener: string; reason: string }[] = [];
  const warn = (fields: Readonly<Record<string, unknown>>): void => void log.push({ ...fields } as (typeof log)[0]);
  const logger = { debug: () => {}, info: () => {}, warn, error: warn, child: () => logger } as Logger;
  const { network, timers, clock } = server;
  const listenersAt = (forClients: number, forBrokers: number): ListenerSet =>
    new ListenerSet({
      network,
      timers,
      logger,
      limits: { connectionsMax: 100, perAddressMax: 50, perAddressOverrides: new Map(), ...limits },
      listeners: [
        { listener: 'CLIENTS', address: { host: '', port: forClients } },
        { listener: 'BROKERS', address: { host: '', port: forBrokers } },
      ],
      interBroker: 'BROKERS',
    });
  const listeners = listenersAt(clientsPort, brokersPort);
  const metadata = kafkaApi(
    apis.metadata,
    { versions: [0, 9], authorization: '' },
    ({ caller: { listener }, answer }) => {
      const brokers = [{ nodeId: 1, host: listener, port: 1, rack: null }];
      answer({ kind: 'response', response: { brokers, topics: [] } });
      return undefined;
    },
  );
  const kafka = new KafkaFront({
    registry: new Map([[apis.metadata.key, metadata]]),
    budget: new RequestBudget(1_000_000),
    limits: { idleMsMax: 60_000, frameBytesMax: 1_000, receivedBytesMax: 10_000, unsentBytesMax: 10_000 },
    clock,
    timers,
    logger,
  });
  await sim.complete(listeners.listen());
  const serve = (): void => listeners.serve(() => createRpc(server).host([]), kafka);
  const client = (name: string) => {
    const { network } = sim.addNode(name).runtime;
    return (port = clientsPort): Promise<KafkaPeer> => sim.complete(KafkaPeer.connect(network, { host: 'b1', port }));
  };
  return { sim, listeners, listenersAt, serve, log, client };
}

test('a request is answered for the listener on which it came; early connections wait until the broker serves', async () => {
  const { sim, serve, client } = await start();
  const connect = client('c1');
  const ask = { topics: [], allowAutoTopicCreation: false };
  const peers = [await connect(clientsPort), await connect(brokersPort)];
  for (const peer of peers) peer.send(apis.metadata, 9, ask);
  await sim.runFor(1_000);
  expect(peers.map((peer) => peer.frames.length)).toEqual([0, 0]);
  serve();
  await sim.runFor(1_000);
  const told = peers.map((peer) => peer.response(apis.metadata, 9, 1)?.brokers[0]?.host);
  expect(told).toEqual(['CLIENTS', 'BROKERS']);
});

test('max.connections counts all listeners, but does not close the one that is for brokers; a closed connection makes room', async () => {
  const { sim, serve, client, log, listeners } = await start({ connectionsMax: 2 });
  serve();
  const connect = client('c1');
  const open = [await connect(), await connect()];
  const third = await connect();
  const broker = await connect(brokersPort);
  await sim.runFor(10);
  expect([...open, third, broker].map((peer) => peer.isClosed)).toEqual([false, false, true, false]);
  expect(log).toMatchObject([{ listener: 'CLIENTS', reason: 'max.connections (2) are open' }]);
  expect(log[0]?.peer).toMatch(/^c1:\d+$/);
  for (const { connection } of [...open, broker]) connection.destroy();
  await sim.runFor(10);
  expect(listeners.quota.count).toBe(0);
  const fourth = await connect();
  await sim.runFor(10);
  expect(fourth.isClosed).toBe(false);
});

test('max.connections.per.ip and its overrides', async () => {
  const limits = { perAddressMax: 1, perAddressOverrides: new Map([['c2', 2]]) };
  const { sim, serve, client, log } = await start(limits);
  serve();
  const first = client('c1');
  const second = client('c2');
  const peers = [await first(), await first(), await second(), await second(), await second()];
  await sim.runFor(10);
  expect(peers.map((peer) => peer.isClosed)).toEqual([false, true, false, false, true]);
  expect(log.map(({ reason }) => reason)).toEqual([
    'max.connections.per.ip (1) are open from this address',
    'max.connections.per.ip (2) are open from this address',
  ]);
});

test('connections of gRPC are counted too, until they close', async () => {
  const { sim, serve, listeners } = await start();
  serve();
  const channel = await sim.complete(createRpc(sim.addNode('c1').runtime).connect({ host: 'b1', port: clientsPort }));
  await sim.runFor(10);
  expect(listeners.quota.count).toBe(1);
  await sim.complete(channel.close());
  await sim.runFor(1_000);
  expect(listeners.quota.count).toBe(0);
});

test('who says nothing is closed after ten seconds, with a line; who closes first gets none', async () => {
  const { sim, serve, client, log, listeners } = await start();
  serve();
  const connect = client('c1');
  const silent = await connect();
  const probe = await connect();
  probe.connection.end();
  await sim.runFor(11_000);
  expect([silent.isClosed, listeners.quota.count]).toEqual([true, 0]);
  expect(log.map(({ reason }) => reason)).toEqual(['said nothing for 10000 ms']);
});

test.each([
  ['GET / HTTP/1.1\r\nHost: b1\r\n\r\n', 'an HTTP request on a port'],
  ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 'a TLS handshake on a port'],
  ['PUT /x', 'an HTTP request on a port'],
  ['\xff\xff\xff\xff', 'a frame of -1 bytes'],
  ['\x7f\xff\xff\xff', 'at most 1000 are allowed'],
  ['\x00\x00\x00\x08\x7f\x00\x00\x00\x00\x00\x00\x01', 'API key 32512 is not served'],
  ['\x00\x00\x00\x02\x00\x03', ''],
])('%j: one line with the peer and the reason, and the connection is closed', async (bytes, reason) => {
  const { sim, serve, client, log } = await start();
  serve();
  const peer = await client('c1')();
  peer.sendRaw(bytes);
  await sim.runFor(100);
  expect(peer.isClosed).toBe(true);
  expect(log).toHaveLength(1);
  expect(log[0]?.peer).toMatch(/^c1:\d+$/);
  expect(log[0]?.reason).toContain(reason);
});

test('a port that is taken is an error, and those that were taken before it are free again', async () => {
  const { sim, listenersAt, client } = await start();
  const free = 9_000;
  const second = listenersAt(free, brokersPort);
  await expect(sim.complete(second.listen())).rejects.toMatchObject({ code: 'address-in-use' });
  await sim.complete(second.close());
  await expect(client('c1')(free)).rejects.toMatchObject({ code: 'refused' });
});
