import {
  Client,
  type Consumer,
  type ConsumerOptions,
  InconsistentGroupProtocolError,
  type TopicPartition,
} from '@naru/client';
import { sleep } from '@naru/runtime';
import type { SimulatedNode } from '@naru/runtime/simulated';
import { describe, expect, test } from 'vitest';
import { SimulatedCluster } from './simulated-cluster.ts';

const partitionsCount = 6;
const recordsCount = 600;
const settleMs = 60_000;
const sessionTimeoutMs = 6_000;

/** What a test knows of the group from outside: who holds what, who processed what. */
class GroupWatch {
  readonly holders = new Map<number, Set<Worker>>();
  readonly processed = new Set<string>();
  processedCount = 0;
  readonly violations: string[] = [];

  take(worker: Worker, partitions: readonly TopicPartition[]): void {
    for (const { partition } of partitions) {
      const holders = this.holders.get(partition) ?? new Set();
      this.holders.set(partition, holders);
      const others = [...holders].filter((other) => other !== worker);
      if (others.length > 0) {
        this.violations.push(`${worker.name} was given ${partition}, which ${others.map((o) => o.name)} holds (G1)`);
      }
      holders.add(worker);
    }
  }

  /** Nothing that was committed is taken back, and nothing is committed that is not processed (G3, G4, G6; so it is below the high watermark, G5). */
  watchCommits(cluster: SimulatedCluster): void {
    const committed = new Map<number, number>();
    cluster.sim.afterEvent(() => {
      for (const shard of cluster.brokers.flatMap(({ groups }) => groups.shards)) {
        for (const { partition, value } of shard.committed.allOffsetsOf('workers')) {
          const before = committed.get(partition) ?? 0;
          committed.set(partition, value.offset);
          if (value.offset < before) this.violations.push(`${partition}: ${value.offset} after ${before} (G4)`);
          for (let offset = before; offset < value.offset; offset++) {
            const record = `v${offset * partitionsCount + partition}`;
            if (!this.processed.has(record)) this.violations.push(`${record} is committed, and not processed (G6)`);
          }
        }
      }
    });
  }

  give(worker: Worker, partitions: readonly TopicPartition[]): void {
    for (const { partition } of partitions) this.holders.get(partition)?.delete(worker);
  }

  forget(worker: Worker): void {
    for (const holders of this.holders.values()) holders.delete(worker);
  }
}

/** A machine with one member of the group, which processes what it reads: a set, and then the offset. */
class Worker {
  readonly name: string;
  readonly node: SimulatedNode;
  readonly consumer: Consumer;
  readonly #watch: GroupWatch;
  readonly #stop = new AbortController();
  error: unknown;
  done: Promise<void> = Promise.resolve();

  constructor(cluster: SimulatedCluster, name: string, watch: GroupWatch, options: ConsumerOptions<Buffer, Buffer>) {
    this.name = name;
    this.node = cluster.sim.addNode(name);
    this.#watch = watch;
    const bootstrapServers = cluster.brokerIds.map((id) => `b${id}:9092`).join(',');
    this.consumer = new Client({ bootstrapServers, runtime: this.node.runtime }).consumer({
      groupId: 'workers',
      autoOffsetReset: 'earliest',
      autoCommitIntervalMs: 300,
      maxPollRecords: 10,
      ...options,
    });
  }

  start(): this {
    this.consumer.subscribe(['work'], {
      onPartitionsAssigned: (partitions) => this.#watch.take(this, partitions),
      onPartitionsRevoked: (partitions) => this.#watch.give(this, partitions),
    });
    this.done = this.#work().catch((error: unknown) => {
      this.error = error;
    });
    return this;
  }

  /** Ends as a good program does. */
  async leave(): Promise<void> {
    this.#stop.abort();
    await this.done;
    // The loop came to its end, so the last records are processed, too.
    await this.consumer.commitSync();
    await this.consumer.close();
  }

  kill(): void {
    this.node.crash();
    this.#watch.forget(this);
  }

  async #work(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      for (const record of await this.consumer.poll(200)) {
        this.#watch.processed.add((record.value as Buffer).toString());
        this.#watch.processedCount++;
      }
      await sleep(this.node.runtime.timers, 20);
    }
  }
}

