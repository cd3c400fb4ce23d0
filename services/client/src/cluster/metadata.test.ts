import type { broker } from '@naru/rpc';
import { describe, expect, test } from 'vitest';
import { parseBootstrapServers } from './addresses.ts';
import { applyLeaderHint, applyMetadata, emptyImage } from './metadata.ts';

function answer(
  leaders: readonly (readonly [leaderId: number, leaderEpoch: number])[],
  topicId = 'a',
): broker.MetadataResponse {
  const partitions = leaders.map(([leaderId, leaderEpoch], partition) => ({
    errorCode: 0,
    partition,
    leaderId,
    leaderEpoch,
    replicas: [],
    isr: [],
    offlineReplicas: [],
    elr: [],
    lastKnownElr: [],
    addingReplicas: [],
    removingReplicas: [],
  }));
  return {
    clusterId: 'c',
    controllerId: 1,
    brokers: [1, 2].map((id) => ({ id, host: `b${id}`, port: 9092, rack: '', brokerEpoch: 1 })),
    topics: [{ errorCode: 0, name: 't', topicId, internal: false, partitions }],
  };
}

const leaders = (image: typeof emptyImage) => image.topics.get('t')?.partitions.map((p) => [p.leaderId, p.leaderEpoch]);

describe('metadata', () => {
  test('a broker that is behind does not take back an election (KIP-320)', () => {
    const image = applyMetadata(emptyImage, answer([[2, 5]]));
    expect(leaders(applyMetadata(image, answer([[1, 4]])))).toEqual([[2, 5]]);
    expect(leaders(applyMetadata(image, answer([[1, 6]])))).toEqual([[1, 6]]);
  });

  test('another topic id is another topic: its epochs begin anew (row 18)', () => {
    const image = applyMetadata(emptyImage, answer([[2, 5]]));
    expect(leaders(applyMetadata(image, answer([[1, 0]], 'b')))).toEqual([[1, 0]]);
  });

  test('added partitions are kept when a broker has not heard of them', () => {
    const image = applyMetadata(
      emptyImage,
      answer([
        [1, 0],
        [2, 0],
      ]),
    );
    expect(leaders(applyMetadata(image, answer([[1, 1]])))).toEqual([
      [1, 1],
      [2, 0],
    ]);
  });

  test('a topic that is gone is forgotten, with the reason', () => {
    const image = applyMetadata(emptyImage, answer([[1, 0]]));
    const gone = { ...answer([]), topics: [{ errorCode: 3, name: 't', topicId: '', internal: false, partitions: [] }] };
    const next = applyMetadata(image, gone);
    expect([next.topics.has('t'), next.topicErrors.get('t')]).toEqual([false, 3]);
    expect(applyMetadata(next, answer([[1, 0]])).topicErrors.has('t')).toBe(false);
  });

  test('a hint counts when it is newer and its broker is known (KIP-951)', () => {
    const image = applyMetadata(emptyImage, answer([[1, 3]]));
    const hint = { topic: 't', partition: 0, leaderId: 2, leaderEpoch: 4 };
    expect(leaders(applyLeaderHint(image, hint))).toEqual([[2, 4]]);
    for (const stale of [
      { ...hint, leaderEpoch: 3 },
      { ...hint, leaderId: 9 },
      { ...hint, leaderId: -1 },
      { ...hint, topic: 'u' },
    ]) {
      expect(applyLeaderHint(image, stale)).toBe(image);
    }
  });
});

test('bootstrap.servers', () => {
  expect(parseBootstrapServers(['a:1', '[::1]:9092'])).toEqual([
    { host: 'a', port: 1 },
    { host: '::1', port: 9092 },
  ]);
  for (const entry of ['a', 'a:', ':1', 'a:0', 'a:70000', 'a b:1', 'http://a:1']) {
    expect(() => parseBootstrapServers([entry]), entry).toThrow(/host:port/);
  }
  expect(() => parseBootstrapServers([])).toThrow(/bootstrap\.servers/);
});
