import { errorCodes } from '@naru/kafka-protocol';
import { silentLogger } from '@naru/observability';
import { createRpc, type RpcStream, type replication, replicationMethods, stream } from '@naru/rpc';
import { describe, expect, test } from 'vitest';
import { stampBatches } from '../log/appended-batches.ts';
import { batch, topicId } from '../log/testing/log-world.ts';
import type { Partition } from './partition.ts';
import { ReplicaFetcher } from './replica-fetcher.ts';
import { ReplicaWorld } from './testing/replica-world.ts';

type Answer = replication.ReplicaPartitionFetched;

const term = { leader: 2, leaderEpoch: 5 };

/** Broker 1 follows broker 2, which says what the test says. */
class Follower {
  readonly world = new ReplicaWorld(1);
  readonly partitions: Partition[] = [];
  readonly requests: replication.ReplicaFetchRequest[] = [];
  readonly fetcher: ReplicaFetcher;
  #stream: RpcStream<replication.ReplicaFetchResponse, replication.ReplicaFetchRequest> | undefined;
  streams = 0;

  private constructor() {
    const { clock, timers, random } = this.world.node.runtime;
    this.fetcher = new ReplicaFetcher({
      leaderId: 2,
      self: () => ({ brokerId: 1, brokerEpoch: 101 }),
      rpc: createRpc(this.world.node.runtime),
      clock,
      timers,
      random,
      turnEnd: this.world.turnEnd,
      config: { partitionBytesMax: 1_000, responseBytesMax: 10_000, waitMaxMs: 500, backoffMaxMs: 200 },
      logger: silentLogger,
    });
  }

  static async start(count: number): Promise<Follower> {
    const follower = new Follower();
    const { world } = follower;
    world.tailBytes = 1_000_000;
    world.onFollowerMoved = (partition) => follower.fetcher.reportMoved(partition);
    await world.start();
    const rpc = createRpc(world.simulation.addNode('leader').runtime);
    const listen = stream(replicationMethods.fetch, (opened) => {
      follower.#stream = opened;
      follower.streams++;
      opened.handle({ onMessage: (request) => follower.requests.push(request), onClose: () => {} });
    });
    await world.complete(rpc.serve({ host: 'leader', port: 9093 }, [listen], {}));
    for (let i = 0; i < count; i++) {
      const partition = await world.replica(i);
      follower.partitions.push(partition);
      partition.follow(term);
      follower.fetcher.add(partition, term);
    }
    follower.fetcher.setLeader({ address: { host: 'leader', port: 9093 }, brokerEpoch: 102 });
    await follower.run(100);
    return follower;
  }

  run(ms = 20): Promise<void> {
    return this.world.simulation.runFor(ms);
  }

  /** What was said since the last look. */
  heard(): string[] {
    const heard = this.requests.splice(0).map(({ wantData, partitions, forgotten }) => {
      const named = partitions.map((p) => `${p.partition}@${p.fetchOffset}/${p.flushedOffset}`);
      return [wantData ? 'fetch' : 'tell', ...named, ...forgotten.map((p) => `-${p.partition}`)].join(' ');
    });
    return heard;
  }

  async answer(...partitions: (Partial<Answer> & { partition: number; fetchOffset: number })[]): Promise<void> {
    this.#stream?.send({
      partitions: partitions.map((one) => ({
        topicId,
        errorCode: 0,
        leaderEpoch: term.leaderEpoch,
        highWatermark: 0,
        logStartOffset: 0,
        diverging: undefined,
        records: [],
        ...one,
      })),
    });
    await this.run();
  }

  breakStream(): void {
    this.#stream?.fail();
  }
}

function records(baseOffset: number, count = 1, leaderEpoch = term.leaderEpoch): Uint8Array {
  const bytes = batch(count);
  stampBatches(bytes, { baseOffset, leaderEpoch, logAppendTimeMs: undefined });
  return bytes;
}

