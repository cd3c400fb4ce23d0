import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { createNodeRuntime } from '@naru/runtime/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stream, unary } from '../binding.ts';
import { metadata, metadataRequest, produceRequest, Recorder } from '../contracts/transport-world.ts';
import { createRpc } from '../create-rpc.ts';
import { brokerMethods, coordinatorMethods } from '../definitions.ts';
import type { broker } from '../messages.ts';
import type { RpcServer, RpcStream } from '../rpc.ts';
import { RpcError } from '../status.ts';

/** Loaded at test time from the .proto files themselves, so that the generated types are held to them, too. */
const protoFolder = join(import.meta.dirname, '../../../../proto');
const definition = loadSync(['naru/broker/v1/broker.proto', 'naru/coordinator/v1/coordinator.proto'], {
  includeDirs: [protoFolder],
  longs: Number,
  defaults: true,
  oneofs: true,
});
const grpcPackage = grpc.loadPackageDefinition(definition) as unknown as {
  naru: {
    broker: { v1: { Broker: grpc.ServiceClientConstructor } };
    coordinator: { v1: { Coordinator: grpc.ServiceClientConstructor } };
  };
};

interface GrpcBroker {
  metadata(
    request: unknown,
    metadata: grpc.Metadata,
    options: grpc.CallOptions,
    callback: (error: grpc.ServiceError | null, response: { clusterId: string }) => void,
  ): grpc.ClientUnaryCall;
  listOffsets(request: unknown, callback: (error: grpc.ServiceError | null) => void): void;
  produce(metadata?: grpc.Metadata): grpc.ClientDuplexStream<unknown, GrpcAnswer>;
  close(): void;
}

interface GrpcAnswer {
  readonly correlationId: number;
  readonly partitions: readonly { readonly topic: string; readonly baseOffset: number }[];
}

const host = '127.0.0.1';
const rpc = createRpc(createNodeRuntime());
const records = Buffer.alloc(3_000_000, 5);
const channelOptions = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 };

function appended(request: broker.ProduceRequest): broker.ProduceResponse {
  const partitions = request.partitions.map((partition) => ({
    topic: partition.topic,
    partition: partition.partition,
    errorCode: 0,
    errorMessage: '',
    baseOffset: partition.records.length,
    logAppendTimeMs: -1,
    logStartOffset: 2 ** 40,
    leaderId: 1,
    leaderEpoch: 7,
    batchBaseOffsets: [5, -1],
    appended: true,
  }));
  return { correlationId: request.correlationId, partitions };
}

