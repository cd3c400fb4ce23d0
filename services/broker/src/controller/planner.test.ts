import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { diffImages } from '../cluster/metadata-delta.ts';
import type { MetadataImage } from '../cluster/metadata-image.ts';
import { effectiveMinIsr, type Member, noLeader, type PartitionState } from '../cluster/partition-state.ts';
import { ClusterModel, topicIdOf } from '../cluster/testing/cluster-model.ts';
import { paths } from '../cluster/znode-paths.ts';
import { groupWrites, type PartitionWrite, plan, scopeOf } from './planner.ts';
import {
  carryOut,
  damagedTo,
  decide,
  decideAll,
  ids,
  lost,
  set,
  threeInSync,
  viewOf,
} from './testing/planned-cluster.ts';

describe('a new partition', () => {
  it('is led by its first live replica, with all live replicas in sync, in epoch 0', async () => {
    const cluster = await ClusterModel.create([2, 3]);
    await cluster.createTopic('t', [[1, 2, 3]]);
    const write = decide(cluster);
    expect(write).toMatchObject({
      reason: 'initial',
      before: undefined,
      after: { leader: 2, leaderEpoch: 0, elr: [], controllerEpoch: 5 },
    });
    expect(write?.after.isr).toEqual([2, 3].map((id) => ({ brokerId: id, brokerEpoch: cluster.epoch(id) })));
  });

  it('waits when no replica lives, and is not decided twice', async () => {
    const cluster = await ClusterModel.create([4]);
    await cluster.createTopic('t', [[1, 2]]);
    expect(decide(cluster)).toBeUndefined();
    await cluster.start(2);
    await carryOut(cluster, decide(cluster));
    expect(decide(cluster)).toBeUndefined();
  });
});

describe('the death of a leader', () => {
  it('elects the next in-sync replica in replica order and raises the epoch', async () => {
    const { cluster } = await threeInSync([1, 3, 2]);
    cluster.kill(1);
    const write = decide(cluster);
    expect(write).toMatchObject({ reason: 'elected', expectedVersion: 0, after: { leader: 3, leaderEpoch: 5 } });
    expect(ids(write?.after.isr)).toEqual([2, 3]);
  });

  it('row 10, KIP-380: a leader that bounced is dead and born again, and does not lead', async () => {
    const { cluster, members } = await threeInSync();
    await cluster.bounce(1);
    const write = decide(cluster);
    expect(write).toMatchObject({ reason: 'elected', after: { leader: 2, leaderEpoch: 5 } });
    expect(write?.after.isr).toEqual([members[2], members[3]]);
  });

  it('never elects a replica outside of ISR and ELR when unclean election is off', async () => {
    const { cluster, members } = await threeInSync();
    await set(cluster, { leader: 1, isr: [members[1] as Member] });
    cluster.kill(1);
    const write = decide(cluster);
    expect(write).toMatchObject({ reason: 'offline', after: { leader: noLeader, leaderEpoch: 5, isr: [members[1]] } });
    await carryOut(cluster, write);
    expect(decide(cluster)).toBeUndefined();
  });

  it('keeps the whole ISR when all of it died at once: nothing was acknowledged without a leader', async () => {
    const { cluster, members } = await threeInSync();
    for (const id of [1, 2, 3]) cluster.kill(id);
    const write = decide(cluster, { minIsr: 2 });
    expect(write?.after).toMatchObject({ leader: noLeader, isr: [members[1], members[2], members[3]], elr: [] });
  });

  it('elects uncleanly only when the topic says so, and then nobody else counts as complete', async () => {
    const { cluster, members } = await threeInSync();
    await set(cluster, { leader: 1, isr: [members[1] as Member], elr: [] });
    cluster.kill(1);
    const write = decide(cluster, { unclean: true, minIsr: 2 });
    expect(write).toMatchObject({ reason: 'elected-unclean', after: { leader: 2, isr: [members[2]], elr: [] } });
  });
});

