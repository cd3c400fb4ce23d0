import { expect, test } from 'vitest';
import { UnknownTopicOrPartitionError } from '../errors.ts';
import { ScriptedCluster } from '../scripted/scripted-cluster.ts';

// A record that names a partition which is not there waits for max.block.ms: somebody may be adding it. Nobody else shall.

async function setUp() {
  const cluster = await ScriptedCluster.start(1);
  const producer = cluster.client().producer({ maxBlockMs: 5_000, lingerMs: 0 });
  const results: string[] = [];
  const send = (value: string, partition?: number): Promise<unknown> =>
    producer.send({ topic: 't', value, partition }).then(
      () => results.push(value),
      (error: unknown) => results.push(`${value}: ${(error as Error).constructor.name}`),
    );
  return { cluster, producer, send, results };
}

test('a record for a partition that is not there holds up only those behind it in that partition', async () => {
  const { cluster, send, results, producer } = await setUp();
  cluster.addTopic('t', 2);
  const all = [send('known', 1), send('missing', 7), send('behind', 7), send('other', 1), send('any')];
  await cluster.simulation.runFor(1_000);
  expect(results.toSorted()).toEqual(['any', 'known', 'other']);
  await cluster.run(producer.ready(), 10);
  await cluster.run(Promise.all(all));
  const failed = ['missing', 'behind'].map((value) => `${value}: ${UnknownTopicOrPartitionError.name}`);
  expect(results.slice(3)).toEqual(failed);
});

test('also when not even the topic was there at first; what waits is flushed, in order', async () => {
  const { cluster, send, results, producer } = await setUp();
  const all = [send('early', 3), send('second', 3), send('any')];
  cluster.simulation.at(300, () => cluster.addTopic('t', 1));
  await cluster.simulation.runFor(1_500);
  expect(results).toEqual(['any']);
  cluster.simulation.at(cluster.simulation.nowMs + 500, () => cluster.addTopic('t', 4));
  await cluster.run(producer.flush());
  await cluster.run(Promise.all(all), 10);
  expect(cluster.log('t', 3).values).toEqual(['early', 'second']);
});

test('closing fails what waits for a partition', async () => {
  const { cluster, send, results, producer } = await setUp();
  cluster.addTopic('t', 1);
  const sent = send('missing', 7);
  await cluster.simulation.runFor(100);
  await cluster.run(producer.close({ timeoutMs: 10 }), 1_000);
  await cluster.run(sent, 10);
  expect(results).toEqual(['missing: IllegalStateError']);
});
