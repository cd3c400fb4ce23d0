import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { securityProtocols } from './endpoint.ts';
import { noLeader, type PartitionState } from './partition-state.ts';
import { decodePartitionState, encodePartitionState } from './partition-state-codec.ts';
import {
  decodeBroker,
  decodeClusterId,
  decodeConfig,
  decodeController,
  decodeControllerEpoch,
  decodeDeletedTopic,
  decodeDeleteTopic,
  decodeDirectory,
  decodeTopic,
  encodeBroker,
  encodeClusterId,
  encodeConfig,
  encodeController,
  encodeControllerEpoch,
  encodeDeletedTopic,
  encodeDeleteTopic,
  encodeDirectory,
  encodeTopic,
  replicaKey,
} from './znode-codecs.ts';
import { ZnodeDecodeError } from './znode-fields.ts';
import { paths, subjectOf } from './znode-paths.ts';

const id = fc.integer({ min: 0, max: 0x7fff_ffff });
const epoch = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const text = fc.string({ maxLength: 40 });
const topicId = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) => Buffer.from(bytes).toString('base64url'));

const state: fc.Arbitrary<PartitionState> = fc
  .record({
    ids: fc.uniqueArray(id, { maxLength: 8 }),
    split: fc.nat(8),
    epochs: fc.array(epoch, { minLength: 8, maxLength: 8 }),
    led: fc.boolean(),
    leaderEpoch: id,
    controllerEpoch: id,
    recoverTo: fc.option(fc.maxSafeNat(), { nil: undefined }),
  })
  .map(({ ids, split, epochs, led, leaderEpoch, controllerEpoch, recoverTo }) => {
    const members = ids.map((brokerId, index) => ({ brokerId, brokerEpoch: epochs[index] as number }));
    const isr = members.slice(0, split);
    const leader = led ? (isr[0]?.brokerId ?? noLeader) : noLeader;
    const state = { leader, leaderEpoch, isr, elr: members.slice(split), controllerEpoch };
    return recoverTo === undefined ? state : { ...state, recoverTo };
  });

const endpoint = fc.record({
  listener: fc.constantFrom('PLAINTEXT', 'INTERNAL', 'A_B', 'X-1'),
  protocol: fc.constantFrom(...securityProtocols),
  address: fc.record({
    host: fc.constantFrom('b1.example', '10.0.0.1', '::1', 'fe80::1%eth0', 'x_y', ''),
    port: fc.integer({ min: 0, max: 65_535 }),
  }),
});

const broker = fc.record({
  endpoints: fc.uniqueArray(endpoint, { maxLength: 4, selector: ({ listener }) => listener }),
  rack: fc.option(text, { nil: undefined }),
  directoryId: text,
  damaged: fc
    .array(
      fc.tuple(
        fc.tuple(text, fc.nat()).map(([topicId, partition]) => replicaKey(topicId, partition)),
        fc.record({
          endOffset: fc.maxSafeNat(),
          leaderEpoch: fc.integer({ min: -1, max: 0x7fff_ffff }),
          beyondRecoveryPoint: fc.boolean(),
        }),
      ),
      { maxLength: 5 },
    )
    .map((entries) => new Map(entries)),
  stopping: fc.boolean(),
});

const replicas = fc.uniqueArray(id, { minLength: 1, maxLength: 4 });
const topic = fc
  .record({
    topicId,
    replicas: fc.array(replicas, { minLength: 1, maxLength: 6 }),
    moves: fc.array(fc.nat(5), { maxLength: 3 }),
  })
  .map(({ topicId, replicas, moves }) => {
    const moving = new Map(moves.filter((p) => p < replicas.length).map((p) => [p, replicas[p] as number[]]));
    return { topicId, replicas, adding: moving, removing: new Map([...moving].slice(1)) };
  });

const codecs: readonly {
  name: string;
  value: fc.Arbitrary<unknown>;
  encode: (v: never) => Uint8Array;
  decode: (p: string, d: Uint8Array) => unknown;
}[] = [
  { name: 'partition state', value: state, encode: encodePartitionState, decode: decodePartitionState },
  { name: 'broker', value: broker, encode: encodeBroker, decode: decodeBroker },
  { name: 'directory', value: text, encode: encodeDirectory, decode: decodeDirectory },
  { name: 'topic', value: topic, encode: encodeTopic, decode: decodeTopic },
  {
    name: 'config',
    value: fc.dictionary(fc.stringMatching(/^[a-z.]{1,20}$/), text).map((object) => new Map(Object.entries(object))),
    encode: encodeConfig,
    decode: decodeConfig,
  },
  { name: 'controller', value: id, encode: (v: number) => encodeController(v, 1), decode: decodeController },
  { name: 'controller epoch', value: id, encode: encodeControllerEpoch, decode: decodeControllerEpoch },
  {
    name: 'cluster id',
    value: fc.string({ minLength: 1, maxLength: 40 }),
    encode: encodeClusterId,
    decode: decodeClusterId,
  },
  { name: 'deletion mark', value: topicId, encode: encodeDeleteTopic, decode: decodeDeleteTopic },
  { name: 'deleted topic', value: text, encode: encodeDeletedTopic, decode: decodeDeletedTopic },
];

