import { type ClientHttp2Stream, constants, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from 'node:http2';
import { RpcError } from '../status.ts';
import type { StreamCodecs } from '../stream/message-stream.ts';
import { statusOf, statusOfHttp, statusOfReset } from './status-headers.ts';
import { resetQuietly, type WireConnection, WireStream } from './wire-stream.ts';

/** The client's end: the status comes in the trailers, or in the headers when there is nothing else. */
export class ClientWireStream<Out, In> extends WireStream<Out, In> {
  #statusHeaders: IncomingHttpHeaders | undefined;
  #httpFailure: RpcError | undefined;
  #ended: { readonly whole: boolean } | undefined;

  constructor(http: ClientHttp2Stream, codecs: StreamCodecs<Out, In>, connection: WireConnection) {
    super(http, codecs, connection, (error) => {
      throw error;
    });
    http.on('response', (headers) => this.#onHeaders(headers));
    http.on('trailers', (headers) => {
      this.#statusHeaders = headers;
      this.#settle();
    });
  }

  protected beforeWrite(): void {}

  protected transmitFailure(_error: RpcError): void {
    this.dropPending();
    resetQuietly(this.http);
  }

  #onHeaders(headers: IncomingHttpHeaders & IncomingHttpStatusHeader): void {
    if (headers['grpc-status'] !== undefined) {
      this.#statusHeaders = headers;
      return;
    }
    const isGrpc = headers['content-type']?.startsWith('application/grpc') === true;
    if (headers[':status'] === 200 && isGrpc) return;
    this.#httpFailure = statusOfHttp(headers);
    this.fail(this.#httpFailure);
  }

  protected onHttpEnd(whole: boolean): void {
    this.#ended = { whole };
    this.#settle();
  }

  /** The stream ends with both the last byte and the status; the status may come first. */
  #settle(): void {
    if (this.#ended === undefined || this.#statusHeaders === undefined) return;
    const error = statusOf(this.#statusHeaders);
    if (error !== undefined) this.receivedClose(error);
    else if (!this.#ended.whole) this.receivedClose(this.truncated());
    else {
      this.receivedEnd();
      this.receivedClose(undefined);
    }
    this.#leave();
  }

  /** What we have not sent yet, nobody will read. An end is better than a reset: servers limit the rate of resets. */
  #leave(): void {
    this.dropPending();
    if (this.writing) resetQuietly(this.http, constants.NGHTTP2_NO_ERROR);
    else if (!this.http.writableEnded) this.http.end();
  }

  protected onHttpClose(): void {
    if (this.#ended !== undefined && this.#statusHeaders !== undefined) return;
    if (this.connection.isGone()) this.receivedFailure(this.lostConnection());
    else if (this.http.rstCode !== constants.NGHTTP2_NO_ERROR)
      this.receivedFailure(statusOfReset(this.http.rstCode ?? 0));
    else this.receivedFailure(new RpcError('unknown', 'the stream ended without a status'));
  }
}
