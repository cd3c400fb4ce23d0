import { errorCodes } from '@naru/kafka-protocol';
import type { broker } from '@naru/rpc';
import { describe, expect, test } from 'vitest';
import { batch } from '../log/testing/log-world.ts';
import type { Partition } from '../replication/partition.ts';
import type { ReplicaManager } from '../replication/replica-manager.ts';
import { ReplicaWorld } from '../replication/testing/replica-world.ts';
import { FetchSession } from './fetch-session.ts';

/** A leader of one partition without followers, and what a client says to it on one stream. */
class Leader {
  readonly world: ReplicaWorld;
  readonly partition: Partition;
  readonly session: FetchSession;
  readonly answers: broker.PartitionFetched[][] = [];

  private constructor(world: ReplicaWorld, partition: Partition) {
    this.world = world;
    this.partition = partition;
    const { deadlines, turnEnd } = world;
    const replicas = {
      deadlines,
      turnEnd,
      find: (_topic: string, _id: string, index: number) => {
        const found = world.partitions.get(index);
        return found === undefined ? { kind: 'unknown-topic-or-partition' } : { kind: 'partition', partition: found };
      },
      leaderOf: () => ({ leaderId: 2, leaderEpoch: 6 }),
    } as unknown as ReplicaManager;
    this.session = new FetchSession({
      replicas,
      responseBytesMax: 1_000_000,
      send: (answers) => this.answers.push(answers),
    });
  }

  /** `tailBytes`: of the newest batches in memory; the rest is read from the disk. */
  static async start(tailBytes: number): Promise<Leader> {
    const world = new ReplicaWorld(1);
    world.tailBytes = tailBytes;
    world.flushBeforeAck = false;
    await world.start();
    const partition = await world.replica(0);
    await world.lead(partition, 5, [1]);
    return new Leader(world, partition);
  }

  async write(batches: number, valueBytes = 50): Promise<void> {
    for (let i = 0; i < batches; i++) this.partition.append(batch(1, { valueBytes }), false);
    await this.run();
  }

  ask(fetchOffset: number, fields: Partial<broker.FetchRequest & broker.PartitionFetch> = {}): boolean {
    const { wantData = true, maxWaitMs = 500, minBytes = 1, maxBytes = 1_000_000, lastFetchedEpoch = -1 } = fields;
    const asked = { topic: 'topic', topicId: '', partition: 0, fetchOffset, currentLeaderEpoch: -1, lastFetchedEpoch };
    const partitions = fields.partitions ?? [{ ...asked, maxBytes: 100_000 }];
    const terms = { wantData, maxWaitMs, minBytes, maxBytes, isolationLevel: 0 };
    return this.session.handle({ ...terms, forgotten: fields.forgotten ?? [], partitions });
  }

  /** Of a disk that needs some time for the read, and for nothing after it. */
  async askSlowDisk(fetchOffset: number): Promise<void> {
    const { disk } = this.world.node;
    const { times } = disk;
    disk.times = { ...times, operation: { minMs: 20, meanMs: 20 } };
    this.ask(fetchOffset);
    await this.run(1);
    disk.times = times;
    expect(this.answers).toHaveLength(0);
  }

  run(ms = 50): Promise<void> {
    return this.world.simulation.runFor(ms);
  }

  get last(): broker.PartitionFetched | undefined {
    return this.answers.at(-1)?.[0];
  }
}

describe('an answer is of one moment (row 16)', () => {
  test('the high watermark moved while the disk was read: the answer says where it is now', async () => {
    const leader = await Leader.start(1);
    await leader.write(20);
    await leader.askSlowDisk(0);
    await leader.write(20);
    expect(leader.answers).toHaveLength(1);
    expect(leader.last?.records.length).toBeGreaterThan(0);
    expect(leader.last).toMatchObject({ highWatermark: 40, lastStableOffset: 40, logStartOffset: 0 });
  });

  test('the log start passed the records while they were read: they are out of range', async () => {
    const leader = await Leader.start(1);
    await leader.write(20);
    await leader.askSlowDisk(0);
    void leader.partition.log.deleteRecordsBefore(10);
    await leader.run();
    expect(leader.last).toMatchObject({ errorCode: errorCodes.OFFSET_OUT_OF_RANGE, logStartOffset: 10, records: [] });
  });

  test('another epoch began while the disk was read: what was read may not be in its log', async () => {
    const leader = await Leader.start(1);
    await leader.write(20);
    await leader.askSlowDisk(0);
    leader.partition.rest();
    await leader.run();
    expect(leader.last).toMatchObject({ errorCode: errorCodes.NOT_LEADER_OR_FOLLOWER, records: [] });
    expect(leader.last).toMatchObject({ leaderId: 2, leaderEpoch: 6 });
  });
});

describe('a session', () => {
  test('waits for min_bytes, then answers what there is when the time is over', async () => {
    const leader = await Leader.start(1_000_000);
    leader.ask(0, { minBytes: 300 });
    await leader.write(1);
    expect(leader.answers).toEqual([]);
    await leader.run(500);
    expect(leader.last?.records).toHaveLength(1);
  });

  test('records come as the runs in which they were appended, not joined', async () => {
    const leader = await Leader.start(1_000_000);
    await leader.write(3, 6_000);
    leader.ask(0, { maxBytes: 100_000 });
    expect(leader.last?.records).toHaveLength(3);
  });

  test('a seek that crosses an answer: only the position that was named last is served after it', async () => {
    const leader = await Leader.start(1);
    await leader.write(20);
    leader.ask(0);
    leader.ask(15, { wantData: false });
    await leader.run(600);
    expect(leader.answers.flat().filter(({ records }) => records.length > 0)).toHaveLength(0);
    leader.ask(0, { partitions: [] });
    await leader.run();
    expect(leader.last?.fetchOffset).toBe(15);
  });

  test('ends without a trace', async () => {
    const leader = await Leader.start(1_000_000);
    leader.ask(0);
    leader.session.close();
    await leader.write(1);
    await leader.run(600);
    expect([leader.answers, leader.partition.highWatermarkWatchers.size]).toEqual([[], 0]);
  });
});
