import type { Address, Connection } from '@naru/runtime';
import type { StreamMethod, UnaryMethod } from './method.ts';
import type { RpcError } from './status.ts';

/** Typed calls and streams; `createRpc(runtime)` picks gRPC on real connections or the simulated transport. */
export interface Rpc {
  /** Serves on an address of its own. */
  serve(address: Address, services: readonly ServiceBinding[], limits?: Partial<RpcLimits>): Promise<RpcServer>;
  /** Serves connections that somebody else accepted, on a port that is shared with another protocol. */
  host(services: readonly ServiceBinding[], limits?: Partial<RpcLimits>): RpcHost;
  /** One connection. It does not reconnect: when it closes, every call on it fails with `unavailable` and `onClose` tells. */
  connect(address: Address, options?: ConnectOptions): Promise<RpcChannel>;
}

export interface RpcOptions {
  /** A handler threw something that is not an `RpcError`: a bug or an operating failure, for the log. */
  readonly onError?: (error: unknown, path: string) => void;
}

export interface ConnectOptions {
  /** Milliseconds until the attempt fails with `unavailable`; default 3000. */
  readonly timeoutMs?: number;
  readonly limits?: Partial<RpcLimits>;
}

export const connectTimeoutMsDefault = 3_000;

/** A limit on everything (style: 12). */
export interface RpcLimits {
  /** Bytes of one message; a larger one ends its stream with `resource-exhausted` before it is buffered. */
  readonly messageBytesMax: number;
  /** Streams and calls open at once on one connection. */
  readonly concurrentStreamsMax: number;
  /** Milliseconds between pings on a quiet connection; a ping unanswered for as long closes it. 0 switches it off. */
  readonly keepaliveMs: number;
  /** Milliseconds without a call or a stream after which a server closes a connection, seen at a tick of `keepaliveMs`. 0 switches it off. */
  readonly idleMsMax: number;
  /** Connections at once on one server or host. */
  readonly connectionsMax: number;
}

export const defaultRpcLimits: RpcLimits = {
  messageBytesMax: 104_857_600,
  concurrentStreamsMax: 1_024,
  keepaliveMs: 10_000,
  idleMsMax: 0,
  connectionsMax: 10_000,
};

export interface RpcServer {
  readonly address: Address;
  /** Stops accepting, ends open streams with `unavailable`, and resolves when every connection is closed. */
  close(): Promise<void>;
}

export interface RpcHost {
  /** `head` are bytes already read from the connection; `onClose` is called once. */
  accept(connection: Connection, head: readonly Uint8Array[], onClose?: () => void): void;
  close(): Promise<void>;
}

/** A method with its handler; made by `unary()` and `stream()`, so that types are checked where they meet. */
export interface ServiceBinding {
  readonly path: string;
}

export interface CallContext {
  readonly remote: Address;
  /** Aborts when the caller cancels, its deadline passes or the connection closes. */
  readonly signal: AbortSignal;
}

/** A thrown `RpcError` becomes its status; anything else `internal`, logged by the server's `onError`. */
export type UnaryHandler<Request, Response> = (request: Request, context: CallContext) => Promise<Response> | Response;

/** Called once for each new stream, before any message of it is delivered; sets the handler of its events. */
export type StreamHandler<Request, Response> = (stream: RpcStream<Response, Request>, context: StreamContext) => void;

export interface StreamContext {
  readonly remote: Address;
}

/** One end of a stream: sends `Out`, receives `In`. The same for client and server. */
export interface RpcStream<Out, In> {
  /** Sets who receives; must be called in the same turn in which the stream was got. */
  handle(handler: StreamEvents<In>): void;
  /**
   * Queues a message; messages of one turn of the event loop leave together. False when the other side is slow: go on
   * after `onDrain`. After the end it does nothing and returns false.
   */
  send(message: Out): boolean;
  /** Bytes waiting to leave. */
  readonly pendingBytes: number;
  /** No more messages from this side. A server's stream ends well (`ok`) with it. */
  end(): void;
  /** Ends it at once in both directions: the client cancels, the server answers with `error` (default `cancelled`). */
  fail(error?: RpcError): void;
  /** Stops delivery of messages (flow control holds the other side back) until `resume`. */
  pause(): void;
  resume(): void;
}

export interface StreamEvents<In> {
  onMessage(message: In): void;
  onDrain?(): void;
  /** The other side will send no more. A server then normally answers with `end()`. */
  onEnd?(): void;
  /** The last event, exactly once. `error` is undefined when the stream ended well. */
  onClose(error: RpcError | undefined): void;
}

export interface RpcChannel {
  readonly remote: Address;
  readonly closed: boolean;
  call<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
    options?: { readonly timeoutMs?: number; readonly signal?: AbortSignal },
  ): Promise<Response>;
  open<Request, Response>(method: StreamMethod<Request, Response>): RpcStream<Request, Response>;
  /** Called once when the connection is gone, at once when it already is. */
  onClose(callback: () => void): void;
  /** Closes the connection; what is open on it fails with `unavailable`. */
  close(): Promise<void>;
}
