import { connect, type IncomingHttpHeaders } from 'node:http2';
import { connect as connectSocket, createServer, type Socket } from 'node:net';
import { createNodeRuntime } from '@naru/runtime/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stream, unary } from '../binding.ts';
import { metadata, metadataRequest, Recorder } from '../contracts/transport-world.ts';
import { createRpc } from '../create-rpc.ts';
import { brokerMethods } from '../definitions.ts';
import type { broker } from '../messages.ts';
import type { RpcServer } from '../rpc.ts';

const host = '127.0.0.1';
const rpc = createRpc(createNodeRuntime());
const emptySettings = Buffer.from('000000040000000000', 'hex');

describe('clients that speak HTTP/2 but not gRPC', () => {
  let server: RpcServer;
  const closes: unknown[] = [];

  beforeAll(async () => {
    server = await rpc.serve({ host, port: 0 }, [
      unary(brokerMethods.metadata, () => metadata('ok')),
      stream(brokerMethods.produce, (accepted) => {
        accepted.handle({
          onMessage: () => {},
          onEnd: () => accepted.end(),
          onClose: (error) => closes.push(error?.code),
        });
      }),
    ]);
  });

  afterAll(() => server.close());

  const ask = (headers: Record<string, string>, body: Buffer): Promise<IncomingHttpHeaders> =>
    new Promise((resolve, reject) => {
      const session = connect(`http://${host}:${server.address.port}`);
      session.on('error', reject);
      const request = session.request({ ':method': 'POST', 'content-type': 'application/grpc', ...headers });
      let answer: IncomingHttpHeaders = {};
      request.on('response', (response) => {
        answer = { ...response };
      });
      request.on('trailers', (trailers) => {
        answer = { ...answer, ...trailers };
      });
      request.on('error', () => {});
      request.on('close', () => {
        session.destroy();
        resolve(answer);
      });
      request.resume();
      request.end(body);
    });

  const path = brokerMethods.metadata.path;
  const empty = Buffer.from([0, 0, 0, 0, 0]);

  test('another method or content type is an HTTP error', async () => {
    expect(await ask({ ':method': 'GET', ':path': path }, Buffer.alloc(0))).toMatchObject({ ':status': 405 });
    expect(await ask({ ':path': path, 'content-type': 'text/plain' }, empty)).toMatchObject({ ':status': 415 });
  });

  test('a good call by hand; a call cut inside its message, without or with two requests; a bad deadline', async () => {
    expect(await ask({ ':path': path }, empty)).toMatchObject({ ':status': 200, 'grpc-status': '0' });
    for (const body of [
      Buffer.from([0, 0, 0, 0, 9, 1]),
      Buffer.from([0, 0]),
      Buffer.alloc(0),
      Buffer.concat([empty, empty]),
    ]) {
      expect(await ask({ ':path': path }, body)).toMatchObject({ ':status': 200, 'grpc-status': '3' });
    }
    expect(await ask({ ':path': path, 'grpc-timeout': 'soon' }, empty)).toMatchObject({ 'grpc-status': '3' });
    expect(await ask({ ':path': `${path}/no` }, empty)).toMatchObject({ ':status': 200, 'grpc-status': '12' });
  });

  test('a stream whose connection is reset is "unavailable" for the server, once', async () => {
    const socket = connectSocket(server.address.port, host);
    const session = connect(`http://${host}`, { createConnection: () => socket });
    session.on('error', () => {});
    const request = session.request({
      ':method': 'POST',
      ':path': brokerMethods.produce.path,
      'content-type': 'application/grpc',
    });
    request.on('error', () => {});
    await new Promise((resolve) => request.once('response', resolve));
    closes.length = 0;
    socket.resetAndDestroy();
    while (closes.length === 0) await new Promise(setImmediate);
    expect(closes).toEqual(['unavailable']);
  });
});

describe('servers that fall silent', () => {
  test('keepalive closes a connection whose peer no longer answers', async () => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => {});
      socket.write(emptySettings);
      socket.resume();
    });
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    const { port } = server.address() as { port: number };
    const channel = await rpc.connect({ host, port }, { limits: { keepaliveMs: 40 } });
    const recorder = new Recorder<broker.ProduceResponse>();
    channel.open(brokerMethods.produce).handle(recorder);
    const call = channel.call(brokerMethods.metadata, metadataRequest()).catch((error: unknown) => error);
    expect(await recorder.closed()).toMatchObject({ code: 'unavailable' });
    expect(await call).toMatchObject({ code: 'unavailable' });
    expect(channel.closed).toBe(true);
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  test('keepalive leaves a quiet connection alone whose peer answers', async () => {
    const server = await rpc.serve({ host, port: 0 }, [unary(brokerMethods.metadata, () => metadata('ok'))], {
      keepaliveMs: 30,
    });
    const channel = await rpc.connect(server.address, { limits: { keepaliveMs: 30 } });
    await new Promise((resolve) => setTimeout(resolve, 250));
    expect(await channel.call(brokerMethods.metadata, metadataRequest())).toMatchObject({ clusterId: 'ok' });
    await channel.close();
    await server.close();
  });

  test('thousands of calls and of refused streams on one connection are no attack', async () => {
    const server = await rpc.serve({ host, port: 0 }, [unary(brokerMethods.metadata, () => metadata('ok'))]);
    const channel = await rpc.connect(server.address);
    for (let round = 0; round < 30; round += 1) {
      const calls = Array.from({ length: 200 }, () => channel.call(brokerMethods.metadata, metadataRequest()));
      const refused = Array.from({ length: 50 }, () => {
        const recorder = new Recorder<broker.ProduceResponse>();
        channel.open(brokerMethods.produce).handle(recorder);
        return recorder.closed();
      });
      expect((await Promise.all(calls)).length).toBe(200);
      for (const close of await Promise.all(refused)) expect(close).toMatchObject({ code: 'unimplemented' });
    }
    await channel.close();
    await server.close();
  });

  test('a port that is in use is a NetworkError that names the address', async () => {
    const first = await rpc.serve({ host, port: 0 }, []);
    await expect(rpc.serve(first.address, [])).rejects.toMatchObject({
      code: 'address-in-use',
      message: expect.stringContaining(`${host}:${first.address.port}`),
    });
    await first.close();
  });

  test('connections that die at each stage of the beginning harm nobody', async () => {
    const server = await rpc.serve({ host, port: 0 }, []);
    const preface = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), emptySettings]);
    for (let length = 0; length <= preface.length; length += 4) {
      const socket = connectSocket(server.address.port, host);
      await new Promise((resolve) => socket.once('connect', resolve));
      socket.write(preface.subarray(0, length));
      await new Promise(setImmediate);
      socket.resetAndDestroy();
    }
    const channel = await rpc.connect(server.address);
    await channel.close();
    await server.close();
  });
});
