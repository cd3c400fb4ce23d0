import { errorCodes } from '@naru/kafka-protocol';
import { describe, expect, it } from 'vitest';
import type { MetadataImage } from '../../services/broker/src/cluster/metadata-image.ts';
import { alterConfigs } from '../../services/broker/src/requests/alter-configs.ts';
import { leaveGracefully } from '../../services/broker/src/requests/controlled-shutdown.ts';
import { createPartitions } from '../../services/broker/src/requests/create-partitions.ts';
import { createTopics } from '../../services/broker/src/requests/create-topics.ts';
import { deleteTopics } from '../../services/broker/src/requests/delete-topics.ts';
import { metadata } from '../../services/broker/src/requests/metadata.ts';
import { allLed, ControllerCluster, checkStates, newTopic } from './controller-cluster.ts';

const timeoutMs = 20_000;

async function create(cluster: ControllerCluster, at: number, ...names: readonly string[]): Promise<readonly number[]> {
  const request = { topics: names.map((name) => newTopic(name)), timeoutMs, validateOnly: false };
  const response = await cluster.sim.complete(createTopics(cluster.broker(at).admin, request));
  return response.topics.map((topic) => topic.errorCode);
}

const leaders = (image: MetadataImage, topic: string): number[] =>
  image.topics.get(topic)?.partitions.map(({ state }) => state?.leader ?? -2) ?? [];

const another = (cluster: ControllerCluster, than: number): number =>
  cluster.running.find((b) => b.id !== than)?.id as number;

