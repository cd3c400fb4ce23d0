import { Client, type Consumer, type ConsumerOptions, type TopicPartition, WakeupError } from '@naru/client';
import { type Random, sleep } from '@naru/runtime';
import type { SimulatedNode } from '@naru/runtime/simulated';
import { expect } from 'vitest';
import { SimulatedCluster } from './simulated-cluster.ts';

const partitionsCount = 4;
const recordsCount = 400;
const workersCount = 3;
const faultsMs = 40_000;
const settleMs = 120_000;
export const sessionTimeoutMs = 6_000;
const bootstrapServers = 'b1:9092,b2:9092,b3:9092';

type Style = 'poll' | 'iterate' | 'run' | 'manual';

/** A machine on which an application is started again whenever it died. */
class Machine {
  readonly node: SimulatedNode;
  readonly style: Style;
  readonly #options: () => ConsumerOptions<Buffer, Buffer>;
  readonly #story: Story;
  /** Undefined while it ends or is down. */
  consumer: Consumer | undefined;
  latest: Consumer | undefined;
  stop = new AbortController();
  done: Promise<void> = Promise.resolve();
  error: unknown;

  constructor(
    cluster: SimulatedCluster,
    index: number,
    story: Story,
    style: Style,
    options: () => ConsumerOptions<Buffer, Buffer>,
  ) {
    this.node = cluster.sim.addNode(`w${index}`);
    this.style = style;
    this.#options = options;
    this.#story = story;
  }

  get isRunning(): boolean {
    return this.consumer !== undefined;
  }

  start(): void {
    const { runtime } = this.node;
    const client = new Client({ bootstrapServers, runtime });
    const consumer = client.consumer({
      groupId: 'workers',
      autoOffsetReset: 'earliest',
      enableAutoCommit: this.style !== 'manual',
      autoCommitIntervalMs: 300,
      maxPollIntervalMs: 15_000,
      maxPollRecords: 10,
      ...this.#options(),
    });
    this.consumer = consumer;
    this.latest = consumer;
    this.stop = new AbortController();
    const { signal } = this.stop;
    consumer.subscribe(['work'], {
      onPartitionsAssigned: (partitions) => this.#story.take(this, partitions),
      onPartitionsRevoked: (partitions) => this.#story.give(this, partitions),
    });
    this.done = this.#work(consumer, signal)
      .catch((error: unknown) => {
        if (!signal.aborted && !(error instanceof WakeupError)) this.error = error;
      })
      .then(() => client.close({ timeoutMs: 5_000 }));
  }

  /** As SIGTERM. */
  end(): Promise<void> {
    this.stop.abort();
    this.consumer?.wakeup();
    this.consumer = undefined;
    return this.done;
  }

  kill(): void {
    this.node.crash();
    this.consumer = undefined;
    this.#story.forget(this);
  }

  async #work(consumer: Consumer, signal: AbortSignal): Promise<void> {
    const { timers } = this.node.runtime;
    const handle = async (record: { readonly value: Buffer | null }): Promise<void> => {
      await sleep(timers, 5);
      this.#story.process(record.value as Buffer);
    };
    if (this.style === 'run') return consumer.run({ concurrency: 3, orderBy: 'key', signal }, handle);
    if (this.style === 'iterate') {
      for await (const record of consumer) {
        await handle(record);
        if (signal.aborted) return;
      }
    }
    while (!signal.aborted) {
      for (const record of await consumer.poll(200)) await handle(record);
      if (this.style === 'manual') await consumer.commitSync().catch(() => undefined);
    }
  }
}

/** What is known of the group from outside. */
class Story {
  readonly processed = new Set<string>();
  readonly violations: string[] = [];
  readonly #holders = new Map<number, Set<Machine>>();
  readonly #cluster: SimulatedCluster;

  constructor(cluster: SimulatedCluster) {
    this.#cluster = cluster;
  }

  /** Nobody else may hold it, but for machines that are frozen: those act on nothing, and learn of their loss before they do. */
  take(machine: Machine, partitions: readonly TopicPartition[]): void {
    for (const { partition } of partitions) {
      const holders = this.#holders.get(partition) ?? new Set();
      this.#holders.set(partition, holders);
      for (const other of holders) {
        const health = other.latest?.health();
        // One that knows it is out hands out nothing; its listener hears of it at the next poll.
        if (other === machine || other.node.paused || health?.status === 'lost') continue;
        const who = `${machine.node.name} (${machine.style}) got ${partition}, held by ${other.node.name} (${other.style})`;
        this.violations.push(`at ${this.#cluster.sim.nowMs} ${who}: ${JSON.stringify(health)}`);
      }
      holders.add(machine);
    }
  }

  give(machine: Machine, partitions: readonly TopicPartition[]): void {
    for (const { partition } of partitions) this.#holders.get(partition)?.delete(machine);
  }

