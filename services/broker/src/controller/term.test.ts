import { silentLogger } from '@naru/observability';
import { createSimulation } from '@naru/runtime/simulated';
import { describe, expect, it } from 'vitest';
import { MetadataPublisher } from '../cluster/metadata-publisher.ts';
import { type Member, noLeader } from '../cluster/partition-state.ts';
import { ClusterModel, topicIdOf } from '../cluster/testing/cluster-model.ts';
import type { ModelSession } from '../cluster/testing/coordinator-model.ts';
import { encodeDeleteTopic } from '../cluster/znode-codecs.ts';
import { paths } from '../cluster/znode-paths.ts';
import { logConfigDefinition } from '../log/log-config.ts';
import type { ControllerSettings } from './controller-settings.ts';
import { campaign, type Office, resign } from './election.ts';
import { FencedControllerError } from './plan-writer.ts';
import { ControllerTerm } from './term.ts';
import type { TopicSpec } from './topic-changes.ts';

const settings: ControllerSettings = {
  numPartitions: 1,
  defaultReplicationFactor: 2,
  minInsyncReplicas: 2,
  uncleanLeaderElection: false,
  deleteTopicEnable: true,
  autoLeaderRebalance: true,
  leaderImbalancePercentage: 0,
  leaderImbalanceCheckIntervalMs: 1_000,
};

async function setUp(brokerIds: readonly number[] = [1, 2, 3]) {
  const sim = createSimulation({ seed: 1 });
  const { timers, random } = sim.addNode('b1').runtime;
  const cluster = await ClusterModel.create(brokerIds);
  const takeOffice = async (brokerId: number, options: Partial<ControllerSettings> = {}) => {
    const session = cluster.sessions.get(brokerId) as ModelSession;
    const publisher = new MetadataPublisher({ timers, logger: silentLogger });
    publisher.attach(session);
    const result = await campaign(session, member(brokerId), 0);
    if (result.kind !== 'elected') throw new Error(result.kind);
    const ends: Error[] = [];
    const term = new ControllerTerm({
      session,
      office: result.office,
      publisher,
      topicConfig: logConfigDefinition,
      dynamicConfig: logConfigDefinition,
      settings: { ...settings, ...options },
      random,
      logger: silentLogger,
      onEnd: (reason) => ends.push(reason),
    });
    publisher.subscribe((image, delta) => term.onMetadata(image, delta));
    term.start();
    return { session, publisher, term, ends, office: result.office };
  };
  const member = (brokerId: number): Member => ({ brokerId, brokerEpoch: cluster.epoch(brokerId) });
  /** Everything is promises here; a few turns of the loop settle them. */
  const settle = (): Promise<void> => sim.runFor(10);
  return { sim, cluster, takeOffice, member, settle };
}

const spec = (name: string, extra: Partial<TopicSpec> = {}): TopicSpec => ({
  name,
  topicId: topicIdOf(name),
  numPartitions: 2,
  replicationFactor: 2,
  assignments: [],
  configs: new Map(),
  ...extra,
});

describe('the race for the office', () => {
  it('is won by one, raises the epoch in the same multi, and needs a live registration', async () => {
    const { cluster, member } = await setUp();
    const sessions = [1, 2].map((id) => cluster.sessions.get(id) as ModelSession);
    const [first, second] = await Promise.all(
      sessions.map((session, index) => campaign(session, member(index + 1), 0)),
    );
    expect(first).toMatchObject({ kind: 'elected', office: { epoch: 1, epochVersion: 0 } });
    expect(second).toEqual({ kind: 'lost' });
    expect(cluster.image).toMatchObject({ controllerId: 1, controllerEpoch: 1, controllerEpochVersion: 0 });
    await resign(sessions[0] as ModelSession, (first as { office: Office }).office);
    const stale = { ...member(2), brokerEpoch: 1 };
    expect(await campaign(sessions[1] as ModelSession, stale, 0)).toEqual({ kind: 'not-registered' });
    expect(await campaign(sessions[1] as ModelSession, member(2), 0)).toMatchObject({
      office: { epoch: 2, epochVersion: 1 },
    });
  });

  it('finds its own office when the answer was lost', async () => {
    const { cluster, member } = await setUp();
    const session = cluster.sessions.get(1) as ModelSession;
    session.faults.push('lose-answer');
    expect(await campaign(session, member(1), 0)).toEqual({ kind: 'lost' });
    expect(await campaign(session, member(1), 0)).toMatchObject({
      kind: 'elected',
      office: { epoch: 1, epochVersion: 0 },
    });
    expect(cluster.image.controllerEpoch).toBe(1);
  });
});

