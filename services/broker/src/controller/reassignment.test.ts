import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PartitionImage, TopicImage } from '../cluster/metadata-image.ts';
import { effectiveMinIsr, type Member } from '../cluster/partition-state.ts';
import { ClusterModel } from '../cluster/testing/cluster-model.ts';
import { encodeControllerEpoch } from '../cluster/znode-codecs.ts';
import { paths } from '../cluster/znode-paths.ts';
import { isMoving, type MoveResult, planCompletions, planMoves } from './reassignment.ts';
import { carryOut, decide, ids, viewOf } from './testing/planned-cluster.ts';

const guard = { controllerEpochVersion: 0 };

/** Brokers 1 to 5, t-0 on `replicas`, all of them in the ISR, led by the first in epoch 4. */
async function onBrokers(replicas: readonly number[]): Promise<ClusterModel> {
  const cluster = await ClusterModel.create([1, 2, 3, 4, 5]);
  await cluster.admin.write([{ kind: 'create', path: paths.controllerEpoch, data: encodeControllerEpoch(5) }]);
  await cluster.createTopic('t', [replicas]);
  await setIsr(cluster, replicas, replicas[0]);
  return cluster;
}

async function setIsr(cluster: ClusterModel, isr: readonly number[], leader = stateOf(cluster)?.leader): Promise<void> {
  const members = isr.map((brokerId): Member => ({ brokerId, brokerEpoch: cluster.epoch(brokerId) }));
  const leaderEpoch = stateOf(cluster)?.leaderEpoch ?? 4;
  await cluster.setState('t', 0, { leader: leader as number, leaderEpoch, isr: members, elr: [], controllerEpoch: 1 });
}

function topicOf(cluster: ClusterModel): TopicImage {
  return cluster.image.topics.get('t') as TopicImage;
}

function partitionOf(cluster: ClusterModel): PartitionImage {
  return topicOf(cluster).partitions[0] as PartitionImage;
}

function stateOf(cluster: ClusterModel) {
  return cluster.image.topics.get('t')?.partitions[0]?.state;
}

interface MoveTestOptions {
  readonly minIsr?: number;
  readonly allowReplicationFactorChange?: boolean;
  readonly partition?: number;
}

async function move(
  cluster: ClusterModel,
  target: readonly number[] | undefined,
  { minIsr = 2, allowReplicationFactorChange = true, partition = 0 }: MoveTestOptions = {},
): Promise<MoveResult['refusal']> {
  const view = viewOf(cluster.image, { minIsr });
  const options = { guard, allowReplicationFactorChange };
  const plan = planMoves(view, topicOf(cluster), [{ partition, target }], options);
  for (const multi of plan.multis) await cluster.admin.write(multi);
  return plan.results[0]?.refusal;
}

/** True when something was finished. */
async function complete(cluster: ClusterModel, minIsr = 2): Promise<boolean> {
  const multis = planCompletions(viewOf(cluster.image, { minIsr }), topicOf(cluster), guard);
  for (const multi of multis) await cluster.admin.write(multi);
  return multis.length > 0;
}

