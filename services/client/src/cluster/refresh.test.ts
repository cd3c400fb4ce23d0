import { createRpc } from '@naru/rpc';
import { createSimulation } from '@naru/runtime/simulated';
import { expect, test } from 'vitest';
import { Client } from '../client.ts';
import { parseAdminConfig } from '../config.ts';
import { silentLogger } from '../logger.ts';
import { ScriptedCluster } from '../scripted/scripted-cluster.ts';
import { Cluster } from './cluster.ts';

test('who was waiting for one topic and asks for the next in the same turn is heard: 1. the refresh answers, 2. it ends, 3. it says so', async () => {
  const scripted = await ScriptedCluster.start(1);
  const cluster = new Cluster(
    scripted.clientNode.runtime,
    parseAdminConfig({ bootstrapServers: 'b1:9092' }, {}),
    silentLogger,
  );
  for (const name of ['a', 'b']) scripted.addTopic(name, 1);
  const deadlineMs = cluster.nowMs() + 10_000;
  // Without an await between the answer and the next question.
  const both = cluster.topic('a', deadlineMs).then(() => cluster.topic('b', deadlineMs));
  expect((await scripted.run(both, 1_000)).name).toBe('b');
  await scripted.run(cluster.close());
});

test("a port that is no broker's, a coordinator's for instance, is said to be none", async () => {
  const simulation = createSimulation({ seed: 1 });
  const node = simulation.addNode('c1');
  await simulation.complete(createRpc(node.runtime).serve({ host: 'c1', port: 2181 }, []));
  const runtime = simulation.addNode('client').runtime;
  const client = new Client({ bootstrapServers: 'c1:2181', runtime, defaultApiTimeoutMs: 1_000 });
  const listed = client.admin().listTopics();
  await expect(simulation.complete(listed)).rejects.toThrow('c1:2181 (it speaks gRPC and is no broker)');
  await simulation.complete(client.close());
});
