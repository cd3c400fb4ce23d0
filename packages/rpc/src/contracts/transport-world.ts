import { type Address, type Runtime, sleep } from '@naru/runtime';
import { stream, unary } from '../binding.ts';
import { createRpc } from '../create-rpc.ts';
import { brokerMethods } from '../definitions.ts';
import type { broker } from '../messages.ts';
import type {
  CallContext,
  Rpc,
  RpcChannel,
  RpcLimits,
  RpcServer,
  RpcStream,
  ServiceBinding,
  StreamEvents,
} from '../rpc.ts';
import type { RpcError } from '../status.ts';

/** Where the contract is tried: two nodes of a real or a simulated network. */
export interface TransportWorld {
  readonly server: Runtime;
  readonly client: Runtime;
  /** Where the server listens; port 0 takes a free one. */
  readonly address: Address;
  /** Lets time pass until the task is done. */
  run<Result>(task: () => Promise<Result>): Promise<Result>;
  close(): Promise<void>;
}

export type ClientStream = RpcStream<broker.ProduceRequest, broker.ProduceResponse>;
export type ServerStream = RpcStream<broker.ProduceResponse, broker.ProduceRequest>;

/** Writes down what a stream's end hears. */
export class Recorder<In> implements StreamEvents<In> {
  readonly messages: In[] = [];
  readonly closes: (RpcError | undefined)[] = [];
  ends = 0;
  drains = 0;
  #waiting: { readonly condition: () => boolean; readonly resolve: () => void }[] = [];
  onEach: (message: In) => void = () => {};

  onMessage(message: In): void {
    this.messages.push(message);
    this.onEach(message);
    this.#check();
  }

  onDrain(): void {
    this.drains += 1;
    this.#check();
  }

  onEnd(): void {
    this.ends += 1;
    this.#check();
  }

  onClose(error: RpcError | undefined): void {
    this.closes.push(error);
    this.#check();
  }

  /** Resolves when the condition holds after an event; at once when it holds already. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ condition, resolve });
      this.#check();
    });
  }

  /** Resolves to how the stream ended. */
  async closed(): Promise<RpcError | undefined> {
    await this.until(() => this.closes.length > 0);
    return this.closes[0];
  }

  received(count: number): Promise<void> {
    return this.until(() => this.messages.length >= count);
  }

  #check(): void {
    this.#waiting = this.#waiting.filter(({ condition, resolve }) => {
      if (!condition()) return true;
      resolve();
      return false;
    });
  }
}

/** A server and a client of it, for one case of the contract. */
export class Pair {
  readonly world: TransportWorld;
  readonly serverRpc: Rpc;
  readonly clientRpc: Rpc;
  readonly errors: unknown[] = [];
  /** The server's streams, in the order of their arrival. */
  readonly streams: ServerStream[] = [];
  readonly recorders: Recorder<broker.ProduceRequest>[] = [];
  onStream: (stream: ServerStream, recorder: Recorder<broker.ProduceRequest>) => void = () => {};
  onCall: (
    request: broker.MetadataRequest,
    context: CallContext,
  ) => Promise<broker.MetadataResponse> | broker.MetadataResponse = (request) => metadata(request.topics.join());
  #server: RpcServer | undefined;
  #channel: RpcChannel | undefined;

  constructor(world: TransportWorld) {
    this.world = world;
    this.serverRpc = createRpc(world.server, { onError: (error) => this.errors.push(error) });
    this.clientRpc = createRpc(world.client);
  }

  get server(): RpcServer {
    if (this.#server === undefined) throw new Error('not started');
    return this.#server;
  }

  get channel(): RpcChannel {
    if (this.#channel === undefined) throw new Error('not started');
    return this.#channel;
  }

  get services(): ServiceBinding[] {
    return [
      unary(brokerMethods.metadata, (request, context) => this.onCall(request, context)),
      stream(brokerMethods.produce, (produce) => this.#accept(produce)),
    ];
  }

  async start(
    serverLimits: Partial<RpcLimits> = {},
    clientLimits: Partial<RpcLimits> = serverLimits,
  ): Promise<RpcChannel> {
    this.#server = await this.serverRpc.serve(this.world.address, this.services, serverLimits);
    this.#channel = await this.clientRpc.connect(this.#server.address, { limits: clientLimits });
    return this.#channel;
  }

  async stop(): Promise<void> {
    await this.#channel?.close();
    await this.#server?.close();
  }

  /** Opens a produce stream on the client. */
  open(): { readonly stream: ClientStream; readonly recorder: Recorder<broker.ProduceResponse> } {
    const opened = this.channel.open(brokerMethods.produce);
    const recorder = new Recorder<broker.ProduceResponse>();
    opened.handle(recorder);
    return { stream: opened, recorder };
  }

  /** The server has seen so many streams. */
  async accepted(count: number): Promise<void> {
    while (this.streams.length < count) await this.pass(1);
  }

  /** Milliseconds of the world's time pass. */
  pass(milliseconds: number): Promise<void> {
    return sleep(this.world.client.timers, milliseconds);
  }

  #accept(accepted: ServerStream): void {
    const recorder = new Recorder<broker.ProduceRequest>();
    this.streams.push(accepted);
    this.recorders.push(recorder);
    accepted.handle(recorder);
    this.onStream(accepted, recorder);
  }
}

export function metadata(clusterId: string): broker.MetadataResponse {
  return { clusterId, controllerId: 1, brokers: [], topics: [] };
}

export function metadataRequest(...topics: string[]): broker.MetadataRequest {
  return { topics, allTopics: false };
}

export function produceRequest(correlationId: number, records: Uint8Array = new Uint8Array(0)): broker.ProduceRequest {
  return {
    correlationId,
    acks: -1,
    timeoutMs: 1_000,
    partitions: [{ topic: 'demo', topicId: '', partition: 0, records }],
  };
}

export function produceResponse(correlationId: number): broker.ProduceResponse {
  return { correlationId, partitions: [] };
}
