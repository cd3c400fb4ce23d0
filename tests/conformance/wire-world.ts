import { type Api, apis, type Decoded, type Encodable, type Fields } from '@naru/kafka-protocol';
import { BatchBuilder, type Compression } from '@naru/record';
import { KafkaPeer } from '../../services/broker/src/listeners/testing/kafka-peer.ts';
import { SimulatedCluster } from '../simulation/simulated-cluster.ts';

/** A simulated cluster with one topic, and a peer of the broker that leads it; made anew by every `start`. */
export const topic = 'events';

export let cluster: SimulatedCluster;
export let peer: KafkaPeer;

export async function start(brokerConfig: Record<string, unknown> = {}, brokers = 1): Promise<void> {
  cluster = await SimulatedCluster.start({ seed: 7, brokers, coordinators: 1, brokerConfig });
  await cluster.createTopic(topic, 2, brokers, { 'max.message.bytes': '8000' });
  const leader = await cluster.untilLed(topic, 0);
  await cluster.untilLed(topic, 1);
  peer = await connect(leader);
}

export function connect(brokerId: number): Promise<KafkaPeer> {
  return cluster.sim.complete(KafkaPeer.connect(cluster.client.runtime.network, cluster.addressOf(brokerId)));
}

export async function call<Request extends Fields, Response extends Fields>(
  api: Api<Request, Response>,
  version: number,
  request: Encodable<Request>,
  at = peer,
): Promise<Decoded<Response>> {
  const id = at.send(api, version, request);
  await cluster.sim.runUntil(() => at.isClosed || at.answered.includes(id));
  const response = at.response(api, version, id);
  if (response === undefined) throw new Error(`${api.name} v${version}: the connection was closed`);
  return response;
}

export function batch(
  count: number,
  options: {
    compression?: Compression;
    timeMs?: number;
    key?: string;
    producer?: { producerId: number; producerEpoch: number; baseSequence: number };
  } = {},
): Buffer {
  const builder = new BatchBuilder({ compression: options.compression ?? 'none' });
  for (let i = 0; i < count; i++) {
    const key = options.key === undefined ? null : Buffer.from(options.key);
    builder.append(key, Buffer.from(`value ${i}`), (options.timeMs ?? 1_000) + i);
  }
  const { producer } = options;
  if (producer !== undefined) builder.setProducer(producer.producerId, producer.producerEpoch, producer.baseSequence);
  return Buffer.from(builder.close());
}

export const idOf = (name: string) => cluster.brokers[0]?.publisher.image.topics.get(name)?.id ?? '';

export async function produce(
  records: Uint8Array | null,
  version = 8,
  fields: { acks?: number; partition?: number } = {},
) {
  const partitions = [{ index: fields.partition ?? 0, records }];
  const topics = [{ name: topic, topicId: idOf(topic), partitions }];
  const response = await call(apis.produce, version, { acks: fields.acks ?? -1, timeoutMs: 1_000, topics });
  return response.topics[0]?.partitions[0];
}

export async function fetch(
  fetchOffset: number,
  version = 11,
  fields: Partial<Encodable<typeof apis.fetch.request.fields>> = {},
) {
  const partitions = [{ partition: 0, fetchOffset, partitionMaxBytes: 100_000 }];
  const topics = [{ topic, topicId: idOf(topic), partitions }];
  return call(apis.fetch, version, { maxWaitMs: 0, minBytes: 1, topics, ...fields });
}
