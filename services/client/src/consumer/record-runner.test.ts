import { encodeBatch } from '@naru/record';
import { sleep } from '@naru/runtime';
import { describe, expect, test } from 'vitest';
import type { ConsumerOptions } from '../client.ts';
import { ScriptedCluster } from '../scripted/scripted-cluster.ts';
import { ScriptedGroups } from '../scripted/scripted-groups.ts';
import type { Consumer } from './consumer.ts';
import type { ConsumerRecord } from './consumer-record.ts';

async function setUp(partitions = 2, perPartition = 30) {
  const groups = new ScriptedGroups();
  const cluster = await ScriptedCluster.start(2, 1, (id) => groups.services(id));
  groups.attach(cluster.simulation);
  for (const log of cluster.addTopic('t', partitions)) {
    const records = Array.from({ length: perPartition }, (_, i) => ({
      key: Buffer.from(`k${i % 3}`),
      value: Buffer.from(`p${log.partition}v${i}`),
      timestampMs: 1_000 + i,
    }));
    log.append(encodeBatch({ compression: 'none', records }));
  }
  cluster.addTopic('dead', 1);
  const consumer = (options: ConsumerOptions<Buffer, Buffer> = {}): Consumer => {
    const made = cluster.client().consumer({ groupId: 'g', autoOffsetReset: 'earliest', ...options });
    made.subscribe(['t']);
    return made;
  };
  const pause = (ms: number): Promise<void> => sleep(cluster.clientNode.runtime.timers, ms);
  const offset = (partition = 0): number => groups.offsets.get(`t/${partition}`)?.offset ?? -1;
  return { cluster, groups, consumer, pause, offset };
}

const textOf = (record: ConsumerRecord): string => (record.value as Buffer).toString();

describe('run', () => {
  test.each([
    ['partition', 4],
    ['key', 16],
  ] as const)(
    'order by %s with %i handlers: kept where asked for, everything committed',
    async (orderBy, concurrency) => {
      const { cluster, consumer, pause, offset } = await setUp();
      const stop = new AbortController();
      const one = consumer();
      const seen = new Map<string, bigint[]>();
      let running = 0;
      let most = 0;
      let count = 0;
      const run = one.run({ concurrency, orderBy, signal: stop.signal }, async (record) => {
        most = Math.max(most, ++running);
        await pause(1 + cluster.simulation.random.nextInt(30));
        const lane = orderBy === 'key' ? `${record.partition}/${record.key}` : `${record.partition}`;
        seen.set(lane, [...(seen.get(lane) ?? []), record.offset]);
        running--;
        if (++count === 60) stop.abort();
      });
      await cluster.run(run);
      for (const offsets of seen.values()) expect(offsets).toEqual([...offsets].sort((a, b) => Number(a - b)));
      expect(most, 'as many at once as there are lanes').toBe(orderBy === 'key' ? 6 : 2);
      expect([offset(0), offset(1)]).toEqual([30, 30]);
      await cluster.run(one.close());
    },
  );

  test('an offset moves only over records that are done, also when later ones are', async () => {
    const { cluster, consumer, pause, offset } = await setUp(1);
    const one = consumer({ autoCommitIntervalMs: 10 });
    const stop = new AbortController();
    let count = 0;
    const run = one.run({ concurrency: 10, orderBy: 'key', signal: stop.signal }, async (record) => {
      if (record.offset === 4n) await pause(5_000);
      count++;
    });
    await cluster.simulation.runFor(3_000);
    expect(count, 'the other keys went on').toBeGreaterThan(15);
    expect(offset()).toBe(4);
    await cluster.simulation.runFor(5_000);
    stop.abort();
    await cluster.run(run);
    expect(offset()).toBe(30);
  });

  test('a handler that fails is tried again; in the end run fails with its error and commits what came before', async () => {
    const { cluster, consumer, offset } = await setUp(1);
    const attempts: number[] = [];
    const one = consumer();
    const run = one.run({ retry: { attempts: 3 } }, (record, { attempt }) => {
      if (record.offset !== 7n) return;
      attempts.push(attempt);
      throw new Error('poison');
    });
    await expect(cluster.run(run)).rejects.toThrow('poison');
    expect(attempts).toEqual([1, 2, 3]);
    expect(offset()).toBe(7);
    expect(await cluster.run(one.position({ topic: 't', partition: 0 })), 'poll goes on where it failed').toBe(7n);
  });

  test('deadLetter: the record goes to the topic with its origin, and the next ones are handled', async () => {
    const { cluster, consumer, offset } = await setUp(1);
    const stop = new AbortController();
    const one = consumer();
    const seen: string[] = [];
    const run = one.run({ deadLetter: 'dead', signal: stop.signal }, (record) => {
      if (record.offset === 7n) throw new TypeError('poison');
      if (seen.push(textOf(record)) === 29) stop.abort();
    });
    await cluster.run(run);
    expect(cluster.log('dead', 0).records).toMatchObject([{ key: 'k1', value: 'p0v7' }]);
    expect(offset()).toBe(30);
  });

  test('a rebalance waits for running handlers, starts no more, and nothing is done twice', async () => {
    const { cluster, consumer, pause } = await setUp(2, 100);
    const done: string[] = [];
    const handler = async (record: ConsumerRecord): Promise<void> => {
      await pause(50);
      done.push(textOf(record));
    };
    const stop = new AbortController();
    const options = { concurrency: 4, signal: stop.signal };
    const a = consumer({ heartbeatIntervalMs: 300 });
    const runs = [a.run(options, handler)];
    await cluster.simulation.runUntil(() => done.length > 20, 20_000);
    const b = consumer({ heartbeatIntervalMs: 300 });
    runs.push(b.run(options, handler));
    await cluster.simulation.runUntil(() => new Set(done).size === 200, 60_000);
    expect(done.length).toBe(200);
    expect(b.assignment()).toHaveLength(1);
    stop.abort();
    await cluster.run(Promise.all(runs));
    await cluster.run(Promise.all([a.close(), b.close()]));
  });

  test('a slow handler does not cost the membership: the group is served meanwhile', async () => {
    const { cluster, groups, consumer, pause } = await setUp(1);
    const one = consumer({ maxPollIntervalMs: 10_000 });
    const stop = new AbortController();
    const run = one.run({ signal: stop.signal }, () => pause(20_000));
    await cluster.simulation.runFor(60_000);
    expect(groups.members.size).toBe(1);
    expect(one.health().status).toBe('stable');
    stop.abort();
    await cluster.run(run, 60_000);
  });
});
