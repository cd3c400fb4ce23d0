import { apis, encodeRequest, type RequestOf, type ResponseOf } from '@naru/kafka-protocol';
import type { Logger } from '@naru/observability';
import type { Connection } from '@naru/runtime';
import { createSimulation, type Simulation } from '@naru/runtime/simulated';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { apiVersionsApi } from '../requests/kafka/api-versions.ts';
import { answeredApi, type KafkaApi, type KafkaCall, kafkaApi } from '../requests/kafka/kafka-api.ts';
import type { KafkaDependencies } from '../requests/kafka/kafka-dependencies.ts';
import { KafkaFront, type KafkaLimits } from './kafka-front.ts';
import { RequestBudget } from './request-budget.ts';
import { KafkaPeer } from './testing/kafka-peer.ts';

const address = { host: 'b1', port: 9092 };

type ProduceCall = KafkaCall<RequestOf<typeof apis.produce>, ResponseOf<typeof apis.produce>>;

/** A front over handlers that answer when the test says so. */
class World {
  readonly sim: Simulation = createSimulation({ seed: 1 });
  readonly log: Record<string, unknown>[] = [];
  readonly produces: ProduceCall[] = [];
  readonly metadatas: (() => void)[] = [];
  readonly fetches: (() => void)[] = [];
  readonly givenUp: number[] = [];
  /** Of the front, on all connections. */
  writes = 0;
  readonly front: KafkaFront;
  readonly budget: RequestBudget;
  readonly #client = this.sim.addNode('client').runtime;
  readonly #server = this.sim.addNode('b1').runtime;

  constructor(limits: Partial<KafkaLimits> = {}, budgetBytes = 1_000_000) {
    const warn = (fields: Readonly<Record<string, unknown>>): void => void this.log.push({ ...fields });
    const logger = { debug: () => {}, info: () => {}, warn, error: warn, child: () => logger } as Logger;
    const registry = new Map<number, KafkaApi>();
    for (const one of this.#apis(logger, registry)) registry.set(one.api.key, one);
    this.budget = new RequestBudget(budgetBytes);
    const { clock, timers } = this.#server;
    const standard = {
      idleMsMax: 60_000,
      frameBytesMax: 100_000,
      receivedBytesMax: 1_000_000,
      unsentBytesMax: 1_000_000,
    };
    this.front = new KafkaFront({
      registry,
      budget: this.budget,
      limits: { ...standard, ...limits },
      clock,
      timers,
      logger,
    });
  }

  #apis(logger: Logger, registry: Map<number, KafkaApi>): readonly KafkaApi[] {
    const options = { authorization: '', onError: () => {} };
    return [
      kafkaApi(apis.produce, { versions: [3, 9], authorization: '', overlappingMax: 1_000 }, (call) => {
        const index = this.produces.push(call) - 1;
        return () => void this.givenUp.push(index);
      }),
      kafkaApi(apis.fetch, { versions: [4, 11], authorization: '', overlappingMax: 2 }, ({ answer }) => {
        this.fetches.push(() => answer({ kind: 'response', response: { topics: [] } }));
        return undefined;
      }),
      answeredApi(apis.metadata, { ...options, versions: [0, 9] }, async () => {
        await new Promise<void>((resolve) => this.metadatas.push(resolve));
        return { brokers: [], topics: [] };
      }),
      apiVersionsApi({ logger } as KafkaDependencies, () => registry.values()),
    ];
  }

