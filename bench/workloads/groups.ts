import { setTimeout as delay } from 'node:timers/promises';
import { Client, type Consumer } from '@naru/client';
import { createTopic } from '../described.ts';
import { type LocalCluster, startLocalCluster } from '../local-cluster.ts';
import type { Figure } from '../report.ts';

const membersCount = 100;
const partitionsCount = 300;
const topic = 'shared';
const aimMs = 3_000;
const waitMsMax = 60_000;

type Protocol = 'classic' | 'consumer';

/** A large group under both protocols: until everybody has a share, at the start, after one has left and after one has come. */
export async function benchGroups(): Promise<Figure[]> {
  await using cluster = await startLocalCluster();
  await using client = new Client({ 'bootstrap.servers': cluster.bootstrapServers });
  await createTopic(client, { name: topic, partitions: partitionsCount, replicationFactor: 3 });
  return [...(await benchGroup(cluster, 'classic')), ...(await benchGroup(cluster, 'consumer'))];
}

async function benchGroup({ bootstrapServers }: LocalCluster, protocol: Protocol): Promise<Figure[]> {
  const figure = (what: string, value: number): Figure => {
    const name = `${protocol} group, ${membersCount} on ${partitionsCount} partitions: ${what}`;
    return { name, value, unit: 'ms', aim: { value: aimMs, bound: 'at most' } };
  };
  const members: Member[] = [];
  const add = (): void => {
    members.push(new Member(bootstrapServers, protocol));
  };
  const timed = async (change: () => Promise<void> | void): Promise<number> => {
    const began = performance.now();
    await change();
    await untilShared(members);
    return performance.now() - began;
  };
  try {
    const start = await timed(() => {
      for (let i = 0; i < membersCount; i++) add();
    });
    const leave = await timed(async () => {
      await members.pop()?.close();
    });
    const come = await timed(add);
    return [figure('all start together', start), figure('one leaves', leave), figure('one comes', come)];
  } finally {
    await Promise.all(members.map((member) => member.close()));
  }
}

/** Together they have every partition once, and nobody has nothing. */
async function untilShared(members: readonly Member[]): Promise<void> {
  const lateAt = performance.now() + waitMsMax;
  for (;;) {
    const owned = members.map((member) => member.consumer.assignment());
    const all = new Set(owned.flat().map(({ partition }) => partition));
    const total = owned.reduce((sum, partitions) => sum + partitions.length, 0);
    if (all.size === partitionsCount && total === partitionsCount && owned.every(({ length }) => length > 0)) return;
    if (performance.now() > lateAt) throw new Error(`the group has ${all.size} of ${partitionsCount} partitions`);
    await delay(10);
  }
}

class Member {
  readonly #client: Client;
  readonly consumer: Consumer;
  readonly #polling: Promise<void>;
  #isClosing = false;

  constructor(servers: string, protocol: Protocol) {
    this.#client = new Client({ 'bootstrap.servers': servers });
    this.consumer = this.#client.consumer({ groupId: `bench-${protocol}`, groupProtocol: protocol });
    this.#polling = this.#poll();
  }

  async #poll(): Promise<void> {
    await this.consumer.subscribe([topic]);
    while (!this.#isClosing) await this.consumer.poll(100);
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#polling;
    await this.consumer.close();
    await this.#client.close();
  }
}
