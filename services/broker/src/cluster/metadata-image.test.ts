import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyChanges, applySnapshot } from './metadata-builder.ts';
import { diffImages } from './metadata-delta.ts';
import { emptyImage, isAlive, type MetadataImage, topicById } from './metadata-image.ts';
import type { PartitionState } from './partition-state.ts';
import { ClusterModel, topicIdOf } from './testing/cluster-model.ts';
import { encodeDeletedTopic, encodeDeleteTopic } from './znode-codecs.ts';
import type { ZnodeDecodeError } from './znode-fields.ts';
import { paths } from './znode-paths.ts';

const state = (leader: number, isr: readonly (readonly [number, number])[], leaderEpoch = 0): PartitionState => ({
  leader,
  leaderEpoch,
  isr: isr.map(([brokerId, brokerEpoch]) => ({ brokerId, brokerEpoch })),
  elr: [],
  controllerEpoch: 1,
});

/** Comparable: the topics' map has no order of its own. */
const plain = (image: MetadataImage) => ({ ...image, topics: new Map(image.topics) });

const never = (error: Error): never => {
  throw error;
};

/** Follows a cluster by its changes, as a broker does. */
function follow(
  cluster: ClusterModel,
  onUndecodable: (error: ZnodeDecodeError) => void = never,
): { image: MetadataImage; history: MetadataImage[] } {
  const view = { image: emptyImage, history: [] as MetadataImage[] };
  cluster.coordinator.openSession().watch(
    '/',
    { recursive: true },
    {
      onSnapshot: (nodes, zxid) => {
        view.image = applySnapshot(view.image, nodes, zxid, onUndecodable);
        view.history.push(view.image);
      },
      onChanges: (changes, zxid) => {
        view.image = applyChanges(view.image, changes, zxid, onUndecodable);
        view.history.push(view.image);
      },
    },
  );
  return view;
}

/** Removes a topic as the controller does. */
async function deleteTopic(cluster: ClusterModel, name: string, partitions: number): Promise<void> {
  const id = topicIdOf(name);
  await cluster.admin.write([{ kind: 'create', path: paths.deleteTopic(name), data: encodeDeleteTopic(id) }]);
  await cluster.admin.write([
    ...Array.from({ length: partitions }, (_, p) => [
      { kind: 'delete', path: paths.partitionState(name, p) } as const,
      { kind: 'delete', path: paths.partition(name, p) } as const,
    ]).flat(),
    { kind: 'delete', path: paths.partitions(name) },
    { kind: 'delete', path: paths.topic(name) },
    { kind: 'delete', path: paths.deleteTopic(name) },
    { kind: 'delete', path: paths.topicConfig(name) },
    { kind: 'create', path: paths.deletedTopic(id), data: encodeDeletedTopic(name) },
  ]);
}

