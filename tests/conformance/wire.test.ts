import {
  type Api,
  apis,
  type Decoded,
  type Encodable,
  encodeRequest,
  errorCodes,
  type Fields,
  zeroUuid,
} from '@naru/kafka-protocol';
import { BatchBuilder, readBatchHeader } from '@naru/record';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { batch, call, cluster, connect, fetch, idOf, peer, produce, start, topic } from './wire-world.ts';

afterEach(() => expect(cluster.failures).toEqual([]));

describe('ApiVersions', () => {
  test('what is advertised is what works: every version of every API is answered', async () => {
    await start();
    const { apiKeys } = await call(apis.apiVersions, 3, { clientSoftwareName: 'n', clientSoftwareVersion: '1' });
    const served = Object.values(apis).filter(({ key }) => apiKeys.some(({ apiKey }) => apiKey === key));
    expect(served.length).toBe(apiKeys.length);
    const requests: Readonly<Record<string, object>> = {
      Produce: { acks: 1, timeoutMs: 100, topics: [] },
      Fetch: { maxWaitMs: 0, minBytes: 0, topics: [] },
      ListOffsets: { topics: [] },
      Metadata: { topics: [] },
      ApiVersions: { clientSoftwareName: 'n', clientSoftwareVersion: '1' },
      CreateTopics: { topics: [] },
      DeleteTopics: { timeoutMs: 100 },
      InitProducerId: { transactionalId: null, transactionTimeoutMs: 1 },
      OffsetForLeaderEpoch: { topics: [] },
      DescribeConfigs: { resources: [] },
      AlterConfigs: { resources: [], validateOnly: true },
      CreatePartitions: { topics: [], timeoutMs: 100, validateOnly: true },
      IncrementalAlterConfigs: { resources: [], validateOnly: true },
      DescribeCluster: {},
      DescribeTopicPartitions: { topics: [] },
      ElectLeaders: { topicPartitions: [] },
      AlterPartitionReassignments: { topics: [] },
      ListPartitionReassignments: {},
      FindCoordinator: { key: 'g', coordinatorKeys: ['g'] },
      JoinGroup: { groupId: '', sessionTimeoutMs: 1, memberId: '', protocolType: 'consumer', protocols: [] },
      SyncGroup: { groupId: 'g', generationId: 1, memberId: 'm', assignments: [] },
      Heartbeat: { groupId: 'g', generationId: 1, memberId: 'm' },
      LeaveGroup: { groupId: 'g', memberId: 'm', members: [{ memberId: 'm' }] },
      OffsetCommit: { groupId: 'g', topics: [] },
      OffsetFetch: { groupId: 'g', topics: [], groups: [{ groupId: 'g', topics: null }] },
      OffsetDelete: { groupId: 'g', topics: [] },
      DescribeGroups: { groups: ['g'] },
      ListGroups: {},
      DeleteGroups: { groupsNames: ['g'] },
      ConsumerGroupHeartbeat: { groupId: 'g', memberId: 'm', memberEpoch: 0 },
      ConsumerGroupDescribe: { groupIds: ['g'], includeAuthorizedOperations: false },
      DeleteRecords: { topics: [], timeoutMs: 100 },
      DescribeLogDirs: { topics: null },
      AlterReplicaLogDirs: { dirs: [] },
      DescribeProducers: { topics: [] },
    };
    for (const api of served as unknown as readonly Api[]) {
      const range = apiKeys.find(({ apiKey }) => apiKey === api.key) as { minVersion: number; maxVersion: number };
      for (let version = range.minVersion; version <= range.maxVersion; version++) {
        await call(api, version, requests[api.name] as Encodable<Fields>);
      }
    }
    expect(peer.isClosed).toBe(false);
  });

  test('Produce begins at 0, or old librdkafka sends everything uncompressed (KAFKA-18659); transaction APIs are not there yet', async () => {
    await start();
    const { apiKeys } = await call(apis.apiVersions, 0, {});
    const of = (key: number) => apiKeys.find(({ apiKey }) => apiKey === key);
    expect(of(0)).toMatchObject({ minVersion: 0 });
    expect(of(1)).toMatchObject({ minVersion: 4 });
    for (const key of [24, 25, 26, 28, 71, 72]) expect(of(key)).toBeUndefined();
  });
});