describe('a partition that moves (KIP-455, row 13)', () => {
  it('grows first: the target, then those that go; nobody leaves before all added ones are in the ISR', async () => {
    const cluster = await onBrokers([1, 2, 3]);
    expect(await move(cluster, [4, 5, 3])).toBeUndefined();
    expect(partitionOf(cluster)).toMatchObject({ replicas: [4, 5, 3, 1, 2], adding: [4, 5], removing: [1, 2] });
    expect(ids(stateOf(cluster)?.isr)).toEqual([1, 2, 3]);
    expect(await complete(cluster)).toBe(false);
    await setIsr(cluster, [1, 2, 3, 4]);
    expect(await complete(cluster)).toBe(false);
    await setIsr(cluster, [1, 2, 3, 4, 5]);
    expect(await complete(cluster)).toBe(true);
    expect(partitionOf(cluster)).toMatchObject({ replicas: [4, 5, 3], adding: [], removing: [] });
    expect(stateOf(cluster)).toMatchObject({ leader: 4, leaderEpoch: 5 });
    expect(ids(stateOf(cluster)?.isr)).toEqual([3, 4, 5]);
  });

  it('row 12: keeps a leader that stays, in a new leader epoch: what it knows of a replica does not outlive the replica', async () => {
    const cluster = await onBrokers([1, 2, 3]);
    await move(cluster, [1, 4, 3]);
    await setIsr(cluster, [1, 2, 3, 4]);
    await complete(cluster);
    expect(stateOf(cluster)).toMatchObject({ leader: 1, leaderEpoch: 5 });
  });

  it('waits while fewer of the target are in sync than min.insync.replicas', async () => {
    const cluster = await onBrokers([1, 2, 3]);
    await move(cluster, [2, 3, 4]);
    await setIsr(cluster, [1, 4]);
    expect(await complete(cluster), 'only 4 would stay').toBe(false);
    await setIsr(cluster, [1, 4, 3]);
    expect(await complete(cluster)).toBe(true);
  });

  it('waits for an added broker that has died since it joined', async () => {
    const cluster = await onBrokers([1, 2, 3]);
    await move(cluster, [2, 3, 4]);
    await setIsr(cluster, [1, 2, 3, 4]);
    cluster.kill(4);
    expect(await complete(cluster)).toBe(false);
    await cluster.start(4);
    expect(await complete(cluster), 'another incarnation is in no ISR').toBe(false);
  });

  it('is finished by any controller, also without one that goes: it may be dead', async () => {
    const cluster = await onBrokers([1, 2, 3]);
    await move(cluster, [2, 3, 4]);
    cluster.kill(1);
    await carryOut(cluster, decide(cluster, { minIsr: 2 }));
    expect(stateOf(cluster)?.leader).toBe(2);
    await setIsr(cluster, [2, 3, 4]);
    expect(await complete(cluster)).toBe(true);
    expect(partitionOf(cluster).replicas).toEqual([2, 3, 4]);
  });

  it('changes the number of replicas and the order alone', async () => {
    const cluster = await onBrokers([1, 2, 3]);
    await move(cluster, [3, 2]);
    expect(await complete(cluster)).toBe(true);
    expect(partitionOf(cluster).replicas).toEqual([3, 2]);
    expect(stateOf(cluster)).toMatchObject({ leader: 3, leaderEpoch: 5 });
    await move(cluster, [2, 3]);
    expect(partitionOf(cluster)).toMatchObject({ replicas: [2, 3], adding: [], removing: [] });
    expect(stateOf(cluster)?.leaderEpoch, 'nobody goes').toBe(5);
    await move(cluster, [2, 3, 5]);
    await setIsr(cluster, [2, 3, 5]);
    expect(await complete(cluster)).toBe(true);
    expect(partitionOf(cluster)).toMatchObject({ replicas: [2, 3, 5], adding: [] });
  });
});

describe('a cancellation', () => {
  it('gives back the original replicas, and takes the added ones out of the ISR and of the leadership', async () => {
    const cluster = await onBrokers([1, 2, 3]);
    await move(cluster, [4, 5, 3]);
    await setIsr(cluster, [4, 1, 2], 4);
    expect(await move(cluster, undefined)).toBeUndefined();
    expect(partitionOf(cluster)).toMatchObject({ adding: [], removing: [] });
    expect(new Set(partitionOf(cluster).replicas)).toEqual(new Set([1, 2, 3]));
    expect(ids(stateOf(cluster)?.isr)).toEqual([1, 2]);
    expect([1, 2]).toContain(stateOf(cluster)?.leader);
    expect(stateOf(cluster)?.leaderEpoch).toBe(5);
  });

  it('is refused when the original replicas are not in sync, or nothing is under way', async () => {
    const cluster = await onBrokers([1, 2, 3]);
    expect(await move(cluster, undefined)).toMatchObject({ error: 'NO_REASSIGNMENT_IN_PROGRESS' });
    await move(cluster, [4, 5, 3]);
    await setIsr(cluster, [4, 5], 4);
    expect(await move(cluster, undefined)).toMatchObject({ error: 'INVALID_REPLICA_ASSIGNMENT' });
  });

  it('by another target drops whom only the first one had added', async () => {
    const cluster = await onBrokers([1, 2, 3]);
    await move(cluster, [4, 2, 3]);
    await setIsr(cluster, [1, 2, 3, 4]);
    await move(cluster, [5, 2, 3]);
    expect(partitionOf(cluster)).toMatchObject({ replicas: [5, 2, 3, 1], adding: [5], removing: [1] });
    expect(ids(stateOf(cluster)?.isr)).toEqual([1, 2, 3]);
    expect(stateOf(cluster)?.leaderEpoch).toBe(5);
  });
});

describe('a target that cannot be', () => {
  it.each([
    [[], 'empty replica list'],
    [[1, 2, 2], 'broker 2 more than once'],
    [[1, 2, 9], 'includes broker 9, but no such broker is registered'],
  ])('%j', async (target, message) => {
    const refusal = await move(await onBrokers([1, 2, 3]), target);
    expect(refusal?.error).toBe('INVALID_REPLICA_ASSIGNMENT');
    expect(refusal?.message).toContain(message);
  });

  it('changes the number of replicas where that was ruled out (KIP-860), or names no partition', async () => {
    const cluster = await onBrokers([1, 2, 3]);
    const refusal = await move(cluster, [1, 2], { allowReplicationFactorChange: false });
    expect(refusal?.error).toBe('INVALID_REPLICATION_FACTOR');
    expect(await move(cluster, [1], { partition: 7 })).toMatchObject({ error: 'UNKNOWN_TOPIC_OR_PARTITION' });
  });
});

