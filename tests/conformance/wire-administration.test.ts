import { apis, errorCodes } from '@naru/kafka-protocol';
import { afterEach, describe, expect, test } from 'vitest';
import { batch, call, cluster, connect, fetch, peer, produce, start, topic } from './wire-world.ts';

afterEach(() => expect(cluster.failures).toEqual([]));

async function deleteBefore(offset: number, name = topic, partition = 0, at = peer) {
  const topics = [{ name, partitions: [{ partitionIndex: partition, offset }] }];
  const { topics: answered } = await call(apis.deleteRecords, 2, { topics, timeoutMs: 10_000 }, at);
  return answered[0]?.partitions[0];
}

async function alterTopic(name: string, value: string): Promise<void> {
  const configs = [{ name, configOperation: 0, value }];
  const resources = [{ resourceType: 2, resourceName: topic, configs }];
  const { responses } = await call(apis.incrementalAlterConfigs, 1, { resources, validateOnly: false });
  expect(responses[0]?.errorCode).toBe(0);
}

describe('DeleteRecords (KIP-107)', () => {
  test('moves the log start, into a batch as well; -1 is everything that is committed', async () => {
    await start();
    await produce(batch(4));
    await produce(batch(4));
    expect(await deleteBefore(2)).toMatchObject({ errorCode: 0, lowWatermark: 2 });
    const fetched = await fetch(0);
    expect(fetched.topics[0]?.partitions[0]).toMatchObject({ errorCode: errorCodes.OFFSET_OUT_OF_RANGE });
    // What is gone already is no error.
    expect(await deleteBefore(1)).toMatchObject({ errorCode: 0, lowWatermark: 2 });
    expect(await deleteBefore(-1)).toMatchObject({ errorCode: 0, lowWatermark: 8 });
    const topics = [{ name: topic, partitions: [{ partitionIndex: 0, timestamp: -2 }] }];
    const { topics: listed } = await call(apis.listOffsets, 7, { topics });
    expect(listed[0]?.partitions[0]).toMatchObject({ errorCode: 0, offset: 8 });
    expect(await produce(batch(1))).toMatchObject({ errorCode: 0, baseOffset: 8 });
  });

  test('is answered when every live replica has moved its log start: no new leader brings the records back', async () => {
    await start({}, 3);
    await produce(batch(5));
    expect(await deleteBefore(3)).toMatchObject({ errorCode: 0, lowWatermark: 3 });
    const starts = cluster.brokers.map((broker) => broker.replicas.find(topic, '', 0));
    for (const found of starts) expect(found.kind === 'partition' && found.partition.logStartOffset).toBe(3);
  });

  test('refuses what is not committed, not an offset, not here, compacted or internal', async () => {
    await start();
    await produce(batch(2));
    expect(await deleteBefore(3)).toMatchObject({ errorCode: errorCodes.OFFSET_OUT_OF_RANGE, lowWatermark: -1 });
    expect(await deleteBefore(-2)).toMatchObject({ errorCode: errorCodes.OFFSET_OUT_OF_RANGE });
    expect(await deleteBefore(0, 'nowhere')).toMatchObject({ errorCode: errorCodes.UNKNOWN_TOPIC_OR_PARTITION });
    expect(await deleteBefore(0, topic, 9)).toMatchObject({ errorCode: errorCodes.UNKNOWN_TOPIC_OR_PARTITION });
    expect(await deleteBefore(0, '__consumer_offsets')).toMatchObject({
      errorCode: errorCodes.INVALID_TOPIC_EXCEPTION,
    });
    await alterTopic('cleanup.policy', 'compact');
    expect(await deleteBefore(1)).toMatchObject({ errorCode: errorCodes.POLICY_VIOLATION });
  });

  test('a broker that does not lead says so', async () => {
    await start({}, 2);
    const leader = await cluster.untilLed(topic, 0);
    const other = await connect(leader === 1 ? 2 : 1);
    expect(await deleteBefore(0, topic, 0, other)).toMatchObject({ errorCode: errorCodes.NOT_LEADER_OR_FOLLOWER });
  });
});

test("clients neither create, delete nor grow the brokers' own topics", async () => {
  await start();
  const name = '__consumer_offsets';
  const code = errorCodes.INVALID_TOPIC_EXCEPTION;
  const topics = [{ name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }];
  expect((await call(apis.createTopics, 7, { topics, timeoutMs: 1_000 })).topics[0]).toMatchObject({ errorCode: code });
  await call(apis.findCoordinator, 3, { key: 'g' });
  const grown = { topics: [{ name, count: 99, assignments: null }], timeoutMs: 1_000, validateOnly: false };
  expect((await call(apis.createPartitions, 3, grown)).results[0]).toMatchObject({ errorCode: code });
  const deleted = await call(apis.deleteTopics, 5, { topicNames: [name], timeoutMs: 1_000 });
  expect(deleted.topics[0]).toMatchObject({ errorCode: code });
  const { topics: found } = await call(apis.metadata, 12, { topics: [{ name }], allowAutoTopicCreation: false });
  expect(found[0]).toMatchObject({ errorCode: 0, isInternal: true });
});

