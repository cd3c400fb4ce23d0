import { errorCodes } from '@naru/kafka-protocol';
import { describe, expect, test } from 'vitest';
import { clientHost, ScriptedCluster } from './scripted/scripted-cluster.ts';

const partitionsCount = 3;
const recordsCount = 900;
const seeds = [11, 12, 13, 14, 15, 16];

/** Cuts, resets, pauses and moves leaders for a while, then lets everything heal. */
function disturb(cluster: ScriptedCluster, untilMs: number): void {
  const { simulation } = cluster;
  const { random, network } = simulation;
  const again = (): void => {
    if (simulation.nowMs > untilMs) {
      network.healAll();
      for (const id of [1, 2, 3]) cluster.node(id).resume();
      return;
    }
    const id = 1 + random.nextInt(3);
    const host = `b${id}`;
    switch (random.nextInt(6)) {
      case 0:
        network.cut(clientHost, host);
        simulation.at(random.nextInt(4_000), () => network.heal(clientHost, host));
        break;
      case 1:
        network.resetConnections(host, clientHost);
        break;
      case 2:
        cluster.node(id).pause();
        simulation.at(random.nextInt(3_000), () => cluster.node(id).resume());
        break;
      case 3:
        network.clog(host, clientHost, random.nextInt(500));
        break;
      default:
        cluster.log('t', random.nextInt(partitionsCount)).moveTo(id);
    }
    simulation.at(random.nextInt(700), again);
  };
  again();
}

/** Reads until every record that is in the logs has come; checks the order as it goes. */
async function readAll(cluster: ScriptedCluster, isDone: () => boolean): Promise<Map<string, string>> {
  const consumer = cluster
    .client()
    .consumer({ autoOffsetReset: 'earliest', maxPollRecords: 20, maxPartitionFetchBytes: 400 });
  consumer.assign(Array.from({ length: partitionsCount }, (_, partition) => ({ topic: 't', partition })));
  const next = new Array<bigint>(partitionsCount).fill(0n);
  const values = new Map<string, string>();
  const isAtEnd = (): boolean =>
    next.every((offset, partition) => Number(offset) === cluster.log('t', partition).endOffset);
  while (!isDone() || !isAtEnd()) {
    for (const record of await consumer.poll(200)) {
      expect(record.offset, 'no record is passed over, none comes twice (C7)').toBe(next[record.partition]);
      next[record.partition] = record.offset + 1n;
      values.set(`${record.partition}/${record.offset}`, (record.value as Buffer).toString());
    }
  }
  await consumer.close();
  return values;
}

async function sendAll(cluster: ScriptedCluster): Promise<Map<string, string>> {
  const producer = cluster
    .client()
    .producer({ batchSize: 200, lingerMs: 2, bufferMemory: 5_000, deliveryTimeoutMs: 300_000 });
  const acknowledged = new Map<string, string>();
  for (let i = 0; i < recordsCount; i++) {
    const value = `v${i}`;
    const goesOn = producer.send({ topic: 't', key: i % 2 === 0 ? `k${i}` : null, value }, (error, metadata) => {
      if (error !== null || metadata === undefined) throw error;
      acknowledged.set(`${metadata.partition}/${metadata.offset}`, value);
    });
    if (!goesOn) await producer.ready();
    if (i % 10 === 0) await new Promise<void>((resolve) => cluster.clientNode.runtime.timers.after(150, resolve));
  }
  await producer.close();
  return acknowledged;
}

describe('under cuts, resets, frozen brokers and elections', () => {
  test.each(seeds)('every acknowledged record is read at the offset that was told (C1, C7), seed %i', async (seed) => {
    const cluster = await ScriptedCluster.start(3, seed);
    cluster.addTopic('t', partitionsCount);
    const { random } = cluster.simulation;
    cluster.onProduce = () =>
      random.nextFloat() < 0.05
        ? { kind: 'append-then-refuse', code: errorCodes.REQUEST_TIMED_OUT }
        : { kind: 'append' };
    disturb(cluster, cluster.simulation.nowMs + 15_000);
    let isDone = false;
    const sending = sendAll(cluster).finally(() => {
      isDone = true;
    });
    const [acknowledged, read] = await cluster.run(Promise.all([sending, readAll(cluster, () => isDone)]), 300_000);
    expect(acknowledged.size).toBe(recordsCount);
    for (const [place, value] of acknowledged) expect(read.get(place), place).toBe(value);
    expect(cluster.simulation.nowMs, 'everything goes on soon after the last fault').toBeLessThan(45_000);
  });
});
