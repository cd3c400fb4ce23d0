import { errorCodes } from '@naru/kafka-protocol';
import { BatchBuilder } from '@naru/record';
import { brokerMethods, type RpcChannel, type RpcStream, type broker as wire } from '@naru/rpc';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { SimulatedCluster } from './simulated-cluster.ts';

const topic = 'events';

/** A client of one broker that counts its answers. */
class Client {
  readonly #cluster: SimulatedCluster;
  readonly channel: RpcChannel;
  readonly #produce: RpcStream<wire.ProduceRequest, wire.ProduceResponse>;
  readonly #fetch: RpcStream<wire.FetchRequest, wire.FetchResponse>;
  readonly produced = new Map<number, wire.ProduceResponse>();
  readonly fetched: wire.FetchResponse[] = [];
  isProduceClosed = false;
  isFetchClosed = false;
  #fetches = 0;
  #nextId = 1;

  constructor(cluster: SimulatedCluster, channel: RpcChannel) {
    this.#cluster = cluster;
    this.channel = channel;
    this.#produce = channel.open(brokerMethods.produce);
    this.#produce.handle({
      onMessage: (r) => this.produced.set(r.correlationId, r),
      onClose: () => {
        this.isProduceClosed = true;
      },
    });
    this.#fetch = channel.open(brokerMethods.fetch);
    this.#fetch.handle({
      onMessage: (r) => this.fetched.push(r),
      onClose: () => {
        this.isFetchClosed = true;
      },
    });
  }

  static async of(cluster: SimulatedCluster, brokerId: number): Promise<Client> {
    return new Client(cluster, await cluster.sim.complete(cluster.rpc.connect(cluster.addressOf(brokerId))));
  }

  send(records: Uint8Array, fields: Partial<wire.ProduceRequest & wire.PartitionRecords> = {}): number {
    const correlationId = this.#nextId++;
    const { acks = -1, timeoutMs = 1_000, topicId = '', partition = 0 } = fields;
    const asked = { topic: fields.topic ?? topic, topicId, partition, records };
    this.#produce.send({ correlationId, acks, timeoutMs, partitions: [asked] });
    return correlationId;
  }

  async produce(records: Uint8Array, fields: Parameters<Client['send']>[1] = {}): Promise<wire.PartitionAppended> {
    const id = this.send(records, fields);
    await this.#cluster.sim.runUntil(() => this.produced.has(id));
    return this.produced.get(id)?.partitions[0] as wire.PartitionAppended;
  }

  /** Returns which answer will be its own. */
  ask(
    fetchOffset: number,
    fields: Partial<Omit<wire.FetchRequest, 'partitions'> & wire.PartitionFetch> & { partitions?: number[] } = {},
  ): number {
    const { wantData = true, maxWaitMs = 0, minBytes = 1, maxBytes = 1_000_000, forgotten = [] } = fields;
    const { topicId = '', currentLeaderEpoch = -1, lastFetchedEpoch = -1 } = fields;
    const epochs = { currentLeaderEpoch, lastFetchedEpoch };
    const partitions = (fields.partitions ?? [0]).map((partition) => {
      return { topic: fields.topic ?? topic, topicId, partition, fetchOffset, ...epochs, maxBytes };
    });
    this.#fetch.send({ wantData, maxWaitMs, minBytes, maxBytes, isolationLevel: 0, forgotten, partitions });
    return wantData ? this.#fetches++ : -1;
  }

  async fetch(fetchOffset: number, fields: Parameters<Client['ask']>[1] = {}): Promise<wire.PartitionFetched> {
    const id = this.ask(fetchOffset, fields);
    await this.#cluster.sim.runUntil(() => this.fetched[id] !== undefined);
    return this.fetched[id]?.partitions[0] as wire.PartitionFetched;
  }

  bytesOf(id: number): number {
    return sizeOf(this.fetched[id]?.partitions[0]?.records);
  }

  listOffset(timestamp: number, currentLeaderEpoch = -1): Promise<wire.ListOffsetsResponse> {
    const partitions = [{ topic, partition: 0, currentLeaderEpoch, timestamp }];
    return this.#cluster.sim.complete(this.channel.call(brokerMethods.listOffsets, { isolationLevel: 0, partitions }));
  }
}

function sizeOf(records: readonly Uint8Array[] = []): number {
  return records.reduce((sum, run) => sum + run.length, 0);
}

