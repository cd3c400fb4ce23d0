import { errorCodes } from '@naru/kafka-protocol';
import { BatchBuilder, batchesOf, decodeRecords } from '@naru/record';
import { brokerMethods, type RpcChannel, type RpcStream, type broker as wire } from '@naru/rpc';
import { sleep } from '@naru/runtime';
import type { SimulatedCluster } from './simulated-cluster.ts';

export interface Acked {
  readonly value: string;
  readonly offset: number;
}

/**
 * Writes numbered values to one partition with acks=all, one request at a time, and again until one is acknowledged: what it was told is
 * what the checks hold the cluster to (C1).
 */
export class SequentialProducer {
  readonly acked: Acked[] = [];
  readonly #cluster: SimulatedCluster;
  readonly #topic: string;
  readonly #partition: number;
  #channel: RpcChannel | undefined;
  #stream: RpcStream<wire.ProduceRequest, wire.ProduceResponse> | undefined;
  #waiting: ((response: wire.ProduceResponse | undefined) => void) | undefined;
  #nextId = 1;
  #next = 0;
  #isStopped = false;
  #finished: Promise<void> = Promise.resolve();

  constructor(cluster: SimulatedCluster, topic: string, partition: number) {
    this.#cluster = cluster;
    this.#topic = topic;
    this.#partition = partition;
  }

  start(): void {
    this.#finished = this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#finished;
    await this.#channel?.close();
  }

  async #run(): Promise<void> {
    const { timers } = this.#cluster.client.runtime;
    while (!this.#isStopped) {
      const value = `${this.#topic}-${this.#partition}-${this.#next}`;
      const offset = await this.#attempt(value).catch(() => undefined);
      if (offset === undefined) {
        await sleep(timers, 50);
        continue;
      }
      this.acked.push({ value, offset });
      this.#next++;
    }
  }

  /** The offset, or undefined when it was not acknowledged: it may be in the log nevertheless. */
  async #attempt(value: string): Promise<number | undefined> {
    const stream = this.#stream ?? (await this.#connect());
    if (stream === undefined) return undefined;
    const builder = new BatchBuilder();
    builder.append(null, Buffer.from(value), 1_700_000_000_000);
    const correlationId = this.#nextId++;
    const answered = new Promise<wire.ProduceResponse | undefined>((resolve) => {
      this.#waiting = resolve;
    });
    stream.send({
      correlationId,
      acks: -1,
      timeoutMs: 2_000,
      partitions: [{ topic: this.#topic, topicId: '', partition: this.#partition, records: builder.close() }],
    });
    const response = await answered;
    const [result] = response?.partitions ?? [];
    if (result?.errorCode === errorCodes.NONE) return result.baseOffset;
    this.#disconnect();
    return undefined;
  }

  async #connect(): Promise<RpcStream<wire.ProduceRequest, wire.ProduceResponse> | undefined> {
    const leader = this.#cluster.leaderOf(this.#topic, this.#partition);
    if (leader === undefined) return undefined;
    const channel = await this.#cluster.rpc.connect(this.#cluster.addressOf(leader), { timeoutMs: 500 });
    const stream = channel.open(brokerMethods.produce);
    stream.handle({
      onMessage: (response) => this.#waiting?.(response),
      onClose: () => {
        if (this.#stream === stream) this.#stream = undefined;
        this.#waiting?.(undefined);
      },
    });
    this.#channel = channel;
    this.#stream = stream;
    return stream;
  }

  #disconnect(): void {
    void this.#channel?.close();
    this.#channel = undefined;
    this.#stream = undefined;
  }
}

/** Of a fetch: unchecked. */
export const anyEpoch = { currentLeaderEpoch: -1, lastFetchedEpoch: -1 };

/** Everything that a consumer can read from the leader, in order. */
export async function readAll(
  cluster: SimulatedCluster,
  topic: string,
  partition: number,
): Promise<Map<number, string>> {
  const leader = cluster.leaderOf(topic, partition);
  if (leader === undefined) throw new Error(`${topic}-${partition} has no leader`);
  const channel = await cluster.rpc.connect(cluster.addressOf(leader));
  const stream = channel.open(brokerMethods.fetch);
  let waiting: ((response: wire.FetchResponse) => void) | undefined;
  stream.handle({ onMessage: (response) => waiting?.(response), onClose: () => {} });
  const values = new Map<number, string>();
  for (let offset = 0; ; ) {
    const answered = new Promise<wire.FetchResponse>((resolve) => {
      waiting = resolve;
    });
    stream.send({
      wantData: true,
      maxWaitMs: 0,
      minBytes: 1,
      maxBytes: 1_000_000,
      isolationLevel: 0,
      forgotten: [],
      partitions: [{ ...anyEpoch, topic, topicId: '', partition, fetchOffset: offset, maxBytes: 1_000_000 }],
    });
    const [result] = (await answered).partitions;
    if (result === undefined || result.errorCode !== 0) throw new Error(`fetch at ${offset}: ${result?.errorCode}`);
    if (result.records.length === 0) {
      if (offset >= result.highWatermark) break;
      throw new Error(`nothing at ${offset} below the high watermark ${result.highWatermark}`);
    }
    for (const { header, bytes } of result.records.flatMap((run) => [...batchesOf(run)])) {
      for (const record of decodeRecords(bytes)) {
        values.set(record.offset, Buffer.from(record.value ?? []).toString());
      }
      offset = header.lastOffset + 1;
    }
  }
  await channel.close();
  return values;
}

/** The bytes of every replica's log, by broker (L7). */
export async function replicaBytes(
  cluster: SimulatedCluster,
  topic: string,
  partition: number,
): Promise<Map<number, string>> {
  const bytes = new Map<number, string>();
  for (const broker of cluster.brokers) {
    const topicId = broker.publisher.image.topics.get(topic)?.id ?? '';
    const log = broker.replicas.partitionById(topicId, partition)?.log;
    if (log === undefined) continue;
    const parts: Uint8Array[] = [];
    for (let offset = log.logStartOffset; offset < log.logEndOffset; ) {
      const result = await log.read(offset, 1_000_000, log.logEndOffset);
      if (result.kind !== 'batches' || result.sizeBytes === 0) throw new Error(`broker ${broker.id} at ${offset}`);
      parts.push(...result.records);
      offset = result.nextOffset;
    }
    bytes.set(broker.id, Buffer.concat(parts).toString('hex'));
  }
  return bytes;
}
