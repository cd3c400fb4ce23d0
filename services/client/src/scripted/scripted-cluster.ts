import { errorCodes } from '@naru/kafka-protocol';
import { batchesOf } from '@naru/record';
import {
  type broker,
  brokerMethods,
  createRpc,
  type RpcServer,
  type RpcStream,
  type ServiceBinding,
  stream,
  unary,
} from '@naru/rpc';
import { createSimulation, type SimulatedNode, type Simulation } from '@naru/runtime/simulated';
import { Client, type ClientOptions } from '../client.ts';
import { ScriptedLog } from './scripted-log.ts';

/**
 * What a scripted broker does with a produce request: append and answer; answer with this code without appending; append and answer
 * with this code; append (or not) and reset the connection; append (or not) and say nothing.
 */
export type ProduceScript =
  | { readonly kind: 'append'; readonly delayMs?: number }
  | { readonly kind: 'refuse'; readonly code: number; readonly leaderHint?: boolean }
  | { readonly kind: 'append-then-refuse'; readonly code: number }
  | { readonly kind: 'disconnect'; readonly append: boolean }
  | { readonly kind: 'silence'; readonly append: boolean };

export type FetchScript =
  | { readonly kind: 'answer'; readonly delayMs?: number }
  | { readonly kind: 'refuse'; readonly code: number }
  | { readonly kind: 'disconnect' };

export const clientHost = 'client';

/**
 * A cluster as a client sees it, in one process on the simulated network: it speaks the Broker service and does what the test's script
 * says. No replication, no controller; what it keeps is in `logs`.
 */
export class ScriptedCluster {
  readonly simulation: Simulation;
  readonly clientNode: SimulatedNode;
  readonly logs = new Map<string, ScriptedLog>();
  /** Produce requests as they arrived, and fetches. */
  readonly produced: { brokerId: number; request: broker.ProduceRequest; atMs: number }[] = [];
  readonly fetched: { brokerId: number; request: broker.FetchRequest; atMs: number }[] = [];
  metadataRequests = 0;
  onProduce: (brokerId: number, request: broker.ProduceRequest) => ProduceScript = () => ({ kind: 'append' });
  onFetch: (brokerId: number, request: broker.FetchRequest) => FetchScript = () => ({ kind: 'answer' });
  /** More services of each broker, for tests of administration. */
  administration: (brokerId: number) => readonly ServiceBinding[] = () => [];
  controllerId = 1;
  /** Overrides the error of single ListOffsets partitions. */
  onListOffsets: (partition: broker.PartitionTimestamp) => number = () => 0;
  /** The error of InitProducerId. */
  onInitProducerId: () => number = () => 0;
  #nextProducerId = 1_000;
  readonly #nodes = new Map<number, SimulatedNode>();
  readonly #servers = new Map<number, RpcServer>();
  readonly #topicIds = new Map<string, string>();
  readonly #waiting = new Set<() => void>();

  private constructor(simulation: Simulation) {
    this.simulation = simulation;
    this.clientNode = simulation.addNode(clientHost);
  }

  static async start(
    brokersCount: number,
    seed = 1,
    administration?: ScriptedCluster['administration'],
  ): Promise<ScriptedCluster> {
    const cluster = new ScriptedCluster(createSimulation({ seed }));
    if (administration !== undefined) cluster.administration = administration;
    for (let id = 1; id <= brokersCount; id++) {
      cluster.#nodes.set(id, cluster.simulation.addNode(`b${id}`));
      await cluster.simulation.complete(cluster.startBroker(id));
    }
    return cluster;
  }

