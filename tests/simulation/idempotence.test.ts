import { Client, type Producer } from '@naru/client';
import type { Random } from '@naru/runtime';
import { describe, expect, test } from 'vitest';
import { SimulatedCluster } from './simulated-cluster.ts';
import { readAll, replicaBytes } from './workload.ts';

/** More with NARU_SEEDS=100; one alone with NARU_SEED=17. */
const seeds =
  process.env.NARU_SEED !== undefined
    ? [Number(process.env.NARU_SEED)]
    : Array.from({ length: Number(process.env.NARU_SEEDS ?? 5) }, (_, i) => i + 1);

const topic = 'events';
const partitions = 2;
const producersCount = 2;

interface Sent {
  readonly value: string;
  /** Undefined while nothing is known. */
  outcome: { readonly offset: number } | 'definite' | 'indefinite' | undefined;
}

/** Sends numbered values to every partition without waiting for answers, and notes what became of each. */
class Writer {
  readonly sent: Sent[][] = Array.from({ length: partitions }, () => []);
  readonly #name: string;
  readonly #producer: Producer<string, string>;
  readonly #cluster: SimulatedCluster;
  #isStopped = false;

  constructor(cluster: SimulatedCluster, client: Client, name: string, enableIdempotence: boolean) {
    this.#cluster = cluster;
    this.#name = name;
    this.#producer = client.producer({
      enableIdempotence,
      lingerMs: 2,
      batchSize: 200,
      requestTimeoutMs: 3_000,
      deliveryTimeoutMs: 10_000,
      bufferMemory: 100_000,
      // Back at once, so that the next reset meets requests.
      reconnectBackoffMs: 5,
      reconnectBackoffMaxMs: 50,
    });
    this.#sendNext();
  }

  get ackedCount(): number {
    return this.sent.flat().filter(({ outcome }) => typeof outcome === 'object').length;
  }

  get retries(): number {
    return this.#producer.counters.retries;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#producer.close();
  }

  #sendNext(): void {
    if (this.#isStopped) return;
    for (const [partition, list] of this.sent.entries()) {
      if (list.length > 0 && list.filter((entry) => entry.outcome === undefined).length > 200) continue;
      const entry: Sent = { value: `${this.#name}-${partition}-${list.length}`, outcome: undefined };
      list.push(entry);
      this.#producer.send({ topic, partition, value: entry.value }, (error, metadata) => {
        entry.outcome = error === null ? { offset: Number(metadata?.offset) } : error.outcome;
      });
    }
    this.#cluster.client.runtime.timers.after(this.#cluster.sim.random.nextInt(20), () => this.#sendNext());
  }
}

type Fault = (cluster: SimulatedCluster, random: Random) => void;

function leader(cluster: SimulatedCluster, random: Random): number | undefined {
  return cluster.leaderOf(topic, random.nextInt(partitions));
}

const faults = {
  /** The answer is lost, the append is not: what idempotence is for. */
  reset: (cluster: SimulatedCluster) => {
    for (const id of cluster.brokerIds) cluster.sim.network.resetConnections(`b${id}`, 'client');
  },
  killLeader: (cluster: SimulatedCluster, random: Random) => {
    const id = leader(cluster, random);
    if (id === undefined) return;
    cluster.crashBroker(id);
    cluster.sim.at(random.nextInt(3_000), () => cluster.restartLater(id));
  },
  powerLossOfLeader: (cluster: SimulatedCluster, random: Random) => {
    const id = leader(cluster, random);
    if (id === undefined) return;
    cluster.losePowerOfBroker(id);
    cluster.sim.at(random.nextInt(3_000), () => cluster.restartLater(id));
  },
  isolateLeader: (cluster: SimulatedCluster, random: Random) => {
    const id = leader(cluster, random);
    if (id !== undefined) cluster.sim.network.isolate(`b${id}`);
  },
  cutFromClient: (cluster: SimulatedCluster, random: Random) => {
    const id = leader(cluster, random);
    if (id !== undefined) cluster.sim.network.cut(`b${id}`, 'client', { oneWay: random.nextFloat() < 0.5 });
  },
  pauseLeader: (cluster: SimulatedCluster, random: Random) => {
    const id = leader(cluster, random);
    if (id === undefined) return;
    const node = cluster.node(`b${id}`);
    node.pause();
    cluster.sim.at(10 + random.nextInt(6_000), () => node.resume());
  },
  heal: (cluster: SimulatedCluster) => cluster.sim.network.healAll(),
} satisfies Readonly<Record<string, Fault>>;

async function start(
  seed: number,
  { enableIdempotence = true } = {},
): Promise<{ cluster: SimulatedCluster; writers: Writer[] }> {
  const brokerConfig = { 'replica.lag.time.max.ms': 2_000, 'session.timeout.ms': 2_000 };
  const cluster = await SimulatedCluster.start({ seed, brokerConfig });
  await cluster.createTopic(topic, partitions, 3, { 'min.insync.replicas': '2', 'segment.bytes': '1048576' });
  for (let partition = 0; partition < partitions; partition++) await cluster.untilLed(topic, partition);
  const bootstrapServers = cluster.brokerIds.map((id) => `b${id}:9092`).join(',');
  const client = new Client({ bootstrapServers, runtime: cluster.client.runtime });
  const writers = Array.from(
    { length: producersCount },
    (_, i) => new Writer(cluster, client, `w${i}`, enableIdempotence),
  );
  return { cluster, writers };
}

