import type { groups } from '@naru/rpc';
import { createSimulation } from '@naru/runtime/simulated';
import { expect, test } from 'vitest';
import type { Cluster } from '../../cluster/cluster.ts';
import type { ConsumerConfig } from '../../config.ts';
import { CommitFailedError, RetriableError } from '../../errors.ts';
import type { CoordinatorLink } from './coordinator-link.ts';
import { OffsetCommits } from './offset-commits.ts';

/** A member of a group with a server-side assignor that holds t-0, in epoch 1; its coordinator is away at first. */
function setUp() {
  const simulation = createSimulation({ seed: 1 });
  const { runtime } = simulation.addNode('client');
  const world = { epoch: 1, holding: {} as object | undefined, isAway: true, written: [] as number[] };
  const link = {
    call: async (_method: unknown, { generationId, offsets }: groups.OffsetCommitRequest) => {
      if (world.isAway) throw new RetriableError('there is no coordinator');
      world.written.push(generationId, ...offsets.map(({ offset }) => offset));
      return { errorCode: 0, errorMessage: '', offsets: offsets.map((each) => ({ ...each, errorCode: 0 })) };
    },
  };
  const cluster = {
    runtime,
    config: { 'request.timeout.ms': 1_000 },
    nowMs: () => runtime.clock.monotonicMs(),
    retryPauseMs: () => 100,
  };
  const config = { 'group.id': 'g', 'group.protocol': 'consumer', 'client.id': 'c' };
  const commits = new OffsetCommits(cluster as unknown as Cluster, config as unknown as ConsumerConfig, {
    link: link as unknown as CoordinatorLink,
    identity: () => ({ memberId: 'm', groupInstanceId: '', generation: world.epoch, life: 1 }),
    holding: () => world.holding,
    onGroupError: () => {},
    signal: new AbortController().signal,
  });
  return { simulation, world, commits };
}

const offset = { topic: 't', partition: 0, offset: 10 };

test('a commit that was asked for in an older member epoch is written with the newest while the partition stays (KIP-848)', async () => {
  const { simulation, world, commits } = setUp();
  const done = commits.commit([offset], 5_000);
  await simulation.runFor(250);
  world.epoch = 3;
  world.isAway = false;
  await simulation.complete(done);
  expect(world.written).toEqual([3, 10]);
});

test('a partition was given up and came back: what was asked for before is not written over its other owner (row 49, G4)', async () => {
  const { simulation, world, commits } = setUp();
  const done = commits.commit([offset], 5_000);
  const failed = expect(done).rejects.toBeInstanceOf(CommitFailedError);
  await simulation.runFor(250);
  world.epoch = 3;
  world.holding = {};
  world.isAway = false;
  await simulation.runFor(250);
  await failed;
  expect(world.written).toEqual([]);
});
