import { silentLogger } from '@naru/observability';
import { createSimulation } from '@naru/runtime/simulated';
import { describe, expect, it } from 'vitest';
import { ClusterMembership, ForeignClusterError } from './membership.ts';
import type { MetadataDelta } from './metadata-delta.ts';
import { MetadataPublisher, MetadataTimeoutError } from './metadata-publisher.ts';
import type { Member } from './partition-state.ts';
import { ensureTree } from './registration.ts';
import { identityOf } from './testing/cluster-model.ts';
import { CoordinatorModel, type ModelSession } from './testing/coordinator-model.ts';
import { encodeClusterId } from './znode-codecs.ts';
import { paths } from './znode-paths.ts';

const intactPart = { endOffset: 7, leaderEpoch: 1, beyondRecoveryPoint: true };
const damaged = new Map([['x:0', intactPart]]);

function setUp(
  options: {
    readonly clusterId?: string;
    readonly model?: CoordinatorModel;
    readonly directoryId?: string;
    readonly sessionTimeoutMs?: number;
    readonly onSession?: (session: ModelSession) => void;
  } = {},
) {
  const sim = createSimulation({ seed: 1 });
  const { timers, random } = sim.addNode('b1').runtime;
  const model = options.model ?? new CoordinatorModel();
  const sessions: ModelSession[] = [];
  const publisher = new MetadataPublisher({ timers, logger: silentLogger });
  const membership = new ClusterMembership({
    openSession: async () => {
      const session = model.openSession();
      sessions.push(session);
      options.onSession?.(session);
      return session;
    },
    sessionTimeoutMs: options.sessionTimeoutMs ?? 2_000,
    identity: identityOf(1, { directoryId: options.directoryId ?? 'directory-1' }),
    clusterId: options.clusterId,
    publisher,
    timers,
    random,
    logger: silentLogger,
  });
  const deltas: MetadataDelta[] = [];
  publisher.subscribe((_, delta) => deltas.push(delta));
  const events: (readonly [string, Member | Error])[] = [];
  membership.subscribe({
    onJoined: (member) => events.push(['joined', member]),
    onLost: (member) => events.push(['lost', member]),
    onFatal: (error) => events.push(['fatal', error]),
  });
  return { sim, model, sessions, publisher, membership, deltas, events };
}

describe('membership', () => {
  it('registers, sees itself, and knows the cluster', async () => {
    const { membership, publisher, events, model } = setUp();
    const self = await membership.start();
    expect(membership.self).toEqual(self);
    expect(publisher.image.brokers.get(1)?.epoch).toBe(self.brokerEpoch);
    expect(membership.clusterId).toBe(publisher.image.clusterId);
    expect(events).toEqual([['joined', self]]);
    await membership.stop();
    expect(model.nodes.has(paths.broker(1))).toBe(false);
  });

  it('is another incarnation after its session expired, and leads nothing in between (row 10, R7)', async () => {
    const { sim, membership, model, sessions, events, deltas } = setUp();
    const first = await membership.start();
    const [session] = sessions as [ModelSession];
    model.expire(session);
    deltas.length = 0;
    session.noticeExpiry();
    expect(membership.self).toBeUndefined();
    await sim.runUntil(() => membership.self !== undefined && events.length === 3);
    expect(membership.self?.brokerEpoch).toBeGreaterThan(first.brokerEpoch);
    expect(events.map(([kind]) => kind)).toEqual(['joined', 'lost', 'joined']);
    expect(deltas.flatMap((delta) => delta.brokersReborn.length + delta.brokersAppeared.length)).toContain(1);
  });

  it('refuses coordinators of another cluster, and coordinators that have lost the cluster', async () => {
    const lost = setUp({ clusterId: 'mine' });
    await expect(lost.membership.start()).rejects.toBeInstanceOf(ForeignClusterError);
    const model = new CoordinatorModel();
    const admin = model.openSession();
    await ensureTree(admin);
    await admin.write([{ kind: 'create', path: paths.clusterId, data: encodeClusterId('theirs') }]);
    await expect(setUp({ clusterId: 'mine', model }).membership.start()).rejects.toThrow(/mine.*theirs/);
    await expect(setUp({ clusterId: 'theirs', model }).membership.start()).resolves.toMatchObject({ brokerId: 1 });
  });

  it('reports when it cannot come back: the broker id belongs to somebody else now', async () => {
    const { sim, membership, model, sessions, events } = setUp();
    await membership.start();
    const [session] = sessions as [ModelSession];
    model.expire(session);
    await setUp({ model, directoryId: 'elsewhere' }).membership.start();
    session.noticeExpiry();
    await sim.runUntil(() => events.length === 3);
    expect(events[2]?.[0]).toBe('fatal');
    expect(membership.self).toBeUndefined();
  });

  it.each([2_000, 60_000])(
    'waits for its former registration to expire when it comes back with an empty disk, however long a session is: %i ms',
    async (sessionTimeoutMs) => {
      const { model, sessions, membership } = setUp({ directoryId: 'old disk' });
      await membership.start();
      const back = setUp({ model, directoryId: 'new disk', sessionTimeoutMs });
      const joined = back.membership.start();
      // A change of the leader among the coordinators has given the session its time once more.
      back.sim.at(1.9 * sessionTimeoutMs, () => model.expire(sessions[0] as ModelSession));
      await back.sim.runFor(2 * sessionTimeoutMs + 3_000);
      expect(await back.sim.complete(joined)).toMatchObject({ brokerId: 1 });
    },
  );

  it('publishes damaged replicas under the same epoch', async () => {
    const { membership, publisher, deltas } = setUp();
    const self = await membership.start();
    await membership.reportDamaged(damaged);
    expect(publisher.image.brokers.get(1)).toMatchObject({ epoch: self.brokerEpoch, damaged });
    expect(deltas.at(-1)?.brokersChanged.map((broker) => broker.id)).toEqual([1]);
  });
});

