import { SeededRandom } from '@naru/runtime/simulated';
import { describe, expect, it } from 'vitest';
import { ensureClusterId, ensureTree, registerBroker, updateRegistration } from './registration.ts';
import { ClusterModel, identityOf } from './testing/cluster-model.ts';
import { CoordinatorModel } from './testing/coordinator-model.ts';
import { encodeController } from './znode-codecs.ts';
import { paths, rootPaths } from './znode-paths.ts';

describe('the tree and the cluster id', () => {
  it('are made once, whoever comes first, also when answers get lost', async () => {
    const model = new CoordinatorModel();
    const sessions = [model.openSession(), model.openSession()] as const;
    sessions[0].faults.push('lose-answer', 'lose-request');
    await Promise.all(sessions.map((session) => ensureTree(session)));
    for (const path of rootPaths) expect(model.nodes.has(path)).toBe(true);
    const ids = await Promise.all(
      sessions.map((session, index) => ensureClusterId(session, new SeededRandom(`${index}`))),
    );
    expect(ids[0]).toBe(ids[1]);
    expect(await ensureClusterId(model.openSession(), new SeededRandom('late'))).toBe(ids[0]);
  });
});

describe('registration', () => {
  it('gives the czxid of the ephemeral as broker epoch, and writes the directory with it', async () => {
    const cluster = await ClusterModel.create([]);
    const epoch = await cluster.start(1);
    const { image } = cluster;
    expect(image.brokers.get(1)).toMatchObject({ epoch, directoryId: 'directory-1' });
    expect(image.directories.get(1)).toEqual({ directoryId: 'directory-1', since: epoch });
  });

  it('row 10: a bounce replaces its former incarnation at once, with a new epoch, and the directory keeps its age', async () => {
    const cluster = await ClusterModel.create([]);
    const first = await cluster.start(1);
    const former = cluster.sessions.get(1);
    const second = await cluster.bounce(1);
    expect(second).toBeGreaterThan(first);
    expect(cluster.image.directories.get(1)?.since).toBe(first);
    // Row 26: the end of the old session must not take the new registration with it.
    if (former !== undefined) cluster.coordinator.expire(former);
    expect(cluster.epoch(1)).toBe(second);
  });

  it('R7: another directory makes the directory young', async () => {
    const cluster = await ClusterModel.create([]);
    await cluster.start(1);
    cluster.kill(1);
    const epoch = await cluster.start(1, { directoryId: 'a new disk' });
    expect(cluster.image.directories.get(1)).toEqual({ directoryId: 'a new disk', since: epoch });
  });

  it('refuses a broker id that a living broker with another directory has, and names it', async () => {
    const cluster = await ClusterModel.create([1]);
    const before = cluster.epoch(1);
    await expect(cluster.start(1, { directoryId: 'elsewhere' })).rejects.toMatchObject({
      code: 'broker-id-taken',
      message: expect.stringContaining('host-1:9092'),
    });
    expect(cluster.epoch(1)).toBe(before);
  });

  it.each(['lose-answer', 'lose-request'] as const)(
    'finds its own registration after a lost connection (%s)',
    async (fault) => {
      const cluster = await ClusterModel.create([]);
      const session = cluster.coordinator.openSession();
      session.faults.push(fault);
      const epoch = await registerBroker(session, identityOf(1));
      expect(cluster.image.brokers.get(1)?.epoch).toBe(epoch);
      expect(cluster.coordinator.log.filter(({ session: id }) => id === session.id)).toHaveLength(1);
    },
  );

  it('takes the office of its former incarnation with it, so that the race for controller begins at once', async () => {
    const cluster = await ClusterModel.create([1, 2]);
    const data = encodeController(1, 0);
    await cluster.sessions.get(1)?.write([{ kind: 'create', path: paths.controller, data, ephemeral: true }]);
    await cluster.bounce(2);
    expect(cluster.image.controllerId).toBe(1);
    await cluster.bounce(1);
    expect(cluster.image.controllerId).toBe(-1);
  });

  it('changes only the incarnation that it means', async () => {
    const cluster = await ClusterModel.create([]);
    const old = { brokerId: 1, brokerEpoch: await cluster.start(1) };
    const now = { brokerId: 1, brokerEpoch: await cluster.bounce(1) };
    const session = cluster.sessions.get(1) as NonNullable<ReturnType<typeof cluster.sessions.get>>;
    const damaged = new Map([['x:0', { endOffset: 7, leaderEpoch: 1, beyondRecoveryPoint: false }]]);
    expect(await updateRegistration(session, old, (found) => ({ ...found, damaged }))).toBe(false);
    expect(await updateRegistration(session, now, (found) => ({ ...found, damaged }))).toBe(true);
    expect(await updateRegistration(session, now, (found) => ({ ...found, stopping: true }))).toBe(true);
    const expected = { epoch: now.brokerEpoch, version: 2, damaged, stopping: true };
    expect(cluster.image.brokers.get(1)).toMatchObject(expected);
  });
});