describe('produce', () => {
  beforeEach(() => start());

  test.each([3, 7, 8, 9, 11, 13])('version %i appends and tells the base offset', async (version) => {
    expect(await produce(batch(3), version)).toMatchObject({ errorCode: 0, baseOffset: 0, logAppendTimeMs: -1 });
    expect(await produce(batch(2), version, { acks: 1 })).toMatchObject({ errorCode: 0, baseOffset: 3 });
  });

  test('versions with message sets are refused in their own words', async () => {
    for (const version of [0, 1, 2]) expect((await produce(batch(1), version))?.errorCode).toBe(35);
  });

  test('message sets of formats 0 and 1, corrupt, oversized, several and no batches are refused with the right code', async () => {
    const old = batch(1);
    old[16] = 1;
    const corrupt = batch(1);
    corrupt[70] = (corrupt[70] as number) ^ 1;
    const cases: readonly (readonly [Uint8Array | null, number])[] = [
      [old, errorCodes.UNSUPPORTED_FOR_MESSAGE_FORMAT],
      [corrupt, errorCodes.CORRUPT_MESSAGE],
      [batch(1).subarray(0, 40), errorCodes.CORRUPT_MESSAGE],
      [batch(2_000), errorCodes.MESSAGE_TOO_LARGE],
      [Buffer.concat([batch(1), batch(1)]), errorCodes.INVALID_RECORD],
      [null, errorCodes.INVALID_RECORD],
    ];
    for (const [records, code] of cases) expect((await produce(records))?.errorCode).toBe(code);
    expect((await produce(batch(1)))?.baseOffset).toBe(0);
  });

  test('a compacted topic takes no record without a key', async () => {
    const configs = [{ name: 'cleanup.policy', configOperation: 0, value: 'compact' }];
    const resources = [{ resourceType: 2, resourceName: topic, configs }];
    await call(apis.incrementalAlterConfigs, 1, { resources, validateOnly: false });
    expect((await produce(batch(2)))?.errorCode).toBe(errorCodes.INVALID_RECORD);
    expect((await produce(batch(2, { key: 'k', compression: 'gzip' })))?.errorCode).toBe(errorCodes.NONE);
  });

  test('KIP-110: zstd needs version 7', async () => {
    const records = batch(1, { compression: 'zstd' });
    expect((await produce(records, 6))?.errorCode).toBe(errorCodes.UNSUPPORTED_COMPRESSION_TYPE);
    expect((await produce(records, 7))?.errorCode).toBe(errorCodes.NONE);
  });

  test('small requests that come in one read are one append, each answered with its own offset', async () => {
    const found = cluster.brokers[0]?.replicas.find(topic, '', 0);
    if (found?.kind !== 'partition') throw new Error('nobody leads');
    const append = vi.spyOn(found.partition.log, 'appendAsLeader');
    const request = (records: Uint8Array) => ({
      acks: -1,
      timeoutMs: 1_000,
      topics: [{ name: topic, partitions: [{ index: 0, records }] }],
    });
    const frames = [1, 3, 2].flatMap((count, i) =>
      encodeRequest(apis.produce, 8, 900 + i, 'test', request(batch(count))),
    );
    peer.sendRaw(Buffer.concat(frames));
    await cluster.sim.runUntil(() => peer.answered.includes(902));
    const answers = [900, 901, 902].map((id) => peer.response(apis.produce, 8, id)?.topics[0]?.partitions[0]);
    expect(answers.map((answer) => [answer?.errorCode, answer?.baseOffset])).toEqual([
      [0, 0],
      [0, 1],
      [0, 4],
    ]);
    expect(append).toHaveBeenCalledOnce();
  });

  test('acks=0 appends without an answer', async () => {
    const topics = [{ name: topic, partitions: [{ index: 0, records: batch(2) }] }];
    peer.send(apis.produce, 8, { acks: 0, timeoutMs: 1, topics });
    expect(await produce(batch(1))).toMatchObject({ baseOffset: 2 });
    expect(peer.frames).toHaveLength(1);
  });

  test('acks of 2 are refused; an unknown topic, partition and topic id say so', async () => {
    expect((await produce(batch(1), 8, { acks: 2 }))?.errorCode).toBe(errorCodes.INVALID_REQUIRED_ACKS);
    expect((await produce(batch(1), 8, { partition: 9 }))?.errorCode).toBe(errorCodes.UNKNOWN_TOPIC_OR_PARTITION);
    const topics = [{ topicId: 'BBBBBBBBBBBBBBBBBBBBBA', partitions: [{ index: 0, records: batch(1) }] }];
    const answer = await call(apis.produce, 13, { acks: 1, timeoutMs: 1, topics });
    expect(answer.topics[0]).toMatchObject({ topicId: 'BBBBBBBBBBBBBBBBBBBBBA' });
    expect(answer.topics[0]?.partitions[0]?.errorCode).toBe(errorCodes.UNKNOWN_TOPIC_ID);
  });

  test('one bad partition does not touch the others, and answers keep the order of the request', async () => {
    const partitions = [
      { index: 1, records: batch(1) },
      { index: 7, records: batch(1) },
      { index: 0, records: null },
      { index: 0, records: batch(2) },
    ];
    const topics = [
      { name: 'none', partitions: [{ index: 0, records: batch(1) }] },
      { name: topic, partitions },
    ];
    const answer = await call(apis.produce, 8, { acks: -1, timeoutMs: 1_000, topics });
    expect(answer.topics.map(({ name }) => name)).toEqual(['none', topic]);
    expect(answer.topics[0]?.partitions[0]?.errorCode).toBe(errorCodes.UNKNOWN_TOPIC_OR_PARTITION);
    expect(answer.topics[1]?.partitions.map(({ index, errorCode }) => [index, errorCode])).toEqual([
      [1, 0],
      [7, errorCodes.UNKNOWN_TOPIC_OR_PARTITION],
      [0, errorCodes.INVALID_RECORD],
      [0, 0],
    ]);
  });

  test('an idempotent producer gets an id, and its batch that comes again is answered, not appended (KIP-98)', async () => {
    const { producerId, producerEpoch } = await call(apis.initProducerId, 4, {
      transactionalId: null,
      transactionTimeoutMs: 1_000,
    });
    const idempotent = (baseSequence: number) => {
      const builder = new BatchBuilder({ producerId, producerEpoch, baseSequence });
      builder.append(null, Buffer.from('v'), 1);
      return Buffer.from(builder.close());
    };
    expect(await produce(idempotent(0))).toMatchObject({ errorCode: 0, baseOffset: 0 });
    expect(await produce(idempotent(0))).toMatchObject({ errorCode: 0, baseOffset: 0 });
    expect(await produce(idempotent(1))).toMatchObject({ errorCode: 0, baseOffset: 1 });
    expect((await produce(idempotent(9)))?.errorCode).toBe(errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER);
    const refused = await call(apis.initProducerId, 4, { transactionalId: 't', transactionTimeoutMs: 1_000 });
    expect(refused.errorCode).not.toBe(0);
  });
});