/** Assignors of the members, or `uniform`, which is the coordinator's. */
function protocolOf(strategy: string): ConsumerOptions<Buffer, Buffer> {
  if (strategy === 'uniform') return { groupProtocol: 'consumer', groupRemoteAssignor: strategy };
  return { partitionAssignmentStrategy: strategy, sessionTimeoutMs, heartbeatIntervalMs: 500 };
}

async function setUp(seed: number, strategy: string, brokerConfig: Record<string, unknown> = {}) {
  const cluster = await SimulatedCluster.start({
    seed,
    coordinators: 1,
    brokerConfig: {
      'offsets.topic.num.partitions': 3,
      'offsets.topic.replication.factor': 3,
      'group.initial.rebalance.delay.ms': 100,
      'group.consumer.min.session.timeout.ms': sessionTimeoutMs,
      'group.consumer.session.timeout.ms': sessionTimeoutMs,
      'group.consumer.min.heartbeat.interval.ms': 500,
      'group.consumer.heartbeat.interval.ms': 500,
      ...brokerConfig,
    },
  });
  await cluster.createTopic('work', partitionsCount, 3, { 'min.insync.replicas': '2' });
  for (let partition = 0; partition < partitionsCount; partition++) await cluster.untilLed('work', partition);
  const watch = new GroupWatch();
  let count = 0;
  const addWorker = (options: ConsumerOptions<Buffer, Buffer> = {}, its = strategy): Worker =>
    new Worker(cluster, `w${++count}`, watch, { ...protocolOf(its), ...options }).start();
  return { cluster, watch, addWorker };
}

function typeOf({ brokers }: SimulatedCluster): string {
  const shards = brokers.flatMap(({ groups }) => groups.shards);
  return shards.some(({ consumerGroups }) => consumerGroups.has('workers')) ? 'Consumer' : 'Classic';
}

/** Values v0…; one every few milliseconds, so that members come and go in between. */
async function produce(cluster: SimulatedCluster, pauseMs: number): Promise<void> {
  const client = new Client({ bootstrapServers: 'b1:9092,b2:9092,b3:9092', runtime: cluster.client.runtime });
  const producer = client.producer({ lingerMs: 0 });
  for (let i = 0; i < recordsCount; i++) {
    await producer.send({ topic: 'work', partition: i % partitionsCount, value: `v${i}` });
    await sleep(cluster.client.runtime.timers, pauseMs);
  }
  await client.close();
}

async function expectAllProcessed(cluster: SimulatedCluster, watch: GroupWatch, workers: Worker[]): Promise<void> {
  await cluster.sim.runUntil(() => watch.processed.size === recordsCount, settleMs).catch(() => undefined);
  const missing = Array.from({ length: recordsCount }, (_, i) => `v${i}`).filter((v) => !watch.processed.has(v));
  expect(missing, 'processed and then committed: nothing is passed over (G6)').toEqual([]);
  expect(watch.violations).toEqual([]);
  for (const worker of workers) expect(worker.error, worker.name).toBeUndefined();
  expect(cluster.failures).toEqual([]);
}

const strategies = ['range', 'cooperative-sticky', 'uniform'];