describe('eligible leader replicas (KIP-966, row 8)', () => {
  it('are the members that leave while fewer than min.insync.replicas remain', async () => {
    const { cluster, members } = await threeInSync();
    cluster.kill(3);
    const first = decide(cluster, { minIsr: 2 });
    expect(first).toMatchObject({ reason: 'shrunk', after: { leader: 1, leaderEpoch: 4, elr: [] } });
    await carryOut(cluster, first);
    cluster.kill(2);
    const second = decide(cluster, { minIsr: 2 });
    expect(second?.after).toMatchObject({ isr: [members[1]], elr: [members[2]] });
  });

  it('lead when the ISR is gone; the last leader is kept as eligible', async () => {
    const { cluster, members } = await threeInSync();
    await set(cluster, { leader: 1, isr: [members[1] as Member], elr: [members[2] as Member] });
    cluster.kill(1);
    const write = decide(cluster, { minIsr: 2 });
    expect(write).toMatchObject({
      reason: 'elected-eligible',
      after: { leader: 2, isr: [members[2]], elr: [members[1]] },
    });
  });

  it('end as soon as the ISR suffices (R9)', async () => {
    const { cluster, members } = await threeInSync();
    await set(cluster, { leader: 1, isr: [members[1] as Member], elr: [members[2] as Member] });
    expect(decide(cluster, { minIsr: 1 })).toMatchObject({ reason: 'shrunk', after: { elr: [], leaderEpoch: 4 } });
  });

  it('count only as the incarnation that left, as long as another one lives', async () => {
    const { cluster, members } = await threeInSync();
    await set(cluster, { leader: 1, isr: [members[1] as Member], elr: [members[2] as Member, members[3] as Member] });
    cluster.kill(1);
    await cluster.bounce(2);
    expect(decide(cluster, { minIsr: 3 })).toMatchObject({ reason: 'elected-eligible', after: { leader: 3 } });
  });
});

describe('a member that comes back (R7, row 10)', () => {
  it('leads when nobody of ISR and ELR lives and its directory is the old one', async () => {
    const { cluster, members } = await threeInSync();
    await set(cluster, { leader: noLeader, isr: [members[1] as Member], elr: [members[2] as Member] });
    cluster.kill(1);
    cluster.kill(2);
    const epoch = await cluster.start(1);
    const write = decide(cluster, { minIsr: 2 });
    expect(write).toMatchObject({
      reason: 'elected-returned',
      after: { leader: 1, isr: [{ brokerId: 1, brokerEpoch: epoch }], elr: [members[2]] },
    });
  });

  it('row 8: an ELR member leads after its return, too, and the ISR is remembered', async () => {
    const { cluster, members } = await threeInSync();
    await set(cluster, { leader: noLeader, isr: [members[1] as Member], elr: [members[2] as Member] });
    cluster.kill(1);
    const epoch = await cluster.bounce(2);
    const write = decide(cluster, { minIsr: 2 });
    expect(write).toMatchObject({
      reason: 'elected-returned',
      after: { leader: 2, isr: [{ brokerId: 2, brokerEpoch: epoch }], elr: [members[1]] },
    });
  });

  it('does not lead with a data directory that was emptied meanwhile', async () => {
    const { cluster, members } = await threeInSync();
    await set(cluster, { leader: 1, isr: [members[1] as Member] });
    cluster.kill(1);
    await carryOut(cluster, decide(cluster));
    await cluster.start(1, { directoryId: 'a new disk' });
    expect(decide(cluster)).toBeUndefined();
    // Not even when the same, still young directory comes back once more.
    cluster.kill(1);
    await cluster.start(1, { directoryId: 'a new disk' });
    expect(decide(cluster)).toBeUndefined();
    // A disk that was away meanwhile counts as new, which is the safe side.
    cluster.kill(1);
    await cluster.start(1, { directoryId: 'directory-1' });
    expect(decide(cluster)).toBeUndefined();
  });

  it('row 57: does not lead while its replica is damaged, whichever incarnation it is', async () => {
    const { cluster, members } = await threeInSync();
    await set(cluster, { leader: 1, isr: [members[1] as Member, members[2] as Member] });
    cluster.kill(1);
    cluster.kill(2);
    await carryOut(cluster, decide(cluster));
    await cluster.start(1, { damaged: lost });
    expect(decide(cluster)).toMatchObject({ reason: 'shrunk', after: { leader: noLeader, isr: [members[2]] } });
    await cluster.start(2, { damaged: damagedTo(100, {}, 1) });
    expect(decide(cluster)).toMatchObject({ reason: 'elected-returned', after: { leader: 2 } });
  });
});