describe('the metadata image', () => {
  it('shows brokers as incarnations, topics with config and states', async () => {
    const cluster = await ClusterModel.create([1, 2]);
    const view = follow(cluster);
    await cluster.createTopic(
      't',
      [
        [1, 2],
        [2, 1],
      ],
      { 'retention.ms': '7' },
    );
    const e1 = cluster.epoch(1);
    await cluster.setState('t', 1, state(1, [[1, e1]]));
    const topic = view.image.topics.get('t');
    expect(topic).toMatchObject({ id: topicIdOf('t'), markedForDeletion: false });
    expect(topic?.config).toEqual(new Map([['retention.ms', '7']]));
    expect(topic?.partitions[0]).toMatchObject({ replicas: [1, 2], state: undefined, stateVersion: -1 });
    expect(topic?.partitions[1]).toMatchObject({ replicas: [2, 1], state: { leader: 1 }, stateVersion: 0 });
    expect(topicById(view.image, topicIdOf('t'))).toBe(topic);
    expect(isAlive(view.image, { brokerId: 1, brokerEpoch: e1 })).toBe(true);
    expect(isAlive(view.image, { brokerId: 1, brokerEpoch: e1 - 1 })).toBe(false);
    expect(plain(view.image)).toEqual(plain({ ...cluster.image, zxid: view.image.zxid }));
  });

  it('shares what did not change', async () => {
    const cluster = await ClusterModel.create([1]);
    await cluster.createTopic('a', [[1], [1]]);
    await cluster.createTopic('b', [[1]]);
    const view = follow(cluster);
    const before = view.image;
    await cluster.setState('a', 0, state(1, [[1, cluster.epoch(1)]]));
    expect(view.image.brokers).toBe(before.brokers);
    expect(view.image.topics.get('b')).toBe(before.topics.get('b'));
    expect(view.image.topics.get('a')?.partitions[1]).toBe(before.topics.get('a')?.partitions[1]);
    expect(before.topics.get('a')?.partitions[0]?.state).toBeUndefined();
  });

  it('row 10: a bounce is one rebirth, a restart of another broker an appearance', async () => {
    const cluster = await ClusterModel.create([1, 2]);
    const view = follow(cluster);
    const before = view.image;
    await cluster.bounce(1);
    cluster.kill(2);
    await cluster.start(3);
    const delta = diffImages(before, view.image);
    expect(delta.brokersReborn.map(({ after }) => after.id)).toEqual([1]);
    expect(delta.brokersGone.map((broker) => broker.id)).toEqual([2]);
    expect(delta.brokersAppeared.map((broker) => broker.id)).toEqual([3]);
  });

  it('row 25: a snapshot after lost history gives the same image and delta as the changes would have', async () => {
    const cluster = await ClusterModel.create([1, 2]);
    await cluster.createTopic('t', [[1, 2]]);
    const followed = follow(cluster);
    const before = followed.image;
    await cluster.bounce(1);
    await cluster.setState('t', 0, state(2, [[2, cluster.epoch(2)]]));
    await cluster.createTopic('u', [[1]]);
    const snapshot = applySnapshot(before, cluster.coordinator.snapshot(), cluster.coordinator.zxid, never);
    expect(plain(snapshot)).toEqual(plain(followed.image));
    expect(diffImages(before, snapshot)).toEqual(diffImages(before, followed.image));
    expect(diffImages(followed.image, snapshot).partitionsChanged).toEqual([]);
  });

  it('row 58: an unreadable znode keeps the value that was known, in changes and in snapshots', async () => {
    const cluster = await ClusterModel.create([1]);
    await cluster.createTopic('t', [[1]], { 'retention.ms': '7' });
    await cluster.setState('t', 0, state(1, [[1, cluster.epoch(1)]]));
    const errors: ZnodeDecodeError[] = [];
    const view = follow(cluster, (error) => errors.push(error));
    const before = view.image;
    const broken = Buffer.from('{"version":');
    for (const path of [
      paths.topic('t'),
      paths.topicConfig('t'),
      paths.partitionState('t', 0),
      paths.broker(1),
      paths.brokerDirectory(1),
    ]) {
      await cluster.admin.write([{ kind: 'set-data', path, data: broken }]);
    }
    expect(errors.length).toBe(5);
    const expected = { ...before, zxid: view.image.zxid };
    expect(plain(view.image)).toEqual(plain(expected));
    const snapshot = applySnapshot(view.image, cluster.coordinator.snapshot(), view.image.zxid, () => {});
    expect(plain(snapshot)).toEqual(plain(expected));
    expect(diffImages(before, view.image).topicsVanished).toEqual([]);
  });

  it('row 58: states wait for a topic znode that is readable only later', async () => {
    const cluster = await ClusterModel.create([1]);
    const view = follow(cluster, () => {});
    await cluster.createTopic('t', [[1]]);
    const good = cluster.coordinator.nodes.get(paths.topic('t'))?.data as Uint8Array;
    const other = await ClusterModel.create([1]);
    const late = follow(other, () => {});
    await other.admin.write([
      { kind: 'create', path: paths.topic('t'), data: Buffer.from('?') },
      { kind: 'create', path: paths.partitions('t'), data: new Uint8Array() },
    ]);
    await other.setState('t', 0, state(1, [[1, 5]]));
    expect(late.image.topics.size).toBe(0);
    await other.admin.write([{ kind: 'set-data', path: paths.topic('t'), data: good }]);
    expect(late.image.topics.get('t')?.partitions[0]?.state?.leader).toBe(1);
    expect(late.image.unplaced.size).toBe(0);
    expect(view.image.topics.has('t')).toBe(true);
  });

  it('row 58: only a committed deletion deletes; a topic that is merely missing has vanished', async () => {
    const cluster = await ClusterModel.create([1]);
    await cluster.createTopic('t', [[1]]);
    await cluster.createTopic('u', [[1]]);
    await cluster.setState('t', 0, state(1, [[1, 5]]));
    const view = follow(cluster);
    const before = view.image;
    await deleteTopic(cluster, 't', 1);
    cluster.coordinator.nodes.delete(paths.topic('u'));
    const after = applySnapshot(view.image, cluster.coordinator.snapshot(), view.image.zxid, never);
    const delta = diffImages(before, after);
    expect(delta.topicsDeleted).toEqual([{ name: 't', id: topicIdOf('t') }]);
    expect(delta.topicsVanished).toEqual([{ name: 'u', id: topicIdOf('u') }]);
  });

  it('row 18: a topic created anew under an old name is another topic', async () => {
    const cluster = await ClusterModel.create([1]);
    await cluster.createTopic('t', [[1]]);
    await cluster.setState('t', 0, state(1, [[1, 5]]));
    const view = follow(cluster);
    const before = view.image;
    await deleteTopic(cluster, 't', 1);
    const assignment = `{"version":3,"topic_id":"${'n'.repeat(22)}","partitions":{"0":[1]}}`;
    await cluster.admin.write([{ kind: 'create', path: paths.topic('t'), data: Buffer.from(assignment) }]);
    const delta = diffImages(before, view.image);
    expect(delta.topicsDeleted.map((topic) => topic.id)).toEqual([topicIdOf('t')]);
    expect(delta.topicsCreated.map((topic) => topic.id)).toEqual(['n'.repeat(22)]);
    expect(delta.partitionsChanged).toMatchObject([{ before: undefined, after: { state: undefined } }]);
  });

  it('a deletion mark means the topic whose id it names', async () => {
    const cluster = await ClusterModel.create([1]);
    const view = follow(cluster);
    await cluster.createTopic('t', [[1]]);
    await cluster.admin.write([{ kind: 'create', path: paths.deleteTopic('t'), data: encodeDeleteTopic('another') }]);
    expect(view.image.topics.get('t')?.markedForDeletion).toBe(false);
    const before = view.image;
    await cluster.admin.write([
      { kind: 'set-data', path: paths.deleteTopic('t'), data: encodeDeleteTopic(topicIdOf('t')) },
    ]);
    expect(view.image.topics.get('t')?.markedForDeletion).toBe(true);
    expect(diffImages(before, view.image).topicsMarkedForDeletion.map((topic) => topic.name)).toEqual(['t']);
  });
});