describe('fetch', () => {
  beforeEach(async () => {
    await start();
    await produce(batch(3));
    await produce(batch(4));
  });

  test.each([4, 6, 7, 11, 12, 13, 15, 17])('version %i gives the batches as they were produced', async (version) => {
    const answer = await fetch(0, version);
    expect(answer).toMatchObject({ errorCode: 0, sessionId: 0 });
    const one = answer.topics[0]?.partitions[0];
    expect(one).toMatchObject({ errorCode: 0, highWatermark: 7, lastStableOffset: 7, abortedTransactions: null });
    expect(readBatchHeader(one?.records as Uint8Array)).toMatchObject({ baseOffset: 0, recordsCount: 3 });
  });

  test('an offset inside a batch gives the whole batch', async () => {
    const records = (await fetch(5)).topics[0]?.partitions[0]?.records as Uint8Array;
    expect(readBatchHeader(records)).toMatchObject({ baseOffset: 3, lastOffset: 6 });
  });

  test('KIP-74: the first batch comes whole, however small the limits', async () => {
    const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 }];
    const answer = await fetch(0, 11, { maxBytes: 1, topics: [{ topic, partitions }] });
    const records = answer.topics[0]?.partitions[0]?.records as Uint8Array;
    expect(records.length).toBe(readBatchHeader(records).sizeBytes);
  });

  test('read_committed gets a list of aborted transactions, which is empty', async () => {
    const one = (await fetch(0, 11, { isolationLevel: 1 })).topics[0]?.partitions[0];
    expect(one?.abortedTransactions).toEqual([]);
  });

  test('waits for min_bytes, at most max_wait; other requests of the connection are not begun twice', async () => {
    const startedMs = cluster.sim.nowMs;
    await fetch(7, 11, { maxWaitMs: 300 });
    expect(cluster.sim.nowMs - startedMs).toBeGreaterThanOrEqual(300);
    const id = peer.send(apis.fetch, 11, {
      maxWaitMs: 10_000,
      minBytes: 1,
      topics: [{ topic, partitions: [{ partition: 0, fetchOffset: 7, partitionMaxBytes: 1_000 }] }],
    });
    await produce(batch(1));
    expect(peer.response(apis.fetch, 11, id)?.topics[0]?.partitions[0]?.records?.length).toBeGreaterThan(0);
  });

  test('errors come at once: out of range, other epochs, unknown topics and ids', async () => {
    const codeAt = async (version: number, one: object, name: object = { topic, topicId: idOf(topic) }) => {
      const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 100, ...one }];
      const answer = await fetch(0, version, {
        maxWaitMs: 60_000,
        minBytes: 1_000_000,
        topics: [{ ...name, partitions }],
      });
      return answer.topics[0]?.partitions[0]?.errorCode;
    };
    expect(await codeAt(11, { fetchOffset: 99 })).toBe(errorCodes.OFFSET_OUT_OF_RANGE);
    expect(await codeAt(11, { currentLeaderEpoch: 5 })).toBe(errorCodes.UNKNOWN_LEADER_EPOCH);
    expect(await codeAt(11, { partition: 8 })).toBe(errorCodes.UNKNOWN_TOPIC_OR_PARTITION);
    expect(await codeAt(13, {}, { topicId: 'BBBBBBBBBBBBBBBBBBBBBA' })).toBe(errorCodes.UNKNOWN_TOPIC_ID);
  });

  test('KIP-227: in a session only what changes is asked and told', async () => {
    const ask = (fields: Partial<Encodable<typeof apis.fetch.request.fields>>) =>
      call(apis.fetch, 11, { maxWaitMs: 0, minBytes: 1, topics: [], ...fields });
    const at = (fetchOffset: number, partition = 0) => ({ partition, fetchOffset, partitionMaxBytes: 100_000 });
    const first = await ask({ sessionEpoch: 0, topics: [{ topic, partitions: [at(0), at(0, 1)] }] });
    const { sessionId } = first;
    expect(sessionId).toBeGreaterThan(0);
    expect(first.topics[0]?.partitions.map(({ partition }) => partition)).toEqual([0, 1]);
    const caughtUp = await ask({ sessionId, sessionEpoch: 1, topics: [{ topic, partitions: [at(7)] }] });
    expect(caughtUp).toMatchObject({ errorCode: 0, sessionId, topics: [] });
    await produce(batch(2), 8, { partition: 1 });
    const news = await ask({ sessionId, sessionEpoch: 2 });
    expect(news.topics[0]?.partitions.map(({ partition, highWatermark }) => [partition, highWatermark])).toEqual([
      [1, 2],
    ]);
    const forgotten = await ask({ sessionId, sessionEpoch: 3, forgottenTopics: [{ topic, partitions: [1] }] });
    expect(forgotten.topics).toEqual([]);
    expect((await ask({ sessionId, sessionEpoch: 3 })).errorCode).toBe(errorCodes.INVALID_FETCH_SESSION_EPOCH);
    await ask({ sessionId, sessionEpoch: -1 });
    expect((await ask({ sessionId, sessionEpoch: 4 })).errorCode).toBe(errorCodes.FETCH_SESSION_ID_NOT_FOUND);
  });

  test('CVE-2018-1288: nobody becomes a follower on the clients port', async () => {
    const one = (await fetch(0, 11, { replicaId: 2 })).topics[0]?.partitions[0];
    expect(one).toMatchObject({ errorCode: errorCodes.CLUSTER_AUTHORIZATION_FAILED });
    const newer = (await fetch(0, 15, { replicaState: { replicaId: 2, replicaEpoch: 1 } })).topics[0]?.partitions[0];
    expect(newer).toMatchObject({ errorCode: errorCodes.CLUSTER_AUTHORIZATION_FAILED });
  });
});

