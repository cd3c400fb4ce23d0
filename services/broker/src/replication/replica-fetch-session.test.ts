import { errorCodes } from '@naru/kafka-protocol';
import type { replication } from '@naru/rpc';
import { describe, expect, test } from 'vitest';
import { batch, topicId } from '../log/testing/log-world.ts';
import type { Partition } from './partition.ts';
import { ReplicaFetchSession } from './replica-fetch-session.ts';
import { epochOf, ReplicaWorld } from './testing/replica-world.ts';

const leaderEpoch = 5;

interface Told {
  readonly partition: number;
  readonly fetchOffset: number;
  readonly flushedOffset?: number;
  readonly leaderEpoch?: number;
  readonly lastFetchedEpoch?: number;
}

/** A leader of some partitions, and what broker 2 says to it on one stream. */
class Leader {
  readonly world: ReplicaWorld;
  readonly partitions: readonly Partition[];
  readonly session: ReplicaFetchSession;
  readonly answers: replication.ReplicaPartitionFetched[][] = [];

  private constructor(world: ReplicaWorld, partitions: readonly Partition[]) {
    this.world = world;
    this.partitions = partitions;
    const { deadlines, turnEnd, node } = world;
    this.session = new ReplicaFetchSession({
      partitionById: (id, index) => world.partitionById(id, index),
      deadlines,
      turnEnd,
      clock: node.runtime.clock,
      send: (answers) => this.answers.push(answers),
    });
  }

  static async start(count: number, tailBytes = 1_000_000): Promise<Leader> {
    const world = new ReplicaWorld(1);
    world.tailBytes = tailBytes;
    await world.start();
    const partitions: Partition[] = [];
    for (let i = 0; i < count; i++) {
      partitions.push(await world.replica(i));
      await world.lead(partitions[i] as Partition, leaderEpoch);
    }
    return new Leader(world, partitions);
  }

  say(
    told: readonly Told[],
    { wantData = true, forgotten = [] as readonly number[], maxBytes = 1_000_000, maxWaitMs = 500 } = {},
  ): boolean {
    return this.session.handle({
      replicaId: 2,
      brokerEpoch: epochOf.get(2) as number,
      wantData,
      maxWaitMs,
      maxBytes,
      partitionMaxBytes: 1_000_000,
      forgotten: forgotten.map((partition) => ({ topicId, partition })),
      partitions: told.map((one) => ({
        topicId,
        leaderEpoch,
        flushedOffset: one.fetchOffset,
        lastFetchedEpoch: one.fetchOffset === 0 ? -1 : leaderEpoch,
        logStartOffset: 0,
        ...one,
      })),
    });
  }

  append(partition: number, count = 1): void {
    const outcome = this.partitions[partition]?.append(batch(count), false);
    expect(outcome?.kind).toBe('appended');
  }

  run(ms = 1): Promise<void> {
    return this.world.simulation.runFor(ms);
  }

  /** Of the last answer: what it says of which partition. */
  get last(): string[] {
    return (this.answers.at(-1) ?? []).map((answer) => {
      const what =
        answer.errorCode !== 0
          ? `error ${answer.errorCode}`
          : answer.diverging
            ? 'diverging'
            : `${answer.records.length} chunks`;
      return `${answer.partition}@${answer.fetchOffset} ${what}`;
    });
  }
}

const all = (count: number, fetchOffset = 0): Told[] =>
  Array.from({ length: count }, (_, partition) => ({ partition, fetchOffset }));