describe('controlled shutdown', () => {
  it('moves the leadership and takes the broker out of the ISR', async () => {
    const { cluster, members } = await threeInSync();
    const write = decide(cluster, { stopping: [1] });
    expect(write).toMatchObject({
      reason: 'elected',
      after: { leader: 2, leaderEpoch: 5, isr: [members[2], members[3]] },
    });
  });

  it('takes a follower out of the ISR without a new epoch', async () => {
    const { cluster, members } = await threeInSync();
    expect(decide(cluster, { stopping: [3] })).toMatchObject({
      reason: 'shrunk',
      after: { leader: 1, leaderEpoch: 4, isr: [members[1], members[2]] },
    });
  });

  it('leaves the leadership where nobody else is in sync', async () => {
    const { cluster, members } = await threeInSync();
    await set(cluster, { leader: 1, isr: [members[1] as Member] });
    expect(decide(cluster, { stopping: [1] })).toBeUndefined();
    await set(cluster, { leader: 1, isr: [members[1] as Member, members[2] as Member] });
    expect(decide(cluster, { stopping: [1, 2] })).toMatchObject({ after: { leader: 1, isr: [members[1]] } });
  });
});

describe('preferred leaders', () => {
  it('lead again when they are in sync, and only then', async () => {
    const { cluster, members } = await threeInSync();
    await set(cluster, { leader: 2, isr: [members[1] as Member, members[2] as Member] });
    const preferred = (options: Parameters<typeof decide>[1] = {}): readonly PartitionWrite[] =>
      plan(viewOf(cluster.image, options), { kind: 'preferred-leaders', imbalancePercentage: 0 });
    expect(preferred()).toMatchObject([{ reason: 'preferred', after: { leader: 1, leaderEpoch: 5 } }]);
    expect(preferred({ stopping: [1] })).toEqual([]);
    await set(cluster, { leader: 2, isr: [members[2] as Member] });
    expect(preferred()).toEqual([]);
  });

  it('are left where they are while a broker lacks no more of its leaderships than the percentage', async () => {
    const cluster = await ClusterModel.create([1, 2]);
    const replicas = Array.from({ length: 10 }, () => [1, 2]);
    await cluster.createTopic('t', replicas);
    const isr = [1, 2].map((id): Member => ({ brokerId: id, brokerEpoch: cluster.epoch(id) }));
    const led = async (partition: number, leader: number): Promise<void> =>
      cluster.setState('t', partition, { leader, leaderEpoch: 0, isr, elr: [], controllerEpoch: 1 });
    for (const partition of replicas.keys()) await led(partition, partition === 3 ? 2 : 1);
    const planned = (): number[] =>
      plan(viewOf(cluster.image), { kind: 'preferred-leaders', imbalancePercentage: 10 }).map((w) => w.partition);
    expect(planned()).toEqual([]);
    await led(7, 2);
    expect(planned()).toEqual([3, 7]);
  });
});