describe('consumer groups with real brokers', () => {
  test.each(strategies)(
    'members come and go in order: every record once, every partition at one (G1, G6), %s',
    async (strategy) => {
      const { cluster, watch, addWorker } = await setUp(31, strategy);
      const producing = produce(cluster, 20);
      const workers = [addWorker()];
      await cluster.sim.runFor(3_000);
      workers.push(addWorker());
      await cluster.sim.runFor(3_000);
      workers.push(addWorker());
      await cluster.sim.runFor(3_000);
      await cluster.sim.complete((workers[0] as Worker).leave());
      await cluster.sim.complete(producing);
      await expectAllProcessed(cluster, watch, workers);
      expect(watch.processedCount, 'nothing twice: offsets were committed on revoke').toBe(recordsCount);
      const held = workers.slice(1).map((worker) => worker.consumer.assignment().length);
      expect(held).toEqual([3, 3]);
    },
  );

  test.each(strategies)('a rebalance is heard of when it begins, not a heartbeat later, %s', async (strategy) => {
    const { cluster, addWorker } = await setUp(36, strategy);
    const slow = strategy === 'uniform' ? {} : { heartbeatIntervalMs: 3_000, sessionTimeoutMs: 45_000 };
    const workers = [addWorker(slow), addWorker(slow), addWorker(slow)];
    const isShared = (of: readonly Worker[]): boolean =>
      of.every(({ consumer }) => consumer.assignment().length === partitionsCount / of.length);
    await cluster.sim.runUntil(() => isShared(workers), settleMs);
    await cluster.sim.runFor(1_000);
    await cluster.sim.complete((workers[0] as Worker).leave());
    await cluster.sim.runUntil(() => isShared(workers.slice(1)), 1_000);
    workers.push(addWorker(slow));
    await cluster.sim.runUntil(() => isShared(workers.slice(1)), 1_000);
  });

  test.each(strategies)('a member is killed: the others go on from its last commit (G6), %s', async (strategy) => {
    const { cluster, watch, addWorker } = await setUp(32, strategy);
    const producing = produce(cluster, 20);
    const workers = [addWorker(), addWorker(), addWorker()];
    await cluster.sim.runFor(4_000);
    (workers[1] as Worker).kill();
    await cluster.sim.runFor(9_000);
    (workers[2] as Worker).kill();
    workers.push(addWorker());
    await cluster.sim.complete(producing);
    await expectAllProcessed(cluster, watch, workers);
  });

  test.each(strategies)('the coordinator of the group is killed again and again (G1, G3, G6), %s', async (strategy) => {
    const { cluster, watch, addWorker } = await setUp(33, strategy);
    const producing = produce(cluster, 30);
    const workers = [addWorker(), addWorker()];
    for (let i = 0; i < 3; i++) {
      await cluster.sim.runFor(3_000);
      const coordinator = (workers[0] as Worker).consumer.health().coordinator;
      if (coordinator < 0) continue;
      cluster.crashBroker(coordinator);
      if (i === 1) workers.push(addWorker());
      await cluster.sim.runFor(3_000);
      cluster.restartLater(coordinator);
    }
    await cluster.sim.complete(producing, 120_000);
    await expectAllProcessed(cluster, watch, workers);
  });

  test('group.consumer.migration.policy=disabled: with classic members, one of the other protocol is told so; when they have left, it may come', async () => {
    const { cluster, addWorker } = await setUp(37, 'range', { 'group.consumer.migration.policy': 'disabled' });
    const inside = addWorker();
    await cluster.sim.runUntil(() => inside.consumer.assignment().length === partitionsCount, settleMs);
    const other = addWorker({}, 'uniform');
    await cluster.sim.runUntil(() => other.error !== undefined, settleMs);
    expect(other.error).toBeInstanceOf(InconsistentGroupProtocolError);
    expect(String(other.error)).toContain('online upgrade is disabled');
    expect(inside.consumer.assignment()).toHaveLength(partitionsCount);
    await cluster.sim.complete(inside.leave());
    await cluster.sim.complete(other.consumer.close());
    const next = addWorker({}, 'uniform');
    await cluster.sim.runUntil(() => next.consumer.assignment().length === partitionsCount, settleMs);
    expect(cluster.failures).toEqual([]);
  });

  test.each(['range', 'cooperative-sticky'])(
    'a group is upgraded member by member while it works, and downgraded again (KIP-848; G1, G3–G6), %s',
    async (classic) => {
      const { cluster, watch, addWorker } = await setUp(38, classic);
      const { sim } = cluster;
      watch.watchCommits(cluster);
      const producing = produce(cluster, 50);
      const workers = [addWorker(), addWorker(), addWorker()];
      const areSettled = (): boolean =>
        workers.every(({ consumer }) => consumer.assignment().length === partitionsCount / workers.length);
      await sim.runUntil(areSettled, settleMs);
      const types: string[] = [];
      for (const protocol of ['uniform', classic]) {
        for (let i = 0; i < workers.length; i++) {
          await sim.complete((workers[i] as Worker).leave());
          workers[i] = addWorker({}, protocol);
          await sim.runUntil(areSettled, settleMs);
          types.push(typeOf(cluster));
        }
      }
      // The last classic member of the first row, the last of the others of the second.
      expect(types).toEqual(['Consumer', 'Consumer', 'Consumer', 'Consumer', 'Consumer', 'Classic']);
      await sim.complete(producing, settleMs);
      await expectAllProcessed(cluster, watch, workers);
      expect(watch.processedCount, 'a planned change repeats nothing: members commit when they give up').toBe(
        recordsCount,
      );
    },
  );

  test.each(['upgrade', 'downgrade'])(
    'the coordinator dies in the moment of the %s: the group is of the one kind or of the other, and goes on (G1, G3–G6)',
    async (change) => {
      const { cluster, watch, addWorker } = await setUp(39, 'cooperative-sticky');
      const { sim } = cluster;
      watch.watchCommits(cluster);
      const producing = produce(cluster, 30);
      const workers = [addWorker(), addWorker()];
      const areSettled = (): boolean => {
        const held = workers.map(({ consumer }) => consumer.assignment().length);
        return held.every((count) => count > 0) && held.reduce((sum, count) => sum + count) === partitionsCount;
      };
      await sim.runUntil(areSettled, settleMs);
      let leaving: Promise<void> = Promise.resolve();
      workers.push(addWorker({}, 'uniform'));
      if (change === 'downgrade') {
        await sim.runUntil(areSettled, settleMs);
        leaving = (workers.pop() as Worker).leave();
      }
      await sim.runUntil(() => typeOf(cluster) === (change === 'upgrade' ? 'Consumer' : 'Classic'), settleMs);
      // Appended, and not replicated yet.
      const dying = cluster.brokers.find(({ groups }) =>
        groups.shards.some((shard) => shard.find('workers') !== undefined),
      );
      cluster.crashBroker(dying?.id ?? 0);
      await sim.runFor(2_000);
      cluster.restartLater(dying?.id ?? 0);
      await sim.complete(leaving, settleMs);
      await sim.runUntil(areSettled, settleMs);
      await sim.complete(producing, settleMs);
      await expectAllProcessed(cluster, watch, workers);
    },
  );

  const cooperative = strategies.slice(1);

  test.each(cooperative)(
    'a member that is frozen for longer than its session joins anew (row 49), %s',
    async (strategy) => {
      const { cluster, watch, addWorker } = await setUp(34, strategy);
      const producing = produce(cluster, 20);
      const workers = [addWorker(), addWorker()];
      await cluster.sim.runFor(4_000);
      const frozen = workers[0] as Worker;
      frozen.node.pause();
      // For the group it is dead; it is told when it wakes.
      watch.forget(frozen);
      await cluster.sim.runFor(10_000);
      frozen.node.resume();
      await cluster.sim.complete(producing);
      await expectAllProcessed(cluster, watch, workers);
      await cluster.sim.runUntil(() => workers.every((worker) => worker.consumer.assignment().length === 3), settleMs);
    },
  );

  test.each(strategies)(
    'committed offsets and their epoch survive the coordinator and the group (G3), %s',
    async (strategy) => {
      const { cluster, watch, addWorker } = await setUp(35, strategy);
      await cluster.sim.complete(produce(cluster, 1));
      const worker = addWorker();
      await cluster.sim.runUntil(() => watch.processed.size === recordsCount, settleMs);
      await cluster.sim.complete(worker.leave());
      cluster.losePowerOfAll();
      await cluster.restartAll();
      const again = addWorker();
      await cluster.sim.runUntil(() => again.consumer.assignment().length === partitionsCount, settleMs);
      await cluster.sim.runFor(2_000);
      const committed = await cluster.sim.complete(again.consumer.committed(again.consumer.assignment()));
      const total = committed.reduce((sum, { offset }) => sum + Number(offset ?? 0n), 0);
      expect(total).toBe(recordsCount);
      expect(watch.processedCount, 'nothing is read again').toBe(recordsCount);
      expect(committed.every(({ leaderEpoch }) => leaderEpoch !== undefined)).toBe(true);
    },
  );
});