describe('a term of office', () => {
  it('row 23: writes nothing once another controller has raised the epoch, though its session lives and it has heard nothing', async () => {
    const { cluster, takeOffice, settle } = await setUp();
    const old = await takeOffice(1);
    await settle();
    old.session.holdWatch();
    // The office is given to another broker while this one is not looking.
    await cluster.admin.write([{ kind: 'delete', path: paths.controller }]);
    await takeOffice(2);
    const before = cluster.coordinator.log.length;
    await expect(old.term.createTopic(spec('ghost'), false)).rejects.toBeInstanceOf(FencedControllerError);
    expect(old.ends).toHaveLength(1);
    expect(cluster.coordinator.log.length).toBe(before);
    await expect(old.term.deleteTopic('x')).rejects.toBeInstanceOf(FencedControllerError);
  });

  it('row 24: decides again when a leader changed the ISR meanwhile, and the other partitions are not held up', async () => {
    const { cluster, takeOffice, member, settle } = await setUp();
    const { session, term } = await takeOffice(1);
    await term.createTopic(
      spec('t', {
        assignments: [
          [2, 3, 1],
          [2, 3, 1],
          [2, 3, 1],
        ],
        numPartitions: -1,
        replicationFactor: -1,
      }),
      false,
    );
    let interfered = false;
    session.beforeWrite = async (operations) => {
      if (interfered || !operations.some(({ kind }) => kind === 'set-data')) return;
      interfered = true;
      const state = cluster.image.topics.get('t')?.partitions[1]?.state;
      if (state !== undefined)
        await cluster.setState('t', 1, { ...state, isr: [member(3)], leader: 3, leaderEpoch: 1 });
    };
    cluster.kill(2);
    await settle();
    expect(interfered).toBe(true);
    const states = cluster.image.topics
      .get('t')
      ?.partitions.map(({ state }) => [state?.leader, state?.leaderEpoch, state?.isr.length]);
    expect(states).toEqual([
      [3, 1, 2],
      [3, 1, 1],
      [3, 1, 2],
    ]);
  });

  it('decides in one multi for hundreds of partitions', async () => {
    const { cluster, takeOffice, settle } = await setUp();
    const { term } = await takeOffice(1);
    await term.createTopic(spec('t', { numPartitions: 1_000, replicationFactor: 3 }), false);
    const before = cluster.coordinator.log.length;
    cluster.kill(3);
    await settle();
    const written = cluster.coordinator.log.slice(before);
    expect(written.map(({ operations }) => operations.filter(({ kind }) => kind === 'set-data').length)).toEqual([
      500, 500,
    ]);
    expect(
      cluster.image.topics.get('t')?.partitions.every(({ state }) => state?.leader !== 3 && state?.isr.length === 2),
    ).toBe(true);
  });

  it.each(['lose-answer', 'lose-request'] as const)(
    'survives a lost connection in the middle of everything (%s)',
    async (fault) => {
      const { cluster, takeOffice, settle } = await setUp();
      const { term, session, ends } = await takeOffice(1);
      session.faults.push(fault);
      expect(await term.createTopic(spec('t', { replicationFactor: 3 }), false)).toMatchObject({ ok: true });
      session.faults.push(fault);
      expect(await term.addPartitions('t', 5, [], false)).toMatchObject({ ok: true });
      session.faults.push(fault);
      expect(
        await term.alterTopicConfig('t', { set: new Map([['retention.ms', '5']]), remove: [] }, false),
      ).toMatchObject({ ok: true });
      expect(cluster.image.topics.get('t')?.config).toEqual(new Map([['retention.ms', '5']]));
      session.faults.push(fault);
      cluster.kill(3);
      await settle();
      expect(cluster.image.topics.get('t')?.partitions.map(({ state }) => state?.isr.length)).toEqual([2, 2, 2, 2, 2]);
      session.faults.push(fault, fault);
      expect(await term.deleteTopic('t')).toMatchObject({ ok: true });
      expect(cluster.image.topics.size).toBe(0);
      expect(cluster.image.deletedTopicIds.has(topicIdOf('t'))).toBe(true);
      expect(ends).toEqual([]);
    },
  );

  it('finishes a deletion that its predecessor began, in batches', async () => {
    const { cluster, takeOffice, settle } = await setUp();
    const first = await takeOffice(1);
    await first.term.createTopic(spec('big', { numPartitions: 4_500 }), false);
    expect(cluster.image.topics.get('big')?.partitions.every(({ state }) => state !== undefined)).toBe(true);
    await cluster.admin.write([
      { kind: 'create', path: paths.deleteTopic('big'), data: encodeDeleteTopic(topicIdOf('big')) },
    ]);
    await settle();
    expect(cluster.image.topics.size).toBe(0);
    expect([...cluster.coordinator.nodes.keys()].filter((path) => path.includes('big'))).toEqual([
      paths.deletedTopic(topicIdOf('big')),
    ]);
  });

  it('ends the ELR in the same multi in which a lower min.insync.replicas lets records be acknowledged without it', async () => {
    const { cluster, takeOffice, member } = await setUp();
    const { term } = await takeOffice(1);
    await term.createTopic(spec('t', { assignments: [[1, 2, 3]], numPartitions: -1, replicationFactor: -1 }), false);
    const state = cluster.image.topics.get('t')?.partitions[0]?.state;
    if (state === undefined) throw new Error('no state');
    await cluster.setState('t', 0, { ...state, isr: [member(1)], elr: [member(2)] });
    const before = cluster.coordinator.log.length;
    await term.alterTopicConfig('t', { set: new Map([['min.insync.replicas', '1']]), remove: [] }, false);
    expect(cluster.coordinator.log[before]?.operations.map(({ path }) => path)).toEqual([
      paths.controllerEpoch,
      paths.topicConfig('t'),
      paths.partitionState('t', 0),
    ]);
    expect(cluster.image.topics.get('t')?.partitions[0]?.state).toMatchObject({ isr: [member(1)], elr: [] });
  });

  it('a config that outlived its topic does not fall upon a new one', async () => {
    const { cluster, takeOffice } = await setUp();
    await cluster.admin.write([
      {
        kind: 'create',
        path: paths.topicConfig('t'),
        data: Buffer.from('{"version":1,"config":{"retention.ms":"1"}}'),
      },
    ]);
    const { term } = await takeOffice(1);
    await term.createTopic(spec('t'), false);
    expect(cluster.image.topics.get('t')?.config.size).toBe(0);
  });

  it('moves leaderships to preferred replicas when it is time', async () => {
    const { cluster, takeOffice, settle, member } = await setUp();
    const { term } = await takeOffice(1);
    await term.createTopic(spec('t', { assignments: [[3, 2]], numPartitions: -1, replicationFactor: -1 }), false);
    const state = cluster.image.topics.get('t')?.partitions[0]?.state;
    if (state === undefined) throw new Error('no state');
    await cluster.setState('t', 0, { ...state, leader: 2, leaderEpoch: 1, isr: [member(2), member(3)] });
    await settle();
    expect(cluster.image.topics.get('t')?.partitions[0]?.state?.leader).toBe(2);
    term.electPreferredLeaders();
    await settle();
    expect(cluster.image.topics.get('t')?.partitions[0]?.state).toMatchObject({ leader: 3, leaderEpoch: 2 });
  });

  it('row 58: a creation that is sent once more after the topic was deleted does not use its id again', async () => {
    const { cluster, takeOffice } = await setUp();
    const { term } = await takeOffice(1);
    await term.createTopic(spec('t'), false);
    expect(await term.createTopic(spec('t'), false)).toMatchObject({ ok: true, replicas: [{}, {}] });
    await term.deleteTopic('t');
    expect(await term.createTopic(spec('t'), false)).toMatchObject({ ok: true, replicas: [] });
    expect(cluster.image.topics.size).toBe(0);
    expect(await term.createTopic(spec('t', { topicId: '' }), false)).toMatchObject({ error: 'INVALID_REQUEST' });
  });

  it('refuses what no broker could read back', async () => {
    const { takeOffice } = await setUp();
    const { term } = await takeOffice(1);
    const configs = new Map([['message.timestamp.type', 'x'.repeat(5_000)]]);
    expect(await term.createTopic(spec('t', { configs }), false)).toMatchObject({ error: 'INVALID_CONFIG' });
  });

  it('refuses deletion when it is disabled', async () => {
    const { takeOffice } = await setUp();
    const { term } = await takeOffice(1, { deleteTopicEnable: false });
    await term.createTopic(spec('t'), false);
    expect(await term.deleteTopic('t')).toMatchObject({ ok: false, error: 'TOPIC_DELETION_DISABLED' });
  });

  it('an undecodable state is left alone, without a loop', async () => {
    const { cluster, takeOffice, settle } = await setUp();
    const { term, ends } = await takeOffice(1);
    await term.createTopic(spec('t', { assignments: [[3, 2]], numPartitions: -1, replicationFactor: -1 }), false);
    await cluster.admin.write([{ kind: 'set-data', path: paths.partitionState('t', 0), data: Buffer.from('?') }]);
    const before = cluster.coordinator.zxid;
    cluster.kill(3);
    await settle();
    expect(cluster.coordinator.zxid - before).toBeLessThan(20);
    expect(ends).toEqual([]);
    expect(cluster.coordinator.text(paths.partitionState('t', 0))).toBe('?');
    expect(noLeader).toBe(-1);
  });
});