test('DescribeLogDirs tells the size of every replica, or of those that are asked for', async () => {
  await start();
  await produce(batch(3));
  const { results } = await call(apis.describeLogDirs, 4, { topics: null });
  expect(results).toHaveLength(1);
  const [directory] = results;
  expect(directory?.topics.map(({ name }) => name)).toEqual([topic]);
  const sizes = directory?.topics[0]?.partitions.map(({ partitionSize }) => partitionSize > 0);
  expect(sizes).toEqual([true, false]);
  const asked = [{ topic, partitions: [1] }];
  const { results: some } = await call(apis.describeLogDirs, 4, { topics: asked });
  expect(some[0]?.topics[0]?.partitions).toEqual([
    { partitionIndex: 1, partitionSize: 0, offsetLag: 0, isFutureKey: false },
  ]);
  expect((await call(apis.describeLogDirs, 4, { topics: [] })).results).toEqual([]);
});

test('AlterReplicaLogDirs: there is one directory, and a replica is in it already', async () => {
  await start();
  const [here] = (await call(apis.describeLogDirs, 4, { topics: null })).results;
  const topics = [{ name: topic, partitions: [0] }];
  const ask = async (path: string) => (await call(apis.alterReplicaLogDirs, 2, { dirs: [{ path, topics }] })).results;
  expect((await ask('/elsewhere'))[0]?.partitions[0]?.errorCode).toBe(errorCodes.LOG_DIR_NOT_FOUND);
  expect((await ask(here?.logDir ?? ''))[0]?.partitions[0]?.errorCode).toBe(errorCodes.NONE);
});

test('DescribeProducers tells the idempotent producers of a partition (KIP-664)', async () => {
  await start();
  const asked = { topics: [{ name: topic, partitionIndexes: [0, 7] }] };
  const { topics } = await call(apis.describeProducers, 0, asked);
  expect(topics[0]?.partitions).toMatchObject([
    { partitionIndex: 0, errorCode: 0, activeProducers: [] },
    { partitionIndex: 7, errorCode: errorCodes.UNKNOWN_TOPIC_OR_PARTITION },
  ]);
  const producer = { producerId: 4_711, producerEpoch: 2, baseSequence: 0 };
  await produce(batch(3, { producer }));
  const { topics: after } = await call(apis.describeProducers, 0, asked);
  expect(after[0]?.partitions[0]?.activeProducers).toMatchObject([
    { producerId: 4_711, producerEpoch: 2, lastSequence: 2, currentTxnStartOffset: -1 },
  ]);
});

describe('ElectLeaders (KIP-460)', () => {
  const preferred = 0;
  const unclean = 1;

  async function elect(electionType: number, partitions: readonly number[] | null) {
    const topicPartitions = partitions === null ? null : [{ topic, partitions }];
    const answer = await call(apis.electLeaders, 2, { electionType, topicPartitions, timeoutMs: 10_000 });
    return answer.replicaElectionResults[0]?.partitionResult ?? [];
  }

  test('where the first replica leads already nothing is needed; asked for all, that is not mentioned', async () => {
    await start({}, 3);
    expect(await elect(preferred, [0])).toMatchObject([{ partitionId: 0, errorCode: errorCodes.ELECTION_NOT_NEEDED }]);
    expect(await elect(preferred, null)).toEqual([]);
    expect(await elect(unclean, [0])).toMatchObject([{ errorCode: errorCodes.ELECTION_NOT_NEEDED }]);
    expect(await elect(preferred, [9])).toMatchObject([{ errorCode: errorCodes.UNKNOWN_TOPIC_OR_PARTITION }]);
  });

  test('a first replica that is in sync again gets its leadership back; one that is not there is not available', async () => {
    await start({ 'auto.leader.rebalance.enable': false }, 3);
    const first = await cluster.untilLed(topic, 0);
    cluster.crashBroker(first);
    await cluster.sim.runUntil(() => leaderOf(0) !== first);
    const next = leaderOf(0);
    const other = await connect(next);
    const ask = async () => {
      const topicPartitions = [{ topic, partitions: [0] }];
      const answer = await call(
        apis.electLeaders,
        2,
        { electionType: preferred, topicPartitions, timeoutMs: 10_000 },
        other,
      );
      return answer.replicaElectionResults[0]?.partitionResult[0]?.errorCode;
    };
    expect(await ask()).toBe(errorCodes.PREFERRED_LEADER_NOT_AVAILABLE);
    await cluster.restartBroker(first);
    await cluster.sim.runUntil(() => isrOf(0).includes(first));
    expect(await ask()).toBe(0);
    expect(leaderOf(0)).toBe(first);
  });
});

function stateOf(partition: number) {
  const image = cluster.brokers.find((broker) => broker.self !== undefined)?.publisher.image;
  return image?.topics.get(topic)?.partitions[partition]?.state;
}