async function settle(cluster: SimulatedCluster, writers: readonly Writer[]): Promise<void> {
  const { sim } = cluster;
  sim.network.healAll();
  await sim.runFor(8_000);
  for (const id of cluster.brokerIds) {
    const node = cluster.node(`b${id}`);
    if (node.paused) node.resume();
    if (!node.alive) cluster.restartLater(id);
  }
  const goals = writers.map((writer) => writer.ackedCount + 50);
  await sim.runUntil(() => writers.every((writer, i) => writer.ackedCount > (goals[i] as number)), 120_000);
  await sim.complete(Promise.all(writers.map((writer) => writer.stop())), 60_000);
  const isWhole = (): boolean => [0, 1].every((partition) => cluster.isrOf(topic, partition).length === 3);
  await sim.runUntil(isWhole, 120_000);
  await sim.runFor(2_000);
  expect(cluster.failures).toEqual([]);
}

/** C1, C3, C4, C5 and L7, from what the writers were told and what a consumer reads. */
async function check(cluster: SimulatedCluster, writers: readonly Writer[]): Promise<void> {
  for (let partition = 0; partition < partitions; partition++) {
    const log = await cluster.sim.complete(readAll(cluster, topic, partition));
    const places = new Map<string, number>();
    for (const [offset, value] of log) {
      expect(places.get(value), `C4: ${value} is at ${places.get(value)} and at ${offset}`).toBeUndefined();
      places.set(value, offset);
    }
    for (const writer of writers) {
      let last = -1;
      for (const { value, outcome } of writer.sent[partition] as Sent[]) {
        const place = places.get(value);
        if (typeof outcome === 'object') expect(place, `C1: ${value}`).toBe(outcome.offset);
        if (outcome === 'definite') expect(place, `C3: ${value} was not written for certain`).toBeUndefined();
        if (place === undefined) continue;
        expect(place, `C5: ${value}`).toBeGreaterThan(last);
        last = place;
      }
    }
    const replicas = await cluster.sim.complete(replicaBytes(cluster, topic, partition));
    expect(new Set(replicas.values()).size, `L7: partition ${partition}`).toBe(1);
  }
}

describe('idempotent producers: each value once (C4), in order (C5), where it was said (C1)', {
  timeout: 120_000,
}, () => {
  test('row 39: replies that are lost after the append', async () => {
    const { cluster, writers } = await start(1);
    for (let i = 0; i < 60; i++) {
      await cluster.sim.runFor(50);
      faults.reset(cluster);
    }
    await settle(cluster, writers);
    expect(writers.reduce((sum, writer) => sum + writer.retries, 0)).toBeGreaterThan(5);
    await check(cluster, writers);
  });

  test('without idempotence the same faults write values twice: the checks can fail', async () => {
    const { cluster, writers } = await start(1, { enableIdempotence: false });
    for (let i = 0; i < 60; i++) {
      await cluster.sim.runFor(50);
      faults.reset(cluster);
    }
    await settle(cluster, writers);
    await expect(check(cluster, writers)).rejects.toThrow('C4');
  });

  test('row 39: the leader is killed again and again; its followers know what it knew', async () => {
    const { cluster, writers } = await start(2);
    for (let i = 0; i < 4; i++) {
      await cluster.sim.runFor(1_000);
      const id = cluster.leaderOf(topic, 0);
      if (id === undefined) continue;
      cluster.crashBroker(id);
      await cluster.sim.runFor(2_500);
      cluster.restartLater(id);
      await cluster.sim.runFor(3_000);
    }
    await settle(cluster, writers);
    await check(cluster, writers);
  });

  test('everything loses its power at once: the state comes back from snapshots and batches', async () => {
    const { cluster, writers } = await start(3);
    for (let i = 0; i < 2; i++) {
      await cluster.sim.runFor(1_000);
      cluster.losePowerOfAll();
      await cluster.sim.runFor(500);
      await cluster.restartAll();
    }
    await settle(cluster, writers);
    await check(cluster, writers);
  });

  for (const seed of seeds) {
    test(`whatever happens, seed ${seed}`, async () => {
      const { cluster, writers } = await start(seed);
      const { random } = cluster.sim;
      const names = Object.keys(faults) as (keyof typeof faults)[];
      for (let i = 0; i < 14; i++) {
        await cluster.sim.runFor(random.nextInt(2_500));
        const name = names[random.nextInt(names.length)] as keyof typeof faults;
        cluster.sim.trace(`fault ${name}`);
        (faults[name] as Fault)(cluster, random);
      }
      await settle(cluster, writers);
      await check(cluster, writers);
      // A run in which nothing was written, or nothing came again, proves nothing.
      expect(writers.reduce((sum, writer) => sum + writer.ackedCount, 0)).toBeGreaterThan(500);
      expect(writers.reduce((sum, writer) => sum + writer.retries, 0)).toBeGreaterThan(0);
    });
  }
});