describe('offsets', () => {
  beforeEach(async () => {
    await start();
    await produce(batch(3, { timeMs: 1_000 }));
    await produce(batch(3, { timeMs: 9_000 }));
  });

  test('ListOffsets: latest, earliest, largest time, local and tiered, by time, and a time that nobody reached', async () => {
    const at = async (timestamp: number, version = 11) => {
      const topics = [{ name: topic, partitions: [{ partitionIndex: 0, timestamp }] }];
      return (await call(apis.listOffsets, version, { topics })).topics[0]?.partitions[0];
    };
    expect(await at(-1)).toMatchObject({ errorCode: 0, offset: 6 });
    expect(await at(-2, 1)).toMatchObject({ errorCode: 0, offset: 0 });
    expect(await at(-3)).toMatchObject({ offset: 5, timestamp: 9_002 });
    expect(await at(-4)).toMatchObject({ offset: 0 });
    expect(await at(-5)).toMatchObject({ errorCode: 0, offset: -1 });
    expect(await at(-99)).toMatchObject({ errorCode: errorCodes.INVALID_REQUEST });
    expect(await at(1_002)).toMatchObject({ offset: 2, timestamp: 1_002 });
    expect(await at(5_000)).toMatchObject({ offset: 3, timestamp: 9_000 });
    expect(await at(99_000)).toMatchObject({ errorCode: 0, offset: -1, timestamp: -1 });
  });

  test('OffsetForLeaderEpoch: the end of the epoch; unknown epochs and leaders say so (KIP-320)', async () => {
    const end = async (leaderEpoch: number, currentLeaderEpoch = -1) => {
      const topics = [{ topic, partitions: [{ partition: 0, leaderEpoch, currentLeaderEpoch }] }];
      return (await call(apis.offsetForLeaderEpoch, 4, { replicaId: -1, topics })).topics[0]?.partitions[0];
    };
    expect(await end(0)).toMatchObject({ errorCode: 0, leaderEpoch: 0, endOffset: 6 });
    expect(await end(7)).toMatchObject({ errorCode: 0, leaderEpoch: -1, endOffset: -1 });
    expect(await end(0, 7)).toMatchObject({ errorCode: errorCodes.UNKNOWN_LEADER_EPOCH });
  });
});

