import { describe, expect, it } from 'vitest';
import { type Member, noLeader } from '../cluster/partition-state.ts';
import { updateRegistration } from '../cluster/registration.ts';
import { ClusterModel } from '../cluster/testing/cluster-model.ts';
import type { DamagedReplicas } from '../cluster/znode-codecs.ts';
import { carryOut, damagedTo, decide, lost, set, threeInSync } from './testing/planned-cluster.ts';

describe('a damaged replica (rows 21, 57)', () => {
  it('loses its eligibility for good: after its repair nobody could tell that it is not complete', async () => {
    const { cluster, members } = await threeInSync();
    const eligible = [members[2] as Member, members[3] as Member];
    await set(cluster, { leader: noLeader, isr: [members[1] as Member], elr: eligible });
    for (const id of [1, 2, 3]) cluster.kill(id);
    await cluster.start(2, { damaged: lost });
    const write = decide(cluster, { minIsr: 2 });
    expect(write).toMatchObject({
      reason: 'shrunk',
      after: { leader: noLeader, leaderEpoch: 4, isr: [members[1]], elr: [members[3]] },
    });
    await carryOut(cluster, write);
    await cluster.bounce(2);
    expect(decide(cluster, { minIsr: 2 })).toBeUndefined();
  });

  it('stays in the ISR when it is the last that is known', async () => {
    const { cluster, members } = await threeInSync();
    await set(cluster, { leader: 1, isr: [members[1] as Member] });
    const epoch = await cluster.bounce(1, { damaged: lost });
    expect(epoch).toBeGreaterThan(0);
    expect(decide(cluster)).toMatchObject({ reason: 'offline', after: { leader: noLeader, isr: [members[1]] } });
  });

  it('gives up its leadership and its place in the ISR, and does not become eligible', async () => {
    const cluster = await ClusterModel.create([1, 2]);
    await cluster.createTopic('t', [[1, 2]]);
    const epoch = await cluster.bounce(1, { damaged: lost });
    const isr = [
      { brokerId: 1, brokerEpoch: epoch },
      { brokerId: 2, brokerEpoch: cluster.epoch(2) },
    ];
    await set(cluster, { leader: 1, isr });
    expect(decide(cluster, { minIsr: 2 })).toMatchObject({
      reason: 'elected',
      after: { leader: 2, isr: [isr[1]], elr: [] },
    });
  });
});

