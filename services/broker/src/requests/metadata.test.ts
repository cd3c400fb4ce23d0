import { errorCodes } from '@naru/kafka-protocol';
import { silentLogger } from '@naru/observability';
import { createSimulation } from '@naru/runtime/simulated';
import { describe, expect, it } from 'vitest';
import { MetadataPublisher } from '../cluster/metadata-publisher.ts';
import { ClusterModel, topicIdOf } from '../cluster/testing/cluster-model.ts';
import { logConfigDefinition } from '../log/log-config.ts';
import { describeConfigs } from './describe-configs.ts';
import { metadata } from './metadata.ts';

async function setUp() {
  const cluster = await ClusterModel.create([1, 2]);
  const { timers } = createSimulation({ seed: 1 }).addNode('b1').runtime;
  const publisher = new MetadataPublisher({ timers, logger: silentLogger });
  publisher.attach(cluster.admin);
  const member = (brokerId: number) => ({ brokerId, brokerEpoch: cluster.epoch(brokerId) });
  await cluster.createTopic(
    't',
    [
      [1, 2],
      [2, 1],
    ],
    { 'retention.ms': '7' },
  );
  await cluster.setState('t', 0, {
    leader: 1,
    leaderEpoch: 3,
    isr: [member(1), member(2)],
    elr: [],
    controllerEpoch: 1,
  });
  const topic = (name: string) => metadata({ publisher }, { topics: [name], allTopics: false }, 'PLAINTEXT').topics[0];
  return { cluster, publisher, topic };
}

describe('metadata', () => {
  it('tells brokers, topics, leaders and in-sync replicas', async () => {
    const { cluster, publisher, topic } = await setUp();
    const answer = metadata({ publisher }, { topics: [], allTopics: true }, 'PLAINTEXT');
    expect(answer.brokers).toEqual(
      [1, 2].map((id) => ({ id, host: `host-${id}`, port: 9092, rack: '', brokerEpoch: cluster.epoch(id) })),
    );
    expect(answer.topics).toEqual([topic('t')]);
    expect(topic('t')).toMatchObject({ errorCode: 0, topicId: topicIdOf('t'), internal: false });
    expect(topic('t')?.partitions[0]).toMatchObject({
      errorCode: 0,
      leaderId: 1,
      leaderEpoch: 3,
      replicas: [1, 2],
      isr: [1, 2],
      offlineReplicas: [],
    });
  });

  it('KIP-103: tells the addresses of the listener; who has none is not there, and what it leads is LISTENER_NOT_FOUND', async () => {
    const { cluster, publisher } = await setUp();
    const ask = (listener: string) => metadata({ publisher }, { topics: ['t'], allTopics: false }, listener);
    expect(ask('INTERNAL').brokers.map(({ host, port }) => `${host}:${port}`)).toEqual(['host-1:9093', 'host-2:9093']);
    await cluster.start(3, {
      endpoints: [{ listener: 'OTHER', protocol: 'PLAINTEXT', address: { host: 'host-3', port: 9094 } }],
    });
    expect(ask('PLAINTEXT').brokers.map(({ id }) => id)).toEqual([1, 2]);
    const seen = ask('OTHER');
    expect(seen.brokers.map(({ id, port }) => [id, port])).toEqual([[3, 9094]]);
    expect(seen.topics[0]?.partitions[0]).toMatchObject({ errorCode: errorCodes.LISTENER_NOT_FOUND, leaderId: -1 });
  });

  it('answers LEADER_NOT_AVAILABLE for a partition without a state, and for a leader that died', async () => {
    const { cluster, topic } = await setUp();
    expect(topic('t')?.partitions[1]).toMatchObject({
      errorCode: errorCodes.LEADER_NOT_AVAILABLE,
      leaderId: -1,
      leaderEpoch: -1,
    });
    cluster.kill(1);
    expect(topic('t')?.partitions[0]).toMatchObject({
      errorCode: errorCodes.LEADER_NOT_AVAILABLE,
      leaderId: -1,
      offlineReplicas: [1],
    });
  });

  it('row 10: a leader that bounced is there, but leads nothing', async () => {
    const { cluster, topic } = await setUp();
    await cluster.bounce(1);
    expect(topic('t')?.partitions[0]).toMatchObject({
      errorCode: errorCodes.LEADER_NOT_AVAILABLE,
      leaderId: -1,
      offlineReplicas: [],
    });
  });

  it('tells an unknown topic from an impossible name, and answers a name once', async () => {
    const { publisher, topic } = await setUp();
    expect(topic('nope')?.errorCode).toBe(errorCodes.UNKNOWN_TOPIC_OR_PARTITION);
    expect(topic('no/pe')?.errorCode).toBe(errorCodes.INVALID_TOPIC_EXCEPTION);
    expect(metadata({ publisher }, { topics: ['t', 't'], allTopics: false }, 'PLAINTEXT').topics).toHaveLength(1);
  });
});

describe('describe configs', () => {
  it("tells overrides, the broker's defaults and the built-in ones apart", async () => {
    const { publisher } = await setUp();
    const deps = {
      publisher,
      brokerId: 1,
      topicSettings: logConfigDefinition.settings,
      topicDefaults: () => logConfigDefinition.parse({ 'min.insync.replicas': 2 }),
      dynamic: { overrides: { own: new Map([['retention.ms', '9']]), ofAll: new Map([['retention.bytes', '8']]) } },
      dynamicSettings: { 'segment.ms': logConfigDefinition.settings['segment.ms'] },
      brokerSettings: logConfigDefinition.settings,
      brokerValues: logConfigDefinition.parse({ 'segment.bytes': 2_097_152 }),
    };
    const resources = [
      { type: 'topic', name: 't' },
      { type: 'broker', name: '1' },
      { type: 'broker', name: '2' },
      { type: 'topic', name: 'nope' },
      { type: 'user', name: 'x' },
      { type: 'broker', name: '' },
    ];
    const [topic, own, foreign, missing, unknown, shared] = describeConfigs(deps, { resources }).results;
    const value = (entries: typeof topic, name: string) => entries?.entries.find((entry) => entry.name === name);
    expect(value(topic, 'retention.ms')).toMatchObject({ value: '7', source: 1, readOnly: false });
    expect(value(topic, 'min.insync.replicas')).toMatchObject({ value: '2', source: 4 });
    expect(value(topic, 'flush.before.ack')).toMatchObject({ value: 'true', source: 5 });
    expect(value(own, 'segment.bytes')).toMatchObject({ value: '2097152', source: 4, readOnly: true });
    expect(value(own, 'retention.ms')).toMatchObject({ value: '9', source: 2, readOnly: false });
    expect(value(own, 'retention.bytes')).toMatchObject({ value: '8', source: 3, readOnly: false });
    expect(value(own, 'segment.ms')).toMatchObject({ source: 5, readOnly: false });
    expect(shared?.entries).toMatchObject([{ name: 'retention.bytes', value: '8', source: 3 }]);
    expect(foreign?.errorCode).toBe(errorCodes.INVALID_REQUEST);
    expect(missing?.errorCode).toBe(errorCodes.UNKNOWN_TOPIC_OR_PARTITION);
    expect(unknown?.errorCode).toBe(errorCodes.INVALID_REQUEST);
  });
});