describe.each(codecs)('znode codec: $name', ({ value, encode, decode }) => {
  it('gives back what was encoded', () => {
    fc.assert(
      fc.property(value, (v) => {
        expect(decode('/x', encode(v as never))).toEqual(v);
      }),
      { numRuns: 100 },
    );
  });

  it('row 58: meets truncated, flipped and foreign bytes with a typed error that names the path', () => {
    const mutation = fc.record({ at: fc.nat(), to: fc.nat(255), cut: fc.boolean() });
    fc.assert(
      fc.property(value, mutation, (v, { at, to, cut }) => {
        const bytes = new Uint8Array(encode(v as never));
        const position = bytes.length === 0 ? 0 : at % bytes.length;
        if (!cut) bytes[position] = to;
        expectDecodedOrRefused(() => decode('/the/path', cut ? bytes.subarray(0, position) : bytes));
      }),
      { numRuns: 300 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) =>
        expectDecodedOrRefused(() => decode('/the/path', bytes)),
      ),
    );
    fc.assert(
      fc.property(fc.jsonValue(), (json) =>
        expectDecodedOrRefused(() => decode('/the/path', Buffer.from(JSON.stringify(json)))),
      ),
    );
  });
});

function expectDecodedOrRefused(decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    expect(error).toBeInstanceOf(ZnodeDecodeError);
    expect((error as ZnodeDecodeError).message).toContain('/the/path');
  }
}

describe('znode codecs', () => {
  it('tolerate fields of later versions', () => {
    const object = JSON.parse(
      Buffer.from(
        encodePartitionState({
          leader: 1,
          leaderEpoch: 2,
          isr: [{ brokerId: 1, brokerEpoch: 7 }],
          elr: [],
          controllerEpoch: 3,
        }),
      ).toString(),
    );
    const data = Buffer.from(JSON.stringify({ ...object, later: { x: 1 } }));
    expect(decodePartitionState('/x', data).isr).toEqual([{ brokerId: 1, brokerEpoch: 7 }]);
  });

  it.each([
    ['a leader outside the isr', { leader: 2 }],
    ['a broker in isr and elr', { elr: [1], elr_epochs: [9] }],
    ['epochs that are missing', { isr_epochs: [] }],
    ['another format version', { version: 2 }],
    ['an epoch that is no integer', { isr_epochs: [1.5] }],
  ])('refuse a partition state with %s', (_, change) => {
    const object = {
      version: 1,
      leader: 1,
      leader_epoch: 0,
      isr: [1],
      isr_epochs: [7],
      elr: [],
      elr_epochs: [],
      controller_epoch: 1,
    };
    expect(() => decodePartitionState('/x', Buffer.from(JSON.stringify({ ...object, ...change })))).toThrow(
      ZnodeDecodeError,
    );
  });
});

describe('znode paths', () => {
  it('are taken apart into what they were built from', () => {
    expect(subjectOf(paths.broker(7))).toEqual({ kind: 'broker', brokerId: 7 });
    expect(subjectOf(paths.brokerDirectory(7))).toEqual({ kind: 'broker-directory', brokerId: 7 });
    expect(subjectOf(paths.topic('a.b'))).toEqual({ kind: 'topic', topic: 'a.b' });
    expect(subjectOf(paths.partitionState('t', 12))).toEqual({ kind: 'partition-state', topic: 't', partition: 12 });
    expect(subjectOf(paths.topicConfig('t'))).toEqual({ kind: 'topic-config', topic: 't' });
    expect(subjectOf(paths.brokerConfig('<default>'))).toEqual({ kind: 'broker-config', name: '<default>' });
    expect(subjectOf(paths.deleteTopic('t'))).toEqual({ kind: 'delete-topic', topic: 't' });
    expect(subjectOf(paths.deletedTopic('x'))).toEqual({ kind: 'deleted-topic', topicId: 'x' });
  });

  it.each([
    '/',
    '/brokers',
    '/brokers/ids',
    '/brokers/ids/01',
    '/brokers/ids/x',
    '/brokers/topics/t/partitions',
    '/brokers/topics/t/partitions/0',
    '/brokers/topics/t/partitions/0/state/x',
    '/brokers/ids/99999999999',
  ])('give %s no subject', (path) => expect(subjectOf(path)).toEqual({ kind: 'other' }));
});