describe('write groups', () => {
  it('check the controller epoch first, then every new leader by czxid, and compare-and-set every state (rows 23, 24)', async () => {
    const { cluster, members } = await threeInSync();
    cluster.kill(1);
    const [group] = groupWrites(decideAll(cluster), { controllerEpochVersion: 9 });
    expect(group?.operations.map(({ kind, path }) => [kind, path])).toEqual([
      ['check', paths.controllerEpoch],
      ['check', paths.broker(2)],
      ['set-data', paths.partitionState('t', 0)],
    ]);
    expect(group?.operations[0]).toMatchObject({ version: 9 });
    expect(group?.operations[1]).toMatchObject({ czxid: members[2]?.brokerEpoch });
    expect(group?.operations[2]).toMatchObject({ version: 0 });
  });

  it('are bounded, and elections come before shrinking', async () => {
    const cluster = await ClusterModel.create([1, 2]);
    await cluster.createTopic(
      't',
      Array.from({ length: 7 }, (_, p) => (p % 2 === 0 ? [1, 2] : [2, 1])),
    );
    for (const write of decideAll(cluster)) await carryOut(cluster, write);
    cluster.kill(2);
    const writes = decideAll(cluster);
    expect(writes.map((write) => write.reason)).toEqual([
      'elected',
      'elected',
      'elected',
      'shrunk',
      'shrunk',
      'shrunk',
      'shrunk',
    ]);
    expect(groupWrites(writes, { controllerEpochVersion: 1 }, 3).map((group) => group.writes.length)).toEqual([
      3, 3, 1,
    ]);
  });

  it('leave topics alone that are being deleted', async () => {
    const { cluster } = await threeInSync();
    await cluster.admin.write([
      {
        kind: 'create',
        path: paths.deleteTopic('t'),
        data: Buffer.from(`{"version":1,"topic_id":"${topicIdOf('t')}"}`),
      },
    ]);
    cluster.kill(1);
    expect(decideAll(cluster)).toEqual([]);
  });
});

describe('the scope of a change', () => {
  it('is everything when brokers come, go, bounce or say something else, and else what changed', async () => {
    const { cluster } = await threeInSync();
    await cluster.createTopic('u', [[1], [2]]);
    const since = async (change: () => unknown) => {
      const before = cluster.image;
      await change();
      return scopeOf(diffImages(before, cluster.image));
    };
    const everything = { kind: 'everything' };
    expect(await since(() => cluster.kill(3))).toEqual(everything);
    expect(await since(() => cluster.start(3))).toEqual(everything);
    expect(await since(() => cluster.bounce(2))).toEqual(everything);
    expect(await since(() => set(cluster, { isr: [{ brokerId: 1, brokerEpoch: 1 }] }))).toEqual({
      kind: 'partitions',
      partitions: [{ topic: 't', partition: 0 }],
    });
    const data = Buffer.from('{"version":1,"config":{"min.insync.replicas":"2"}}');
    expect(await since(() => cluster.admin.write([{ kind: 'set-data', path: paths.topicConfig('u'), data }]))).toEqual({
      kind: 'partitions',
      partitions: [0, 1].map((partition) => ({ topic: 'u', partition })),
    });
  });

  it('leaves out the partitions of other brokers when one stops', async () => {
    const { cluster } = await threeInSync();
    await cluster.createTopic('u', [[1], [2]]);
    const writes = plan(viewOf(cluster.image, { stopping: [2] }), { kind: 'replicas-of', brokerId: 2 });
    expect(writes.map(({ topic, partition }) => `${topic}-${partition}`).sort()).toEqual(['t-0', 'u-1']);
  });
});

const event = fc.record({
  kind: fc.constantFrom('start', 'kill', 'bounce', 'wipe', 'damage', 'grow', 'stop', 'settle'),
  broker: fc.integer({ min: 1, max: 4 }),
});

describe('the planner (property)', () => {
  it('R1, R2, R9: every decision keeps the invariants, elects only who is complete, and is final', async () => {
    let elections = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 60 }), fc.integer({ min: 1, max: 3 }), async (events, minIsr) => {
        const cluster = await ClusterModel.create([1, 2, 3, 4]);
        await cluster.createTopic('t', [[1, 2, 3]]);
        const stopping = new Set<number>();
        // Who has everything that was acknowledged: the model's own account, kept without looking at the ELR.
        const complete = new Map<string, boolean>();
        for (const { kind, broker } of [{ kind: 'settle', broker: 1 } as const, ...events]) {
          if (kind === 'kill') cluster.kill(broker);
          else if (kind === 'start' || kind === 'bounce') await cluster.start(broker);
          else if (kind === 'wipe') {
            await restartWiped(cluster, broker);
            complete.delete(`${broker}`);
          } else if (kind === 'damage') await cluster.start(broker, { damaged: lost });
          else if (kind === 'stop') stopping.add(broker);
          else if (kind === 'grow') await grow(cluster, broker, minIsr);
          acknowledge(cluster.image, complete, minIsr);
          if (kind !== 'settle' && kind !== 'grow') continue;
          const options = { minIsr, stopping: [...stopping] };
          const before = cluster.image.topics.get('t')?.partitions[0]?.state;
          const write = decide(cluster, options);
          await carryOut(cluster, write);
          if (write !== undefined) {
            checkInvariants(cluster.image, write, before, minIsr);
            if (
              write.before !== undefined &&
              write.after.leader !== noLeader &&
              write.after.leaderEpoch > write.before.leaderEpoch
            ) {
              elections += 1;
              expect(complete.get(`${write.after.leader}`), 'the elected leader holds all that was acknowledged').toBe(
                true,
              );
            }
          }
          acknowledge(cluster.image, complete, minIsr);
          expect(decide(cluster, options), 'deciding twice changes nothing').toBeUndefined();
        }
      }),
      { numRuns: 300 },
    );
    expect(elections).toBeGreaterThan(50);
  });
});

