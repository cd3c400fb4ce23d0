import { silentLogger } from '@naru/observability';
import { beforeEach, describe, expect, test } from 'vitest';
import { topicId } from '../log/testing/log-world.ts';
import { HostedPartition, type Target } from './hosted-partition.ts';
import { epochOf, ReplicaWorld } from './testing/replica-world.ts';

const identity = { topic: 'topic', topicId, partition: 0 };
const self = { brokerId: 1, brokerEpoch: epochOf.get(1) as number };

function leader(leaderEpoch: number): Target {
  const state = { leader: 1, leaderEpoch, isr: [self], elr: [], controllerEpoch: 1 };
  return { kind: 'leader', self, replicas: [1, 2], state, version: leaderEpoch };
}

function follower(leaderEpoch: number, of = 2): Target {
  return { kind: 'follower', term: { leader: of, leaderEpoch }, mayRepair: false };
}

describe('row 20 (KAFKA-9307): a role is taken on when all that it asks for is done', () => {
  let world: ReplicaWorld;
  let hosted: HostedPartition;
  /** What its surroundings were told, in order. */
  let told: string[];

  beforeEach(async () => {
    world = new ReplicaWorld(1);
    await world.start();
    told = [];
    hosted = new HostedPartition({
      identity,
      config: world.config,
      store: {
        open: (wanted, config) => world.manager.getOrCreate({ ...wanted, config }),
        quarantine: async () => {},
        delete: async () => {},
        highWatermarkOf: () => 0,
      },
      logger: silentLogger,
      partitionOptions: () => world.partitionOptions(),
      events: {
        led: ({ leaderEpoch }) => told.push(`leads ${leaderEpoch}`),
        startFetching: (_, term) => told.push(`fetches from ${term.leader} in ${term.leaderEpoch}`),
        stopFetching: () => {},
        damageChanged: () => {},
        storageFailed: (_, error) => told.push(`failed: ${error.message}`),
        gone: () => told.push('gone'),
      },
    });
  });

  const settle = (): Promise<void> => world.complete(hosted.settled());

  test('a new leader does not lead, and nobody is told so, before its epoch is on the disk', async () => {
    hosted.setTarget({ kind: 'idle' });
    await settle();
    hosted.setTarget(leader(5));
    await null;
    expect(hosted.partition?.isLeader).toBe(false);
    expect(hosted.partition?.leaderEpoch).toBe(-1);
    await settle();
    expect(hosted.partition?.isLeader).toBe(true);
    expect(hosted.partition?.log.latestEpoch).toBe(5);
    expect(told).toEqual(['leads 5']);
  });

  test('what comes while it is under way is not lost: the last is reached, what was never begun is left out', async () => {
    hosted.setTarget(leader(5));
    for (const target of [follower(6), follower(7, 3), follower(8)]) hosted.setTarget(target);
    await settle();
    expect(hosted.partition?.isLeader).toBe(false);
    expect(hosted.partition?.following).toEqual({ leader: 2, leaderEpoch: 8 });
    expect(told).toEqual(['fetches from 2 in 8']);
  });

  test('the same again, as from a retry, and what is older change nothing', async () => {
    hosted.setTarget(follower(6));
    await settle();
    for (const target of [follower(6), follower(4, 3), leader(5)]) {
      hosted.setTarget(target);
      await settle();
    }
    expect(hosted.partition?.following).toEqual({ leader: 2, leaderEpoch: 6 });
    expect(told).toEqual(['fetches from 2 in 6']);
  });

  test('a role that failed half-way counts for nothing', async () => {
    hosted.setTarget({ kind: 'idle' });
    await settle();
    world.node.disk.failSyncs();
    hosted.setTarget(leader(5));
    await settle();
    expect(hosted.partition?.isLeader).toBe(false);
    expect(told).toMatchObject([expect.stringMatching(/^failed: /)]);
  });
});
