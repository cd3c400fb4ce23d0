import { errorCodes } from '@naru/kafka-protocol';
import { type broker, brokerMethods, unary } from '@naru/rpc';
import { describe, expect, test } from 'vitest';
import {
  InvalidReplicationFactorError,
  NetworkError,
  NotControllerError,
  TopicExistsError,
  UnknownTopicOrPartitionError,
} from '../errors.ts';
import { ScriptedCluster } from '../scripted/scripted-cluster.ts';
import { orThrow } from './admin.ts';

/** Brokers that answer administration with these codes by topic name, and refuse it while they are not the controller. */
async function setUp(codes: Readonly<Record<string, number>> = {}) {
  const requests: { brokerId: number; request: unknown }[] = [];
  const outcome = (brokerId: number, name: string): broker.TopicResult => {
    const isController = brokerId === actualController();
    const errorCode = isController ? (codes[name] ?? 0) : errorCodes.NOT_CONTROLLER;
    return { name, topicId: `id-${name}`, errorCode, errorMessage: '', numPartitions: 3, replicationFactor: 2 };
  };
  let controller = 1;
  const actualController = (): number => controller;
  const cluster = await ScriptedCluster.start(2, 1, (brokerId) => [
    unary(brokerMethods.createTopics, (request) => {
      requests.push({ brokerId, request });
      return { topics: request.topics.map((topic) => outcome(brokerId, topic.name)) };
    }),
    unary(brokerMethods.deleteTopics, (request) => ({ topics: request.names.map((name) => outcome(brokerId, name)) })),
    unary(brokerMethods.describeConfigs, (request) => {
      requests.push({ brokerId, request });
      return { results: request.resources.map((resource) => ({ resource, ...describedConfig })) };
    }),
  ]);
  const moveController = (id: number): void => {
    controller = id;
  };
  return { cluster, requests, moveController, admin: cluster.client().admin({ defaultApiTimeoutMs: 5_000 }) };
}

const describedConfig = {
  errorCode: 0,
  errorMessage: '',
  entries: [
    {
      name: 'retention.ms',
      value: '5',
      source: 1,
      readOnly: false,
      sensitive: false,
      documentation: '',
      synonyms: [
        { name: 'retention.ms', value: '5', source: 1 },
        { name: 'retention.ms', value: '7', source: 5 },
      ],
    },
    {
      name: 'password',
      value: 'secret',
      source: 4,
      readOnly: true,
      sensitive: true,
      documentation: '',
      synonyms: [{ name: 'password', value: 'secret', source: 4 }],
    },
  ],
};

describe('topics', () => {
  test('each topic has its own outcome, failures are typed', async () => {
    const { cluster, admin, requests } = await setUp({ there: 36, wide: 38 });
    const topics = [
      { name: 'new', partitions: 3, replicationFactor: 2, configs: { 'min.insync.replicas': 2 } },
      { name: 'there' },
      { name: 'wide', assignments: [[1, 2]] },
    ];
    const outcomes = await cluster.run(admin.createTopics(topics));
    expect(outcomes[0]).toEqual({
      name: 'new',
      error: undefined,
      topicId: 'id-new',
      partitions: 3,
      replicationFactor: 2,
    });
    expect(outcomes[1]?.error).toBeInstanceOf(TopicExistsError);
    expect(outcomes[2]?.error).toBeInstanceOf(InvalidReplicationFactorError);
    expect(() => orThrow(outcomes)).toThrow(TopicExistsError);
    expect(requests[0]?.request).toMatchObject({
      topics: [
        { name: 'new', numPartitions: 3, replicationFactor: 2, configs: { 'min.insync.replicas': '2' } },
        { name: 'there', numPartitions: -1, replicationFactor: -1 },
        { name: 'wide', assignments: [{ brokerIds: [1, 2] }] },
      ],
    });
  });

  test('a controller that has moved is found', async () => {
    const { cluster, admin, moveController } = await setUp();
    moveController(2);
    cluster.simulation.at(300, () => {
      cluster.controllerId = 2;
    });
    const [outcome] = await cluster.run(admin.deleteTopics(['t']));
    expect(outcome?.error).toBeUndefined();
  });

  test('a controller that is nowhere: the last error when the time is up', async () => {
    const { cluster, admin, moveController } = await setUp();
    moveController(9);
    await expect(cluster.run(admin.deleteTopics(['t']))).rejects.toBeInstanceOf(NotControllerError);
  });

  test('list and describe; what is missing is an error beside the others', async () => {
    const { cluster, admin } = await setUp();
    cluster.addTopic('b', 2);
    cluster.addTopic('a', 1);
    expect((await cluster.run(admin.listTopics())).map((topic) => topic.name)).toEqual(['a', 'b']);
    const [b, missing] = await cluster.run(admin.describeTopics(['b', 'missing']));
    expect(b).toMatchObject({
      name: 'b',
      partitions: [
        { partition: 0, leader: 1 },
        { partition: 1, leader: 2 },
      ],
    });
    expect(missing).toMatchObject({ name: 'missing', error: expect.any(UnknownTopicOrPartitionError) });
    cluster.log('b', 0).leaderId = -1;
    expect((await cluster.run(admin.describeTopics(['b'])))[0]).toMatchObject({
      partitions: [{ leader: undefined }, {}],
    });
  });

  test('offsets by kind and time', async () => {
    const { cluster, admin } = await setUp();
    cluster.addTopic('t', 2);
    const specs = ['earliest', 'latest', { timestamp: 5 }] as const;
    const offsets = await cluster.run(admin.listOffsets(specs.map((spec) => ({ topic: 't', partition: 0, spec }))));
    expect(offsets.map((offset) => offset.offset)).toEqual([0n, 0n, undefined]);
  });
});

test('the cluster, and brokers that cannot be reached', async () => {
  const { cluster, admin } = await setUp();
  expect(await cluster.run(admin.describeCluster())).toEqual({
    clusterId: 'scripted',
    controller: 1,
    brokers: [1, 2].map((id) => ({ id, host: `b${id}`, port: 9092, rack: undefined })),
  });
  cluster.kill(1);
  expect((await cluster.run(admin.describeCluster())).clusterId).toBe('scripted');
  cluster.kill(2);
  const failure = await cluster.run(admin.describeCluster()).catch((error) => error);
  expect(failure).toBeInstanceOf(NetworkError);
  expect(failure.message).toMatch(/b1:9092.*b2:9092|b2:9092.*b1:9092/);
});

test('settings of a broker are asked of that broker; what is sensitive has no value', async () => {
  const { cluster, admin, requests } = await setUp();
  const resources = [
    { type: 'topic', name: 't' },
    { type: 'broker', name: '2' },
  ] as const;
  const described = await cluster.run(admin.describeConfigs(resources));
  expect(described.map((description) => description.resource)).toEqual(resources);
  expect(described[0]?.entries).toMatchObject([
    {
      ...{ name: 'retention.ms', value: '5', source: 'dynamic-topic', isDefault: false },
      synonyms: [{ source: 'dynamic-topic' }, { name: 'retention.ms', value: '7', source: 'default' }],
    },
    { name: 'password', value: undefined, source: 'static-broker', sensitive: true, synonyms: [{ value: undefined }] },
  ]);
  expect(requests.find(({ brokerId }) => brokerId === 2)?.request).toEqual({
    resources: [{ type: 'broker', name: '2' }],
  });
});
