import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  brokerMethods,
  controllerMethods,
  coordinatorMethods,
  quorumMethods,
  replicationMethods,
} from '../definitions.ts';
import { broker, coordinator, quorum, replication } from '../messages.ts';
import { codecOf, type GeneratedMessage } from './codec.ts';
import { chunkBytesMin } from './message-writer.ts';

const offset = fc.oneof(
  fc.integer({ min: -2, max: 300 }),
  fc.maxSafeInteger(),
  fc.constantFrom(2 ** 31, 2 ** 32, 2 ** 32 - 1, 2 ** 35, 2 ** 53 - 1, -(2 ** 53 - 1), -(2 ** 31), -(2 ** 32)),
);
const int32 = fc.oneof(fc.integer({ min: -1, max: 200 }), fc.integer());
const text = fc.oneof(
  fc.string({ maxLength: 60 }),
  fc.string({ unit: 'grapheme', maxLength: 80 }),
  fc.integer({ min: 20, max: 2_000 }).map((length) => '나'.repeat(length)),
);
/** Around the size from which bytes are passed on as they are, and below. */
const bytes = fc
  .oneof(
    fc.integer({ min: 0, max: 200 }),
    fc.integer({ min: chunkBytesMin - 3, max: chunkBytesMin + 3 }),
    fc.constantFrom(20_000, 70_000),
  )
  .map((length) => Uint8Array.from({ length }, (_, index) => (index * 7 + length) & 0xff));

const produceRequest: fc.Arbitrary<broker.ProduceRequest> = fc.record({
  correlationId: offset,
  acks: int32,
  timeoutMs: int32,
  partitions: fc.array(fc.record({ topic: text, topicId: text, partition: int32, records: bytes }), { maxLength: 4 }),
});

const raftEnvelope: fc.Arbitrary<quorum.RaftEnvelope> = fc.record({
  clusterId: text,
  fromAddress: text,
  message: fc.record({
    ...quorum.RaftMessage.decode(new Uint8Array(0)),
    kind: fc.constantFrom(...Object.values(quorum.RaftMessage_Kind)).filter((kind) => kind >= 0),
    from: int32,
    to: int32,
    term: offset,
    index: offset,
    logTerm: offset,
    commit: offset,
    reject: fc.boolean(),
    rejectHintIndex: offset,
    rejectHintTerm: offset,
    readContext: offset,
    transfer: fc.boolean(),
    entries: fc.array(
      fc.record({
        index: offset,
        term: offset,
        kind: fc.constantFrom(quorum.RaftEntry_Kind.KIND_COMMAND, quorum.RaftEntry_Kind.KIND_NOOP),
        data: bytes,
      }),
      { maxLength: 4 },
    ),
    snapshot: fc.option(
      fc.record({ offset, totalBytes: offset, data: bytes, done: fc.boolean(), configuration: bytes }),
      { nil: undefined },
    ),
  }),
});

const newTopics: fc.Arbitrary<broker.CreateTopicsRequest> = fc
  .array(fc.tuple(text, fc.dictionary(text, text, { maxKeys: 4, noNullPrototype: false })), { maxLength: 3 })
  .map((topics) => ({
    topics: topics.map(([name, configs]) => ({ ...broker.NewTopic.decode(new Uint8Array(0)), name, configs })),
    timeoutMs: -1,
    validateOnly: true,
  }));

function sameAsStock<Message>(generated: GeneratedMessage<Message>, message: Message): void {
  const codec = codecOf(generated);
  const chunks = codec.encode(message);
  const encoded = Buffer.concat(chunks);
  const stock = generated.encode(message).finish();
  expect(Buffer.compare(encoded, stock)).toBe(0);
  // Compared as bytes again: deep equality of long arrays takes seconds.
  const [ours, theirs] = [codec.decode(encoded), generated.decode(stock)];
  expect(Buffer.compare(generated.encode(ours).finish(), generated.encode(theirs).finish())).toBe(0);
}

