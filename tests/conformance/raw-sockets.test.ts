import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Client } from '@naru/client';
import {
  type Api,
  apis,
  type Encodable,
  encodeRequest,
  type Fields,
  FrameSplitter,
  Reader,
} from '@naru/kafka-protocol';
import type { Logger } from '@naru/observability';
import { startCluster, type TestCluster } from '@naru/testing';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

/** Real sockets of this machine against a real broker: what a kernel does between both ends is part of it. */
const log: { peer: string; reason: string }[] = [];
const warn = (fields: Readonly<Record<string, unknown>>): void => void log.push({ ...fields } as (typeof log)[0]);
const logger = { debug: () => {}, info: () => {}, warn, error: warn, child: () => logger } as Logger;

const idleMs = 1_500;
const perAddressMax = 20;
let cluster: TestCluster;
const sockets: Socket[] = [];

beforeAll(async () => {
  const settings = {
    // The port that was taken, under another name.
    'advertised.listeners': 'PLAINTEXT://localhost:0',
    'connections.max.idle.ms': idleMs,
    'max.connections.per.ip': 1,
    'max.connections.per.ip.overrides': `127.0.0.1:${perAddressMax}`,
    'socket.request.max.bytes': 100_000,
  };
  cluster = await startCluster({ brokers: 1, settings, logger });
  await using client = new Client({ 'bootstrap.servers': cluster.bootstrapServers });
  await client.admin().createTopics([{ name: 'raw', partitions: 1, replicationFactor: 1 }]);
  await using producer = client.producer();
  await producer.send({ topic: 'raw', value: 'first' });
});

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  log.length = 0;
});

afterAll(() => cluster?.stop());

/** Answers so far, and the end of the connection. */
class Peer {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  readonly #frames = new FrameSplitter(1_000_000);
  readonly #answers: Uint8Array[] = [];
  #heard: () => void = () => {};

  constructor() {
    const [host, port] = cluster.bootstrapServers.split(':') as [string, string];
    this.socket = connect({ host, port: Number(port) });
    sockets.push(this.socket);
    this.closed = new Promise((resolve) => this.socket.once('close', () => resolve()));
    this.socket.on('error', () => {});
    this.socket.on('data', (bytes) => {
      this.#frames.push(bytes);
      for (let frame = this.#frames.next(); frame !== undefined; frame = this.#frames.next()) this.#answers.push(frame);
      this.#heard();
    });
  }

  send<Request extends Fields>(
    api: Api<Request, Fields>,
    version: number,
    id: number,
    request: Encodable<Request>,
  ): void {
    this.socket.write(frameOf(api, version, id, request));
  }

  /** Correlation ids of the next answers, in the order in which they came. */
  async answers(count: number): Promise<readonly number[]> {
    while (this.#answers.length < count) {
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
    }
    return this.#answers.splice(0, count).map((frame) => new Reader(frame).int32());
  }
}

function frameOf<Request extends Fields>(
  api: Api<Request, Fields>,
  version: number,
  id: number,
  request: Encodable<Request>,
) {
  return Buffer.concat(encodeRequest(api, version, id, 'raw', request));
}

/** Behind the only record that is there. */
const longPoll = (maxWaitMs: number) => ({
  maxWaitMs,
  minBytes: 1,
  maxBytes: 1_000,
  topics: [{ topic: 'raw', partitions: [{ partition: 0, fetchOffset: 1, partitionMaxBytes: 1_000 }] }],
});

test.each([
  ['an HTTP request', 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'],
  ['garbage', Buffer.from(Array.from({ length: 500 }, (_, i) => (i * 37 + 200) % 256))],
  ['a frame of a gigabyte', Buffer.from([0x3f, 0xff, 0xff, 0xff, 0, 3, 0, 9])],
  ['a frame that is too small for a request', Buffer.from([0, 0, 0, 2, 0, 3])],
])('%s: the connection is closed, with one line that names the peer and the reason', async (_, bytes) => {
  const peer = new Peer();
  let name = '';
  peer.socket.once('connect', () => {
    name = `127.0.0.1:${peer.socket.localPort}`;
  });
  peer.socket.write(bytes);
  await peer.closed;
  expect(log).toHaveLength(1);
  expect(log[0]).toMatchObject({ peer: name, listener: 'PLAINTEXT', reason: expect.stringMatching(/./) });
});

test('TLS on a plain port is told apart in the log, and the client does not hang', async () => {
  const [host, port] = cluster.bootstrapServers.split(':') as [string, string];
  const socket = connectTls({ host, port: Number(port), rejectUnauthorized: false });
  sockets.push(socket);
  await new Promise((resolve) => socket.once('error', resolve));
  expect(log.map(({ reason }) => reason)).toEqual([expect.stringContaining('a TLS handshake')]);
});

test('clients are told what is advertised, with the port that was free', async () => {
  await using client = new Client({ 'bootstrap.servers': cluster.bootstrapServers });
  const { brokers } = await client.admin().describeCluster();
  const port = Number(cluster.bootstrapServers.split(':')[1]);
  expect(brokers.map((broker) => [broker.host, broker.port])).toEqual([['localhost', port]]);
});

test('max.connections.per.ip.overrides counts connections of both protocols', async () => {
  await using client = new Client({ 'bootstrap.servers': cluster.bootstrapServers });
  await client.admin().describeCluster();
  const peers = Array.from({ length: perAddressMax }, () => new Peer());
  await Promise.race(peers.map(({ closed }) => closed));
  expect(log[0]?.reason).toBe(`max.connections.per.ip (${perAddressMax}) are open from this address`);
});

test('connections.max.idle.ms: the idle and the half-open are closed, one whose request is held is not', async () => {
  const idle = new Peer();
  idle.send(apis.apiVersions, 0, 1, {});
  const half = new Peer();
  half.socket.write(frameOf(apis.metadata, 9, 1, { topics: [] }).subarray(0, 10));
  const waiting = new Peer();
  waiting.send(apis.fetch, 11, 7, longPoll(2 * idleMs));
  await Promise.all([idle.closed, half.closed]);
  expect(log.map(({ reason }) => reason)).toEqual(['idle', 'idle']);
  expect(await waiting.answers(1)).toEqual([7]);
});

test('a long poll does not hold up a produce request of the connection, whose answer waits for its turn', async () => {
  const peer = new Peer();
  peer.send(apis.fetch, 11, 1, longPoll(60_000));
  // acks=0 has no answer.
  const batch = { acks: 0, timeoutMs: 1_000, topics: [{ name: 'raw', partitions: [{ index: 0, records: null }] }] };
  const other = new Peer();
  other.send(apis.produce, 9, 2, batch);
  // An empty batch with acks=0 is an error, of which only the end of the connection tells.
  await other.closed;
  peer.send(apis.produce, 9, 3, { ...batch, acks: 1 });
  peer.send(apis.apiVersions, 0, 4, {});
  await using client = new Client({ 'bootstrap.servers': cluster.bootstrapServers });
  await using producer = client.producer();
  await producer.send({ topic: 'raw', value: 'ends the poll' });
  expect(await peer.answers(3)).toEqual([1, 3, 4]);
});

test('a request that comes byte by byte is served', async () => {
  const peer = new Peer();
  peer.socket.setNoDelay(true);
  for (const byte of frameOf(apis.metadata, 9, 5, { topics: [] })) {
    await new Promise((resolve) => peer.socket.write(Buffer.of(byte), resolve));
  }
  expect(await peer.answers(1)).toEqual([5]);
});
