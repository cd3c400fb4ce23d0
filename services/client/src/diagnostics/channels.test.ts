import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel';
import { errorCodes } from '@naru/kafka-protocol';
import { afterEach, describe, expect, test } from 'vitest';
import { ScriptedCluster } from '../scripted/scripted-cluster.ts';
import { ScriptedGroups } from '../scripted/scripted-groups.ts';
import { channels, type DiagnosticsChannels } from './channels.ts';

type Name = keyof DiagnosticsChannels;

const endings: (() => void)[] = [];

function listen<N extends Name>(name: N, onMessage: (message: DiagnosticsChannels[N]) => void = () => {}) {
  const messages: DiagnosticsChannels[N][] = [];
  const listener = (message: unknown): void => {
    messages.push(message as DiagnosticsChannels[N]);
    onMessage(message as DiagnosticsChannels[N]);
  };
  subscribe(name, listener);
  endings.push(() => unsubscribe(name, listener));
  return messages;
}

afterEach(() => {
  for (const end of endings.splice(0)) end();
});

async function setUp() {
  const groups = new ScriptedGroups();
  const cluster = await ScriptedCluster.start(1, 1, (id) => groups.services(id));
  groups.attach(cluster.simulation);
  cluster.addTopic('t', 2);
  return { cluster, groups, client: cluster.client() };
}

test('the channels are those of the documented names, and nobody listens unless asked to', () => {
  expect(
    Object.values(channels).map((one) => [
      one === channel((one as { name?: string }).name as string),
      one.hasSubscribers,
    ]),
  ).toEqual(Object.values(channels).map(() => [true, false]));
});

describe('a producer', () => {
  test('tells of records sent, put into batches, and of how the batches ended', async () => {
    const { cluster, client } = await setUp();
    const sent = listen('naru:producer:send');
    const appended = listen('naru:producer:append');
    const ended = listen('naru:producer:batch:end');
    const producer = client.producer({ clientId: 'p' });
    const record = { topic: 't', partition: 1, key: 'k', headers: { h: 'x' } };
    await cluster.run(
      Promise.all([producer.send({ ...record, value: 'a' }), producer.send({ ...record, value: 'b' })]),
    );
    expect(sent.map(({ clientId, topic, key, value }) => [clientId, topic, String(key), String(value)])).toEqual([
      ['p', 't', 'k', 'a'],
      ['p', 't', 'k', 'b'],
    ]);
    expect(appended.map(({ headers }) => headers)).toEqual(sent.map(({ headers }) => headers));
    expect(new Set(appended.map(({ batch }) => batch)).size).toBe(1);
    expect(ended).toEqual([
      {
        batch: appended[0]?.batch,
        recordsCount: 2,
        bytes: expect.any(Number),
        failedAttempts: 0,
        outcome: 'acknowledged',
        baseOffset: 0n,
      },
    ]);
    expect(appended[0]?.batch).toEqual({ topic: 't', partition: 1, clientId: 'p' });
  });

  test('headers that a subscriber adds are written with the record, whatever list the application passed', async () => {
    const { cluster, client } = await setUp();
    listen('naru:producer:send', ({ headers }) => headers.push(['added', Buffer.from('0000')]));
    listen('naru:producer:append', ({ headers }) => headers.at(-1)?.[1]?.set(Buffer.from('1234')));
    const producer = client.producer();
    const own = Object.freeze([['own', 'x']] as const);
    await cluster.run(producer.send({ topic: 't', partition: 0, value: 'a', headers: own }));
    const consumer = client.consumer({ autoOffsetReset: 'earliest' });
    consumer.assign([{ topic: 't', partition: 0 }]);
    const [read] = await cluster.run(consumer.poll(1_000));
    expect(read?.headers.map(([name, value]) => [name, String(value)])).toEqual([
      ['own', 'x'],
      ['added', '1234'],
    ]);
  });

  test('a batch that fails says with what error', async () => {
    const { cluster, client } = await setUp();
    const ended = listen('naru:producer:batch:end');
    const producer = client.producer();
    cluster.onProduce = () => ({ kind: 'refuse', code: errorCodes.TOPIC_AUTHORIZATION_FAILED });
    const error = await cluster.run(producer.send({ topic: 't', partition: 0, value: 'a' }).catch((reason) => reason));
    expect(ended).toMatchObject([{ outcome: 'failed', recordsCount: 1, failedAttempts: 1, error }]);
  });
});

describe('a consumer', () => {
  test('tells of the records that a poll returned, by partition', async () => {
    const { cluster, client } = await setUp();
    const producer = client.producer();
    const sends = [0, 0, 1].map((partition) => producer.send({ topic: 't', partition, value: 'a' }));
    await cluster.run(Promise.all(sends));
    const received = listen('naru:consumer:receive');
    const consumer = client.consumer({ autoOffsetReset: 'earliest', clientId: 'c' });
    consumer.assign([0, 1].map((partition) => ({ topic: 't', partition })));
    let count = 0;
    while (count < 3) count += (await cluster.run(consumer.poll(1_000))).length;
    expect(
      received
        .map(({ clientId, groupId, partition, records }) => ({ clientId, groupId, partition, records: records.length }))
        .sort((a, b) => a.partition - b.partition),
    ).toEqual([
      { clientId: 'c', groupId: '', partition: 0, records: 2 },
      { clientId: 'c', groupId: '', partition: 1, records: 1 },
    ]);
  });

  test('of a group tells what it is assigned and what it commits', async () => {
    const { cluster, groups, client } = await setUp();
    const assigned = listen('naru:consumer:assignment');
    const commits = listen('naru:consumer:commit');
    const consumer = client.consumer({ groupId: 'g', enableAutoCommit: false });
    consumer.subscribe(['t']);
    await cluster.run(consumer.poll(10_000));
    const partitions = [0, 1].map((partition) => ({ topic: 't', partition }));
    expect(assigned).toEqual([{ clientId: 'naru', groupId: 'g', why: 'assigned', partitions }]);
    const offsets = [{ topic: 't', partition: 0, offset: 0 }];
    await cluster.run(consumer.commitSync(offsets));
    expect(commits).toEqual([
      { clientId: 'naru', groupId: 'g', offsets, error: undefined, sinceMs: expect.any(Number) },
    ]);
    const unknown = [{ topic: 'missing', partition: 0, offset: 0 }];
    groups.onCall = () => ({ kind: 'refuse', code: errorCodes.GROUP_AUTHORIZATION_FAILED });
    const error = await cluster.run(consumer.commitSync(unknown).catch((reason) => reason));
    expect(commits[1]).toMatchObject({ offsets: unknown, error });
  });
});