describe('a follower names what has changed, and hears what has', () => {
  test('an idle round names nothing and answers nothing', async () => {
    const leader = await Leader.start(20);
    leader.say(all(20));
    await leader.run(600);
    expect(leader.last).toHaveLength(20);
    leader.say([]);
    await leader.run(600);
    expect(leader.answers).toHaveLength(2);
    expect(leader.last).toEqual([]);
  });

  test('records of one turn come in one answer, once, and nothing of the others', async () => {
    const leader = await Leader.start(20);
    leader.say(all(20));
    await leader.run(600);
    leader.say([]);
    for (const partition of [3, 7]) leader.append(partition);
    leader.append(3);
    await leader.run();
    expect(leader.last).toEqual(['3@0 1 chunks', '7@0 1 chunks']);
    // 3 was told and not taken yet; 7 is where the records brought it.
    leader.say([{ partition: 7, fetchOffset: 1 }]);
    await leader.run();
    expect(leader.answers).toHaveLength(2);
    leader.say([{ partition: 3, fetchOffset: 2 }], { wantData: false });
    leader.append(3);
    await leader.run();
    expect(leader.last).toEqual(['3@2 1 chunks', '7@1 0 chunks']);
  });

  test('what is told without a fetch counts, and serves the fetch that waits', async () => {
    const leader = await Leader.start(2);
    leader.append(1);
    await leader.run(100);
    leader.say([{ partition: 0, fetchOffset: 0 }]);
    await leader.run();
    expect(leader.answers).toHaveLength(0);
    leader.say([{ partition: 1, fetchOffset: 1, flushedOffset: 0 }], { wantData: false });
    expect(leader.partitions[1]?.highWatermark).toBe(0);
    leader.say([{ partition: 1, fetchOffset: 1 }], { wantData: false });
    expect(leader.partitions[1]?.highWatermark).toBe(1);
    leader.append(1);
    await leader.run();
    expect(leader.last).toContain('1@1 1 chunks');
  });

  test('high watermarks travel with the next answer, and with one at the end of the wait at the latest', async () => {
    const leader = await Leader.start(3);
    leader.say(all(3));
    await leader.run(600);
    leader.append(0);
    leader.say([]);
    leader.say([{ partition: 0, fetchOffset: 1 }], { wantData: false });
    await leader.run(100);
    expect(leader.answers).toHaveLength(2);
    leader.say([]);
    await leader.run(100);
    expect(leader.answers).toHaveLength(2);
    await leader.run(500);
    expect(leader.answers.at(-1)?.map(({ partition, highWatermark }) => [partition, highWatermark])).toEqual([[0, 1]]);
  });

  test('a log start that moved is told at the end of the wait at the latest', async () => {
    const leader = await Leader.start(2);
    leader.append(0, 5);
    leader.say([{ partition: 0, fetchOffset: 5 }], { wantData: false });
    await leader.run(100);
    leader.say([]);
    await leader.run(600);
    leader.say([]);
    await leader.world.complete((leader.partitions[0] as Partition).deleteRecordsBefore(3));
    await leader.run(600);
    expect(leader.answers.at(-1)).toMatchObject([{ partition: 0, logStartOffset: 3 }]);
  });

  test('whoever had no room in an answer comes first in the next', async () => {
    const leader = await Leader.start(3);
    for (const partition of [0, 1, 2]) leader.append(partition);
    leader.say(all(3), { maxBytes: 1 });
    leader.append(0);
    leader.say([{ partition: 0, fetchOffset: 1 }], { maxBytes: 1 });
    leader.say([{ partition: 1, fetchOffset: 1 }], { maxBytes: 1 });
    const served = leader.answers.map((answers) => answers.filter(({ records }) => records.length > 0));
    expect(served.map((answers) => answers.map(({ partition }) => partition))).toEqual([[0], [1], [2]]);
  });

  test('two fetches at once are one too many', async () => {
    const leader = await Leader.start(1);
    expect(leader.say(all(1))).toBe(true);
    expect(leader.say([])).toBe(false);
  });
});

