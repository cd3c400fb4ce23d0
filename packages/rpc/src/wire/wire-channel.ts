import { type ClientHttp2Session, connect, type OutgoingHttpHeaders } from 'node:http2';
import type { Socket } from 'node:net';
import { type Address, formatAddress, type Timers } from '@naru/runtime';
import type { Method, StreamMethod, UnaryMethod } from '../method.ts';
import type { RpcChannel, RpcLimits, RpcStream } from '../rpc.ts';
import { RpcError } from '../status.ts';
import { failedStream } from '../stream/failed-stream.ts';
import { type CallOptions, callOver } from '../stream/unary-call.ts';
import { ClientWireStream } from './client-stream.ts';
import { Keepalive } from './keepalive.ts';
import { grpcContentType } from './server-stream.ts';
import { openWindow, sessionOptions } from './session-options.ts';
import { timeoutHeader } from './status-headers.ts';
import type { WireConnection } from './wire-stream.ts';

/** How long a closing channel waits for the other side to take what is waiting to leave. */
const closeLingerMs = 1_000;

/** One HTTP/2 connection to a server. */
export class WireChannel implements RpcChannel, WireConnection {
  readonly remote: Address;
  readonly limits: RpcLimits;
  readonly timers: Timers;
  readonly #session: ClientHttp2Session;
  readonly #socket: Socket;
  readonly #closeCallbacks: (() => void)[] = [];
  #openStreams = 0;
  /** Why no new stream can be opened. */
  #refusal: RpcError | undefined;
  #closed = false;

  constructor(session: ClientHttp2Session, socket: Socket, remote: Address, limits: RpcLimits, timers: Timers) {
    this.remote = remote;
    this.limits = limits;
    this.timers = timers;
    this.#session = session;
    this.#socket = socket;
    const keepalive = new Keepalive(session, socket, timers, limits.keepaliveMs);
    session.on('goaway', () => this.#refuse('the server is closing the connection'));
    session.on('close', () => {
      keepalive.stop();
      this.#onClosed();
    });
  }

  get closed(): boolean {
    return this.#closed || this.#refusal !== undefined;
  }

  isGone(): boolean {
    return this.#session.destroyed || this.#socket.destroyed;
  }

  call<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
    options: CallOptions = {},
  ): Promise<Response> {
    return callOver(this.#open(method, options.timeoutMs), request, options, this.timers);
  }

  open<Request, Response>(method: StreamMethod<Request, Response>): RpcStream<Request, Response> {
    return this.#open(method, undefined);
  }

  onClose(callback: () => void): void {
    if (this.#closed) queueMicrotask(callback);
    else this.#closeCallbacks.push(callback);
  }

  close(): Promise<void> {
    this.#refuse('the connection was closed on this side');
    // Not `session.destroy()`, which would first cancel every stream: the other side is to see a closed connection.
    this.#socket.destroySoon();
    const timer = this.timers.after(closeLingerMs, () => this.#socket.destroy());
    return new Promise((resolve) => {
      this.onClose(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  #open<Request, Response>(
    method: Method<Request, Response>,
    timeoutMs: number | undefined,
  ): RpcStream<Request, Response> {
    const refusal = this.#refusalNow();
    if (refusal !== undefined) return failedStream(refusal);
    const headers: OutgoingHttpHeaders = {
      ':method': 'POST',
      ':path': method.path,
      'content-type': grpcContentType,
      te: 'trailers',
    };
    if (timeoutMs !== undefined) headers['grpc-timeout'] = timeoutHeader(timeoutMs);
    const http = this.#session.request(headers);
    this.#openStreams += 1;
    http.once('close', () => {
      this.#openStreams -= 1;
    });
    return new ClientWireStream<Request, Response>(http, { out: method.request, in: method.response }, this);
  }

  #refusalNow(): RpcError | undefined {
    if (this.#refusal !== undefined) return this.#refusal;
    if (this.isGone() || this.#session.closed) return new RpcError('unavailable', 'the connection closed');
    if (this.#openStreams < this.limits.concurrentStreamsMax) return undefined;
    return new RpcError('resource-exhausted', `${this.#openStreams} streams are open on the connection`);
  }

  #refuse(why: string): void {
    this.#refusal ??= new RpcError('unavailable', `${formatAddress(this.remote)}: ${why}`);
  }

  #onClosed(): void {
    if (this.#closed) return;
    this.#refuse('the connection closed');
    this.#closed = true;
    for (const callback of this.#closeCallbacks.splice(0)) callback();
  }
}

/** Resolves once the server has shown on a connected socket that it speaks HTTP/2. Fails with `unavailable`, naming the address. */
export function connectWire(
  socket: Socket,
  address: Address,
  limits: RpcLimits,
  { timeoutMs, leftMs }: { readonly timeoutMs: number; readonly leftMs: number },
  timers: Timers,
): Promise<WireChannel> {
  return new Promise((resolve, reject) => {
    const session = connect(`http://${formatAddress(address)}`, {
      ...sessionOptions(limits),
      peerMaxConcurrentStreams: limits.concurrentStreamsMax,
      createConnection: () => socket,
    });
    // Handed over paused: the session takes the handle, which has to be reading.
    socket.read(0);
    let cause: string | undefined;
    const failed = (): void => {
      timer.cancel();
      const why = cause ?? 'the connection closed before the server spoke HTTP/2';
      reject(new RpcError('unavailable', `cannot connect to ${formatAddress(address)}: ${why}`));
    };
    const timer = timers.after(leftMs, () => {
      cause = `no answer within ${timeoutMs} ms`;
      session.destroy();
      socket.destroy();
    });
    // After the connection stands these only keep 'error' from ending the process: 'close' follows.
    socket.on('error', (error) => {
      cause ??= error.message;
    });
    session.on('error', (error) => {
      cause ??= error.message;
    });
    session.once('close', failed);
    session.once('connect', () => openWindow(session));
    session.once('remoteSettings', () => {
      timer.cancel();
      session.off('close', failed);
      resolve(new WireChannel(session, socket, address, limits, timers));
    });
  });
}
