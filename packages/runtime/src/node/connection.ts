import type { Socket } from 'node:net';
import { assert } from '../assert.ts';
import { type Address, type Connection, type ConnectionHandler, NetworkError } from '../network.ts';
import { toNetworkError } from './network-error.ts';

/** How a socket that listens for both families names an IPv4 peer. */
const ipv4Mapped = /^::ffff:(?=[\d.]+$)/;

/** A socket of this machine. */
export class NodeConnection implements Connection {
  readonly remote: Address;
  readonly #socket: Socket;
  #handler: ConnectionHandler | undefined;
  #error: NetworkError | undefined;
  #closed = false;
  #paused = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.remote = { host: socket.remoteAddress?.replace(ipv4Mapped, '') ?? 'unknown', port: socket.remotePort ?? 0 };
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
  }

  /** The socket, to look at; whoever wants to own it calls `detach`. */
  get socket(): Socket {
    return this.#socket;
  }

  handle(handler: ConnectionHandler): void {
    const isFirst = this.#handler === undefined;
    this.#handler = handler;
    if (this.#closed) process.nextTick(() => this.#tellClosed());
    else if (isFirst) {
      this.#socket.on('data', this.#onData);
      this.#socket.on('drain', this.#onDrain);
      if (!this.#paused) this.#socket.resume();
    }
  }

  /**
   * Gives the socket away, paused and without listeners of this object, which tells its handler nothing more. The new
   * owner must listen to `error` in the same turn, and `unshift` what was read before if it wants to see it again.
   */
  detach(): Socket {
    assert(!this.#closed, 'a closed connection cannot be handed over');
    this.#closed = true;
    this.#handler = undefined;
    this.#socket.pause();
    this.#socket.off('data', this.#onData);
    this.#socket.off('drain', this.#onDrain);
    this.#socket.off('close', this.#onClose);
    this.#socket.off('error', this.#onError);
    return this.#socket;
  }

  write(chunks: readonly Uint8Array[]): boolean {
    const socket = this.#socket;
    if (this.#closed || socket.writableEnded || socket.destroyed) return false;
    let flowing = !socket.writableNeedDrain;
    if (chunks.length > 1) socket.cork();
    for (const chunk of chunks) flowing = socket.write(chunk);
    if (chunks.length > 1) socket.uncork();
    return flowing;
  }

  get pendingBytes(): number {
    return this.#socket.writableLength;
  }

  pause(): void {
    this.#paused = true;
    if (!this.#closed) this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    if (!this.#closed && this.#handler) this.#socket.resume();
  }

  end(): void {
    if (!this.#closed) this.#socket.end();
  }

  destroy(): void {
    if (this.#closed || this.#socket.destroyed) return;
    this.#error ??= new NetworkError('closed', 'the connection was closed from this side');
    this.#socket.resetAndDestroy();
  }

  readonly #onData = (bytes: Uint8Array): void => this.#handler?.onData(bytes);

  readonly #onDrain = (): void => this.#handler?.onDrain?.();

  readonly #onError = (error: Error): void => {
    this.#error ??= toNetworkError(error, 'connection with', this.remote);
  };

  readonly #onClose = (): void => {
    this.#closed = true;
    this.#tellClosed();
  };

  #tellClosed(): void {
    const handler = this.#handler;
    this.#handler = undefined;
    handler?.onClose(this.#error);
  }
}