function leaderOf(partition: number): number {
  return stateOf(partition)?.leader ?? -1;
}

function isrOf(partition: number): readonly number[] {
  return stateOf(partition)?.isr.map(({ brokerId }) => brokerId) ?? [];
}

test('ListPartitionReassignments: none is under way', async () => {
  await start();
  expect(await call(apis.listPartitionReassignments, 0, {})).toMatchObject({ errorCode: 0, topics: [] });
});

describe('settings that change while brokers run (KIP-226)', () => {
  const [set, remove, append] = [0, 1, 2];

  async function alter(
    resourceName: string,
    name: string,
    configOperation = set,
    value: string | null = null,
    at = peer,
  ) {
    const resources = [{ resourceType: 4, resourceName, configs: [{ name, configOperation, value }] }];
    const { responses } = await call(apis.incrementalAlterConfigs, 1, { resources, validateOnly: false }, at);
    return responses[0];
  }

  async function describeConfig(resourceName: string, name: string, resourceType = 4) {
    const resources = [{ resourceType, resourceName, configurationKeys: [name] }];
    const { results } = await call(apis.describeConfigs, 4, { resources });
    return results[0]?.configs[0];
  }

  test('of one broker before those of all, and both before the file; a topic without an override has them at once', async () => {
    await start({}, 1);
    expect(await alter('', 'message.max.bytes', set, '200')).toMatchObject({ errorCode: 0 });
    expect(await describeConfig('1', 'message.max.bytes')).toMatchObject({ value: '200', configSource: 3 });
    expect(await describeConfig('', 'message.max.bytes')).toMatchObject({ value: '200', configSource: 3 });
    await alterTopic('max.message.bytes', '8000');
    expect(await produce(batch(20))).toMatchObject({ errorCode: 0 });
    await alter('1', 'message.max.bytes', set, '100');
    expect(await describeConfig('1', 'message.max.bytes')).toMatchObject({ value: '100', configSource: 2 });
    const dropOverride = [
      {
        resourceType: 2,
        resourceName: topic,
        configs: [{ name: 'max.message.bytes', configOperation: remove, value: null }],
      },
    ];
    await call(apis.incrementalAlterConfigs, 1, { resources: dropOverride, validateOnly: false });
    expect(await describeConfig(topic, 'max.message.bytes', 2)).toMatchObject({ value: '100' });
    expect(await produce(batch(20))).toMatchObject({ errorCode: errorCodes.MESSAGE_TOO_LARGE });
    await alter('1', 'message.max.bytes', remove);
    await alter('', 'message.max.bytes', remove);
    expect(await describeConfig('1', 'message.max.bytes')).toMatchObject({ value: '1048588', configSource: 5 });
    expect(await produce(batch(20))).toMatchObject({ errorCode: 0 });
  });

  test('they survive a restart of the broker', async () => {
    await start({}, 1);
    await alter('1', 'log.retention.ms', set, '3600000');
    cluster.crashBroker(1);
    await cluster.restartBroker(1);
    const again = await connect(1);
    const resources = [{ resourceType: 2, resourceName: topic, configurationKeys: ['retention.ms'] }];
    const { results } = await call(apis.describeConfigs, 4, { resources }, again);
    expect(results[0]?.configs[0]).toMatchObject({ value: '3600000' });
  });

  test('what nobody has set can be taken back, of brokers and topics: Kafka does so with throttles after a reassignment', async () => {
    await start({}, 1);
    expect(await alter('1', 'leader.replication.throttled.rate', remove)).toMatchObject({ errorCode: 0 });
    const configs = [{ name: 'leader.replication.throttled.replicas', configOperation: remove, value: null }];
    const resources = [{ resourceType: 2, resourceName: topic, configs }];
    const { responses } = await call(apis.incrementalAlterConfigs, 1, { resources, validateOnly: false });
    expect(responses[0]?.errorCode).toBe(0);
  });

  test('refused: what is read at the start only, values out of range, unknown brokers; append is for lists', async () => {
    await start({}, 1);
    const refusals = [
      await alter('1', 'num.partitions', set, '3'),
      await alter('1', 'no.such.key', set, '3'),
      await alter('', 'log.retention.ms', set, 'soon'),
      await alter('1', 'log.retention.ms', append, '5'),
    ];
    expect(refusals.map((one) => one?.errorCode)).toEqual(refusals.map(() => errorCodes.INVALID_CONFIG));
    expect(refusals[0]?.errorMessage).toMatch(/cannot be changed while brokers run; these can: .*log\.retention\.ms/);
    expect(await alter('77', 'log.retention.ms', set, '5')).toMatchObject({ errorCode: errorCodes.INVALID_REQUEST });
    expect(await alter('', 'log.cleanup.policy', append, 'compact')).toMatchObject({ errorCode: 0 });
    expect(await describeConfig('1', 'log.cleanup.policy')).toMatchObject({ value: 'compact', configSource: 3 });
  });
});
