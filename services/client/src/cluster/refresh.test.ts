import { expect, test } from 'vitest';
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
