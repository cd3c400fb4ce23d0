import { RecordReader } from '@naru/record';
import { expect, test } from 'vitest';
import { KafkaError } from '../errors.ts';
import { ScriptedCluster } from '../scripted/scripted-cluster.ts';
import * as serdes from '../serialization/serdes.ts';

async function setUp(): Promise<ScriptedCluster> {
  const cluster = await ScriptedCluster.start(1);
  cluster.addTopic('t', 1);
  return cluster;
}

async function failureOf(promise: Promise<unknown>): Promise<KafkaError> {
  const error: KafkaError = await promise.then(
    () => expect.unreachable(),
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(KafkaError);
  return error;
}

test('headers that a serializer adds are written, whatever form the application gave its own', async () => {
  const cluster = await setUp();
  const producer = cluster.client().producer<string, string>({
    key: serdes.string(),
    value: {
      serialize: (value, { topic, part, headers }) => {
        headers.push(['schema', `${topic}.${part}.7`]);
        return Buffer.from(value);
      },
    },
  });
  const sent = [{}, { headers: { a: '1' } }, { headers: [['a', '1'] as const] }].map((more) =>
    producer.send({ topic: 't', key: 'k', value: 'v', ...more }),
  );
  await cluster.run(Promise.all(sent));
  const reader = new RecordReader(cluster.log('t', 0).read(0, 1));
  const headers: string[] = [];
  while (reader.next()) headers.push(reader.headers.map(([name, value]) => `${name}=${value}`).join());
  expect(headers).toEqual(['schema=t.value.7', 'a=1,schema=t.value.7', 'a=1,schema=t.value.7']);
});

test.each([
  [() => serdes.integer().serialize('x' as never, {} as never), /the value cannot be serialized: x is no integer/],
  [async () => Buffer.from('x'), /returned a promise, not bytes/],
  [() => 'text', /returned a string, not bytes/],
])(
  'what a serializer cannot do is a SerializationError with the topic, and nothing is sent: %#',
  async (serialize, message) => {
    const cluster = await setUp();
    const producer = cluster.client().producer<string, string>({ value: { serialize: serialize as never } });
    const error = await failureOf(producer.send({ topic: 't', value: 'v' }));
    expect(error).toMatchObject({ name: 'SerializationError', topic: 't', outcome: 'definite' });
    expect(error.message).toMatch(message);
    expect(cluster.produced).toHaveLength(0);
  },
);

test.each([
  [{ headers: [['a', 5]] }, /a number as value of the header 'a' must be text or bytes/],
  [{ headers: ['a'] }, /headers are a list of \[name, value\] pairs or an object/],
  [{ headers: [[1, 'a']] }, /pairs/],
  [{ partition: 1.5 }, /1\.5 is not a partition/],
  [{ timestamp: -2 }, /-2 is not a timestamp/],
  [{ topic: '' }, /a record needs a topic/],
])('a record that cannot be written is refused: %j', async (part, message) => {
  const producer = (await setUp()).client().producer();
  const error = await failureOf(producer.send({ topic: 't', value: 'v', ...part } as never));
  expect(error.name).toBe('SerializationError');
  expect(error.message).toMatch(message);
});