  forget(machine: Machine): void {
    for (const holders of this.#holders.values()) holders.delete(machine);
  }

  process(value: Buffer): void {
    this.processed.add(value.toString());
  }
}

/** One thing goes wrong, and is mended later. */
function disturb(cluster: SimulatedCluster, machines: readonly Machine[]): void {
  const { sim } = cluster;
  const { random, network } = sim;
  const machine = machines[random.nextInt(machines.length)] as Machine;
  const brokerId = 1 + random.nextInt(3);
  const mendMs = 200 + random.nextInt(9_000);
  const kind = random.nextInt(8);
  if (process.env.GROUP_STORY) console.log(sim.nowMs | 0, kind, machine.node.name, `b${brokerId}`, mendMs);
  switch (kind) {
    case 0:
      if (!machine.isRunning || machine.node.paused) return;
      machine.kill();
      sim.at(mendMs, () => {
        machine.node.restart();
        machine.start();
      });
      return;
    case 1:
      if (!machine.isRunning || machine.node.paused) return;
      void machine.end().then(() => {
        if (machine.node.alive) machine.start();
      });
      return;
    case 2:
      if (!machine.node.alive || machine.node.paused) return;
      machine.node.pause();
      sim.at(mendMs, () => machine.node.resume());
      return;
    case 3:
      network.cut(machine.node.name, `b${brokerId}`);
      sim.at(mendMs, () => network.heal(machine.node.name, `b${brokerId}`));
      return;
    case 4:
      for (const id of [1, 2, 3]) network.cut(machine.node.name, `b${id}`);
      sim.at(mendMs, () => {
        for (const id of [1, 2, 3]) network.heal(machine.node.name, `b${id}`);
      });
      return;
    case 5:
      network.resetConnections(machine.node.name, `b${brokerId}`);
      return;
    default:
      // One broker at a time: all partitions stay writable.
      if (cluster.brokers.length < 3 || cluster.brokerIds.some((id) => cluster.node(`b${id}`).paused)) return;
      if (random.nextInt(2) === 0) {
        cluster.crashBroker(brokerId);
        sim.at(mendMs, () => cluster.restartLater(brokerId));
      } else {
        cluster.node(`b${brokerId}`).pause();
        sim.at(mendMs, () => cluster.node(`b${brokerId}`).resume());
      }
  }
}

async function produce(cluster: SimulatedCluster): Promise<void> {
  const client = new Client({ bootstrapServers, runtime: cluster.client.runtime });
  const producer = client.producer({ lingerMs: 0, deliveryTimeoutMs: 300_000 });
  for (let i = 0; i < recordsCount; i++) {
    await producer.send({ topic: 'work', partition: i % partitionsCount, key: `k${i % 7}`, value: `v${i}` });
    await sleep(cluster.client.runtime.timers, 100);
  }
  await client.close();
}

type MemberOptions = ConsumerOptions<Buffer, Buffer>;
/** Client options of the members, drawn from the seed: for all of them, or for each whenever it is started. */
export type DrawOptions = (random: Random) => MemberOptions | (() => MemberOptions);

/** Seeds `START-END` from the environment, or those that once failed. */
export function sweepSeeds(onceFailed: readonly number[]): readonly number[] {
  const range = process.env.GROUP_SEEDS?.split('-').map(Number) as [number, number] | undefined;
  if (range === undefined) return onceFailed;
  return Array.from({ length: range[1] - range[0] + 1 }, (_, i) => range[0] + i);
}

/** Members, their connections and their coordinators under faults; afterwards nothing was passed over, nothing at two members, and all goes on (G1, G6). */
export async function sweepGroups(seed: string, draw: DrawOptions): Promise<void> {
  const cluster = await SimulatedCluster.start({
    seed,
    coordinators: 1,
    brokerConfig: {
      'offsets.topic.num.partitions': 2,
      'offsets.topic.replication.factor': 3,
      'group.initial.rebalance.delay.ms': 100,
      'group.consumer.min.session.timeout.ms': sessionTimeoutMs,
      'group.consumer.session.timeout.ms': sessionTimeoutMs,
      'group.consumer.min.heartbeat.interval.ms': 500,
      'group.consumer.heartbeat.interval.ms': 500,
    },
  });
  const { sim } = cluster;
  await cluster.createTopic('work', partitionsCount, 3, { 'min.insync.replicas': '2' });
  for (let partition = 0; partition < partitionsCount; partition++) await cluster.untilLed('work', partition);
  const drawn = draw(sim.random);
  const options = typeof drawn === 'function' ? drawn : () => drawn;
  const styles: readonly Style[] = ['poll', 'iterate', 'run', 'manual'];
  const story = new Story(cluster);
  const machines = Array.from({ length: workersCount }, (_, i) => {
    const style = styles[sim.random.nextInt(styles.length)] as Style;
    const groupInstanceId = sim.random.nextInt(4) === 0 ? `i${i}` : '';
    return new Machine(cluster, i, story, style, () => ({ ...options(), groupInstanceId }));
  });
  for (const machine of machines) machine.start();
  const producing = produce(cluster);
  const untilMs = sim.nowMs + faultsMs;
  while (sim.nowMs < untilMs) {
    await sim.runFor(sim.random.nextInt(3_000));
    disturb(cluster, machines);
  }
  await sim.complete(producing, settleMs);
  const isOver = (): boolean =>
    story.processed.size === recordsCount &&
    machines.every(({ consumer }) => consumer?.health().status === 'stable') &&
    machines.reduce((sum, { consumer }) => sum + (consumer?.assignment().length ?? 0), 0) === partitionsCount;
  await sim.runUntil(isOver, settleMs).catch(() => undefined);
  const missing = Array.from({ length: recordsCount }, (_, i) => `v${i}`).filter((v) => !story.processed.has(v));
  expect(missing, 'processed and then committed: nothing is passed over (G6)').toEqual([]);
  expect(story.violations, 'no partition at two members (G1)').toEqual([]);
  for (const { error, node } of machines) expect(error, node.name).toBeUndefined();
  expect(machines.map(({ consumer }) => consumer?.health().status)).toEqual(machines.map(() => 'stable'));
  expect(cluster.failures).toEqual([]);
}