describe('a follower tells its leader what has changed', () => {
  test('everything once, then only what moved; a sync is told without a fetch', async () => {
    const follower = await Follower.start(3);
    expect(follower.heard()).toEqual(['fetch 0@0/0 1@0/0 2@0/0']);
    await follower.answer();
    expect(follower.heard()).toEqual(['fetch']);
    await follower.answer({ partition: 1, fetchOffset: 0, records: [records(0, 2)] });
    expect(follower.heard()).toEqual(['fetch 1@2/0', 'tell 1@2/2']);
    await follower.answer({ partition: 1, fetchOffset: 2, highWatermark: 2 });
    expect(follower.partitions[1]?.highWatermark).toBe(2);
    expect(follower.heard()).toEqual(['fetch']);
  });

  test('a stream that breaks takes the session with it: the next one begins with everything', async () => {
    const follower = await Follower.start(2);
    await follower.answer({ partition: 1, fetchOffset: 0, records: [records(0)] });
    follower.heard();
    follower.breakStream();
    await follower.run(500);
    expect(follower.streams).toBe(2);
    expect(follower.heard()).toEqual(['fetch 0@0/0 1@1/1']);
  });

  test('partitions come and go without a fetch while one waits', async () => {
    const follower = await Follower.start(2);
    follower.heard();
    follower.fetcher.remove(follower.partitions[0] as Partition);
    await follower.run();
    expect(follower.heard()).toEqual(['tell -0']);
    follower.fetcher.add(follower.partitions[0] as Partition, term);
    await follower.run();
    expect(follower.heard()).toEqual(['tell 0@0/0']);
  });

  test('row 4: an epoch ends: the position is forgotten no later than anything else is said', async () => {
    const follower = await Follower.start(2);
    follower.heard();
    const [first, second] = follower.partitions as [Partition, Partition];
    follower.fetcher.remove(first);
    await follower.answer({ partition: 1, fetchOffset: 0, records: [records(0)] });
    expect(follower.heard()[0]).toContain('-0');
    expect(second.log.logEndOffset).toBe(1);
  });
});

describe('an answer that crosses a change', () => {
  test('of another epoch is nobody’s', async () => {
    const follower = await Follower.start(1);
    const [partition] = follower.partitions as [Partition];
    const next = { leader: 2, leaderEpoch: 6 };
    follower.fetcher.remove(partition);
    partition.follow(next);
    follower.fetcher.add(partition, next);
    await follower.answer({ partition: 0, fetchOffset: 0, diverging: { epoch: 3, endOffset: 0 } });
    expect(partition.log.logEndOffset).toBe(0);
    follower.heard();
    await follower.answer({ partition: 0, fetchOffset: 0, leaderEpoch: 6, records: [records(0, 1, 6)] });
    expect(follower.heard()[0]).toBe('fetch 0@1/0');
  });

  test('to another offset appends nothing and cuts nothing, and the leader hears where the log is', async () => {
    const follower = await Follower.start(1);
    const [partition] = follower.partitions as [Partition];
    await follower.answer({ partition: 0, fetchOffset: 0, records: [records(0, 3)] });
    follower.heard();
    await follower.answer({ partition: 0, fetchOffset: 2, records: [records(2)] });
    expect(follower.heard()).toEqual(['fetch 0@3/3']);
    await follower.answer({ partition: 0, fetchOffset: 7, diverging: { epoch: 5, endOffset: 1 } });
    expect(follower.heard()).toEqual(['fetch 0@3/3']);
    expect(partition.log.logEndOffset).toBe(3);
  });
});

describe('a partition that is in the session no more', () => {
  test('KIP-279: a divergence is cut and named again', async () => {
    const follower = await Follower.start(1);
    const [partition] = follower.partitions as [Partition];
    await follower.answer({ partition: 0, fetchOffset: 0, records: [records(0, 5)] });
    await follower.answer({ partition: 0, fetchOffset: 5, records: [records(5, 2)] });
    follower.heard();
    await follower.answer({ partition: 0, fetchOffset: 7, diverging: { epoch: 5, endOffset: 5 } });
    await follower.run(100);
    expect(partition.log.logEndOffset).toBe(5);
    expect(follower.heard()).toEqual(['fetch', 'tell 0@5/5']);
  });

  test('row 21: what cannot be appended is forgotten for a while instead of coming again and again', async () => {
    const follower = await Follower.start(2);
    follower.heard();
    const bad = records(0);
    bad[70] = (bad[70] as number) ^ 1;
    await follower.answer({ partition: 0, fetchOffset: 0, records: [bad] });
    await follower.run(300);
    expect(follower.heard()).toEqual(['fetch -0', 'tell 0@0/0']);
  });

  test('what the leader refuses is named again after a pause, and keeps nothing else waiting', async () => {
    const follower = await Follower.start(2);
    follower.heard();
    await follower.answer({ partition: 0, fetchOffset: 0, errorCode: errorCodes.NOT_LEADER_OR_FOLLOWER });
    await follower.answer({ partition: 1, fetchOffset: 0, records: [records(0)] });
    await follower.run(300);
    expect(follower.heard().sort()).toEqual(['fetch', 'fetch 1@1/0', 'tell 0@0/0', 'tell 1@1/1']);
  });
});
