import { encodeBatch } from '@naru/record';
import { expect, test } from 'vitest';
import { IllegalStateError } from '../errors.ts';
import { ScriptedCluster } from '../scripted/scripted-cluster.ts';
import { ScriptedGroups } from '../scripted/scripted-groups.ts';
import type { ScriptedLog } from '../scripted/scripted-log.ts';

const partition = { topic: 't', partition: 0 };

async function setUp(enableAutoCommit = false) {
  const groups = new ScriptedGroups();
  const cluster = await ScriptedCluster.start(1, 1, (id) => groups.services(id));
  groups.attach(cluster.simulation);
  const [log] = cluster.addTopic('t', 1) as [ScriptedLog];
  const records = Array.from({ length: 10 }, (_, i) => ({ key: null, value: Buffer.from(`${i}`), timestampMs: 1 }));
  log.append(encodeBatch({ compression: 'none', records }));
  const consumer = cluster.client().consumer({ groupId: 'g', autoOffsetReset: 'earliest', enableAutoCommit });
  const committed = (): number | undefined => groups.offsets.get('t/0')?.offset;
  return { cluster, consumer, committed };
}

test('a listener that commits on revoke does so also when the consumer closes', async () => {
  const { cluster, consumer, committed } = await setUp();
  const told: string[] = [];
  consumer.subscribe(['t'], {
    onPartitionsRevoked: async () => {
      told.push(`position ${await consumer.position(partition)}`);
      await consumer.commitSync([{ ...partition, offset: 7n }]);
      const [offset] = await consumer.committed([partition]);
      told.push(`committed ${offset?.offset}`);
    },
  });
  await cluster.run(consumer.poll(5_000));
  expect(consumer.subscription()).toEqual(['t']);
  await cluster.run(consumer.close());
  expect(told).toEqual(['position 10', 'committed 7']);
  expect(committed()).toBe(7);
});

test.each([
  ['poll', (c) => c.poll(0)],
  ['commitSync', (c) => c.commitSync()],
  ['commitAsync', async (c) => c.commitAsync()],
  ['committed', (c) => c.committed([partition])],
  ['position', (c) => c.position(partition)],
  ['seek', async (c) => c.seek(partition, 0n)],
  ['subscribe', async (c) => c.subscribe(['t'])],
  ['endOffsets', (c) => c.endOffsets([partition])],
  ['for await', (c) => c[Symbol.asyncIterator]().next()],
  ['batches', (c) => c.batches().next()],
] as [string, (consumer: Awaited<ReturnType<typeof setUp>>['consumer']) => Promise<unknown>][])(
  'use after close: %s is refused',
  async (_, call) => {
    const { cluster, consumer, committed } = await setUp(true);
    consumer.subscribe(['t']);
    await cluster.run(consumer.poll(5_000));
    await cluster.run(consumer.close());
    const error: Error = await cluster.run(Promise.resolve().then(() => call(consumer))).then(
      () => expect.unreachable(),
      (reason) => reason,
    );
    expect(error).toBeInstanceOf(IllegalStateError);
    expect(error.message).toBe('the consumer is closed');
    expect(committed(), 'what the last poll gave was not asked beyond').toBeUndefined();
  },
);