describe('after a loss of power everywhere, with holes in what was not synced (row 57)', () => {
  /** 1 leads, ISR {1, 2}, ELR {3}; all of them lose power. */
  async function dark(): Promise<{ cluster: ClusterModel; members: Record<number, Member> }> {
    const all = await threeInSync();
    const [one, two, three] = [1, 2, 3].map((id) => all.members[id] as Member);
    await set(all.cluster, { leader: 1, isr: [one as Member, two as Member], elr: [three as Member] });
    for (const id of [1, 2, 3]) all.cluster.kill(id);
    await carryOut(all.cluster, decide(all.cluster, { minIsr: 3 }));
    return all;
  }

  it('R2: waits until every member of ISR and ELR is back, and keeps their memberships', async () => {
    const { cluster } = await dark();
    await cluster.start(1, { damaged: damagedTo(80) });
    expect(decide(cluster, { minIsr: 3 })).toBeUndefined();
    await cluster.start(2, { damaged: damagedTo(90) });
    expect(decide(cluster, { minIsr: 3 }), 'of 3 nothing is known yet').toBeUndefined();
    await cluster.start(3, { damaged: damagedTo(70) });
    expect(decide(cluster, { minIsr: 3 })).toMatchObject({
      reason: 'elected-intact-part',
      after: { leader: 2, leaderEpoch: 6, elr: [], recoverTo: 90 },
    });
  });

  it('takes the last leader epoch before the longest log', async () => {
    const { cluster } = await dark();
    await cluster.start(1, { damaged: damagedTo(80, { leaderEpoch: 4 }) });
    await cluster.start(2, { damaged: damagedTo(200, { leaderEpoch: 3 }) });
    await cluster.start(3, { damaged: damagedTo(79, { leaderEpoch: 4 }) });
    expect(decide(cluster, { minIsr: 3 })?.after).toMatchObject({ leader: 1, recoverTo: 80 });
  });

  it('elects who is whole, as soon as it is there', async () => {
    const { cluster, members } = await dark();
    await cluster.start(1, { damaged: damagedTo(80) });
    await cluster.start(3);
    const write = decide(cluster, { minIsr: 3 });
    expect(write).toMatchObject({
      reason: 'elected-returned',
      after: { leader: 3, isr: [{ brokerId: 3 }], elr: [members[2]] },
    });
    expect(write?.after.recoverTo).toBeUndefined();
  });

  it('C1: does not elect who has lost a synced part, were its log the longest; it need not come back', async () => {
    const { cluster, members } = await dark();
    await cluster.start(2, { damaged: damagedTo(500, { beyondRecoveryPoint: false }) });
    const write = decide(cluster, { minIsr: 3 });
    expect(write).toMatchObject({ reason: 'shrunk', after: { isr: [members[1]], elr: [members[3]] } });
    await carryOut(cluster, write);
    await cluster.start(1, { damaged: damagedTo(80) });
    cluster.kill(2);
    expect(decide(cluster, { minIsr: 3 })).toBeUndefined();
    await cluster.start(3, { damaged: damagedTo(81) });
    expect(decide(cluster, { minIsr: 3 })?.after).toMatchObject({ leader: 3, recoverTo: 81 });
  });

  it('elects nobody when every replica has lost a synced part, until the operator decides', async () => {
    const { cluster, members } = await dark();
    for (const id of [1, 2, 3]) {
      await cluster.start(id, { damaged: lost });
      await carryOut(cluster, decide(cluster, { minIsr: 3 }));
    }
    expect(cluster.image.topics.get('t')?.partitions[0]?.state).toMatchObject({ leader: noLeader, isr: [members[2]] });
    expect(decide(cluster, { minIsr: 3 })).toBeUndefined();
    expect(decide(cluster, { minIsr: 3, unclean: true })).toMatchObject({
      reason: 'elected-unclean',
      after: { leader: 1, recoverTo: 50 },
    });
  });

  it('R7: does not take a member for back whose disk is another one', async () => {
    const { cluster } = await dark();
    await cluster.start(1, { damaged: damagedTo(80) });
    await cluster.start(2, { damaged: damagedTo(90) });
    await cluster.start(3, { directoryId: 'new', damaged: damagedTo(95) });
    expect(decide(cluster, { minIsr: 3 })).toBeUndefined();
  });

  it('brings a partition of one replica back by itself', async () => {
    const cluster = await ClusterModel.create([1]);
    await cluster.createTopic('t', [[1]]);
    await set(cluster, { leader: 1, isr: [{ brokerId: 1, brokerEpoch: cluster.epoch(1) }] });
    await cluster.bounce(1, { damaged: damagedTo(80) });
    expect(decide(cluster)).toMatchObject({ reason: 'elected-intact-part', after: { leader: 1, recoverTo: 80 } });
  });

  it('lets the elected one cut and lead, and another damage of its log is another matter', async () => {
    const { cluster } = await dark();
    for (const id of [1, 2, 3]) await cluster.start(id, { damaged: damagedTo(80 + id) });
    await carryOut(cluster, decide(cluster, { minIsr: 3 }));
    expect(decide(cluster, { minIsr: 3 }), 'it is about to cut').toBeUndefined();
    await report(cluster, 3, new Map());
    const write = decide(cluster, { minIsr: 3 });
    expect(write).toMatchObject({ reason: 'recovered', after: { leader: 3, leaderEpoch: 6 } });
    expect(write?.after.recoverTo).toBeUndefined();
    await carryOut(cluster, write);
    await report(cluster, 3, damagedTo(83, { beyondRecoveryPoint: false }));
    expect(decide(cluster, { minIsr: 3 })?.after.leader, 'the same offset, but of what was written since').toBe(
      noLeader,
    );
  });
});

/** A broker says something else about its logs. */
async function report(cluster: ClusterModel, brokerId: number, damaged: DamagedReplicas): Promise<void> {
  const session = cluster.sessions.get(brokerId) as NonNullable<ReturnType<typeof cluster.sessions.get>>;
  const self = { brokerId, brokerEpoch: cluster.epoch(brokerId) };
  await updateRegistration(session, self, (registration) => ({ ...registration, damaged }));
}
