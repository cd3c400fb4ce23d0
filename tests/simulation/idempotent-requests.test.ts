import { errorCodes } from '@naru/kafka-protocol';
import { BatchBuilder } from '@naru/record';
import { brokerMethods, type broker as wire } from '@naru/rpc';
import { expect, test } from 'vitest';
import { SimulatedCluster } from './simulated-cluster.ts';

const topic = 'events';

interface Fields {
  readonly producerId?: number;
  readonly epoch?: number;
  readonly count?: number;
}

/** A batch of a producer whose records begin with this sequence number. */
function batch(sequence: number, { producerId = 7, epoch = 0, count = 1 }: Fields = {}): Uint8Array {
  const builder = new BatchBuilder();
  builder.setProducer(producerId, epoch, sequence);
  for (let i = 0; i < count; i++) builder.append(null, Buffer.from(`${producerId}:${sequence + i}`), 1_000);
  return builder.close();
}

async function start(): Promise<SimulatedCluster> {
  const cluster = await SimulatedCluster.start({ seed: 3, brokerConfig: { 'replica.lag.time.max.ms': 60_000 } });
  await cluster.createTopic(topic, 1, 3, { 'min.insync.replicas': '2' });
  await cluster.untilLed(topic, 0);
  return cluster;
}

/** One request with acks=all to the leader, over a connection of its own. */
async function produce(cluster: SimulatedCluster, ...batches: readonly Uint8Array[]): Promise<wire.PartitionAppended> {
  const leader = await cluster.untilLed(topic, 0);
  const channel = await cluster.sim.complete(cluster.rpc.connect(cluster.addressOf(leader)));
  const stream = channel.open(brokerMethods.produce);
  let answer: wire.PartitionAppended | undefined;
  stream.handle({
    onMessage: ({ partitions }) => {
      answer = partitions[0];
    },
    onClose: () => {},
  });
  const asked = { topic, topicId: '', partition: 0, records: Buffer.concat(batches) };
  stream.send({ correlationId: 1, acks: -1, timeoutMs: 1_000, partitions: [asked] });
  await cluster.sim.runUntil(() => answer !== undefined);
  await cluster.sim.complete(channel.close());
  return answer as wire.PartitionAppended;
}

async function initProducerId(cluster: SimulatedCluster, brokerId: number): Promise<number> {
  const channel = await cluster.sim.complete(cluster.rpc.connect(cluster.addressOf(brokerId)));
  const answer = await cluster.sim.complete(channel.call(brokerMethods.initProducerId, { transactionalId: '' }));
  await cluster.sim.complete(channel.close());
  expect(answer).toMatchObject({ errorCode: 0, producerEpoch: 0 });
  return answer.producerId;
}

test('rows 39, 40: duplicates, gaps, old epochs and strangers', async () => {
  const cluster = await start();
  expect(await produce(cluster, batch(1))).toMatchObject({
    errorCode: errorCodes.UNKNOWN_PRODUCER_ID,
    appended: false,
  });
  expect(await produce(cluster, batch(0, { count: 3 }))).toMatchObject({ errorCode: 0, baseOffset: 0 });
  expect(await produce(cluster, batch(4))).toMatchObject({ errorCode: errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER });
  expect(await produce(cluster, batch(3), batch(5))).toMatchObject({
    errorCode: errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER,
  });
  expect(await produce(cluster, batch(0, { producerId: 8 }))).toMatchObject({ baseOffset: 3 });
  expect(await produce(cluster, batch(0, { count: 3 }), batch(3))).toMatchObject({
    errorCode: 0,
    baseOffset: 0,
    batchBaseOffsets: [0, 4],
  });
  expect(await produce(cluster, batch(0, { epoch: 1 }))).toMatchObject({ errorCode: 0, baseOffset: 5 });
  expect(await produce(cluster, batch(4))).toMatchObject({ errorCode: errorCodes.INVALID_PRODUCER_EPOCH });
});

test('row 39: the next leader answers a duplicate with the offset that it has', async () => {
  const cluster = await start();
  for (let sequence = 0; sequence < 10; sequence++) await produce(cluster, batch(sequence));
  const leader = cluster.leaderOf(topic, 0) as number;
  cluster.crashBroker(leader);
  await cluster.sim.runUntil(() => cluster.leaderOf(topic, 0) !== undefined && cluster.leaderOf(topic, 0) !== leader);
  for (let sequence = 0; sequence < 10; sequence++) {
    expect(await produce(cluster, batch(sequence))).toMatchObject({ errorCode: 0, baseOffset: sequence });
  }
});

test('a duplicate with acks=all is not acknowledged before the original is replicated (C1)', async () => {
  const cluster = await start();
  await produce(cluster, batch(0));
  const leader = cluster.leaderOf(topic, 0) as number;
  for (const id of cluster.brokerIds) if (id !== leader) cluster.sim.network.cut(`b${leader}`, `b${id}`);
  const late = { errorCode: errorCodes.REQUEST_TIMED_OUT, appended: true };
  expect(await produce(cluster, batch(1))).toMatchObject(late);
  expect(await produce(cluster, batch(1)), 'it is in the log of the leader alone').toMatchObject(late);
  cluster.sim.network.healAll();
  await cluster.sim.runFor(3_000);
  expect(await produce(cluster, batch(1))).toMatchObject({ errorCode: 0, baseOffset: 1 });
});

test('a duplicate is known after everything lost its power', async () => {
  const cluster = await start();
  for (let sequence = 0; sequence < 6; sequence++) await produce(cluster, batch(sequence));
  cluster.losePowerOfAll();
  await cluster.restartAll();
  // Until the followers are back in the ISR.
  await cluster.sim.runFor(2_000);
  expect(await produce(cluster, batch(2))).toMatchObject({ errorCode: 0, baseOffset: 2 });
  expect(await produce(cluster, batch(6))).toMatchObject({ errorCode: 0, baseOffset: 6 });
});

test('InitProducerId: each id once, from any broker, across crashes', async () => {
  const cluster = await start();
  const given: number[] = [];
  for (let round = 0; round < 2; round++) {
    for (const id of cluster.brokerIds) for (let i = 0; i < 3; i++) given.push(await initProducerId(cluster, id));
    cluster.losePowerOfBroker(1);
    await cluster.restartBroker(1);
  }
  expect(new Set(given).size).toBe(given.length);
  expect(given.slice(0, 3)).toEqual([given[0], (given[0] as number) + 1, (given[0] as number) + 2]);
});
