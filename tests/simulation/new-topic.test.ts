import { errorCodes } from '@naru/kafka-protocol';
import { BatchBuilder } from '@naru/record';
import { brokerMethods, type RpcChannel, type RpcStream, type broker as wire } from '@naru/rpc';
import { describe, expect, test } from 'vitest';
import { leadershipWaitMsMax } from '../../services/broker/src/requests/held-records.ts';
import { SimulatedCluster } from './simulated-cluster.ts';
import { readAll } from './workload.ts';

const topic = 'new';

/** Says to a broker what it wants, whatever the metadata says. */
class Producer {
  readonly answers: wire.ProduceResponse[] = [];
  readonly #stream: RpcStream<wire.ProduceRequest, wire.ProduceResponse>;
  #nextId = 1;

  private constructor(channel: RpcChannel) {
    this.#stream = channel.open(brokerMethods.produce);
    this.#stream.handle({ onMessage: (answer) => this.answers.push(answer), onClose: () => {} });
  }

  static async of(cluster: SimulatedCluster, brokerId: number): Promise<Producer> {
    return new Producer(await cluster.sim.complete(cluster.rpc.connect(cluster.addressOf(brokerId))));
  }

  send(value: string, acks: number): void {
    const builder = new BatchBuilder();
    builder.append(null, Buffer.from(value), 1_000);
    const partitions = [{ topic, topicId: '', partition: 0, records: builder.close() }];
    this.#stream.send({ correlationId: this.#nextId++, acks, timeoutMs: 30_000, partitions });
  }
}

/** Three brokers; the one that the topic will be led by neither is the controller nor hears of anything. */
async function started(seed: number) {
  const cluster = await SimulatedCluster.start({ seed });
  const controller = cluster.brokers[0]?.publisher.image.controllerId;
  const [witness, leader] = cluster.brokerIds.filter((id) => id !== controller) as [number, number];
  const producer = await Producer.of(cluster, leader);
  const hears = (isHearing: boolean): void => {
    for (const id of cluster.coordinatorIds) {
      if (isHearing) cluster.sim.network.heal(`b${leader}`, `c${id}`);
      else cluster.sim.network.cut(`b${leader}`, `c${id}`);
    }
  };
  /** Led by `leader`, and known to the witness, so to its clients. */
  const create = async (): Promise<void> => {
    const channel = await cluster.sim.complete(cluster.rpc.connect(cluster.addressOf(witness)));
    const assignments = [{ partition: 0, brokerIds: [leader] }];
    const wanted = { name: topic, numPartitions: -1, replicationFactor: -1, assignments, configs: {}, topicId: '' };
    const request = { topics: [wanted], timeoutMs: 5_000, validateOnly: false };
    const [result] = (await cluster.sim.complete(channel.call(brokerMethods.createTopics, request))).topics;
    expect(result?.errorCode).toBe(errorCodes.NONE);
  };
  const values = async () => [...(await cluster.sim.complete(readAll(cluster, topic, 0))).values()];
  return { cluster, leader, producer, hears, create, values };
}

describe('records for a new topic that come before its leader leads', () => {
  test('acks=0: 1. created, 2. told to a client, 3. produced at a leader that has not heard of it, 4. it hears', async () => {
    const { cluster, leader, producer, hears, create, values } = await started(1);
    hears(false);
    await create();
    expect(cluster.broker(leader).publisher.image.topics.has(topic)).toBe(false);
    for (const value of ['one', 'two', 'three']) producer.send(value, 0);
    await cluster.sim.runFor(200);
    hears(true);
    await cluster.sim.runUntil(() => cluster.leaderOf(topic, 0) === leader);
    producer.send('four', 0);
    await cluster.sim.runFor(500);
    expect(await values()).toEqual(['one', 'two', 'three', 'four']);
  });

  test('acks=1: it knows that it is elected and still opens the log: the answer waits instead of a refusal', async () => {
    const { cluster, leader, producer, create, values } = await started(2);
    cluster.node(`b${leader}`).disk.times = {
      operation: { minMs: 40, meanMs: 40 },
      sync: { minMs: 40, meanMs: 40 },
    };
    await create();
    await cluster.sim.runUntil(() => cluster.broker(leader).publisher.image.topics.has(topic));
    expect(cluster.broker(leader).replicas.find(topic, '', 0).kind).not.toBe('partition');
    producer.send('one', 1);
    await cluster.sim.runUntil(() => producer.answers.length === 1);
    expect(producer.answers[0]?.partitions[0]).toMatchObject({ errorCode: errorCodes.NONE, baseOffset: 0 });
    await cluster.sim.runFor(1_000);
    expect(await values()).toEqual(['one']);
  });

  test('who has an answer to come and does not lead says so at once', async () => {
    const { cluster, producer, hears, create } = await started(3);
    hears(false);
    await create();
    producer.send('one', 1);
    await cluster.sim.runFor(50);
    expect(producer.answers[0]?.partitions[0]?.errorCode).toBe(errorCodes.UNKNOWN_TOPIC_OR_PARTITION);
  });

  test('the wait ends: what nobody leads is dropped, which ends the stream, and what comes later is in order', async () => {
    const { cluster, leader, producer, create, values } = await started(4);
    producer.send('too early', 0);
    await cluster.sim.runFor(leadershipWaitMsMax + 100);
    await create();
    await cluster.sim.runUntil(() => cluster.leaderOf(topic, 0) === leader);
    const later = await Producer.of(cluster, leader);
    later.send('in time', 1);
    await cluster.sim.runUntil(() => later.answers.length === 1);
    expect(await values()).toEqual(['in time']);
  });
});