describe('what is known as damaged while it is in the ISR', () => {
  it('row 57: is not overwritten by an older report that was slower', async () => {
    const { membership, publisher, sessions } = setUp();
    await membership.start();
    const [session] = sessions as [ModelSession];
    // 1. A repair is about to be written; 2. another log is found damaged, and that is written; 3. the first write comes.
    const slow = Promise.withResolvers<void>();
    session.beforeWrite = () => {
      session.beforeWrite = undefined;
      return slow.promise;
    };
    const repaired = membership.reportDamaged(new Map([['y:0', { ...intactPart, endOffset: 8 }]]));
    await membership.reportDamaged(damaged);
    slow.resolve();
    await repaired;
    expect(publisher.image.brokers.get(1)?.damaged).toEqual(damaged);
  });

  it('row 57: is told although it was found while the registration was on its way', async () => {
    const { membership, publisher } = setUp({
      onSession: (session) => {
        session.beforeWrite = (operations) => {
          if (operations.some(({ path }) => path === paths.broker(1))) return membership.reportDamaged(damaged);
        };
      },
    });
    await membership.start();
    expect(publisher.image.brokers.get(1)?.damaged).toEqual(damaged);
  });
});

describe('the metadata publisher', () => {
  it('lets a writer wait until its write is visible, and gives up in time', async () => {
    const { sim, membership, publisher, sessions, model } = setUp();
    await membership.start();
    const [session] = sessions as [ModelSession];
    session.holdWatch();
    const { zxid } = await session.write([
      { kind: 'set-data', path: paths.broker(1), data: model.nodes.get(paths.broker(1))?.data as Uint8Array },
    ]);
    const visible = publisher.waitFor(zxid).then((image) => image.zxid);
    await expect(sim.complete(publisher.waitFor(zxid, 50))).rejects.toBeInstanceOf(MetadataTimeoutError);
    session.releaseWatch();
    expect(await visible).toBe(zxid);
  });

  it('row 58: ignores a snapshot of another cluster, and changes upon it', async () => {
    const { membership, publisher, sessions, deltas } = setUp();
    await membership.start();
    const [session] = sessions as [ModelSession];
    const { image } = publisher;
    deltas.length = 0;
    const foreign = new CoordinatorModel();
    foreign.zxid = 1_000;
    const stranger = foreign.openSession();
    publisher.attach(stranger);
    await ensureTree(stranger);
    expect(publisher.image).toBe(image);
    expect(deltas).toEqual([]);
    publisher.attach(session);
    await session.write([{ kind: 'create', path: paths.topicConfig('t'), data: new Uint8Array() }]);
    expect(publisher.image.zxid).toBeGreaterThan(image.zxid);
  });

  it('calls listeners in the order of their subscription', async () => {
    const { membership, publisher } = setUp();
    const calls: string[] = [];
    publisher.subscribe(() => calls.push('first'));
    const cancel = publisher.subscribe(() => calls.push('second'));
    await membership.start();
    expect(calls).toEqual(['first', 'second']);
    cancel();
    await membership.reportDamaged(damaged);
    expect(calls).toEqual(['first', 'second', 'first']);
  });
});
