import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Client } from './client.ts';
import { ConfigError, IllegalStateError, InvalidTopicError, SerializationError } from './errors.ts';
import { ScriptedCluster } from './scripted/scripted-cluster.ts';

/** What TypeScript would refuse and JavaScript lets pass, above all what was written for another client: it fails by saying what would be right. */
const untyped = (value: unknown): never => value as never;

let cluster: ScriptedCluster;
let client: Client;

beforeEach(async () => {
  cluster = await ScriptedCluster.start(1);
  cluster.addTopic('t', 1);
  client = cluster.client();
});

afterEach(() => cluster.run(client.close({ timeoutMs: 0 })));

describe('settings', () => {
  test('a client without any', () => {
    expect(() => new Client(untyped(undefined)).producer()).toThrow("'bootstrap.servers' is missing");
    expect(() => new Client({}).admin()).toThrow(ConfigError);
  });

  test('an address that is none is refused where it is given', () => {
    expect(() => new Client({ bootstrapServers: 'http://a:9092' })).toThrow('host:port');
  });

  test.each([
    ['brokers', ['a:9092'], "'bootstrap.servers'"],
    ['ssl', true, 'TLS and SASL are not there yet'],
    ['sasl', {}, 'TLS and SASL are not there yet'],
    ['logLevel', 4, "'logger'"],
  ])("KafkaJS's %s names what it is here", (key, value, hint) => {
    expect(() => new Client(untyped({ bootstrapServers: 'b:1', [key]: value }))).toThrow(ConfigError);
    expect(() => new Client(untyped({ bootstrapServers: 'b:1', [key]: value }))).toThrow(hint);
  });

  test.each([
    ['fromBeginning', "'auto.offset.reset'"],
    ['maxBytesPerPartition', "'max.partition.fetch.bytes'"],
    ['autoCommit', "'enable.auto.commit'"],
  ])("a consumer's %s, too", (key, hint) => {
    expect(() => client.consumer(untyped({ groupId: 'g', [key]: true }))).toThrow(hint);
  });

  test('a serializer or deserializer that is none', () => {
    expect(() => client.producer({ value: untyped(JSON) })).toThrow(ConfigError);
    expect(() => client.consumer({ key: untyped({ serialize: () => null }) })).toThrow("'deserialize'");
  });
});

describe('send', () => {
  const failure = (record: unknown): Promise<unknown> =>
    cluster.run(
      client
        .producer()
        .send(untyped(record))
        .catch((error: unknown) => error),
    );

  test("KafkaJS's messages do not become a tombstone", async () => {
    const error = await failure({ topic: 't', messages: [{ value: 'x' }] });
    expect(error).toBeInstanceOf(SerializationError);
    expect((error as Error).message).toContain('sendMany');
    expect(cluster.log('t', 0).values).toEqual([]);
  });

  test.each([[undefined], [null], ['t']])('%s is no record', async (record) => {
    expect(await failure(record)).toBeInstanceOf(SerializationError);
  });

  test.each([['text'], [5], [['a', 'b']]])('%j are no headers', async (headers) => {
    expect(await failure({ topic: 't', value: 'v', headers })).toBeInstanceOf(SerializationError);
    expect(cluster.log('t', 0).values).toEqual([]);
  });
});

describe('reading', () => {
  test('a topic in place of a list is not taken letter by letter', () => {
    const consumer = client.consumer({ groupId: 'g' });
    expect(() => consumer.subscribe(untyped('topic'))).toThrow("a list: ['topic']");
    expect(() => consumer.subscribe(untyped({ topics: ['t'], fromBeginning: true }))).toThrow(IllegalStateError);
    expect(() => consumer.subscribe(untyped([{ topic: 't' }]))).toThrow(IllegalStateError);
  });

  test('a name that no topic can have is refused instead of waited for', () => {
    expect(() => client.consumer({ groupId: 'g' }).subscribe(['fine', 'a b'])).toThrow(InvalidTopicError);
  });

  test('partitions that are none', () => {
    expect(() => client.consumer().assign(untyped('t'))).toThrow(IllegalStateError);
    expect(() => client.consumer().assign(untyped([{ topic: 't', partitions: [0] }]))).toThrow(IllegalStateError);
  });

  test.each([[undefined], ['x'], [-1], [Number.NaN]])('poll(%s) does not wait for ever', async (timeoutMs) => {
    const consumer = client.consumer();
    consumer.assign([{ topic: 't', partition: 0 }]);
    const polled = consumer.poll(untyped(timeoutMs)).catch((error: unknown) => error);
    expect(await cluster.run(polled, 1_000)).toBeInstanceOf(IllegalStateError);
  });
});

describe('administration', () => {
  test('an offset specification that is none', async () => {
    const listed = client.admin().listOffsets([{ topic: 't', partition: 0, spec: untyped('lates') }]);
    await expect(cluster.run(listed)).rejects.toThrow("'latest', 'earliest', 'max-timestamp' or { timestamp }");
  });

  test('a topic that is not there is said not to exist', async () => {
    const [topic] = await cluster.run(client.admin().describeTopics(['missing']));
    expect(topic).toMatchObject({ error: { message: 'topic missing does not exist' } });
  });

  test.each([[-1], [1.5], ['x']])('%s is no offset to set for a group', async (offset) => {
    const altered = client.admin().alterGroupOffsets('g', [{ topic: 't', partition: 0, offset: untyped(offset) }]);
    await expect(cluster.run(altered)).rejects.toThrow(`${offset} is not an offset`);
  });

  test.each([[['t']], [{ topics: [{ topic: 't' }] }]])('createTopics(%j) says what it takes', async (topics) => {
    const created = client.admin().createTopics(untyped(topics));
    await expect(cluster.run(created)).rejects.toThrow('{ name');
  });
});