describe('the controller', () => {
  it('is one broker, and any broker takes changes to it and answers when it sees them', async () => {
    const cluster = await ControllerCluster.start('one controller');
    const controller = await cluster.untilController();
    const other = another(cluster, controller);
    expect(await create(cluster, other, 'a', 'b')).toEqual([0, 0]);
    const seen = metadata(cluster.broker(other), { topics: [], allTopics: true }, 'PLAINTEXT');
    expect(seen.controllerId).toBe(controller);
    expect(seen.topics.map(({ name, errorCode }) => [name, errorCode]).sort()).toEqual([
      ['a', 0],
      ['b', 0],
    ]);
    for (const topic of seen.topics) {
      for (const partition of topic.partitions) expect(partition).toMatchObject({ errorCode: 0, offlineReplicas: [] });
      expect(new Set(topic.partitions.map((partition) => partition.leaderId)).size).toBe(3);
    }
    expect(await create(cluster, controller, 'a')).toEqual([errorCodes.TOPIC_ALREADY_EXISTS]);
  });

  it('elects new leaders when a broker dies, and moves them back when it is in sync again', async () => {
    const cluster = await ControllerCluster.start('a broker dies');
    const controller = await cluster.untilController();
    await create(cluster, controller, 't');
    const victim = another(cluster, controller);
    cluster.crashBroker(victim);
    const diedMs = cluster.sim.nowMs;
    await cluster.settle((image) => !image.brokers.has(victim) && allLed(image));
    // The coordinators' grace for a broken stream, and a commit or two.
    expect(cluster.sim.nowMs - diedMs).toBeLessThan(2_500);
    const { image } = cluster.broker(controller);
    checkStates(image);
    expect(leaders(image, 't')).not.toContain(victim);
    const described = metadata(cluster.broker(controller), { topics: ['t'], allTopics: false }, 'PLAINTEXT');
    expect(described.topics[0]?.partitions.every((partition) => partition.offlineReplicas.includes(victim))).toBe(true);

    await cluster.restartBroker(victim);
    for (const broker of cluster.running) broker.admitFollowers();
    const settled = await cluster.settle((i) => new Set(leaders(i, 't')).size === 3);
    checkStates(settled);
  });

  it('that was killed is replaced, and the new one finishes what was begun', async () => {
    const cluster = await ControllerCluster.start('the controller dies');
    const first = await cluster.untilController();
    await create(cluster, first, 't');
    const epoch = cluster.broker(first).image.controllerEpoch;
    cluster.crashBroker(first);
    const second = await cluster.untilController(first);
    const image = await cluster.settle((i) => !i.brokers.has(first) && allLed(i));
    expect(second).not.toBe(first);
    expect(image.controllerEpoch).toBe(epoch + 1);
    checkStates(image);
    for (const { state } of image.topics.get('t')?.partitions ?? []) {
      if (state?.leaderEpoch !== 0) expect(state?.controllerEpoch).toBe(epoch + 1);
    }
  });

  it('that restarts at once is another incarnation: its former office and memberships are over (row 10)', async () => {
    const cluster = await ControllerCluster.start('fast bounce');
    const first = await cluster.untilController();
    await create(cluster, first, 't');
    const before = cluster.broker(first).membership.self;
    cluster.crashBroker(first);
    await cluster.restartBroker(first);
    await cluster.untilController();
    const image = await cluster.settle(allLed);
    expect(image.brokers.get(first)?.epoch).toBeGreaterThan(before?.brokerEpoch ?? 0);
    for (const { state } of image.topics.get('t')?.partitions ?? []) {
      expect(state?.isr.some((member) => member.brokerId === first)).toBe(false);
    }
    checkStates(image);
  });

  it('row 23: a paused controller wakes up fenced; none of its writes counts', async () => {
    const cluster = await ControllerCluster.start('paused controller');
    const first = await cluster.untilController();
    const [second, third] = cluster.running.map((b) => b.id).filter((id) => id !== first) as [number, number];
    await create(cluster, second, 't');
    const paused = cluster.broker(first);
    const epoch = paused.image.controllerEpoch;
    cluster.host(first).pause();
    await cluster.untilController(first);
    await cluster.sim.runUntil(
      () => allLed(cluster.broker(second).image) && !cluster.broker(second).image.brokers.has(first),
    );
    const led = cluster.broker(second).image.topics.get('t');
    // It still believes in its term when it wakes; what it is asked first must not be done by it.
    expect(paused.controller.term?.office.epoch).toBe(epoch);
    cluster.host(first).resume();
    const attempt: Promise<unknown> | undefined = paused.controller.term?.createTopic(
      {
        name: 'ghost',
        topicId: 'g'.repeat(22),
        numPartitions: 1,
        replicationFactor: 1,
        assignments: [],
        configs: new Map(),
      },
      false,
    );
    await expect(cluster.sim.complete(attempt ?? Promise.resolve())).rejects.toMatchObject({
      code: 'fenced-controller',
    });
    await cluster.settle((image) => image.brokers.size === 3);
    const { image } = cluster.broker(third);
    expect(image.topics.has('ghost')).toBe(false);
    expect(image.topics.get('t')?.partitions.map((p) => p.state?.leaderEpoch)).toEqual(
      led?.partitions.map((p) => p.state?.leaderEpoch),
    );
    expect(image.controllerId).not.toBe(first);
    checkStates(image);
  });

  it('creates every topic exactly once although it dies in the middle of the request', async () => {
    for (const seed of ['x1', 'x2', 'x3', 'x4', 'x5', 'x6']) {
      const cluster = await ControllerCluster.start(`create ${seed}`);
      const first = await cluster.untilController();
      const asking = another(cluster, first);
      const names = Array.from({ length: 30 }, (_, index) => `topic-${index}`);
      const request = {
        topics: names.map((name) => newTopic(name, { replicationFactor: 2 })),
        timeoutMs,
        validateOnly: false,
      };
      const answer = createTopics(cluster.broker(asking).admin, request);
      const dies = 5 + cluster.sim.random.nextInt(40);
      cluster.sim.at(dies, () => cluster.crashBroker(first));
      const response = await cluster.sim.complete(answer);
      expect(response.topics.map((topic) => topic.errorCode)).toEqual(names.map(() => 0));
      await cluster.untilController(first);
      const image = await cluster.settle((i) => !i.brokers.has(first) && allLed(i));
      expect([...image.topics.keys()].sort()).toEqual([...names].sort());
      for (const topic of response.topics) expect(image.topics.get(topic.name)?.id).toBe(topic.topicId);
      checkStates(image);
    }
  });

  it('that hangs does not hold up what it was asked: its successor answers', async () => {
    const cluster = await ControllerCluster.start('hanging controller');
    const first = await cluster.untilController();
    const asking = another(cluster, first);
    await create(cluster, asking, 'before');
    cluster.host(first).pause();
    const request = { topics: [newTopic('t', { replicationFactor: 2 })], timeoutMs: 15_000, validateOnly: false };
    const response = await cluster.sim.complete(createTopics(cluster.broker(asking).admin, request));
    expect(response.topics[0]).toMatchObject({ errorCode: 0 });
    cluster.host(first).resume();
    const image = await cluster.settle((i) => i.brokers.size === 3 && allLed(i));
    expect([...image.topics.keys()].sort()).toEqual(['before', 't']);
    checkStates(image);
  });

  it('goes on through a change of the coordinators’ leader', async () => {
    const cluster = await ControllerCluster.start('coordinator leader dies');
    const controller = await cluster.untilController();
    await create(cluster, controller, 'before');
    const epochs = cluster.running.map((broker) => broker.membership.self?.brokerEpoch);
    cluster.crashCoordinator(cluster.coordinatorLeader);
    expect(await create(cluster, another(cluster, controller), 'after')).toEqual([0]);
    expect(cluster.running.map((broker) => broker.membership.self?.brokerEpoch)).toEqual(epochs);
    const image = await cluster.settle(allLed);
    expect(image.controllerId).toBe(controller);
    checkStates(image);
  });

  it('row 18: deletes a topic with a proof, and a topic created anew has nothing of the old one', async () => {
    const cluster = await ControllerCluster.start('delete and create');
    const controller = await cluster.untilController();
    const asking = another(cluster, controller);
    const { admin } = cluster.broker(asking);
    await create(cluster, asking, 't');
    const old = cluster.broker(asking).image.topics.get('t')?.id as string;
    const away = cluster.running.find((b) => b.id !== controller && b.id !== asking)?.id as number;
    cluster.crashBroker(away);
    await cluster.settle((image) => !image.brokers.has(away) && allLed(image));
    const deleted = await cluster.sim.complete(deleteTopics(admin, { names: ['t', 'nope'], timeoutMs }));
    expect(deleted.topics.map((topic) => topic.errorCode)).toEqual([0, errorCodes.UNKNOWN_TOPIC_OR_PARTITION]);
    expect(admin.publisher.image.topics.has('t')).toBe(false);
    const request = { topics: [newTopic('t', { replicationFactor: 2 })], timeoutMs, validateOnly: false };
    await cluster.sim.complete(createTopics(admin, request));
    await cluster.restartBroker(away);
    const image = await cluster.settle(allLed);
    expect(image.topics.get('t')?.id).not.toBe(old);
    expect(image.deletedTopicIds.get(old)?.name).toBe('t');
    expect(image.topics.get('t')?.partitions.map((partition) => partition.state?.leaderEpoch)).toEqual([0, 0, 0]);
  });

  it('adds partitions, never fewer, and alters configs under the rules of the definitions', async () => {
    const cluster = await ControllerCluster.start('alter');
    const controller = await cluster.untilController();
    const { admin } = cluster.broker(another(cluster, controller));
    await create(cluster, controller, 't');
    const raise = async (count: number) => {
      const request = { topics: [{ name: 't', count, assignments: [] }], timeoutMs, validateOnly: false };
      return (await cluster.sim.complete(createPartitions(admin, request))).topics[0];
    };
    expect(await raise(7)).toMatchObject({ errorCode: 0, numPartitions: 7 });
    expect(admin.publisher.image.topics.get('t')?.partitions).toHaveLength(7);
    expect(await raise(6)).toMatchObject({ errorCode: errorCodes.INVALID_PARTITIONS });
    expect(await raise(7)).toMatchObject({ errorCode: errorCodes.INVALID_PARTITIONS });

    const alter = async (set: Record<string, string>, remove: string[] = []) => {
      const request = { resources: [{ resource: { type: 'topic', name: 't' }, set, remove }], validateOnly: false };
      return (await cluster.sim.complete(alterConfigs(admin, request))).results[0];
    };
    expect(await alter({ 'retention.ms': '1000', 'min.insync.replicas': '1' })).toMatchObject({ errorCode: 0 });
    expect(await alter({}, ['retention.ms'])).toMatchObject({ errorCode: 0 });
    expect(Object.fromEntries(admin.publisher.image.topics.get('t')?.config ?? [])).toEqual({
      'min.insync.replicas': '1',
    });
    expect(await alter({ 'retention.mss': '1' })).toMatchObject({
      errorCode: errorCodes.INVALID_CONFIG,
      errorMessage: expect.stringContaining("did you mean 'retention.ms'"),
    });
    expect(await alter({ 'min.insync.replicas': '0' })).toMatchObject({ errorCode: errorCodes.INVALID_CONFIG });
  });

  it('refuses what Kafka refuses, in words that name the numbers', async () => {
    const cluster = await ControllerCluster.start('refusals');
    const { admin } = cluster.broker(1);
    const topics = [
      newTopic('too-many', { replicationFactor: 4 }),
      newTopic('bad name'),
      newTopic('none', { numPartitions: 0 }),
      newTopic('unknown-broker', { numPartitions: -1, replicationFactor: -1, assignments: [{ brokerIds: [1, 9] }] }),
      newTopic('typo', { configs: { 'min.insync.replica': '2' } }),
      newTopic('twice'),
      newTopic('twice'),
      newTopic('a.b'),
      newTopic('a_b'),
    ];
    const response = await cluster.sim.complete(createTopics(admin, { topics, timeoutMs, validateOnly: false }));
    expect(response.topics.map((topic) => topic.errorCode)).toEqual([
      errorCodes.INVALID_REPLICATION_FACTOR,
      errorCodes.INVALID_TOPIC_EXCEPTION,
      errorCodes.INVALID_PARTITIONS,
      errorCodes.INVALID_REPLICA_ASSIGNMENT,
      errorCodes.INVALID_CONFIG,
      errorCodes.INVALID_REQUEST,
      errorCodes.INVALID_REQUEST,
      errorCodes.NONE,
      errorCodes.INVALID_TOPIC_EXCEPTION,
    ]);
    expect(response.topics[0]?.errorMessage).toMatch(/replication factor of 4 .* only 3 broker\(s\) are registered/);
    const validated = await cluster.sim.complete(
      createTopics(admin, { topics: [newTopic('dry')], timeoutMs, validateOnly: true }),
    );
    expect(validated.topics).toMatchObject([{ errorCode: 0, numPartitions: 3, replicationFactor: 3 }]);
    expect(admin.publisher.image.topics.has('dry')).toBe(false);
  });

  it('moves every leadership away from a broker that wants to stop', async () => {
    const cluster = await ControllerCluster.start('controlled shutdown');
    const controller = await cluster.untilController();
    await create(cluster, controller, 't', 'u');
    for (const leaving of [another(cluster, controller), controller]) {
      const broker = cluster.broker(leaving);
      const self = broker.membership.self;
      if (self === undefined) throw new Error('not registered');
      const left = await cluster.sim.complete(leaveGracefully(broker.admin, self, 5_000));
      expect(left).toEqual({ ok: true, remaining: [] });
      const image = await cluster.settle();
      expect([...leaders(image, 't'), ...leaders(image, 'u')]).not.toContain(leaving);
      checkStates(image);
      await cluster.sim.complete(broker.stop());
      cluster.crashBroker(leaving);
      await cluster.untilController();
      await cluster.settle((i) => !i.brokers.has(leaving) && allLed(i));
      const stale = await cluster.sim.complete(
        leaveGracefully(cluster.broker(await cluster.untilController()).admin, self, 5_000),
      );
      expect(stale).toEqual({ ok: false, reason: 'stale-broker-epoch' });
      await cluster.restartBroker(leaving);
      for (const each of cluster.running) each.admitFollowers();
      await cluster.settle((i) =>
        [...i.topics.values()].every((t) => t.partitions.every((p) => p.state?.isr.length === 3)),
      );
    }
  });

  it('that reaches no coordinator does not keep itself from stopping: the attempt ends in its time', async () => {
    const cluster = await ControllerCluster.start('shutdown without coordinators');
    const controller = await cluster.untilController();
    await create(cluster, controller, 't');
    const { admin, membership } = cluster.broker(controller);
    if (membership.self === undefined) throw new Error('not registered');
    for (const id of [1, 2, 3]) cluster.crashCoordinator(id);
    const beganMs = cluster.sim.nowMs;
    const left = await cluster.sim.complete(leaveGracefully(admin, membership.self, 5_000));
    expect(left).toEqual({ ok: false, reason: 'timeout' });
    expect(cluster.sim.nowMs - beganMs).toBeLessThan(5_500);
  });

  it('whose predecessor died goes on with a controlled shutdown: the stopping broker is given nothing', async () => {
    const cluster = await ControllerCluster.start('shutdown and a new controller');
    const first = await cluster.untilController();
    const leaving = another(cluster, first);
    await create(cluster, first, 't');
    const { admin, membership } = cluster.broker(leaving);
    if (membership.self === undefined) throw new Error('not registered');
    await cluster.sim.complete(leaveGracefully(admin, membership.self, 5_000));
    cluster.crashBroker(first);
    const second = await cluster.untilController(first);
    const image = await cluster.settle((i) => !i.brokers.has(first) && allLed(i));
    // Also when it is the new controller itself that wants to stop: it leads only where nobody else is left.
    const third = cluster.running.find(({ id }) => id !== leaving)?.id;
    expect(leaders(image, 't').every((leader) => leader === third)).toBe(true);
    expect(image.brokers.get(leaving)?.stopping).toBe(true);
    expect([leaving, third]).toContain(second);
    for (const broker of cluster.running) broker.admitFollowers();
    await cluster.sim.runFor(1_000);
    for (const { state } of cluster.broker(second).image.topics.get('t')?.partitions ?? []) {
      expect(state?.isr.map((member) => member.brokerId)).toEqual([third]);
    }
  });

  it('brings every partition back after all brokers and coordinators died at once', async () => {
    const cluster = await ControllerCluster.start('everything dies');
    await create(cluster, 1, 't');
    for (const id of [1, 2, 3]) cluster.crashBroker(id);
    for (const id of [1, 2, 3]) cluster.crashCoordinator(id);
    await cluster.sim.runFor(500);
    await cluster.restartEverything();
    const image = await cluster.settle((i) => i.brokers.size === 3 && allLed(i));
    checkStates(image);
    expect(image.topics.get('t')?.partitions.every(({ state }) => (state?.leaderEpoch ?? 0) > 0)).toBe(true);
  });
});