type Step = {
  readonly kind: 'start' | 'kill' | 'create' | 'state' | 'config' | 'delete' | 'damage';
  readonly a: number;
  readonly b: number;
};

describe('the metadata image (property)', () => {
  it('is the same by changes and by snapshot after any history, and the two paths tell the same delta', async () => {
    const step: fc.Arbitrary<Step> = fc.record({
      kind: fc.constantFrom('start', 'kill', 'create', 'state', 'config', 'delete', 'damage'),
      a: fc.nat(3),
      b: fc.nat(3),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.nat(40), async (steps, gap) => {
        const cluster = await ClusterModel.create([0]);
        const view = follow(cluster);
        let before = view.image;
        for (const [index, { kind, a, b }] of steps.entries()) {
          if (index === gap) before = view.image;
          await take(cluster, kind, a, b);
        }
        const snapshot = applySnapshot(before, cluster.coordinator.snapshot(), view.image.zxid, never);
        expect(plain(snapshot)).toEqual(plain(view.image));
        expect(sorted(diffImages(before, snapshot))).toEqual(sorted(diffImages(before, view.image)));
      }),
      { numRuns: 150 },
    );
  });
});

const intactPart = { endOffset: 7, leaderEpoch: 1, beyondRecoveryPoint: true };

async function take(cluster: ClusterModel, kind: Step['kind'], a: number, b: number): Promise<void> {
  const name = `t${a}`;
  const topic = cluster.image.topics.get(name);
  if (kind === 'start') await cluster.start(a);
  else if (kind === 'damage') await cluster.start(a, { damaged: new Map([[`${topicIdOf(name)}:0`, intactPart]]) });
  else if (kind === 'kill') cluster.kill(a);
  else if (kind === 'create' && topic === undefined) await cluster.createTopic(name, [[a], [b]]);
  else if (kind === 'state' && topic !== undefined) await cluster.setState(name, b % 2, state(b, [[b, 7]], b));
  else if (kind === 'config' && topic !== undefined) {
    const data = Buffer.from(`{"version":1,"config":{"x":"${b}"}}`);
    await cluster.admin.write([{ kind: 'set-data', path: paths.topicConfig(name), data }]);
  } else if (kind === 'delete' && topic?.partitions.every((partition) => partition.state !== undefined)) {
    if (!cluster.image.deletedTopicIds.has(topic.id)) await deleteTopic(cluster, name, 2);
  }
}

/** The order inside of a delta follows the maps and means nothing. */
function sorted(delta: object): unknown {
  return Object.fromEntries(
    Object.entries(delta).map(([key, value]) => [
      key,
      Array.isArray(value) ? value.map((v) => JSON.stringify(v)).sort() : value,
    ]),
  );
}
