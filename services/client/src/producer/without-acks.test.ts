import { errorCodes } from '@naru/kafka-protocol';
import { expect, test } from 'vitest';
import { clientHost, ScriptedCluster } from '../scripted/scripted-cluster.ts';

async function setUp(brokers = 1) {
  const cluster = await ScriptedCluster.start(brokers);
  cluster.addTopic('t', 1);
  return { cluster, producer: cluster.client().producer({ acks: '0', lingerMs: 0 }), log: cluster.log('t', 0) };
}

test('acks=0 waits for no answer and knows no offset', async () => {
  const { cluster, producer, log } = await setUp();
  const metadata = await cluster.run(producer.send({ topic: 't', value: 'v' }));
  expect(metadata.offset).toBe(-1n);
  await cluster.simulation.runFor(10);
  expect(log.values).toEqual(['v']);
});

test('acks=0: flush ends without an answer, and close hands over what is still on the way', async () => {
  const { cluster, producer, log } = await setUp();
  producer.send({ topic: 't', value: 'first' }, () => {});
  await cluster.run(producer.flush(), 1_000);
  for (const value of Array.from({ length: 200 }, (_, i) => `v${i}`))
    producer.send({ topic: 't', value: value.padEnd(5_000, '.') }, () => {});
  await cluster.run(producer.close(), 1_000);
  expect(log.values).toHaveLength(201);
});

test('acks=0: closing does not wait for a silent broker longer than it was told to', async () => {
  const { cluster, producer } = await setUp();
  await cluster.run(producer.send({ topic: 't', value: 'first' }));
  cluster.simulation.network.cut('b1', clientHost);
  producer.send({ topic: 't', value: 'second' }, () => {});
  await cluster.run(producer.close({ timeoutMs: 100 }), 5_000);
});

test('acks=0: a broker that refuses ends the stream, and the next records go to the leader', async () => {
  const { cluster, producer, log } = await setUp(2);
  await cluster.run(producer.send({ topic: 't', value: 'before' }));
  await cluster.simulation.runFor(10);
  log.moveTo(2);
  cluster.onProduce = (brokerId) =>
    brokerId === 1 ? { kind: 'refuse', code: errorCodes.NOT_LEADER_OR_FOLLOWER } : { kind: 'append' };
  await cluster.run(producer.send({ topic: 't', value: 'lost' }));
  await cluster.simulation.runFor(1_000);
  await cluster.run(producer.send({ topic: 't', value: 'after' }));
  await cluster.run(producer.close(), 1_000);
  expect(log.values).toEqual(['before', 'after']);
});