describe('metadata', () => {
  test('all topics, none, some, by id; the controller is a broker of the list', async () => {
    await start({}, 3);
    const all = await call(apis.metadata, 12, { topics: null });
    expect(all.topics.map(({ name }) => name)).toEqual([topic]);
    expect(all.brokers.map(({ nodeId }) => nodeId).sort()).toEqual([1, 2, 3]);
    expect([1, 2, 3]).toContain(all.controllerId);
    expect(all.clusterId).toMatch(/^[\w-]{22}$/);
    expect((await call(apis.metadata, 0, { topics: [] })).topics).toHaveLength(1);
    expect((await call(apis.metadata, 1, { topics: [] })).topics).toHaveLength(0);
    const byId = await call(apis.metadata, 12, { topics: [{ name: null, topicId: idOf(topic) }] });
    expect(byId.topics[0]).toMatchObject({ errorCode: 0, name: topic, topicId: idOf(topic) });
    const asJava = await call(apis.metadata, 12, { topics: [{ name: '', topicId: idOf(topic) }] });
    expect(asJava.topics[0]).toMatchObject({ errorCode: 0, name: topic });
    const unknown = await call(apis.metadata, 12, { topics: [{ name: null, topicId: 'BBBBBBBBBBBBBBBBBBBBBA' }] });
    expect(unknown.topics[0]).toMatchObject({ errorCode: errorCodes.UNKNOWN_TOPIC_ID, name: null });
    const cluster3 = await call(apis.describeCluster, 2, {});
    expect(cluster3).toMatchObject({ clusterId: all.clusterId, controllerId: all.controllerId });
  });

  test('a topic is created when it is asked for, if the broker and the client want that', async () => {
    await start({ 'num.partitions': 3 });
    const ask = (name: string, version: number, allowAutoTopicCreation = true) =>
      call(apis.metadata, version, { topics: [{ name }], allowAutoTopicCreation });
    expect((await ask('unwanted', 4, false)).topics[0]?.errorCode).toBe(errorCodes.UNKNOWN_TOPIC_OR_PARTITION);
    expect((await ask('wanted', 4)).topics[0]).toMatchObject({ errorCode: 0 });
    expect((await ask('old', 1)).topics[0]?.partitions).toHaveLength(3);
    expect((await ask('no/name', 4)).topics[0]?.errorCode).toBe(errorCodes.INVALID_TOPIC_EXCEPTION);
  });

  test('nothing is created where that is switched off', async () => {
    await start({ 'auto.create.topics.enable': false });
    const answer = await call(apis.metadata, 4, { topics: [{ name: 'unwanted' }] });
    expect(answer.topics[0]?.errorCode).toBe(errorCodes.UNKNOWN_TOPIC_OR_PARTITION);
  });
});

