// A broker that keeps nothing and answers at once, in a process of its own, so that a measurement of the client is of the client.
import { batchesOf } from '@naru/record';
import { type broker, brokerMethods, createRpc, stream, unary } from '@naru/rpc';
import { createNodeRuntime } from '@naru/runtime/node';

const partitionsCount = Number(process.argv[2] ?? 3);
/** One answer to every fetch, over and over; set by the producer's first request. */
let canned: Uint8Array = new Uint8Array(0);
let cannedRecords = 0;
const ends = Array.from({ length: partitionsCount }, () => 0);
let port = 0;

function metadata(request: broker.MetadataRequest): broker.MetadataResponse {
  const partitions = ends.map((_, partition) => ({
    errorCode: 0,
    partition,
    leaderId: 1,
    leaderEpoch: 0,
    replicas: [1],
    isr: [1],
    offlineReplicas: [],
    elr: [],
    lastKnownElr: [],
    addingReplicas: [],
    removingReplicas: [],
  }));
  return {
    clusterId: 'null',
    controllerId: 1,
    brokers: [{ id: 1, host: '127.0.0.1', port, rack: '', brokerEpoch: 1 }],
    topics: request.topics.map((name) => ({ errorCode: 0, name, topicId: '', internal: false, partitions })),
  };
}

function appended(part: broker.PartitionRecords): broker.PartitionAppended {
  const { topic, partition } = part;
  const baseOffset = ends[partition] as number;
  let count = 0;
  for (const { header } of batchesOf(part.records)) count += header.recordsCount;
  if (part.records.length > canned.length) {
    canned = Uint8Array.from(part.records);
    cannedRecords = count;
  }
  ends[partition] = baseOffset + count;
  return {
    topic,
    partition,
    errorCode: 0,
    errorMessage: '',
    baseOffset,
    logAppendTimeMs: -1,
    logStartOffset: 0,
    leaderId: 1,
    leaderEpoch: 0,
    batchBaseOffsets: [],
    appended: false,
  };
}

const server = await createRpc(createNodeRuntime()).serve({ host: '127.0.0.1', port: 0 }, [
  unary(brokerMethods.metadata, metadata),
  unary(brokerMethods.initProducerId, () => ({ errorCode: 0, errorMessage: '', producerId: 1, producerEpoch: 0 })),
  stream(brokerMethods.produce, (produce) =>
    produce.handle({
      onMessage: ({ correlationId, partitions }) =>
        void produce.send({ correlationId, partitions: partitions.map(appended) }),
      onClose: () => {},
    }),
  ),
]);
port = server.address.port;
process.send?.({ port, cannedRecords });