function batch(values: number, bytes = 10, timestampMs = 1_000): Uint8Array {
  const builder = new BatchBuilder();
  for (let i = 0; i < values; i++) builder.append(null, Buffer.alloc(bytes, i), timestampMs + i);
  return builder.close();
}

let cluster: SimulatedCluster;
let client: Client;
let leader: number;

async function start(replicas: number, configs: Record<string, string> = {}): Promise<void> {
  const brokerConfig = { 'replica.lag.time.max.ms': 1_000 };
  cluster = await SimulatedCluster.start({ seed: 7, coordinators: 1, brokers: replicas, brokerConfig });
  await cluster.createTopic(topic, 1, replicas, configs);
  leader = await cluster.untilLed(topic, 0);
  client = await Client.of(cluster, leader);
}

describe('produce', () => {
  beforeEach(() => start(3, { 'min.insync.replicas': '2', 'max.message.bytes': '2000' }));

  test('answers with the base offset; offsets are dense, in the order of the requests (C5)', async () => {
    const ids = [3, 1, 2].map((count) => client.send(batch(count)));
    await cluster.sim.runUntil(() => ids.every((id) => client.produced.has(id)));
    expect(ids.map((id) => client.produced.get(id)?.partitions[0]?.baseOffset)).toEqual([0, 3, 4]);
  });

  test('small requests of a stream that come in one read are one append, each answered with its own offset', async () => {
    const found = cluster.broker(leader).replicas.find(topic, '', 0);
    if (found.kind !== 'partition') throw new Error('nobody leads');
    const append = vi.spyOn(found.partition.log, 'appendAsLeader');
    const ids = [3, 1, 2].map((count) => client.send(batch(count)));
    await cluster.sim.runUntil(() => ids.every((id) => client.produced.has(id)));
    expect(append).toHaveBeenCalledOnce();
    expect(ids.map((id) => client.produced.get(id)?.partitions[0]?.baseOffset)).toEqual([0, 3, 4]);
  });

  test('acks=all is answered when the record is on every disk in sync (R10), acks=1 before', async () => {
    const { errorCode } = await client.produce(batch(1));
    expect(errorCode).toBe(errorCodes.NONE);
    const id = cluster.broker(leader).publisher.image.topics.get(topic)?.id ?? '';
    for (const broker of cluster.brokers) {
      expect(broker.replicas.partitionById(id, 0)?.log.flushedOffset).toBe(1);
    }
    cluster.sim.network.isolate(`b${[1, 2, 3].find((b) => b !== leader)}`);
    expect((await client.produce(batch(1), { acks: 1 })).baseOffset).toBe(1);
  });

  test('acks=0 has no answer', async () => {
    client.send(batch(2), { acks: 0 });
    expect((await client.produce(batch(1))).baseOffset).toBe(2);
    expect(client.produced.size).toBe(1);
  });

  test('acks=0 and an error: the stream ends, so that the client looks for the leader again', async () => {
    client.send(batch(1), { acks: 0, topic: 'nobody made it' });
    await cluster.sim.runUntil(() => client.isProduceClosed);
    expect(client.produced.size).toBe(0);
  });

  test('acks that nobody knows are refused', async () => {
    expect((await client.produce(batch(1), { acks: 2 })).errorCode).toBe(errorCodes.INVALID_REQUIRED_ACKS);
  });

  test('batches that are no batches, or too large, are refused, and nothing of the request is in the log', async () => {
    const corrupt = Buffer.from(batch(3));
    corrupt[corrupt.length - 1] = (corrupt.at(-1) as number) ^ 1;
    const old = Buffer.from(batch(1));
    old[16] = 1;
    const cases: readonly (readonly [Uint8Array, number])[] = [
      [corrupt, errorCodes.CORRUPT_MESSAGE],
      [batch(3).subarray(0, 50), errorCodes.CORRUPT_MESSAGE],
      [old, errorCodes.UNSUPPORTED_FOR_MESSAGE_FORMAT],
      [new Uint8Array(0), errorCodes.INVALID_RECORD],
      [batch(1, 3_000), errorCodes.MESSAGE_TOO_LARGE],
      [Buffer.concat([batch(1), corrupt]), errorCodes.CORRUPT_MESSAGE],
    ];
    for (const [records, code] of cases) {
      const answer = await client.produce(records);
      expect(answer.errorCode).toBe(code);
      expect(answer.baseOffset).toBe(-1);
    }
    expect((await client.produce(batch(1))).baseOffset).toBe(0);
  });

  test('another topic, partition or topic id is not known; who does not lead says who does', async () => {
    expect((await client.produce(batch(1), { topic: 'none' })).errorCode).toBe(errorCodes.UNKNOWN_TOPIC_OR_PARTITION);
    expect((await client.produce(batch(1), { partition: 9 })).errorCode).toBe(errorCodes.UNKNOWN_TOPIC_OR_PARTITION);
    const other = await client.produce(batch(1), { topicId: 'AAAAAAAAAAAAAAAAAAAAAA' });
    expect(other.errorCode).toBe(errorCodes.UNKNOWN_TOPIC_ID);
    const follower = [1, 2, 3].find((id) => id !== leader) as number;
    const answer = await (await Client.of(cluster, follower)).produce(batch(1));
    expect(answer).toMatchObject({ errorCode: errorCodes.NOT_LEADER_OR_FOLLOWER, leaderId: leader, leaderEpoch: 0 });
  });

  test('below min.insync.replicas: refused before the append (C13), or told after it (row 55)', async () => {
    for (const id of [1, 2, 3]) if (id !== leader) cluster.sim.network.isolate(`b${id}`);
    const waiting = client.send(batch(1), { timeoutMs: 60_000 });
    await cluster.sim.runUntil(() => client.produced.has(waiting));
    expect(client.produced.get(waiting)?.partitions[0]?.errorCode).toBe(errorCodes.NOT_ENOUGH_REPLICAS_AFTER_APPEND);
    const log = cluster.broker(leader).replicas.find(topic, '', 0);
    const end = (): number => (log.kind === 'partition' ? log.partition.log.logEndOffset : -1);
    const before = end();
    expect((await client.produce(batch(1))).errorCode).toBe(errorCodes.NOT_ENOUGH_REPLICAS);
    expect(end()).toBe(before);
    expect((await client.produce(batch(1), { acks: 1 })).errorCode).toBe(errorCodes.NONE);
  });

  test('acks that do not come in time: the outcome is unknown (row 55)', async () => {
    const follower = [1, 2, 3].find((id) => id !== leader) as number;
    cluster.sim.network.isolate(`b${follower}`);
    const answer = await client.produce(batch(1), { timeoutMs: 200 });
    expect(answer.errorCode).toBe(errorCodes.REQUEST_TIMED_OUT);
  });
});

