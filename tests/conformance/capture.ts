/**
 * Records what foreign clients send and get, one request and response of each API and version: `node tests/conformance/capture.ts DIRECTORY`.
 *
 * The broker advertises the port of a relay, which passes everything on and keeps the first exchange of each kind. The files are the byte vectors of
 * packages/kafka-protocol.
 */
import { writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { Client } from '@naru/client';
import { allApis, FrameSplitter, Reader, readRequestStart } from '@naru/kafka-protocol';
import { startLocalCluster } from '../../bench/local-cluster.ts';
import { type Command, codecs, type ForeignClient, Unavailable } from './foreign-client.ts';
import { javaClient, KafkaRelease } from './java-client.ts';
import { kcat } from './kcat.ts';
import { scriptClients } from './script-clients.ts';

interface Exchange {
  readonly api: string;
  readonly version: number;
  readonly request: string;
  readonly response: string;
}

const frameBytesMax = 100 * 1024 * 1024;
/** Larger exchanges say nothing that smaller ones do not. */
const keptBytesMax = 6_000;
const http2Preface = 'PRI ';

const [directory] = process.argv.slice(2);
if (directory === undefined) {
  console.error('usage: node tests/conformance/capture.ts DIRECTORY');
  process.exit(1);
}

/** Of the client that runs now, by API and version. */
let kept = new Map<string, Exchange>();
let brokerPort = 0;

const relay = await listen(createServer((client) => pass(client, connect(brokerPort, 'localhost'))));
const { port } = relay.address() as AddressInfo;
{
  const brokerSettings = {
    'advertised.listeners': `PLAINTEXT://localhost:${port},INTERNAL://localhost:0`,
  };
  await using cluster = await startLocalCluster({ brokers: 1, coordinators: 1, brokerSettings });
  brokerPort = Number(cluster.bootstrapServers.split(':')[1]);
  await using sdk = new Client({ 'bootstrap.servers': cluster.bootstrapServers });
  for (const client of [kcat, ...scriptClients, javaClient(new KafkaRelease('4.3.0'))]) await capture(client, sdk);
}
relay.close();

async function capture(client: ForeignClient, sdk: Client): Promise<void> {
  kept = new Map();
  const topic = `vectors.${client.name}`;
  const settings = { 'min.insync.replicas': '1' };
  await using admin = sdk.admin();
  await admin.createTopics([{ name: topic, partitions: 1, replicationFactor: 1, configs: settings }]);
  try {
    const prepared = await client.prepare();
    const results = await prepared.run(`localhost:${port}`, commandsFor(topic));
    for (const result of results) if ('error' in result) console.warn(`${client.name}: ${result.error}`);
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    console.warn(`${client.name}: skipped, ${error.message}`);
    return;
  }
  const exchanges = [...kept.values()].sort((a, b) => a.api.localeCompare(b.api) || a.version - b.version);
  writeFileSync(join(directory as string, `${client.name}.json`), `${JSON.stringify(exchanges, null, 2)}\n`);
  console.log(`${client.name}: ${exchanges.map(({ api, version }) => `${api} v${version}`).join(', ')}`);
}

function commandsFor(topic: string): Command[] {
  const records = [{ key: 'k', value: 'v' }];
  const other = `${topic}.made`;
  return [
    { do: 'create', topic: other, partitions: 1, replicas: 1, configs: { 'retention.ms': '86400000' } },
    { do: 'describeConfig', topic: other, name: 'retention.ms' },
    { do: 'alterConfig', topic: other, name: 'retention.ms', value: '3600000' },
    { do: 'addPartitions', topic: other, count: 2 },
    ...codecs.map((codec): Command => ({ do: 'produce', topic, acks: -1, codec, idempotent: false, records })),
    { do: 'produce', topic, acks: -1, codec: 'none', idempotent: true, records },
    { do: 'consume', topic, partitions: 1, count: 6 },
    { do: 'consumeInGroup', topic, group: `${topic}.members`, count: 6, protocol: 'classic' },
    { do: 'consumeInGroup', topic, group: `${topic}.consumers`, count: 6, protocol: 'consumer' },
    { do: 'groupState', group: `${topic}.consumers` },
    { do: 'offsets', topic, partition: 0, at: 'latest' },
    { do: 'delete', topic: other },
  ];
}

function pass(client: Socket, broker: Socket): void {
  const asked = new FrameSplitter(frameBytesMax);
  const answered = new FrameSplitter(frameBytesMax);
  const open = new Map<number, { name: string; version: number; request: Uint8Array }>();
  let isKafka: boolean | undefined;
  client.on('data', (bytes: Buffer) => {
    isKafka ??= bytes.toString('latin1', 0, 4) !== http2Preface;
    broker.write(bytes);
    if (!isKafka) return;
    asked.push(bytes);
    for (let frame = asked.next(); frame !== undefined; frame = asked.next()) {
      const { apiKey, apiVersion, correlationId } = readRequestStart(new Reader(frame));
      const name = allApis.find(({ key }) => key === apiKey)?.name ?? String(apiKey);
      open.set(correlationId, { name, version: apiVersion, request: frame });
    }
  });
  broker.on('data', (bytes: Buffer) => {
    client.write(bytes);
    if (!isKafka) return;
    answered.push(bytes);
    for (let frame = answered.next(); frame !== undefined; frame = answered.next()) {
      const question = open.get(new Reader(frame).int32());
      if (question !== undefined) keep(question.name, question.version, question.request, frame);
    }
  });
  for (const [one, other] of [
    [client, broker],
    [broker, client],
  ] as const) {
    one.on('error', () => other.destroy());
    one.on('close', () => other.destroy());
  }
}

/** The fullest exchange of each kind that is not too large. */
function keep(api: string, version: number, request: Uint8Array, response: Uint8Array): void {
  const id = `${api} ${version}`;
  const size = request.length + response.length;
  const before = kept.get(id);
  if (size > keptBytesMax || (before !== undefined && before.request.length + before.response.length >= size * 2))
    return;
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  kept.set(id, { api, version, request: hex(request), response: hex(response) });
}

function listen(server: Server): Promise<Server> {
  return new Promise((resolve) => server.listen(0, 'localhost', () => resolve(server)));
}
