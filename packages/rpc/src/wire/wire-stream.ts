import { constants, type Http2Stream } from 'node:http2';
import type { Timers } from '@naru/runtime';
import type { RpcLimits } from '../rpc.ts';
import { RpcError } from '../status.ts';
import { describe, MessageStream, type StreamCodecs } from '../stream/message-stream.ts';
import { MessageFramer, MessageUnframer } from './message-framing.ts';

/** From so many bytes on a batch leaves at once, so that sending goes on while more is encoded. */
const batchBytesMax = 262_144;

/** What the streams of one connection share. */
export interface WireConnection {
  readonly limits: RpcLimits;
  readonly timers: Timers;
  /** True when a stream ends because its connection did. */
  isGone(): boolean;
}

/**
 * A gRPC stream on an HTTP/2 stream. Messages that are sent in one turn of the event loop, or while the last write is under way,
 * leave in one write.
 */
export abstract class WireStream<Out, In> extends MessageStream<Out, In> {
  protected readonly http: Http2Stream;
  protected readonly connection: WireConnection;
  readonly #framer = new MessageFramer();
  readonly #unframer: MessageUnframer;
  #writingBytes = 0;
  #flushScheduled = false;
  #endWanted = false;

  constructor(
    http: Http2Stream,
    codecs: StreamCodecs<Out, In>,
    connection: WireConnection,
    onHandlerError: (error: unknown) => void,
  ) {
    super(codecs, { messageBytesMax: connection.limits.messageBytesMax, onHandlerError });
    this.http = http;
    this.connection = connection;
    this.#unframer = new MessageUnframer(connection.limits.messageBytesMax, (bytes) => this.receivedMessage(bytes));
    http.on('data', (chunk: Buffer) => this.#received(chunk));
    http.on('end', () => this.onHttpEnd(this.#unframer.idle));
    http.on('close', () => {
      this.dropPending();
      this.onHttpClose();
    });
    // Every error ends in 'close'; an 'error' event without a listener would end the process.
    http.on('error', () => {});
  }

  /** The other side has sent everything; `whole` is false when the last message is cut off. */
  protected abstract onHttpEnd(whole: boolean): void;
  /** The HTTP/2 stream is gone, whatever the reason. */
  protected abstract onHttpClose(): void;
  /** Called before the first write. */
  protected abstract beforeWrite(): void;

  get pendingBytes(): number {
    return this.#framer.bytes + this.#writingBytes;
  }

  protected transmitMessage(chunks: readonly Uint8Array[], length: number): void {
    this.#framer.add(chunks, length);
    if (this.#writingBytes > 0 || this.#flushScheduled) return;
    if (this.#framer.bytes >= batchBytesMax) this.#flush();
    else this.#flushSoon();
  }

  protected transmitEnd(): void {
    this.#endWanted = true;
    if (this.#writingBytes === 0) this.#flush();
  }

  /** Forgets what has not been handed to HTTP/2 yet. */
  protected dropPending(): void {
    this.#framer.clear();
  }

  protected get writing(): boolean {
    return this.#writingBytes > 0;
  }

  protected pauseSource(): void {
    this.http.pause();
  }

  protected resumeSource(): void {
    this.http.resume();
  }

  #flushSoon(): void {
    this.#flushScheduled = true;
    process.nextTick(() => {
      this.#flushScheduled = false;
      if (this.#writingBytes === 0) this.#flush();
    });
  }

  #flush(): void {
    if (this.http.destroyed || this.http.closed) return;
    const bytes = this.#framer.bytes;
    if (bytes > 0) this.#write(bytes);
    if (this.#endWanted && !this.http.writableEnded) {
      this.beforeWrite();
      this.http.end();
    }
  }

  #write(bytes: number): void {
    this.beforeWrite();
    this.#writingBytes = bytes;
    const pieces = this.#framer.take();
    const http = this.http;
    const written = (): void => this.#written();
    if (pieces.length === 1) {
      http.write(pieces[0], written);
      return;
    }
    http.cork();
    for (let index = 0; index < pieces.length - 1; index += 1) http.write(pieces[index]);
    http.write(pieces[pieces.length - 1], written);
    http.uncork();
  }

  #written(): void {
    this.#writingBytes = 0;
    this.#flush();
    this.drained();
  }

  #received(chunk: Buffer): void {
    if (this.closed) return;
    try {
      this.#unframer.push(chunk);
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      this.fail(error);
    }
  }

  protected lostConnection(): RpcError {
    return new RpcError('unavailable', 'the connection closed');
  }

  protected truncated(): RpcError {
    return new RpcError('invalid-argument', 'the stream ended inside a message');
  }
}

export function resetQuietly(http: Http2Stream, code: number = constants.NGHTTP2_CANCEL): void {
  if (!http.destroyed && !http.closed) http.close(code);
}

export function unavailable(what: string, cause: unknown): RpcError {
  return new RpcError('unavailable', `${what}: ${describe(cause)}`, { cause });
}