describe('the codec of generated messages', () => {
  test('encodes byte for byte what protobuf’s own writer does, and decodes what its reader does', () => {
    fc.assert(
      fc.property(produceRequest, (message) => sameAsStock(broker.ProduceRequest, message)),
      { numRuns: 150 },
    );
    fc.assert(
      fc.property(raftEnvelope, (message) => sameAsStock(quorum.RaftEnvelope, message)),
      { numRuns: 150 },
    );
    fc.assert(
      fc.property(newTopics, (message) => sameAsStock(broker.CreateTopicsRequest, message)),
      { numRuns: 50 },
    );
  });

  test('packed numbers and nested messages of every length, also where a length needs one byte more', () => {
    for (let length = 0; length < 300; length += 1) {
      const partition = { ...broker.PartitionMetadata.decode(new Uint8Array(0)), replicas: Array(length).fill(1) };
      sameAsStock(broker.PartitionMetadata, partition);
    }
    for (const length of [125, 126, 127, 128, 129, 16_380, 16_381, 16_382, 16_383, 16_384]) {
      const znode = { path: 'a'.repeat(length), data: new Uint8Array(0), stat: undefined };
      const changes = [{ kind: coordinator.ZnodeChange_Kind.KIND_CREATED, node: znode }];
      sameAsStock(coordinator.WatchChanges, { watchId: 1, zxid: 2, changes });
    }
  });

  test('large bytes are neither copied on encode nor on decode', () => {
    const records = [Buffer.alloc(chunkBytesMin, 1), Buffer.alloc(1_000_000, 2)];
    const partitions = records.map((bytes) => ({
      ...replication.ReplicaPartitionFetched.decode(new Uint8Array(0)),
      topicId: 'id',
      records: [bytes],
    }));
    const codec = replicationMethods.fetch.response;
    const chunks = codec.encode({ ...replication.ReplicaFetchResponse.decode(new Uint8Array(0)), partitions });
    for (const bytes of records) expect(chunks).toContain(bytes);
    const encoded = Buffer.concat(chunks);
    const decoded = codec.decode(encoded).partitions.flatMap((partition) => partition.records);
    expect(decoded.map((bytes) => bytes.length)).toEqual([chunkBytesMin, 1_000_000]);
    for (const bytes of decoded) expect(bytes.buffer).toBe(encoded.buffer);
  });

  test('what was encoded before is not changed by what is encoded after', () => {
    const codec = brokerMethods.metadata.request;
    const names = Array.from({ length: 5_000 }, (_, index) => `topic-${index}`.repeat(1 + (index % 7)));
    const encoded = names.map((name) => codec.encode({ topics: [name], allTopics: false }));
    encoded.forEach((chunks, index) => {
      expect(codec.decode(Buffer.concat(chunks)).topics).toEqual([names[index]]);
    });
  });

  test('a message that cannot be encoded leaves nothing behind', () => {
    const codec = quorumMethods.messages.request;
    const envelope = codec.decode(new Uint8Array(0));
    const message = quorum.RaftMessage.decode(new Uint8Array(0));
    const entry = { index: 1.5, term: 1, kind: quorum.RaftEntry_Kind.KIND_NOOP, data: Buffer.alloc(9_000) };
    expect(() => codec.encode({ ...envelope, message: { ...message, entries: [entry] } })).toThrow('1.5');
    expect(() => codec.encode({ ...envelope, message: { ...message, from: 2 ** 31 } })).toThrow('int32');
    expect(codec.encode(envelope).reduce((sum, chunk) => sum + chunk.length, 0)).toBe(0);
  });

  test('a map keeps an entry named __proto__, and Object.prototype stays as it is', () => {
    const configs: { [key: string]: string } = Object.create(null);
    Object.defineProperty(configs, '__proto__', { value: 'polluted', enumerable: true });
    configs['retention.ms'] = '1';
    const topic = { ...broker.NewTopic.decode(new Uint8Array(0)), configs };
    const codec = controllerMethods.createTopics.request;
    const decoded = codec.decode(Buffer.concat(codec.encode({ topics: [topic], timeoutMs: 0, validateOnly: false })))
      .topics[0]?.configs;
    expect(Object.entries(decoded ?? {}).sort()).toEqual([
      ['__proto__', 'polluted'],
      ['retention.ms', '1'],
    ]);
    expect(decoded?.toString).toBeUndefined();
  });
});

describe('malformed bytes', () => {
  const good = Buffer.concat(
    coordinatorMethods.session.response.encode({
      message: {
        $case: 'result',
        value: {
          ...coordinator.Result.decode(new Uint8Array(0)),
          xid: 2 ** 40,
          path: '/brokers/ids/1',
          data: Buffer.alloc(300, 1),
          children: ['1', '2'],
          multi: [{ path: '/x', stat: undefined }],
        },
      },
    }),
  );

  test('cut at each byte or with a flipped bit they are decoded or refused with an Error, never anything else', () => {
    const { decode } = coordinatorMethods.session.response;
    const attempt = (bytes: Uint8Array): void => {
      try {
        decode(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    };
    for (let cut = 0; cut < good.length; cut += 1) attempt(good.subarray(0, cut));
    for (let bit = 0; bit < good.length * 8; bit += 1) {
      const flipped = Buffer.from(good);
      flipped[bit >>> 3] = (flipped[bit >>> 3] as number) ^ (1 << (bit & 7));
      attempt(flipped);
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => attempt(bytes)),
      { numRuns: 300 },
    );
  });

  test('an integer that a number cannot hold, a varint without an end, nesting without an end are refused', () => {
    const { decode } = brokerMethods.produce.request;
    const maximum = Buffer.from([0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
    expect(() => decode(maximum)).toThrow('2^53');
    expect(() => decode(Buffer.from([0x08, ...Array(12).fill(0x80)]))).toThrow();
    expect(() => decode(Buffer.from([0x08, 0x80]))).toThrow();
    expect(() => decode(Buffer.alloc(5_000, 0x1b))).toThrow();
  });
});