describe('administration', () => {
  beforeEach(() => start());

  test('CreateTopics: defaults by -1 (KIP-464), assignments, configs back in the answer, refusals one by one', async () => {
    const one = { numPartitions: -1, replicationFactor: -1 };
    const answer = await call(apis.createTopics, 7, {
      timeoutMs: 5_000,
      topics: [
        { name: 'defaults', ...one },
        { name: 'no/name', ...one },
        { name: 'gap', ...one, assignments: [{ partitionIndex: 1, brokerIds: [1] }] },
        { name: 'assigned', ...one, assignments: [1, 0].map((partitionIndex) => ({ partitionIndex, brokerIds: [1] })) },
        { name: 'wrong', ...one, configs: [{ name: 'retention.sm', value: '1' }] },
        { name: 'valueless', ...one, configs: [{ name: 'retention.ms', value: null }] },
        { name: topic, ...one },
      ],
    });
    expect(answer.topics.map(({ name, errorCode, numPartitions }) => [name, errorCode, numPartitions])).toEqual([
      ['defaults', 0, 1],
      ['no/name', errorCodes.INVALID_TOPIC_EXCEPTION, -1],
      ['gap', errorCodes.INVALID_REPLICA_ASSIGNMENT, -1],
      ['assigned', 0, 2],
      ['wrong', errorCodes.INVALID_CONFIG, -1],
      ['valueless', errorCodes.INVALID_CONFIG, -1],
      [topic, errorCodes.TOPIC_ALREADY_EXISTS, -1],
    ]);
    expect(answer.topics[0]?.topicId).toBe(idOf('defaults'));
    expect(answer.topics[0]?.configs?.find(({ name }) => name === 'cleanup.policy')).toMatchObject({ value: 'delete' });
    expect(
      (
        await call(apis.createTopics, 0, {
          timeoutMs: 1,
          topics: [{ name: 'z', numPartitions: 1, replicationFactor: 1 }],
        })
      ).topics[0]?.errorCode,
    ).toBe(0);
  });

  test('CreateTopics with validate_only creates nothing', async () => {
    const topics = [{ name: 'dry', numPartitions: 1, replicationFactor: 1 }];
    const answer = await call(apis.createTopics, 5, { topics, timeoutMs: 1_000, validateOnly: true });
    expect(answer.topics[0]).toMatchObject({ errorCode: 0, topicId: zeroUuid });
    expect(idOf('dry')).toBe('');
  });

  test('DeleteTopics by name and by id; CreatePartitions answers every topic', async () => {
    const grown = await call(apis.createPartitions, 3, {
      topics: [
        { name: topic, count: 4 },
        { name: 'none', count: 4 },
      ],
      timeoutMs: 5_000,
      validateOnly: false,
    });
    expect(grown.results.map(({ errorCode }) => errorCode)).toEqual([0, errorCodes.UNKNOWN_TOPIC_OR_PARTITION]);
    const topicId = idOf(topic);
    const byId = await call(apis.deleteTopics, 6, {
      topics: [
        { name: null, topicId },
        { name: null, topicId: 'BBBBBBBBBBBBBBBBBBBBBA' },
      ],
      timeoutMs: 5_000,
    });
    expect(byId.topics.map(({ name, errorCode }) => [name, errorCode])).toEqual([
      [topic, 0],
      [null, errorCodes.UNKNOWN_TOPIC_ID],
    ]);
    const byName = await call(apis.deleteTopics, 1, { topicNames: ['none'], timeoutMs: 5_000 });
    expect(byName.topics[0]?.errorCode).toBe(errorCodes.UNKNOWN_TOPIC_OR_PARTITION);
  });

  test('KIP-966: DescribeTopicPartitions goes page by page, in the order of names', async () => {
    await cluster.createTopic('a', 3, 1);
    const seen: string[] = [];
    let cursor: { topicName: string; partitionIndex: number } | null = null;
    for (let pages = 0; pages < 10; pages++) {
      const answer: Decoded<typeof apis.describeTopicPartitions.response.fields> = await call(
        apis.describeTopicPartitions,
        0,
        { topics: [], responsePartitionLimit: 2, cursor },
      );
      seen.push(
        ...answer.topics.flatMap(({ name, partitions }) =>
          partitions.map(({ partitionIndex, leaderId }) => `${name} ${partitionIndex} led by ${leaderId}`),
        ),
      );
      cursor = answer.nextCursor;
      if (cursor === null) break;
    }
    expect(seen).toEqual(['a 0 led by 1', 'a 1 led by 1', 'a 2 led by 1', 'events 0 led by 1', 'events 1 led by 1']);
    const named = await call(apis.describeTopicPartitions, 0, { topics: [{ name: 'none' }, { name: 'a' }] });
    expect(named.topics.map(({ name, errorCode }) => [name, errorCode])).toEqual([
      ['a', 0],
      ['none', errorCodes.UNKNOWN_TOPIC_OR_PARTITION],
    ]);
  });

  test('DescribeConfigs lists every key with source, type and synonyms; a choice of keys when asked', async () => {
    const resources = [{ resourceType: 2, resourceName: topic }];
    const answer = await call(apis.describeConfigs, 4, {
      resources,
      includeSynonyms: true,
      includeDocumentation: true,
    });
    const configs = answer.results[0]?.configs ?? [];
    expect(configs.map(({ name }) => name)).toContain('cleanup.policy');
    const overridden = configs.find(({ name }) => name === 'max.message.bytes');
    expect(overridden).toMatchObject({ value: '8000', configSource: 1, configType: 3, readOnly: false });
    expect(overridden?.synonyms.map(({ source }) => source)).toEqual([1, 5]);
    const chosen = await call(apis.describeConfigs, 1, {
      resources: [{ resourceType: 2, resourceName: topic, configurationKeys: ['retention.ms'] }],
    });
    expect(chosen.results[0]?.configs.map(({ name }) => name)).toEqual(['retention.ms']);
    const broker = await call(apis.describeConfigs, 4, { resources: [{ resourceType: 4, resourceName: '1' }] });
    expect(broker.results[0]?.configs.find(({ name }) => name === 'num.partitions')).toMatchObject({ readOnly: true });
    const unknown = await call(apis.describeConfigs, 4, { resources: [{ resourceType: 77, resourceName: 'x' }] });
    expect(unknown.results[0]?.errorCode).toBe(errorCodes.INVALID_REQUEST);
  });

  test('IncrementalAlterConfigs changes single keys, AlterConfigs all of them', async () => {
    const overrides = () => Object.fromEntries(cluster.brokers[0]?.publisher.image.topics.get(topic)?.config ?? []);
    const resource = { resourceType: 2, resourceName: topic };
    const change = (configs: { name: string; configOperation: number; value: string | null }[]) =>
      call(apis.incrementalAlterConfigs, 1, { resources: [{ ...resource, configs }], validateOnly: false });
    await change([{ name: 'retention.ms', configOperation: 0, value: '5000' }]);
    expect(overrides()).toEqual({ 'max.message.bytes': '8000', 'retention.ms': '5000' });
    await change([{ name: 'max.message.bytes', configOperation: 1, value: null }]);
    expect(overrides()).toEqual({ 'retention.ms': '5000' });
    const appended = await change([{ name: 'retention.ms', configOperation: 2, value: '1' }]);
    expect(appended.responses[0]?.errorCode).toBe(errorCodes.INVALID_CONFIG);
    await change([{ name: 'cleanup.policy', configOperation: 2, value: 'compact' }]);
    expect(overrides()).toMatchObject({ 'cleanup.policy': 'delete,compact' });
    await change([{ name: 'cleanup.policy', configOperation: 3, value: 'delete' }]);
    expect(overrides()).toMatchObject({ 'cleanup.policy': 'compact' });
    const configs = [{ name: 'segment.bytes', value: '2097152' }];
    await call(apis.alterConfigs, 2, { resources: [{ ...resource, configs }], validateOnly: false });
    expect(overrides()).toEqual({ 'segment.bytes': '2097152' });
    const wrong = await change([{ name: 'retention.ms', configOperation: 0, value: 'soon' }]);
    expect(wrong.responses[0]?.errorCode).toBe(errorCodes.INVALID_CONFIG);
  });
});

