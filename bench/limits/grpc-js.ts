/**
 * The same work by grpc-js, raw buffers and no codec, for comparison: why the data path speaks gRPC's wire format itself.
 * Run: node bench/limits/grpc-js.ts
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import * as grpc from '@grpc/grpc-js';

const messageBytes = 131_072;
const seconds = 3;
const limits = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 };

const sink: grpc.MethodDefinition<Buffer, Buffer> = {
  path: '/naru.bench.Sink/Take',
  requestStream: true,
  responseStream: true,
  requestSerialize: (bytes) => bytes,
  requestDeserialize: (bytes) => bytes,
  responseSerialize: (bytes) => bytes,
  responseDeserialize: (bytes) => bytes,
};

async function serve(): Promise<void> {
  const server = new grpc.Server(limits);
  server.addService(
    { take: sink },
    {
      take: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
        call.on('data', () => {});
        call.on('end', () => call.end());
      },
    },
  );
  server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (_, port) => process.send?.(port));
}

async function measure(port: number): Promise<number> {
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), limits);
  const stream = client.makeBidiStreamRequest(sink.path, sink.requestSerialize, sink.responseDeserialize);
  const message = Buffer.alloc(messageBytes, 7);
  const began = performance.now();
  const deadline = began + seconds * 1_000;
  let sent = 0;
  const pump = (): void => {
    let isRoomy = true;
    while (isRoomy && performance.now() < deadline) {
      isRoomy = stream.write(message);
      sent += messageBytes;
    }
    if (performance.now() >= deadline) stream.end();
    else stream.once('drain', pump);
  };
  pump();
  stream.resume();
  await once(stream, 'end');
  client.close();
  return (sent / (performance.now() - began)) * 1_000;
}

if (process.argv.includes('--serve')) await serve();
else {
  const child = fork(import.meta.filename, ['--serve']);
  const [port] = (await once(child, 'message')) as [number];
  console.log(`grpc-js stream, 128 KiB messages, one way: ${((await measure(port)) / 1e9).toFixed(2)} GB/s`);
  child.kill();
}
