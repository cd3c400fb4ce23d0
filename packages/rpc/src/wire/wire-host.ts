import {
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Socket } from 'node:net';
import type { Address } from '@naru/runtime';
import type { Binding } from '../binding.ts';
import type { RpcLimits } from '../rpc.ts';
import { RpcError } from '../status.ts';
import { Idleness } from '../stream/idleness.ts';
import { failByHandler, type ServeOptions, serveStream } from '../stream/serve.ts';
import { Keepalive } from './keepalive.ts';
import { respondStatus, ServerWireStream } from './server-stream.ts';
import { openWindow, sessionOptions } from './session-options.ts';
import { timeoutOf } from './status-headers.ts';
import type { WireConnection } from './wire-stream.ts';

/** How long a closing server waits for clients to take their last answers. */
const closeLingerMs = 1_000;

interface ServerConnection extends WireConnection {
  readonly remote: Address;
  readonly socket: Socket;
  readonly streams: Set<ServerWireStream>;
  readonly idleness: Idleness;
}

/** The server's side of any number of connections, whoever accepted them. */
export class WireHost {
  readonly #bindings: ReadonlyMap<string, Binding>;
  readonly #limits: RpcLimits;
  readonly #options: ServeOptions;
  readonly #sessions = new Map<ServerHttp2Session, ServerConnection>();
  #closing = false;

  constructor(bindings: ReadonlyMap<string, Binding>, limits: RpcLimits, options: ServeOptions) {
    this.#bindings = bindings;
    this.#limits = limits;
    this.#options = options;
  }

  /** Takes a connection; `head` has already been read from it. */
  accept(socket: Socket, remote: Address, head: readonly Uint8Array[] = []): void {
    // The session reports what happens to the socket, by its 'close' at the latest.
    socket.on('error', () => {});
    if (socket.destroyed) return;
    if (this.#closing || this.#sessions.size >= this.#limits.connectionsMax) {
      socket.destroy();
      return;
    }
    socket.setNoDelay(true);
    for (const chunk of head.toReversed()) if (chunk.length > 0) socket.unshift(chunk);
    const session = performServerHandshake(socket, sessionOptions(this.#limits));
    // The session takes the handle as it is, and a socket accepted paused has not begun to read. Not `resume()`: it would let
    // what was read before flow away before the session takes it.
    socket.read(0);
    session.on('error', () => {});
    const connection = this.#connectionOf(session, socket, remote);
    this.#sessions.set(session, connection);
    const keepalive = new Keepalive(session, socket, this.#options.timers, this.#limits.keepaliveMs, () => {
      if (connection.idleness.tick(connection.streams.size)) void this.#closeSession(session, connection);
    });
    session.once('close', () => {
      keepalive.stop();
      this.#sessions.delete(session);
    });
    session.on('stream', (http, headers) => this.#onStream(http, headers, connection));
    openWindow(session);
  }

  #connectionOf(session: ServerHttp2Session, socket: Socket, remote: Address): ServerConnection {
    return {
      limits: this.#limits,
      timers: this.#options.timers,
      isGone: () => session.destroyed || socket.destroyed,
      remote,
      socket,
      streams: new Set(),
      idleness: new Idleness(this.#limits),
    };
  }

  /** Ends open streams with `unavailable`; resolves when every connection is closed. */
  async close(): Promise<void> {
    this.#closing = true;
    const closed = [...this.#sessions].map(([session, connection]) => this.#closeSession(session, connection));
    await Promise.all(closed);
  }

  #closeSession(session: ServerHttp2Session, connection: ServerConnection): Promise<void> {
    const { timers } = this.#options;
    return new Promise((resolve) => {
      const timer = timers.after(closeLingerMs, () => connection.socket.destroy());
      session.once('close', () => {
        timer.cancel();
        resolve();
      });
      for (const stream of [...connection.streams]) stream.fail(new RpcError('unavailable', 'the server is closing'));
      session.close();
    });
  }

  #onStream(http: ServerHttp2Stream, headers: IncomingHttpHeaders, connection: ServerConnection): void {
    http.on('error', () => {});
    if (headers[':method'] !== 'POST' || headers['content-type']?.startsWith('application/grpc') !== true) {
      http.respond({ ':status': headers[':method'] === 'POST' ? 415 : 405 }, { endStream: true });
      return;
    }
    const path = headers[':path'] ?? '';
    const binding = this.#bindings.get(path);
    if (binding === undefined)
      respondStatus(http, new RpcError('unimplemented', `no such method: ${path}`), connection.timers);
    else this.#serve(binding, http, headers, connection);
  }

  #serve(binding: Binding, http: ServerHttp2Stream, headers: IncomingHttpHeaders, connection: ServerConnection): void {
    let timeoutMs: number | undefined;
    try {
      timeoutMs = timeoutOf(headers['grpc-timeout']);
    } catch (error) {
      respondStatus(http, error as RpcError, connection.timers);
      return;
    }
    const codecs = { out: binding.method.response, in: binding.method.request };
    const stream = new ServerWireStream(http, codecs, connection, (error) => {
      failByHandler(stream, binding.path, error, this.#options);
    });
    connection.streams.add(stream);
    connection.idleness.opened();
    http.once('close', () => connection.streams.delete(stream));
    if (binding.kind === 'stream') stream.open();
    serveStream(binding, stream, { remote: connection.remote, timeoutMs }, this.#options);
  }
}
