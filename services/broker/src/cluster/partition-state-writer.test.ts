import { describe, expect, it } from 'vitest';
import type { PartitionState } from './partition-state.ts';
import { type IsrChange, PartitionStateWriter } from './partition-state-writer.ts';
import { ClusterModel } from './testing/cluster-model.ts';
import { paths } from './znode-paths.ts';

async function setUp() {
  const cluster = await ClusterModel.create([1, 2]);
  await cluster.createTopic('t', [[1, 2]]);
  const self = { brokerId: 1, brokerEpoch: cluster.epoch(1) };
  const added = { brokerId: 2, brokerEpoch: cluster.epoch(2) };
  const before: PartitionState = { leader: 1, leaderEpoch: 3, isr: [self], elr: [], controllerEpoch: 1 };
  await cluster.setState('t', 0, before);
  const session = cluster.sessions.get(1) as NonNullable<ReturnType<typeof cluster.sessions.get>>;
  const writer = new PartitionStateWriter(
    () => session,
    (name) => cluster.image.topics.get(name),
  );
  const state: PartitionState = { ...before, isr: [self, added] };
  const topicId = cluster.image.topics.get('t')?.id as string;
  const change: IsrChange = { topic: 't', topicId, partition: 0, expectedVersion: 0, state, self, added: [added] };
  return { cluster, session, writer, change, before };
}

describe('an ISR change', () => {
  it('is a compare-and-set under the checks of all incarnations that it relies on', async () => {
    const { cluster, writer, change } = await setUp();
    expect(await writer.changeIsr(change)).toEqual({ ok: true, version: 1, zxid: cluster.coordinator.zxid });
    expect(cluster.image.topics.get('t')?.partitions[0]?.state).toEqual(change.state);
    expect(cluster.coordinator.log.at(-1)?.operations.map(({ kind, path }) => `${kind} ${path}`)).toEqual([
      'check /brokers/ids/1',
      'check /brokers/ids/2',
      'check /brokers/topics/t',
      `set-data ${paths.partitionState('t', 0)}`,
    ]);
  });

  it('row 24: conflicts with whatever was written meanwhile', async () => {
    const { cluster, writer, change, before } = await setUp();
    await cluster.setState('t', 0, { ...before, leader: -1 });
    expect(await writer.changeIsr(change)).toEqual({ ok: false, reason: 'conflict' });
  });

  it('rows 9 and 10: does not admit a member that bounced since it fetched', async () => {
    const { cluster, writer, change } = await setUp();
    await cluster.bounce(2);
    expect(await writer.changeIsr(change)).toEqual({ ok: false, reason: 'added-member-gone', member: change.added[0] });
    cluster.kill(2);
    expect(await writer.changeIsr(change)).toMatchObject({ reason: 'added-member-gone' });
  });

  it('is refused to a leader whose own incarnation is over', async () => {
    const { cluster, writer, change } = await setUp();
    await cluster.bounce(1);
    expect(await writer.changeIsr(change)).toEqual({ ok: false, reason: 'not-registered' });
    cluster.kill(1);
    expect(await writer.changeIsr(change)).toEqual({ ok: false, reason: 'not-registered' });
    const [former] = [...cluster.coordinator.log];
    expect(former).toBeDefined();
    const unconnected = new PartitionStateWriter(
      () => undefined,
      () => undefined,
    );
    expect(await unconnected.changeIsr(change)).toEqual({
      ok: false,
      reason: 'not-registered',
    });
  });

  it('row 18: is not written to the topic that came after the one it was decided for', async () => {
    const { cluster, session, writer, change } = await setUp();
    const state = paths.partitionState('t', 0);
    // Between the decision and the write: all versions are as they were.
    session.beforeWrite = async () => {
      session.beforeWrite = undefined;
      for (const path of [
        state,
        paths.partition('t', 0),
        paths.partitions('t'),
        paths.topicConfig('t'),
        paths.topic('t'),
      ]) {
        await cluster.admin.write([{ kind: 'delete', path }]);
      }
      await cluster.createTopic('t', [[1, 2]]);
      await cluster.setState('t', 0, { ...change.state, leader: 2, leaderEpoch: 0 });
    };
    expect(await writer.changeIsr(change)).toEqual({ ok: false, reason: 'topic-gone' });
    expect(cluster.image.topics.get('t')?.partitions[0]?.state?.leader).toBe(2);
    // Nor when the metadata have told already.
    const other = { ...change, topicId: 'of-another-topic' };
    expect(await writer.changeIsr(other)).toEqual({ ok: false, reason: 'topic-gone' });
  });

  it('says when the topic is gone', async () => {
    const { cluster, writer, change } = await setUp();
    cluster.coordinator.nodes.delete(paths.partitionState('t', 0));
    expect(await writer.changeIsr(change)).toEqual({ ok: false, reason: 'topic-gone' });
  });

  it('row 6: finds out what became of a write whose answer was lost', async () => {
    const { session, writer, change } = await setUp();
    session.faults.push('lose-answer');
    expect(await writer.changeIsr(change)).toMatchObject({ ok: true, version: 1 });
    session.faults.push('lose-request', 'lose-request');
    expect(await writer.changeIsr({ ...change, expectedVersion: 1 })).toMatchObject({ ok: true, version: 2 });
  });

  it('row 6: when somebody wrote upon a lost write, the watch has to tell', async () => {
    const { cluster, session, writer, change, before } = await setUp();
    session.faults.push('lose-answer');
    let writes = 0;
    session.beforeWrite = async () => {
      writes += 1;
      if (writes === 2) await cluster.setState('t', 0, { ...before, leaderEpoch: 4 });
    };
    expect(await writer.changeIsr(change)).toEqual({ ok: false, reason: 'conflict' });
  });

  it('row 6: stays open when the session ends before the answer', async () => {
    const { cluster, session, writer, change } = await setUp();
    session.faults.push('lose-answer');
    let writes = 0;
    session.beforeWrite = () => {
      writes += 1;
      if (writes === 2) cluster.coordinator.expire(session);
    };
    expect(await writer.changeIsr(change)).toEqual({ ok: false, reason: 'unknown-outcome' });
  });
});
