import { encodeBatch } from '@naru/record';
import { test } from 'vitest';
import { ScriptedCluster } from '../../scripted/scripted-cluster.ts';
import { ScriptedGroups } from '../../scripted/scripted-groups.ts';

test('a member that was frozen reads at once that it is out and that its join succeeded: it joins again', async () => {
  const groups = new ScriptedGroups();
  const cluster = await ScriptedCluster.start(1, 1, (id) => groups.services(id));
  const { simulation } = cluster;
  groups.attach(simulation);
  const [log] = cluster.addTopic('t', 1);
  const node = simulation.addNode('other');
  const options = { groupId: 'g', autoOffsetReset: 'earliest', sessionTimeoutMs: 6_000, heartbeatIntervalMs: 1_000 };
  const consumer = cluster.client({ runtime: node.runtime }).consumer(options);
  consumer.subscribe(['t']);
  let readCount = 0;
  const poll = async (): Promise<void> => {
    for (;;) readCount += (await consumer.poll(200)).length;
  };
  void poll();
  await simulation.runUntil(() => consumer.assignment().length === 1);

  const countOf = (wanted: string): number => groups.calls.filter(({ api }) => api === wanted).length;
  const [beats, joins] = [countOf('heartbeat'), countOf('joinGroup')];
  groups.onCall = (api) => {
    if (api === 'heartbeat') return { kind: 'serve', delayMs: 400 };
    return api === 'joinGroup' ? { kind: 'serve', delayMs: 800 } : { kind: 'serve' };
  };
  await simulation.runUntil(() => countOf('heartbeat') > beats);
  consumer.subscribe(['t', 'u']);
  await simulation.runUntil(() => countOf('joinGroup') > joins);
  node.pause();
  // The heartbeat meets a coordinator that does not know the member, the join one that does.
  const known = [...groups.members];
  groups.members.clear();
  await simulation.runFor(600);
  for (const [id, each] of known) groups.members.set(id, each);
  await simulation.runFor(1_000);

  groups.onCall = () => ({ kind: 'serve' });
  node.resume();
  log?.append(encodeBatch({ records: [{ key: null, value: Buffer.from('v'), timestampMs: 1 }] }));
  await simulation.runUntil(() => readCount === 1 && consumer.health().status === 'stable');
});
