import type { Connection, NetworkError, Timer, Timers } from '@naru/runtime';
import type { RpcLimits } from '../rpc.ts';
import { RpcError } from '../status.ts';
import { Idleness } from '../stream/idleness.ts';
import { messageTooLarge } from '../stream/message-stream.ts';
import { type Frame, FrameError, type FrameKind, FrameReader, frameHeader, frameKinds } from './frames.ts';
import type { SimulatedStream, StreamLink } from './simulated-stream.ts';

/** How long a closing end waits for the other one to take what is waiting. */
const closeLingerMs = 1_000;

export interface ConnectionEvents {
  /** A frame that no open stream is waiting for. */
  onFrame(frame: Frame): void;
  onClose(error: NetworkError | undefined): void;
}

// A connection does not care what its streams carry.
// biome-ignore lint/suspicious/noExplicitAny: a stream is both producer and consumer of its message types
export type AnyStream = SimulatedStream<any, any>;

/** The streams of one connection, on either side: frames in, frames out, keepalive, the end. */
export class SimulatedConnection implements StreamLink {
  readonly role: 'client' | 'server';
  readonly limits: RpcLimits;
  readonly streams = new Map<number, AnyStream>();
  readonly idleness: Idleness;
  readonly #connection: Connection;
  readonly #timers: Timers;
  readonly #events: ConnectionEvents;
  readonly #reader: FrameReader;
  #outbox: Uint8Array[] = [];
  #keepalive: Timer | undefined;
  #linger: Timer | undefined;
  #quiet = false;
  #pinged = false;
  #closed = false;

  constructor(
    role: 'client' | 'server',
    connection: Connection,
    expected: Uint8Array,
    limits: RpcLimits,
    timers: Timers,
    events: ConnectionEvents,
  ) {
    this.role = role;
    this.limits = limits;
    this.idleness = new Idleness(limits);
    this.#connection = connection;
    this.#timers = timers;
    this.#events = events;
    this.#reader = new FrameReader(expected, limits.messageBytesMax, {
      onFrame: (frame) => this.#onFrame(frame),
      onTooLarge: (stream, length) => {
        this.streams.get(stream)?.fail(messageTooLarge(length, limits.messageBytesMax));
      },
    });
  }

  get messageBytesMax(): number {
    return this.limits.messageBytesMax;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** `head` are bytes that somebody read from the connection before. */
  start(head: readonly Uint8Array[]): void {
    for (const bytes of head) this.#received(bytes);
    this.#connection.handle({
      onData: (bytes) => this.#received(bytes),
      onClose: (error) => this.#lost(error),
    });
    if (this.limits.keepaliveMs > 0) this.#armKeepalive();
  }

  sendRaw(bytes: Uint8Array): void {
    this.#queue(bytes);
  }

  sendFrame(kind: FrameKind, stream: number, payload: readonly Uint8Array[]): void {
    let length = 0;
    for (const chunk of payload) length += chunk.length;
    this.#queue(frameHeader(kind, stream, length));
    for (const chunk of payload) if (chunk.length > 0) this.#outbox.push(chunk);
  }

  forget(stream: number): void {
    this.streams.delete(stream);
  }

  /** Ends every stream with `error`, sends what is waiting, and closes. A client's streams end by the connection's end. */
  close(error: RpcError): void {
    if (this.#closed) return;
    for (const stream of [...this.streams.values()]) {
      if (this.role === 'server') stream.fail(error);
      else stream.connectionLost(error);
    }
    this.#flush();
    this.#connection.end();
    this.#linger = this.#timers.after(closeLingerMs, () => this.destroy());
  }

  destroy(): void {
    if (this.#closed) return;
    this.#connection.destroy();
    this.#lost(undefined);
  }

  /** Frames of one turn leave in one write. */
  #queue(bytes: Uint8Array): void {
    if (this.#closed) return;
    if (this.#outbox.length === 0) this.#timers.nextTurn(() => this.#flush());
    this.#outbox.push(bytes);
  }

  #flush(): void {
    if (this.#closed || this.#outbox.length === 0) return;
    const chunks = this.#outbox;
    this.#outbox = [];
    this.#connection.write(chunks);
  }

  #received(bytes: Uint8Array): void {
    if (this.#closed) return;
    this.#quiet = false;
    this.#pinged = false;
    try {
      this.#reader.push(bytes);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.destroy();
    }
  }

  #onFrame(frame: Frame): void {
    if (this.#closed || frame.kind === frameKinds.pong) return;
    if (frame.kind === frameKinds.ping) {
      this.sendFrame(frameKinds.pong, 0, []);
      return;
    }
    const stream = this.streams.get(frame.stream);
    if (stream === undefined) this.#events.onFrame(frame);
    else stream.receive(frame.kind, frame.payload);
  }

  #lost(error: NetworkError | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#keepalive?.cancel();
    this.#linger?.cancel();
    this.#outbox = [];
    const failure = new RpcError('unavailable', error === undefined ? 'the connection closed' : error.message);
    for (const stream of [...this.streams.values()]) stream.connectionLost(failure);
    this.streams.clear();
    this.#events.onClose(error);
  }

  /** As on the wire: a ping after a quiet interval, the end after two. */
  #armKeepalive(): void {
    this.#keepalive = this.#timers.after(this.limits.keepaliveMs, () => {
      if (this.#quiet && this.#pinged) {
        this.destroy();
        return;
      }
      if (this.#quiet) {
        this.#pinged = true;
        this.sendFrame(frameKinds.ping, 0, []);
      }
      this.#quiet = true;
      this.#armKeepalive();
      const isIdle = this.role === 'server' && this.idleness.tick(this.streams.size);
      if (isIdle) this.close(new RpcError('unavailable', 'nothing was asked for a long time'));
    });
  }
}
