import { describe, expect, it } from 'vitest';
import { type Member, noLeader } from '../cluster/partition-state.ts';
import type { ClusterModel } from '../cluster/testing/cluster-model.ts';
import { type ElectionKind, planElections } from './requested-election.ts';
import { damagedTo, set, threeInSync, viewOf } from './testing/planned-cluster.ts';

const guard = { controllerEpochVersion: 3 };
const t0 = [{ topic: 't', partition: 0 }];

function plan(cluster: ClusterModel, kind: ElectionKind, keys: typeof t0 | undefined = t0) {
  return planElections(viewOf(cluster.image), { kind, keys }, guard);
}

describe('a requested election (KIP-460)', () => {
  it('gives the leadership to the first replica, when it is in sync', async () => {
    const { cluster, members } = await threeInSync([2, 1, 3]);
    const { writes, results, multis } = plan(cluster, 'preferred');
    expect(results).toEqual([{ ...t0[0], refusal: undefined }]);
    expect(writes).toMatchObject([{ after: { leader: 2, leaderEpoch: 5 } }]);
    expect(multis).toHaveLength(1);
    await set(cluster, { leader: 1, isr: [members[1] as Member] });
    expect(plan(cluster, 'preferred').results[0]?.refusal?.error).toBe('PREFERRED_LEADER_NOT_AVAILABLE');
  });

  it('is not needed where the preferred one leads: told where it was named, left out where all are meant', async () => {
    const { cluster } = await threeInSync();
    expect(plan(cluster, 'preferred').results[0]?.refusal?.error).toBe('ELECTION_NOT_NEEDED');
    expect(planElections(viewOf(cluster.image), { kind: 'preferred', keys: undefined }, guard).results).toEqual([]);
    const again = planElections(viewOf(cluster.image), { kind: 'preferred', keys: t0, isRepeat: true }, guard);
    expect(again.results[0]?.refusal, 'an earlier attempt has done it').toBeUndefined();
  });

  it('elects uncleanly only where nobody leads, and somebody lives', async () => {
    const { cluster, members } = await threeInSync();
    expect(plan(cluster, 'unclean').results[0]?.refusal?.error).toBe('ELECTION_NOT_NEEDED');
    await set(cluster, { leader: noLeader, isr: [members[1] as Member] });
    cluster.kill(1);
    expect(plan(cluster, 'unclean').writes).toMatchObject([{ reason: 'elected-unclean', after: { leader: 2 } }]);
    for (const id of [2, 3]) cluster.kill(id);
    expect(plan(cluster, 'unclean').results[0]?.refusal?.error).toBe('ELIGIBLE_LEADERS_NOT_AVAILABLE');
  });

  it('row 57: gives up the damage of the only replica, because the operator decided so', async () => {
    const { cluster, members } = await threeInSync();
    await set(cluster, { leader: noLeader, isr: [members[1] as Member] });
    for (const id of [1, 2, 3]) cluster.kill(id);
    await cluster.start(1, { damaged: damagedTo(40, { beyondRecoveryPoint: false }) });
    expect(plan(cluster, 'unclean').writes).toMatchObject([{ after: { leader: 1, recoverTo: 40 } }]);
  });

  it('names no partition that there is not', async () => {
    const { cluster } = await threeInSync();
    const { results } = plan(cluster, 'unclean', [{ topic: 't', partition: 9 }]);
    expect(results[0]?.refusal?.error).toBe('UNKNOWN_TOPIC_OR_PARTITION');
  });
});
