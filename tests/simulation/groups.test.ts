import { errorCodes } from '@naru/kafka-protocol';
import { groupMethods, type groups } from '@naru/rpc';
import { describe, expect, test } from 'vitest';
import { checkGroupsAreTheirLogs } from './checkers/groups.ts';
import { GroupHistory, GroupMember } from './group-member.ts';
import { SimulatedCluster } from './simulated-cluster.ts';

const topic = 'events';
const groupId = 'g';
const partitions = 6;

interface Run {
  readonly cluster: SimulatedCluster;
  readonly history: GroupHistory;
  readonly members: GroupMember[];
}

async function start(seed: number, members: number): Promise<Run> {
  const brokerConfig = {
    'group.initial.rebalance.delay.ms': 0,
    'offsets.topic.num.partitions': 4,
    'min.insync.replicas': 2,
    'replica.lag.time.max.ms': 3_000,
  };
  const cluster = await SimulatedCluster.start({ seed, brokerConfig });
  await cluster.createTopic(topic, partitions, 3);
  const run: Run = { cluster, history: new GroupHistory(), members: [] };
  for (let i = 0; i < members; i++) join(run);
  await untilShared(run);
  return run;
}

function join({ cluster, history, members }: Run, instanceId = ''): GroupMember {
  const member = new GroupMember({ cluster, groupId, topic, partitions, instanceId, history });
  members.push(member);
  member.start();
  return member;
}

/** Everybody has a share of the same generation, and together they have everything (G1). */
async function untilShared({ cluster, members }: Run): Promise<void> {
  await cluster.sim.runUntil(() => {
    const owned = members.flatMap((member) => member.owned);
    const isOne = new Set(members.map((member) => member.generation)).size === 1;
    return isOne && members.every((member) => member.owned.length > 0) && owned.length === partitions;
  });
}

async function untilCommitted({ cluster, history }: Run, more: number): Promise<void> {
  const goal = Math.max(-1, ...history.acked.values()) + more;
  await cluster.sim.runUntil(() =>
    Array.from({ length: partitions }, (_, p) => p).every((p) => (history.acked.get(p) ?? -1) >= goal),
  );
}

async function check(run: Run): Promise<void> {
  await untilShared(run);
  await untilCommitted(run, 2);
  expect(run.history.violations).toEqual([]);
  expect(run.cluster.failures).toEqual([]);
  expect(await run.cluster.sim.complete(checkGroupsAreTheirLogs(run.cluster.sim, run.cluster.brokers))).toBeGreaterThan(
    0,
  );
  // The members go on meanwhile.
  const acked = new Map(run.history.acked);
  const offsets = await fetched(run.cluster);
  for (const [partition, offset] of acked) {
    expect(
      offsets.find((one) => one.partition === partition)?.offset,
      `G3, partition ${partition}`,
    ).toBeGreaterThanOrEqual(offset);
  }
}

async function coordinator(cluster: SimulatedCluster): Promise<groups.Coordinator> {
  const [asked] = cluster.brokers;
  const channel = await cluster.sim.complete(cluster.rpc.connect(cluster.addressOf(asked?.id ?? 1)));
  const answer = await cluster.sim.complete(
    channel.call(groupMethods.findCoordinator, { keyType: 0, keys: [groupId] }),
  );
  await cluster.sim.complete(channel.close());
  const found = answer.coordinators[0] as groups.Coordinator;
  expect(found.errorCode).toBe(errorCodes.NONE);
  return found;
}

async function fetched(cluster: SimulatedCluster): Promise<readonly groups.FetchedOffset[]> {
  const channel = await cluster.sim.complete(cluster.rpc.connect(await coordinator(cluster)));
  const request = {
    groupId,
    memberId: '',
    generationId: -1,
    partitions: [],
    allPartitions: true,
    requireStable: false,
  };
  const answer = await cluster.sim.complete(channel.call(groupMethods.offsetFetch, request));
  expect(answer.errorCode).toBe(errorCodes.NONE);
  return answer.offsets;
}

describe('a group shares its partitions and keeps its offsets (G1-G3)', () => {
  test('without any fault', async () => {
    await check(await start(1, 3));
  });

  test('when members come, leave and vanish', async () => {
    const run = await start(2, 2);
    const third = join(run);
    await untilShared(run);
    run.members.splice(run.members.indexOf(third), 1);
    await run.cluster.sim.complete(third.leave());
    await untilShared(run);
    const [first] = run.members.splice(0, 1);
    await run.cluster.sim.complete((first as GroupMember).vanish());
    await check(run);
  });

  test.each([3, 4, 5, 6])('when its coordinator is killed again and again (rows 50, 51; seed %i)', async (seed) => {
    const run = await start(seed, 3);
    for (let round = 0; round < 3; round++) {
      const { nodeId } = await coordinator(run.cluster);
      run.cluster.crashBroker(nodeId);
      await untilCommitted(run, 1);
      await run.cluster.restartBroker(nodeId);
      await run.cluster.sim.runFor(500 * round);
    }
    await check(run);
  });

  test('when its coordinator is cut off, and when it stops in good order', async () => {
    const run = await start(7, 3);
    const cut = (await coordinator(run.cluster)).nodeId;
    run.cluster.sim.network.isolate(`b${cut}`);
    await run.cluster.sim.runFor(20_000);
    run.cluster.sim.network.healAll();
    await check(run);
    const generation = run.members[0]?.generation;
    const { nodeId } = await coordinator(run.cluster);
    await run.cluster.sim.complete(run.cluster.closeBroker(nodeId));
    await untilCommitted(run, 2);
    expect(run.members[0]?.generation, 'a broker that is restarted in good order rebalances nobody (G7)').toBe(
      generation,
    );
    await check(run);
  });

  test('when everything loses its power', async () => {
    const run = await start(8, 2);
    await untilCommitted(run, 3);
    run.cluster.losePowerOfAll();
    await run.cluster.sim.runFor(500);
    await run.cluster.restartAll();
    await check(run);
  });
});

test('while the internal topic has too few replicas in sync nothing is answered as done; afterwards all goes on (G3, G8)', async () => {
  const run = await start(9, 2);
  const { cluster } = run;
  const { nodeId } = await coordinator(cluster);
  const others = cluster.brokerIds.filter((id) => id !== nodeId);
  for (const id of others) cluster.node(`b${id}`).pause();
  await cluster.sim.runFor(4_000);
  for (const id of others) cluster.node(`b${id}`).resume();
  const third = join(run);
  await check(run);
  expect(third.owned.length).toBeGreaterThan(0);
});