describe('fetch and list offsets', () => {
  beforeEach(() => start(1));

  test('a fetch waits for data and is answered when it comes, or when its time is over', async () => {
    const id = client.ask(0, { maxWaitMs: 5_000 });
    await cluster.sim.runFor(1_000);
    expect(client.fetched[id]).toBeUndefined();
    await client.produce(batch(1));
    await cluster.sim.runFor(10);
    expect(client.bytesOf(id)).toBeGreaterThan(0);
    const startedMs = cluster.sim.nowMs;
    expect((await client.fetch(1, { maxWaitMs: 300 })).records.length).toBe(0);
    expect(cluster.sim.nowMs - startedMs).toBeGreaterThanOrEqual(300);
  });

  test('min_bytes are waited for', async () => {
    const id = client.ask(0, { maxWaitMs: 5_000, minBytes: 300 });
    await client.produce(batch(1, 100));
    await cluster.sim.runFor(100);
    expect(client.fetched[id]).toBeUndefined();
    await client.produce(batch(1, 100));
    await cluster.sim.runFor(100);
    expect(client.bytesOf(id)).toBeGreaterThanOrEqual(300);
  });

  test('KIP-74: the first batch comes even when it is larger than every limit', async () => {
    await client.produce(batch(1, 5_000));
    await client.produce(batch(1, 5_000));
    const { records } = await client.fetch(0, { maxBytes: 10 });
    expect(sizeOf(records)).toBeGreaterThan(5_000);
    expect(sizeOf(records)).toBeLessThan(10_000);
  });

  test('offsets out of range and other epochs are refused (KIP-320)', async () => {
    await client.produce(batch(3));
    expect((await client.fetch(4)).errorCode).toBe(errorCodes.OFFSET_OUT_OF_RANGE);
    expect((await client.fetch(0, { currentLeaderEpoch: 7 })).errorCode).toBe(errorCodes.UNKNOWN_LEADER_EPOCH);
    expect((await client.fetch(0, { currentLeaderEpoch: 0 })).errorCode).toBe(errorCodes.NONE);
    expect((await client.fetch(0, { topic: 'none' })).errorCode).toBe(errorCodes.UNKNOWN_TOPIC_OR_PARTITION);
  });

  test('a position that the log does not have before it is told where both part (KIP-320, row 22)', async () => {
    await client.produce(batch(3));
    expect((await client.fetch(3, { lastFetchedEpoch: 0 })).diverging).toBeUndefined();
    expect((await client.fetch(9, { lastFetchedEpoch: 0 })).diverging).toEqual({ epoch: 0, endOffset: 3 });
    expect((await client.fetch(2, { lastFetchedEpoch: 4 })).diverging).toEqual({ epoch: 0, endOffset: 3 });
    expect((await client.fetch(9)).errorCode).toBe(errorCodes.OFFSET_OUT_OF_RANGE);
  });

  test('a session: what was named stands until it has an answer, and is named again by whoever wants more', async () => {
    const first = client.ask(0, { maxWaitMs: 300 });
    await cluster.sim.runFor(400);
    expect(client.fetched[first]?.partitions).toHaveLength(1);
    const second = client.ask(0, { maxWaitMs: 300, partitions: [] });
    await cluster.sim.runFor(400);
    expect(client.fetched[second]?.partitions, 'nothing new').toEqual([]);
    const third = client.ask(0, { maxWaitMs: 5_000, partitions: [] });
    await client.produce(batch(1));
    await cluster.sim.runFor(10);
    expect(client.bytesOf(third)).toBeGreaterThan(0);
    const fourth = client.ask(0, { maxWaitMs: 300, partitions: [] });
    await client.produce(batch(1));
    await cluster.sim.runFor(400);
    expect(client.fetched[fourth]?.partitions, 'it stands no more').toEqual([]);
    const fifth = client.ask(0, { maxWaitMs: 5_000, partitions: [] });
    client.ask(1, { wantData: false });
    await cluster.sim.runFor(10);
    expect(client.bytesOf(fifth), 'named while a fetch waits').toBeGreaterThan(0);
  });

  test('a session: what is forgotten has no answer; two fetches at once end the stream', async () => {
    client.ask(0, { wantData: false });
    const id = client.ask(0, { maxWaitMs: 300, partitions: [], forgotten: [{ topic, partition: 0 }] });
    await client.produce(batch(1));
    await cluster.sim.runFor(400);
    expect(client.fetched[id]?.partitions).toEqual([]);
    client.ask(1, { maxWaitMs: 5_000 });
    client.ask(1, { maxWaitMs: 5_000 });
    await cluster.sim.runFor(100);
    expect(client.isFetchClosed).toBe(true);
  });

  test('earliest, latest, by time, the largest time, and a time that nobody has reached', async () => {
    await client.produce(batch(3, 10, 1_000));
    await client.produce(batch(3, 10, 9_000));
    const offsetAt = async (timestamp: number) => (await client.listOffset(timestamp)).partitions[0];
    expect(await offsetAt(-2)).toMatchObject({ offset: 0, errorCode: 0 });
    expect(await offsetAt(-1)).toMatchObject({ offset: 6, errorCode: 0, leaderEpoch: 0 });
    expect(await offsetAt(1_001)).toMatchObject({ offset: 1, timestamp: 1_001 });
    expect(await offsetAt(5_000)).toMatchObject({ offset: 3, timestamp: 9_000 });
    expect(await offsetAt(-3)).toMatchObject({ offset: 5, timestamp: 9_002 });
    expect(await offsetAt(99_000)).toMatchObject({ offset: -1, errorCode: 0 });
    expect((await client.listOffset(-1, 9)).partitions[0]?.errorCode).toBe(errorCodes.UNKNOWN_LEADER_EPOCH);
  });

  test('a client that goes away leaves no waiter behind', async () => {
    client.ask(0, { maxWaitMs: 500_000 });
    await cluster.sim.runFor(100);
    const found = cluster.broker(leader).replicas.find(topic, '', 0);
    const watchers = (): number => (found.kind === 'partition' ? found.partition.highWatermarkWatchers.size : -1);
    expect(watchers()).toBe(1);
    await cluster.sim.complete(client.channel.close());
    await cluster.sim.runFor(100);
    expect(watchers()).toBe(0);
  });
});

describe('controlled shutdown', () => {
  test('moves leadership first: an acks=all writer sees no more than a redirection', async () => {
    await start(3, { 'min.insync.replicas': '2' });
    await client.produce(batch(1));
    await cluster.sim.complete(cluster.closeBroker(leader));
    const next = await cluster.untilLed(topic, 0);
    expect(next).not.toBe(leader);
    expect((await (await Client.of(cluster, next)).produce(batch(1))).baseOffset).toBe(1);
  });
});