const event = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('step'), broker: fc.constant(0) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('kill', 'start', 'join', 'leave', 'cancel'),
      broker: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('move'),
      broker: fc.constant(0),
      target: fc.uniqueArray(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 }),
    }),
  },
);

describe('moves (property)', () => {
  it('R1, R9, row 13: through deaths, changes of mind and other targets whoever leads is complete, and a move ends when all live', async () => {
    let finished = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 60 }), fc.integer({ min: 1, max: 3 }), async (events, minIsr) => {
        const cluster = await onBrokers([1, 2, 3]);
        let complete = new Set(acknowledgedBy(cluster, minIsr) ?? []);
        const settle = async (): Promise<void> => {
          await carryOut(cluster, decide(cluster, { minIsr }));
          if (await completeChecked(cluster, minIsr)) finished++;
          const { state, replicas } = partitionOf(cluster);
          for (const id of [...ids(state?.isr), ...ids(state?.elr)]) expect(replicas, 'R9').toContain(id);
          if (state !== undefined && state.leader >= 0) expect(complete.has(state.leader), 'R1').toBe(true);
          complete = new Set(acknowledgedBy(cluster, minIsr) ?? complete);
        };
        for (const each of events) {
          const { kind, broker } = each;
          if (kind === 'kill') cluster.kill(broker);
          else if (kind === 'start' && cluster.epoch(broker) < 0) await cluster.start(broker);
          else if (kind === 'join') await join(cluster, broker, complete, minIsr);
          else if (kind === 'leave') await leave(cluster, broker, minIsr);
          else if (kind === 'move' && 'target' in each) await move(cluster, each.target, { minIsr });
          else if (kind === 'cancel') await move(cluster, undefined, { minIsr });
          else await settle();
        }
        for (const broker of [1, 2, 3, 4, 5]) if (cluster.epoch(broker) < 0) await cluster.start(broker);
        for (let round = 0; round < 8; round++) {
          await settle();
          for (const broker of [1, 2, 3, 4, 5]) await join(cluster, broker, complete, minIsr);
        }
        expect(isMoving(partitionOf(cluster)), 'it ends').toBe(false);
      }),
      { numRuns: 200 },
    );
    expect(finished).toBeGreaterThan(50);
  });
});

async function completeChecked(cluster: ClusterModel, minIsr: number): Promise<boolean> {
  const before = stateOf(cluster);
  const done = await complete(cluster, minIsr);
  const after = partitionOf(cluster);
  if (!done || before === undefined) return done;
  const wanted = Math.min(effectiveMinIsr(minIsr, after.replicas.length), before.isr.length);
  expect(after.state?.isr.length, 'row 13').toBeGreaterThanOrEqual(wanted);
  return done;
}

/** Who has everything from now on, when the high watermark may move: something new is acknowledged all the time. */
function acknowledgedBy(cluster: ClusterModel, minIsr: number): readonly number[] | undefined {
  const { image } = cluster;
  const { state, replicas } = partitionOf(cluster);
  const leader = state?.isr.find((member) => member.brokerId === state.leader);
  if (state === undefined || leader === undefined) return undefined;
  if (image.brokers.get(leader.brokerId)?.epoch !== leader.brokerEpoch) return undefined;
  if (state.isr.length < effectiveMinIsr(minIsr, replicas.length) || state.elr.length > 0) return undefined;
  return ids(state.isr);
}

/** The leader takes a follower in that has fetched everything. */
async function join(cluster: ClusterModel, brokerId: number, complete: Set<number>, minIsr: number): Promise<void> {
  const { image } = cluster;
  const { state, replicas } = partitionOf(cluster);
  const leader = state?.isr.find((member) => member.brokerId === state.leader);
  const epoch = cluster.epoch(brokerId);
  if (state === undefined || leader === undefined || epoch < 0 || !replicas.includes(brokerId)) return;
  if (image.brokers.get(leader.brokerId)?.epoch !== leader.brokerEpoch) return;
  const isr = [...state.isr.filter((member) => member.brokerId !== brokerId), { brokerId, brokerEpoch: epoch }];
  const isEnough = isr.length >= effectiveMinIsr(minIsr, replicas.length);
  const elr = isEnough ? [] : state.elr.filter((member) => member.brokerId !== brokerId);
  await cluster.setState('t', 0, { ...state, isr, elr });
  complete.add(brokerId);
}

/** The leader takes a follower out that lags. */
async function leave(cluster: ClusterModel, brokerId: number, minIsr: number): Promise<void> {
  const { state, replicas } = partitionOf(cluster);
  if (state === undefined || state.leader < 0 || state.leader === brokerId) return;
  const member = state.isr.find((each) => each.brokerId === brokerId);
  if (member === undefined) return;
  const isr = state.isr.filter((each) => each !== member);
  const elr = isr.length >= effectiveMinIsr(minIsr, replicas.length) ? [] : [...state.elr, member];
  await cluster.setState('t', 0, { ...state, isr, elr });
}