  /** Leaders go round. */
  addTopic(topic: string, partitionsCount: number): ScriptedLog[] {
    this.#topicIds.set(topic, `id-of-${topic}`.padEnd(22, '0'));
    const brokerIds = [...this.#nodes.keys()];
    const logs: ScriptedLog[] = [];
    for (let partition = 0; partition < partitionsCount; partition++) {
      const log = new ScriptedLog(topic, partition, brokerIds[partition % brokerIds.length] as number);
      this.logs.set(`${topic}/${partition}`, log);
      logs.push(log);
    }
    return logs;
  }

  log(topic: string, partition: number): ScriptedLog {
    return this.logs.get(`${topic}/${partition}`) as ScriptedLog;
  }

  client(options: Partial<ClientOptions> = {}): Client {
    const bootstrapServers = [...this.#nodes.keys()].map((id) => `b${id}:9092`).join(',');
    return new Client({ bootstrapServers, runtime: this.clientNode.runtime, ...options });
  }

  async startBroker(id: number): Promise<void> {
    const node = this.#nodes.get(id) as SimulatedNode;
    if (!node.alive) node.restart();
    const server = await createRpc(node.runtime).serve({ host: node.name, port: 9092 }, [
      stream(brokerMethods.produce, (produce) => this.#serveProduce(id, produce)),
      stream(brokerMethods.fetch, (fetch) => this.#serveFetch(id, fetch)),
      unary(brokerMethods.metadata, (request) => this.#metadata(request)),
      unary(brokerMethods.listOffsets, (request) => this.#listOffsets(id, request)),
      unary(brokerMethods.initProducerId, () => this.#initProducerId()),
      ...this.administration(id),
    ]);
    this.#servers.set(id, server);
  }

  kill(id: number): void {
    this.#nodes.get(id)?.crash();
  }

  node(id: number): SimulatedNode {
    return this.#nodes.get(id) as SimulatedNode;
  }

  /** Runs the world until the promise settles. */
  run<T>(promise: Promise<T>, limitMs?: number): Promise<T> {
    return this.simulation.complete(promise, limitMs);
  }

  #serveProduce(brokerId: number, produce: RpcStream<broker.ProduceResponse, broker.ProduceRequest>): void {
    const { timers } = this.node(brokerId).runtime;
    produce.handle({
      onMessage: (request) => {
        this.produced.push({ brokerId, request, atMs: this.simulation.nowMs });
        const script = this.onProduce(brokerId, request);
        const answer = this.#produce(brokerId, request, script);
        this.#wakeFetches();
        if (script.kind === 'disconnect') this.simulation.network.resetConnections(`b${brokerId}`, clientHost);
        if (answer === undefined) return;
        if (request.acks === 0) {
          if (answer.partitions.some(({ errorCode }) => errorCode !== 0)) produce.fail();
          return;
        }
        const delayMs = script.kind === 'append' ? (script.delayMs ?? 0) : 0;
        timers.after(delayMs, () => produce.send(answer));
      },
      onEnd: () => produce.end(),
      onClose: () => {},
    });
  }

  #produce(
    brokerId: number,
    request: broker.ProduceRequest,
    script: ProduceScript,
  ): broker.ProduceResponse | undefined {
    const appends =
      script.kind === 'append' || script.kind === 'append-then-refuse' || ('append' in script && script.append);
    const partitions = request.partitions.map((asked): broker.PartitionAppended => {
      const log = this.logs.get(`${asked.topic}/${asked.partition}`);
      const answer = { ...emptyAppended, topic: asked.topic, partition: asked.partition };
      if (script.kind === 'refuse') {
        const hint = script.leaderHint ? { leaderId: log?.leaderId ?? -1, leaderEpoch: log?.leaderEpoch ?? -1 } : {};
        return { ...answer, errorCode: script.code, ...hint };
      }
      if (log === undefined) return { ...answer, errorCode: errorCodes.UNKNOWN_TOPIC_OR_PARTITION };
      if (log.leaderId !== brokerId) return { ...answer, errorCode: errorCodes.NOT_LEADER_OR_FOLLOWER };
      const sizes = [...batchesOf(asked.records)].map((batch) => batch.bytes.length);
      if (Math.max(...sizes) > log.maxBatchBytes) return { ...answer, errorCode: errorCodes.MESSAGE_TOO_LARGE };
      const appended = appends ? log.appendOnce(asked.records) : { errorCode: 0, batchBaseOffsets: [] };
      if (script.kind === 'append-then-refuse') return { ...answer, errorCode: script.code };
      const [baseOffset = -1] = appended.batchBaseOffsets;
      return { ...answer, ...appended, baseOffset };
    });
    if (script.kind === 'disconnect' || script.kind === 'silence') return undefined;
    return { correlationId: request.correlationId, partitions };
  }

  #serveFetch(brokerId: number, fetch: RpcStream<broker.FetchResponse, broker.FetchRequest>): void {
    const { timers } = this.node(brokerId).runtime;
    const standing = new Map<string, broker.PartitionFetch>();
    let wake = (): void => {};
    fetch.handle({
      onMessage: (request) => {
        for (const { topic, partition } of request.forgotten) standing.delete(`${topic}/${partition}`);
        for (const asked of request.partitions) standing.set(`${asked.topic}/${asked.partition}`, asked);
        this.fetched.push({ brokerId, request, atMs: this.simulation.nowMs });
        const script = this.onFetch(brokerId, request);
        if (script.kind === 'disconnect') {
          this.simulation.network.resetConnections(`b${brokerId}`, clientHost);
          return;
        }
        if (!request.wantData) {
          wake();
          return;
        }
        const respond = (isLast: boolean): boolean => {
          const partitions = [...standing.values()].map((asked) => this.#fetch(brokerId, asked, request, script));
          const isReady = partitions.some(isOver);
          if (!isReady && !isLast) return false;
          this.#waiting.delete(wake);
          timer.cancel();
          for (const answer of partitions.filter(isOver)) standing.delete(`${answer.topic}/${answer.partition}`);
          fetch.send({ partitions });
          wake = () => {};
          return true;
        };
        const timer = timers.after(request.maxWaitMs, () => respond(true));
        const begin = (): void => {
          if (respond(false)) return;
          wake = () => void respond(false);
          this.#waiting.add(wake);
        };
        if (script.kind === 'answer' && (script.delayMs ?? 0) > 0) timers.after(script.delayMs as number, begin);
        else begin();
      },
      onEnd: () => fetch.end(),
      onClose: () => {},
    });
  }

  #wakeFetches(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  #fetch(
    brokerId: number,
    asked: broker.PartitionFetch,
    request: broker.FetchRequest,
    script: FetchScript,
  ): broker.PartitionFetched {
    const { topic, partition, fetchOffset } = asked;
    const log = this.logs.get(`${topic}/${partition}`);
    const answer = { ...emptyFetched, topic, partition, fetchOffset };
    if (script.kind === 'refuse') return { ...answer, errorCode: script.code };
    if (log === undefined) return { ...answer, errorCode: errorCodes.UNKNOWN_TOPIC_OR_PARTITION };
    const ends = { highWatermark: log.endOffset, lastStableOffset: log.endOffset, logStartOffset: log.startOffset };
    if (log.leaderId !== brokerId) return { ...answer, errorCode: errorCodes.NOT_LEADER_OR_FOLLOWER };
    if (asked.currentLeaderEpoch >= 0 && asked.currentLeaderEpoch < log.leaderEpoch) {
      return { ...answer, errorCode: errorCodes.FENCED_LEADER_EPOCH };
    }
    const diverging = fetchOffset < log.startOffset ? undefined : log.divergence(fetchOffset, asked.lastFetchedEpoch);
    if (diverging !== undefined) return { ...answer, ...ends, diverging };
    if (fetchOffset < log.startOffset || fetchOffset > log.endOffset) {
      return { ...answer, ...ends, errorCode: errorCodes.OFFSET_OUT_OF_RANGE };
    }
    const records = log.read(fetchOffset, Math.min(asked.maxBytes, request.maxBytes));
    return { ...answer, ...ends, records: records.length === 0 ? [] : [records] };
  }

  #metadata(request: broker.MetadataRequest): broker.MetadataResponse {
    this.metadataRequests++;
    const names = request.allTopics ? [...this.#topicIds.keys()] : request.topics;
    return {
      clusterId: 'scripted',
      controllerId: this.controllerId,
      brokers: [...this.#nodes.keys()].map((id) => ({ id, host: `b${id}`, port: 9092, rack: '', brokerEpoch: id })),
      topics: names.map((name): broker.TopicMetadata => {
        const logs = [...this.logs.values()].filter((log) => log.topic === name);
        const errorCode = logs.length > 0 ? 0 : errorCodes.UNKNOWN_TOPIC_OR_PARTITION;
        const topicId = this.#topicIds.get(name) ?? '';
        return { errorCode, name, topicId, internal: false, partitions: logs.map(describePartition) };
      }),
    };
  }

  #initProducerId(): broker.InitProducerIdResponse {
    const errorCode = this.onInitProducerId();
    return { errorCode, errorMessage: '', producerId: errorCode === 0 ? this.#nextProducerId++ : -1, producerEpoch: 0 };
  }

  #listOffsets(brokerId: number, request: broker.ListOffsetsRequest): broker.ListOffsetsResponse {
    const partitions = request.partitions.map((asked): broker.PartitionOffset => {
      const { topic, partition, timestamp } = asked;
      const log = this.logs.get(`${topic}/${partition}`);
      const answer = { topic, partition, errorMessage: '', offset: -1, timestamp: -1, leaderEpoch: 0 };
      const errorCode = this.onListOffsets(asked);
      if (errorCode !== 0) return { ...answer, errorCode };
      if (log?.leaderId !== brokerId) return { ...answer, errorCode: errorCodes.NOT_LEADER_OR_FOLLOWER };
      if (timestamp === -2) return { ...answer, errorCode, offset: log.startOffset };
      if (timestamp === -1) return { ...answer, errorCode, offset: log.endOffset };
      const first = log.records[0];
      return { ...answer, errorCode, offset: first?.offset ?? -1, timestamp: first === undefined ? -1 : timestamp };
    });
    return { partitions };
  }
}

const emptyAppended = {
  errorCode: 0,
  errorMessage: '',
  baseOffset: -1,
  logAppendTimeMs: -1,
  logStartOffset: 0,
  leaderId: -1,
  leaderEpoch: -1,
  batchBaseOffsets: [],
  appended: false,
};

const emptyFetched = {
  errorCode: 0,
  errorMessage: '',
  highWatermark: -1,
  logStartOffset: -1,
  lastStableOffset: -1,
  leaderId: -1,
  leaderEpoch: -1,
  diverging: undefined,
  records: [],
};

/** Ends the standing of a partition. */
function isOver({ records, errorCode, diverging }: broker.PartitionFetched): boolean {
  return records.length > 0 || errorCode !== 0 || diverging !== undefined;
}

function describePartition(log: ScriptedLog): broker.PartitionMetadata {
  const { partition, leaderId, leaderEpoch } = log;
  return {
    errorCode: leaderId < 0 ? errorCodes.LEADER_NOT_AVAILABLE : 0,
    partition,
    leaderId,
    leaderEpoch,
    replicas: [1, 2, 3],
    isr: [1, 2, 3],
    offlineReplicas: [],
    elr: [],
    lastKnownElr: [],
    addingReplicas: [],
    removingReplicas: [],
  };
}