describe('what leaves the session', () => {
  test('row 4: a fetch of another epoch counts for nothing, is refused once and named anew', async () => {
    const leader = await Leader.start(1);
    leader.append(0);
    await leader.run(100);
    leader.say([{ partition: 0, fetchOffset: 1, leaderEpoch: 4 }]);
    expect(leader.last).toEqual([`0@1 error ${errorCodes.FENCED_LEADER_EPOCH}`]);
    leader.say([]);
    await leader.run(600);
    expect(leader.last).toEqual([]);
    expect(leader.partitions[0]?.highWatermark).toBe(0);
    leader.say([{ partition: 0, fetchOffset: 1 }]);
    expect(leader.partitions[0]?.highWatermark).toBe(1);
  });

  test('KIP-595: a diverging log is told where to cut and not counted before it comes again', async () => {
    const leader = await Leader.start(1);
    leader.append(0, 2);
    await leader.run(100);
    leader.say([{ partition: 0, fetchOffset: 7, lastFetchedEpoch: 5 }]);
    expect(leader.answers.at(-1)?.[0]).toMatchObject({ fetchOffset: 7, diverging: { epoch: 5, endOffset: 2 } });
    leader.say([]);
    await leader.run(600);
    expect(leader.partitions[0]?.highWatermark).toBe(0);
  });

  test('a leader that leads no more says so at once to the fetch that waits', async () => {
    const leader = await Leader.start(2);
    leader.say(all(2));
    await leader.run(600);
    leader.say([]);
    leader.partitions[1]?.rest();
    await leader.run();
    expect(leader.last).toEqual([`1@0 error ${errorCodes.NOT_LEADER_OR_FOLLOWER}`]);
  });

  test('after "forgotten" no later fetch counts the position, although others keep the stream busy', async () => {
    const leader = await Leader.start(2);
    leader.append(0);
    leader.append(1);
    await leader.run(100);
    leader.say([{ partition: 0, fetchOffset: 1, flushedOffset: 0 }], { wantData: false });
    leader.say([{ partition: 1, fetchOffset: 0 }], { forgotten: [0] });
    leader.append(0);
    await leader.run(300);
    leader.say([{ partition: 1, fetchOffset: 1 }]);
    await leader.run(300);
    expect(leader.partitions[0]?.state.leader?.progressOf(2)?.replicatedOffset).toBe(0);
    expect(leader.last.filter((told) => told.startsWith('0@'))).toEqual([]);
  });

  test('a session that has ended watches nothing and answers nothing', async () => {
    const leader = await Leader.start(2);
    leader.say(all(2));
    leader.session.close();
    leader.append(0);
    await leader.run(600);
    expect(leader.answers).toEqual([]);
    for (const { logEndWatchers, highWatermarkWatchers } of leader.partitions) {
      expect([logEndWatchers.size, highWatermarkWatchers.size]).toEqual([0, 0]);
    }
  });
});

describe('a fetch is a sign of life for everything in the session', () => {
  test('row 12: the leader forgot what it knew of the follower: the next fetch tells it again, unnamed', async () => {
    const leader = await Leader.start(1);
    leader.append(0);
    await leader.run(100);
    leader.say([{ partition: 0, fetchOffset: 1 }]);
    await leader.run(600);
    const state = { leader: 1, leaderEpoch, isr: [{ brokerId: 1, brokerEpoch: 101 }], elr: [], controllerEpoch: 1 };
    leader.partitions[0]?.stateObserved(state, 6, [1]);
    leader.partitions[0]?.stateObserved(state, 7, [1, 2]);
    expect(leader.partitions[0]?.state.leader?.progressOf(2)).toBeUndefined();
    leader.say([]);
    expect(leader.partitions[0]?.state.leader?.progressOf(2)?.replicatedOffset).toBe(1);
  });

  test('an idle follower was never slow: the first record after an hour finds it in the ISR', async () => {
    const leader = await Leader.start(1);
    leader.say(all(1));
    for (let round = 0; round < 100; round++) {
      await leader.run(600);
      leader.say([]);
    }
    leader.append(0);
    leader.partitions[0]?.tick();
    expect(leader.partitions[0]?.state.leader?.inSync.committed.map(({ brokerId }) => brokerId)).toEqual([1, 2]);
    expect(leader.partitions[0]?.state.leader?.inSync.maximal).toHaveLength(2);
    const isLagging = leader.partitions[0]?.state.leader?.progressOf(2)?.isLagging(1, 0, 60_000, 10_000);
    expect(isLagging).toBe(false);
  });
});

describe('records from the disk', () => {
  test('row 16: what an answer says of a partition is of the moment after the read', async () => {
    const leader = await Leader.start(1, 1);
    for (let i = 0; i < 30; i++) leader.append(0);
    await leader.run(100);
    leader.say([{ partition: 0, fetchOffset: 0 }]);
    expect(leader.answers).toEqual([]);
    leader.say([{ partition: 0, fetchOffset: 30 }], { wantData: false });
    await leader.run(100);
    expect(leader.answers.at(-1)?.[0]?.highWatermark).toBe(30);
  });

  test('a leader that lost its leadership while it read refuses instead', async () => {
    const leader = await Leader.start(1, 1);
    for (let i = 0; i < 30; i++) leader.append(0);
    await leader.run(100);
    leader.say([{ partition: 0, fetchOffset: 0 }]);
    leader.partitions[0]?.rest();
    await leader.run(100);
    expect(leader.last).toEqual([`0@0 error ${errorCodes.NOT_LEADER_OR_FOLLOWER}`]);
  });
});