describe('bad input at the port of a real broker', () => {
  test.each([
    ['HTTP', 'GET /metrics HTTP/1.1\r\n\r\n'],
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc'],
    ['a frame of 2 GB', '\x7f\xff\xff\xff'],
    ['a huge count', '\x00\x00\x00\x0e\x00\x03\x00\x01\x00\x00\x00\x01\xff\xff\x7f\xff\xff\xff'],
    ['half a preface of HTTP/2', 'PRX '],
  ])('%s closes that connection and no other', async (_, bytes) => {
    await start();
    const hostile = await connect(1);
    hostile.sendRaw(bytes);
    await cluster.sim.runUntil(() => hostile.isClosed);
    expect((await produce(batch(1)))?.errorCode).toBe(0);
  });
});

describe('who does not lead', () => {
  test('says who does, with the address in new versions (KIP-951)', async () => {
    await start({}, 3);
    const leader = cluster.leaderOf(topic, 0) as number;
    const follower = await connect([1, 2, 3].find((id) => id !== leader) as number);
    const topics = [{ name: topic, partitions: [{ index: 0, records: batch(1) }] }];
    const answer = await call(apis.produce, 10, { acks: 1, timeoutMs: 1_000, topics }, follower);
    expect(answer.topics[0]?.partitions[0]).toMatchObject({
      errorCode: errorCodes.NOT_LEADER_OR_FOLLOWER,
      currentLeader: { leaderId: leader, leaderEpoch: 0 },
    });
    expect(answer.nodeEndpoints).toMatchObject([{ nodeId: leader, host: `b${leader}` }]);
    const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 100 }];
    const fetched = await call(
      apis.fetch,
      16,
      { maxWaitMs: 9_000, minBytes: 1, topics: [{ topicId: idOf(topic), partitions }] },
      follower,
    );
    expect(fetched.topics[0]?.partitions[0]?.currentLeader).toEqual({ leaderId: leader, leaderEpoch: 0 });
    expect(fetched.nodeEndpoints).toHaveLength(1);
  });
});
