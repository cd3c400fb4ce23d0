import type { ServerHttp2Stream } from 'node:http2';
import type { Timer, Timers } from '@naru/runtime';
import type { RpcError } from '../status.ts';
import { RpcError as Failure } from '../status.ts';
import type { StreamCodecs } from '../stream/message-stream.ts';
import { statusHeaders } from './status-headers.ts';
import { resetQuietly, type WireConnection, WireStream } from './wire-stream.ts';

export const grpcContentType = 'application/grpc+proto';

/**
 * How long a client may take to be done with a stream that has its status. The server must not reset the stream before: in
 * nghttp2 a reset overtakes trailers that wait for the socket, and the status would be lost.
 */
const statusLingerMs = 2_000;

/** The server's end: headers, messages, and the status in the trailers. */
export class ServerWireStream extends WireStream<unknown, unknown> {
  readonly #http: ServerHttp2Stream;
  #status: RpcError | undefined;
  #linger: Timer | undefined;
  #trailersSent = false;

  constructor(
    http: ServerHttp2Stream,
    codecs: StreamCodecs<unknown, unknown>,
    connection: WireConnection,
    onHandlerError: (error: unknown) => void,
  ) {
    super(http, codecs, connection, onHandlerError);
    this.#http = http;
    http.on('wantTrailers', () => this.#sendTrailers());
  }

  /** Sends the headers; clients take it as a sign that the stream is being served. */
  open(): void {
    this.beforeWrite();
  }

  protected beforeWrite(): void {
    if (this.#http.headersSent || this.#http.destroyed || this.#http.closed) return;
    this.#http.respond({ ':status': 200, 'content-type': grpcContentType }, { waitForTrailers: true });
  }

  protected transmitFailure(error: RpcError): void {
    this.#status = error;
    this.dropPending();
    const http = this.#http;
    if (http.destroyed || http.closed) return;
    if (!http.headersSent) {
      respondStatus(http, error, this.connection.timers);
      return;
    }
    // The status goes behind what HTTP/2 has already taken over; what the client still sends is dropped.
    http.resume();
    if (!http.writableEnded) http.end();
    this.#armLinger();
  }

  protected onHttpEnd(whole: boolean): void {
    if (whole) this.receivedEnd();
    else this.fail(this.truncated());
  }

  protected onHttpClose(): void {
    this.#linger?.cancel();
    if (this.connection.isGone()) this.receivedFailure(this.lostConnection());
    else if (this.ended && this.#trailersSent) this.finished();
    else this.receivedFailure(new Failure('cancelled', 'the caller cancelled'));
  }

  #sendTrailers(): void {
    this.#http.sendTrailers(statusHeaders(this.#status));
    this.#trailersSent = true;
    this.#http.resume();
    this.#armLinger();
  }

  #armLinger(): void {
    this.#linger ??= this.connection.timers.after(statusLingerMs, () => resetQuietly(this.#http));
  }
}

/** "Trailers-Only": an answer that is nothing but a status. */
export function respondStatus(http: ServerHttp2Stream, error: RpcError, timers: Timers): void {
  if (http.destroyed || http.closed || http.headersSent) return;
  http.respond({ ':status': 200, 'content-type': grpcContentType, ...statusHeaders(error) }, { endStream: true });
  http.resume();
  const linger = timers.after(statusLingerMs, () => resetQuietly(http));
  http.once('close', () => linger.cancel());
}