  async listen(): Promise<void> {
    const accepted = (connection: Connection): void => {
      const write = connection.write.bind(connection);
      connection.write = (chunks) => {
        this.writes++;
        return write(chunks);
      };
      this.front.accept(connection, [], { listener: 'PLAINTEXT', onClose: () => {} });
    };
    await this.sim.complete(this.#server.network.listen(address, accepted));
  }

  connect(): Promise<KafkaPeer> {
    return this.sim.complete(KafkaPeer.connect(this.#client.network, address));
  }

  settle(): Promise<void> {
    return this.sim.runFor(50);
  }

  get closings(): readonly unknown[] {
    return this.log.map(({ reason }) => reason);
  }
}

const produced = { kind: 'response', response: { topics: [] } } as const;
const produceRequest = (acks = -1) => ({ acks, timeoutMs: 1_000, topics: [] });

let world: World;
let peer: KafkaPeer;

async function start(limits: Partial<KafkaLimits> = {}, budgetBytes?: number): Promise<void> {
  world = new World(limits, budgetBytes);
  await world.listen();
  peer = await world.connect();
}

afterEach(async () => {
  await world.sim.complete(world.front.close());
  expect(world.budget.bytes).toBe(0);
});

describe('order of requests and responses on one connection', () => {
  beforeEach(() => start());

  test('responses leave in the order of the requests, whichever is answered first', async () => {
    for (let i = 0; i < 3; i++) peer.send(apis.produce, 8, produceRequest());
    await world.settle();
    expect(world.produces).toHaveLength(3);
    world.produces[2]?.answer(produced);
    world.produces[1]?.answer(produced);
    await world.settle();
    expect(peer.answered).toEqual([]);
    world.produces[0]?.answer(produced);
    await world.settle();
    expect(peer.answered).toEqual([1, 2, 3]);
  });

  test('what one event answers leaves in one write', async () => {
    for (let i = 0; i < 5; i++) peer.send(apis.produce, 8, produceRequest());
    await world.settle();
    for (const { answer } of world.produces) answer(produced);
    await world.settle();
    expect([peer.answered.length, world.writes]).toEqual([5, 1]);
  });

  test('acks=0 has no response and does not hold up the next one', async () => {
    peer.send(apis.produce, 8, produceRequest(0));
    peer.send(apis.produce, 8, produceRequest());
    await world.settle();
    world.produces[0]?.answer({ kind: 'none' });
    world.produces[1]?.answer(produced);
    await world.settle();
    expect(peer.answered).toEqual([2]);
    expect(peer.isClosed).toBe(false);
  });

  test('acks=0 and an error: the connection is closed, as Kafka does', async () => {
    peer.send(apis.produce, 8, produceRequest(0));
    await world.settle();
    world.produces[0]?.answer({ kind: 'close', reason: 'acks=0 and NOT_LEADER_OR_FOLLOWER' });
    await world.settle();
    expect(peer.isClosed).toBe(true);
    expect(world.closings).toEqual(['acks=0 and NOT_LEADER_OR_FOLLOWER']);
  });

  test('fetches overlap with produce requests, and with so many of their kind as the registry says', async () => {
    for (let i = 0; i < 2; i++) peer.send(apis.fetch, 11, { maxWaitMs: 1_000, minBytes: 1, topics: [] });
    peer.send(apis.produce, 8, produceRequest());
    peer.send(apis.fetch, 11, { maxWaitMs: 1_000, minBytes: 1, topics: [] });
    await world.settle();
    expect([world.fetches.length, world.produces.length]).toEqual([2, 1]);
    for (const answer of world.fetches.splice(0)) answer();
    world.produces[0]?.answer(produced);
    await world.settle();
    expect(peer.answered).toEqual([1, 2, 3]);
    world.fetches[0]?.();
    await world.settle();
    expect(peer.answered).toEqual([1, 2, 3, 4]);
  });

  test('what is no data path runs alone: it sees what was asked before, and is seen by what comes after', async () => {
    peer.send(apis.produce, 8, produceRequest());
    peer.send(apis.metadata, 1, { topics: null });
    peer.send(apis.produce, 8, produceRequest());
    await world.settle();
    expect([world.produces.length, world.metadatas.length]).toEqual([1, 0]);
    world.produces[0]?.answer(produced);
    await world.settle();
    expect([world.produces.length, world.metadatas.length]).toEqual([1, 1]);
    world.metadatas[0]?.();
    await world.settle();
    expect(world.produces).toHaveLength(2);
    world.produces[1]?.answer(produced);
    await world.settle();
    expect(peer.answered).toEqual([1, 2, 3]);
  });

  test('thousands of requests in one piece are answered one by one', async () => {
    const count = 20_000;
    const frame = (id: number): Buffer => {
      const bytes = Buffer.from('0000000a001200000000000000ff', 'hex');
      bytes.writeInt32BE(id, 8);
      bytes.writeInt16BE(-1, 12);
      return bytes;
    };
    peer.sendRaw(Buffer.concat(Array.from({ length: count }, (_, i) => frame(i))));
    await world.sim.runUntil(() => peer.isClosed || peer.frames.length === count);
    expect(peer.answered).toEqual(Array.from({ length: count }, (_, i) => i));
  });

  test('a request in single bytes is a request', async () => {
    const frame = Buffer.from('0000000a00120000000000070000', 'hex');
    for (const byte of frame) {
      peer.sendRaw(Uint8Array.of(byte));
      await world.sim.runFor(1);
    }
    await world.settle();
    expect(peer.answered).toEqual([7]);
  });

  test('a client that goes away: its waiting requests are given up', async () => {
    peer.send(apis.produce, 8, produceRequest());
    await world.settle();
    peer.connection.destroy();
    await world.settle();
    expect(world.givenUp).toEqual([0]);
    expect(world.front.connectionsCount).toBe(0);
    expect(world.log).toEqual([]);
  });

  test('a front that closes answers what was asked', async () => {
    peer.send(apis.produce, 8, produceRequest());
    await world.settle();
    const closing = world.front.close();
    world.produces[0]?.answer(produced);
    await world.sim.complete(closing);
    await world.settle();
    expect(peer.answered).toEqual([1]);
    expect(peer.isClosed).toBe(true);
  });
});

describe('ApiVersions', () => {
  beforeEach(() => start());

  test('KIP-511: an unknown version is answered with error 35 in the body of version 0, and the connection stays', async () => {
    peer.sendRaw(Buffer.from('0000000d' + '00120063' + '00000009' + 'ffff' + 'deadbe', 'hex'));
    await world.settle();
    const answer = peer.response(apis.apiVersions, 0, 9);
    expect(answer?.errorCode).toBe(35);
    expect(answer?.apiKeys).toContainEqual({ apiKey: 18, minVersion: 0, maxVersion: 4 });
    const next = peer.send(apis.apiVersions, 0, {});
    await world.settle();
    expect(peer.answered).toContain(next);
  });

  test('lists what is registered; a nameless client of version 3 is told so', async () => {
    const named = peer.send(apis.apiVersions, 3, { clientSoftwareName: 'kcat', clientSoftwareVersion: '1.7.1' });
    const nameless = peer.send(apis.apiVersions, 3, { clientSoftwareName: 'k t', clientSoftwareVersion: '1' });
    await world.settle();
    expect(peer.response(apis.apiVersions, 3, named)?.apiKeys.map(({ apiKey }) => apiKey)).toEqual([0, 1, 3, 18]);
    expect(peer.response(apis.apiVersions, 3, nameless)?.errorCode).toBe(42);
  });
});

describe('what is not the protocol closes the connection, with one line that says why', () => {
  beforeEach(() => start());

  test.each([
    ['an HTTP request', 'GET / HTTP/1.1\r\nHost: b1\r\n\r\n', /an HTTP request/],
    ['TLS on a plain port', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', /a TLS handshake/],
    ['an oversized frame', '\x00\x01\x86\xa1', /a frame of 100001 bytes; at most 100000/],
    ['a negative length', '\xff\xff\xff\xff', /a frame of -1 bytes/],
    ['an empty frame', '\x00\x00\x00\x00', /announced/],
    ['an unknown API', '\x00\x00\x00\x0a\x00\x63\x00\x00\x00\x00\x00\x01\xff\xff', /API key 99 is not served/],
    ['an unknown version', '\x00\x00\x00\x0a\x00\x00\x00\x63\x00\x00\x00\x01\xff\xff', /Produce version 99/],
    ['a huge count', '\x00\x00\x00\x0e\x00\x03\x00\x01\x00\x00\x00\x01\xff\xff\x7f\xff\xff\xff', /elements in 0 bytes/],
  ])('%s', async (_, bytes, reason) => {
    peer.sendRaw(bytes);
    await world.settle();
    expect(peer.isClosed).toBe(true);
    expect(world.log).toHaveLength(1);
    expect(world.closings[0]).toMatch(reason);
    expect(world.log[0]?.peer).toMatch(/^client:\d+$/);
    const other = await world.connect();
    const id = other.send(apis.apiVersions, 0, {});
    await world.settle();
    expect(other.answered).toEqual([id]);
  });

  test('bytes behind a request are let go, as in Kafka: librdkafka sends three behind Metadata 9 and later for all topics', async () => {
    const allTopics = '\x00\x03\x00\x09\x00\x00\x00\x07\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00';
    peer.sendRaw(`\x00\x00\x00\x13${allTopics}`);
    await world.settle();
    world.metadatas[0]?.();
    await world.settle();
    expect(peer.answered).toEqual([7]);
    expect(peer.isClosed).toBe(false);
  });

  test('whatever comes, the front goes on', async () => {
    const inputs = fc.array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(inputs, async (pieces) => {
        const hostile = await world.connect();
        for (const bytes of pieces) hostile.sendRaw(bytes);
        await world.settle();
        hostile.connection.destroy();
        await world.settle();
      }),
      { numRuns: 200 },
    );
    const id = peer.send(apis.apiVersions, 0, {});
    await world.settle();
    expect(peer.answered).toEqual([id]);
    expect(world.front.connectionsCount).toBe(1);
  });

  test('half a request and then the end of the connection', async () => {
    peer.sendRaw('\x00\x00\x00\x20\x00\x12');
    await world.settle();
    peer.connection.end();
    await world.settle();
    expect(world.front.connectionsCount).toBe(0);
  });
});

describe('limits', () => {
  test('connections.max.idle.ms: the idle one goes, the one that waits for an answer stays', async () => {
    await start({ idleMsMax: 1_000 });
    const busy = await world.connect();
    busy.send(apis.produce, 8, produceRequest());
    await world.sim.runFor(2_000);
    expect([peer.isClosed, busy.isClosed]).toEqual([true, false]);
    expect(world.closings).toEqual(['idle']);
  });

  test('a sender that never finishes its request is idle too', async () => {
    await start({ idleMsMax: 1_000 });
    for (let i = 0; i < 20; i++) {
      peer.sendRaw(i === 0 ? '\x00\x00\x01\x00' : '\x00');
      await world.sim.runFor(100);
    }
    expect(peer.isClosed).toBe(true);
  });

  describe('memory of large requests that are on their way', () => {
    const records = Buffer.alloc(90_000);
    const request = { ...produceRequest(), topics: [{ name: 't', partitions: [{ index: 0, records }] }] };
    const whole = Buffer.concat(encodeRequest(apis.produce, 8, 1, 'test', request));

    test('who finds no room is not read until there is some, in the order in which they came; nobody is cut off', async () => {
      await start({ receivedBytesMax: 100_000 });
      const second = await world.connect();
      const third = await world.connect();
      for (const one of [peer, second, third]) {
        one.sendRaw(whole.subarray(0, 80_000));
        await world.settle();
      }
      third.sendRaw(whole.subarray(80_000));
      second.sendRaw(whole.subarray(80_000));
      await world.settle();
      expect(world.produces).toHaveLength(0);
      peer.sendRaw(whole.subarray(80_000));
      await world.settle();
      expect(world.produces).toHaveLength(3);
      for (const { answer } of world.produces) answer(produced);
      await world.settle();
      expect([peer, second, third].map((one) => one.answered)).toEqual([[1], [1], [1]]);
    });

    test('one that is larger than all there is comes alone', async () => {
      await start({ receivedBytesMax: 50_000 });
      peer.sendRaw(whole.subarray(0, 80_000));
      await world.settle();
      peer.sendRaw(whole.subarray(80_000));
      await world.settle();
      expect(world.produces).toHaveLength(1);
      world.produces[0]?.answer(produced);
    });

    test('a sender that is slow is cut off when others wait, and when it goes they get its room', async () => {
      await start({ receivedBytesMax: 100_000, idleMsMax: 1_000_000 });
      peer.sendRaw(whole.subarray(0, 80_000));
      await world.sim.runFor(100_000);
      expect(peer.isClosed).toBe(false);
      const other = await world.connect();
      other.sendRaw(whole.subarray(0, 80_000));
      await world.sim.runFor(20_000);
      other.sendRaw(whole.subarray(80_000));
      await world.settle();
      expect([peer.isClosed, world.produces.length]).toEqual([true, 1]);
      expect(world.closings).toEqual([expect.stringContaining('others wait for the memory')]);
      world.produces[0]?.answer(produced);
    });

    test('who waits for memory is not idle, nor just after it was granted', async () => {
      await start({ receivedBytesMax: 100_000, idleMsMax: 20_000 });
      peer.sendRaw(whole.subarray(0, 80_000));
      await world.settle();
      const other = await world.connect();
      other.sendRaw(whole.subarray(0, 80_000));
      await world.sim.runFor(26_000);
      expect([peer.isClosed, other.isClosed]).toEqual([true, false]);
      await world.sim.runFor(10_000);
      expect(other.isClosed).toBe(false);
    });
  });

  test('queued.max.request.bytes: who sends more is not read until there is room', async () => {
    await start({}, 20_000);
    const records = Buffer.alloc(9_000);
    const request = { ...produceRequest(), topics: [{ name: 't', partitions: [{ index: 0, records }] }] };
    for (let i = 0; i < 6; i++) {
      peer.send(apis.produce, 8, request);
      await world.settle();
    }
    const before = world.produces.length;
    expect(before).toBeLessThan(6);
    for (let i = 0; i < 6; i++) {
      world.produces[i]?.answer(produced);
      await world.settle();
    }
    expect(peer.answered).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('answers that nobody takes make further answers small, until they are taken', async () => {
    await start({ unsentBytesMax: 500_000 });
    const other = await world.connect();
    peer.connection.pause();
    const name = 'x'.repeat(30_000);
    const topics = Array.from({ length: 40 }, () => ({ name, partitions: [] }));
    const ask = async (from: KafkaPeer): Promise<number | undefined> => {
      from.send(apis.produce, 8, produceRequest());
      await world.settle();
      return world.produces.at(-1)?.answerBytesMax;
    };
    expect(await ask(peer)).toBe(Number.POSITIVE_INFINITY);
    world.produces[0]?.answer({ kind: 'response', response: { topics } });
    await world.settle();
    expect(await ask(other)).toBe(1_048_576);
    peer.connection.resume();
    await world.settle();
    expect(await ask(other)).toBe(Number.POSITIVE_INFINITY);
  });

  test('a client that does not read its answers is not served further', async () => {
    await start();
    peer.connection.pause();
    const name = 'x'.repeat(10_000);
    const large = {
      kind: 'response',
      response: { topics: Array.from({ length: 40 }, () => ({ name, partitions: [] })) },
    } as const;
    for (let i = 0; i < 20; i++) {
      peer.send(apis.produce, 8, produceRequest());
      await world.settle();
      world.produces[i]?.answer(large);
      await world.settle();
    }
    expect(world.produces.length).toBeLessThan(10);
    peer.connection.resume();
    await world.settle();
    expect(world.produces.length).toBeGreaterThan(10);
  });
});