describe('a grpc-js client against our server', () => {
  let server: RpcServer;
  let client: GrpcBroker;
  const cancelled: RpcError[] = [];
  let aborted: Promise<unknown>;

  beforeAll(async () => {
    let onAborted: (reason: unknown) => void = () => {};
    aborted = new Promise((resolve) => {
      onAborted = resolve;
    });
    server = await rpc.serve({ host, port: 0 }, [
      unary(brokerMethods.metadata, (request, { signal }) => {
        if (request.topics[0] === 'fail') throw new RpcError('not-found', 'no such topic: 나루 100%');
        if (request.topics[0] !== 'hang') return metadata(request.topics.join());
        signal.addEventListener('abort', () => onAborted(signal.reason));
        return new Promise(() => {});
      }),
      stream(brokerMethods.produce, (accepted) => serveProduce(accepted, cancelled)),
    ]);
    const Broker = grpcPackage.naru.broker.v1.Broker;
    const address = `${host}:${server.address.port}`;
    client = new Broker(address, grpc.credentials.createInsecure(), channelOptions) as unknown as GrpcBroker;
  });

  afterAll(async () => {
    client.close();
    await server.close();
  });

  const call = (topic: string, options: grpc.CallOptions = {}): Promise<{ clusterId: string }> => {
    const extra = new grpc.Metadata();
    extra.set('x-request-id', 'ignored');
    extra.set('trace-bin', Buffer.from([1, 2, 3]));
    return new Promise((resolve, reject) => {
      client.metadata({ topics: [topic] }, extra, options, (error, response) => {
        if (error === null) resolve(response);
        else reject(error);
      });
    });
  };

  test('unary, with metadata that we ignore', async () => {
    expect(await call('demo')).toMatchObject({ clusterId: 'demo' });
  });

  test('errors: a status with a message, an unknown method', async () => {
    await expect(call('fail')).rejects.toMatchObject({
      code: grpc.status.NOT_FOUND,
      details: 'no such topic: 나루 100%',
    });
    const code = await new Promise((resolve) => client.listOffsets({}, (error) => resolve(error?.code)));
    expect(code).toBe(grpc.status.UNIMPLEMENTED);
  });

  test('a deadline reaches the handler', async () => {
    const failure = call('hang', { deadline: Date.now() + 100 });
    await expect(failure).rejects.toMatchObject({ code: grpc.status.DEADLINE_EXCEEDED });
    expect(await aborted).toBeInstanceOf(RpcError);
  });

  test('a compressed message is "unimplemented"', async () => {
    const Broker = grpcPackage.naru.broker.v1.Broker;
    const options = { 'grpc.default_compression_algorithm': 2 };
    const address = `${host}:${server.address.port}`;
    const gzip = new Broker(address, grpc.credentials.createInsecure(), options) as unknown as GrpcBroker;
    const code = await new Promise((resolve) => {
      gzip.metadata({ topics: ['a'.repeat(500)] }, new grpc.Metadata(), {}, (error) => resolve(error?.code));
    });
    expect(code).toBe(grpc.status.UNIMPLEMENTED);
    gzip.close();
  });

  test('a stream in both directions, with large messages', async () => {
    const produce = client.produce();
    const answers: GrpcAnswer[] = [];
    produce.on('data', (answer: GrpcAnswer) => answers.push(answer));
    const status = new Promise<grpc.StatusObject>((resolve) => produce.on('status', resolve));
    for (let id = 1; id <= 20; id += 1) {
      produce.write({ correlationId: id, partitions: [{ topic: 'demo', records: records.subarray(0, id * 150_000) }] });
    }
    produce.end();
    expect((await status).code).toBe(grpc.status.OK);
    expect(answers.map((answer) => answer.correlationId)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
    expect(answers[19]?.partitions[0]).toMatchObject({ topic: 'demo', baseOffset: 3_000_000 });
  });

  test('a stream that we fail; a stream that the client cancels', async () => {
    const failing = client.produce();
    failing.on('error', () => {});
    failing.on('data', () => {});
    const status = new Promise<grpc.StatusObject>((resolve) => failing.on('status', resolve));
    failing.write({ correlationId: 1, acks: 99 });
    expect(await status).toMatchObject({ code: grpc.status.OUT_OF_RANGE, details: 'acks' });
    const cancelling = client.produce();
    cancelling.on('error', () => {});
    cancelling.write({ correlationId: 1 });
    await new Promise((resolve) => cancelling.once('data', resolve));
    cancelled.length = 0;
    cancelling.cancel();
    while (cancelled.length === 0) await new Promise(setImmediate);
    expect(cancelled).toMatchObject([{ code: 'cancelled' }]);
  });
});

function serveProduce(accepted: RpcStream<broker.ProduceResponse, broker.ProduceRequest>, cancelled: RpcError[]): void {
  accepted.handle({
    onMessage: (request) => {
      if (request.acks === 99) accepted.fail(new RpcError('out-of-range', 'acks'));
      else accepted.send(appended(request));
    },
    onEnd: () => accepted.end(),
    onClose: (error) => {
      if (error !== undefined) cancelled.push(error);
    },
  });
}

describe('our client against a grpc-js server', () => {
  const server = new grpc.Server(channelOptions);
  let port = 0;

  beforeAll(async () => {
    server.addService(grpcPackage.naru.broker.v1.Broker.service, {
      metadata: (call: { request: { topics: string[] } }, callback: grpc.sendUnaryData<unknown>) => {
        if (call.request.topics[0] === 'hang') return;
        if (call.request.topics[0] === 'fail') callback({ code: grpc.status.ABORTED, details: 'ü %' });
        else callback(null, { clusterId: call.request.topics.join(), controllerId: -1 });
      },
      produce: (call: grpc.ServerDuplexStream<{ correlationId: number; acks: number }, unknown>) => {
        call.on('data', (request) => {
          if (request.acks === 99) call.emit('error', { code: grpc.status.DATA_LOSS, details: 'gone' });
          else call.write({ correlationId: request.correlationId });
        });
        call.on('end', () => call.end());
        call.on('error', () => {});
      },
    });
    port = await new Promise((resolve, reject) => {
      server.bindAsync(`${host}:0`, grpc.ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
  });

  afterAll(() => server.forceShutdown());

  test('unary: an answer, an error, an unknown service, a deadline', async () => {
    const channel = await rpc.connect({ host, port });
    const call = (topic: string, timeoutMs = 5_000): Promise<broker.MetadataResponse> =>
      channel.call(brokerMethods.metadata, metadataRequest(topic), { timeoutMs });
    expect(await call('demo')).toMatchObject({ clusterId: 'demo', controllerId: -1 });
    await expect(call('fail')).rejects.toMatchObject({ code: 'aborted', message: 'ü %' });
    await expect(channel.call(coordinatorMethods.status, {})).rejects.toMatchObject({ code: 'unimplemented' });
    await expect(call('hang', 50)).rejects.toMatchObject({ code: 'deadline-exceeded' });
    await channel.close();
  });

  test('a stream in both directions, failed by the server, and cut off with it', async () => {
    const channel = await rpc.connect({ host, port });
    const open = (): [RpcStream<broker.ProduceRequest, broker.ProduceResponse>, Recorder<broker.ProduceResponse>] => {
      const opened = channel.open(brokerMethods.produce);
      const recorder = new Recorder<broker.ProduceResponse>();
      opened.handle(recorder);
      return [opened, recorder];
    };
    const [good, heard] = open();
    for (let id = 1; id <= 50; id += 1) good.send(produceRequest(id, records.subarray(0, id * 20_000)));
    good.end();
    expect(await heard.closed()).toBeUndefined();
    expect(heard.messages.map((message) => message.correlationId)).toEqual(
      Array.from({ length: 50 }, (_, index) => index + 1),
    );
    const [failing, failure] = open();
    failing.send({ ...produceRequest(1), acks: 99 });
    expect(await failure.closed()).toMatchObject({ code: 'data-loss', message: 'gone' });
    const [, cutOff] = open();
    server.forceShutdown();
    expect(await cutOff.closed()).toMatchObject({ code: expect.stringMatching(/unavailable|cancelled/) });
    await channel.close();
  });
});