/** The leader admits a caught-up follower, as replication does. */
async function grow(cluster: ClusterModel, brokerId: number, minIsr: number): Promise<void> {
  const { image } = cluster;
  const partition = image.topics.get('t')?.partitions[0];
  const state = partition?.state;
  const leader = state?.isr.find((member) => member.brokerId === state.leader);
  const broker = image.brokers.get(brokerId);
  if (state === undefined || leader === undefined || broker === undefined || !partition?.replicas.includes(brokerId))
    return;
  if (image.brokers.get(leader.brokerId)?.epoch !== leader.brokerEpoch || broker.damaged.size > 0) return;
  const isr = [...state.isr.filter((member) => member.brokerId !== brokerId), { brokerId, brokerEpoch: broker.epoch }];
  const elr =
    isr.length >= effectiveMinIsr(minIsr, 3) ? [] : state.elr.filter((member) => member.brokerId !== brokerId);
  await cluster.setState('t', 0, { ...state, isr, elr });
}

let wipes = 0;

async function restartWiped(cluster: ClusterModel, brokerId: number): Promise<void> {
  cluster.kill(brokerId);
  wipes += 1;
  await cluster.start(brokerId, { directoryId: `wiped-${wipes}` });
}

/**
 * A leader with enough in-sync replicas acknowledges something new all the time: from then on whoever is not in the ISR lacks it. Everybody in the ISR has
 * everything, on the disk of its directory.
 */
function acknowledge(image: MetadataImage, complete: Map<string, boolean>, minIsr: number): void {
  const state = image.topics.get('t')?.partitions[0]?.state;
  const leader = state?.isr.find((member) => member.brokerId === state.leader);
  if (state === undefined || leader === undefined) return;
  if (image.brokers.get(leader.brokerId)?.epoch !== leader.brokerEpoch) return;
  const isr = new Set(ids(state.isr));
  const advances = isr.size >= effectiveMinIsr(minIsr, 3) && state.elr.length === 0;
  if (!advances) return;
  complete.clear();
  for (const { brokerId, brokerEpoch } of state.isr) {
    const directory = image.directories.get(brokerId);
    if (directory !== undefined && directory.since <= brokerEpoch) complete.set(`${brokerId}`, true);
  }
}

function checkInvariants(
  image: MetadataImage,
  write: PartitionWrite,
  before: PartitionState | undefined,
  minIsr: number,
): void {
  const { after } = write;
  const isr = new Set(ids(after.isr));
  expect(isr.size).toBe(after.isr.length);
  expect(isr.size, 'the ISR is never empty').toBeGreaterThan(0);
  for (const id of isr) expect([1, 2, 3]).toContain(id);
  for (const id of ids(after.elr)) expect(isr.has(id), 'ISR and ELR are disjoint').toBe(false);
  if (isr.size >= effectiveMinIsr(minIsr, 3)) expect(after.elr).toEqual([]);
  if (after.leader !== noLeader) {
    for (const member of after.isr)
      expect(image.brokers.get(member.brokerId)?.epoch, 'no dead incarnation in a led ISR').toBe(member.brokerEpoch);
  }
  const changed = before !== undefined && before.leader !== after.leader;
  if (changed) expect(after.leaderEpoch).toBe(before.leaderEpoch + 1);
  expect(after.controllerEpoch).toBe(5);
}
