import type { Codec } from '../method.ts';
import type { RpcStream, StreamEvents } from '../rpc.ts';
import { RpcError } from '../status.ts';

/** From so many bytes waiting on, `send` answers false; `onDrain` comes when half of them have left. */
export const pendingBytesHighWater = 4 * 1_048_576;
const pendingBytesLowWater = pendingBytesHighWater / 2;

export interface StreamCodecs<Out, In> {
  readonly out: Codec<Out>;
  readonly in: Codec<In>;
}

export interface MessageStreamOptions {
  /** The largest message in either direction. */
  readonly messageBytesMax: number;
  /** What happens when a handler throws: a server answers `internal`, a client lets it through. */
  readonly onHandlerError: (error: unknown) => void;
}

type Inbound =
  | { readonly kind: 'message'; readonly bytes: Uint8Array }
  | { readonly kind: 'end' }
  | { readonly kind: 'close'; readonly error: RpcError | undefined };

/**
 * The half of a stream that is the same on every transport: what is delivered, in which order, and that the last event comes
 * exactly once. The transport below moves bytes: it calls the `received…` methods and implements the `transmit…` ones.
 */
export abstract class MessageStream<Out, In> implements RpcStream<Out, In> {
  readonly #codecs: StreamCodecs<Out, In>;
  readonly #options: MessageStreamOptions;
  #events: StreamEvents<In> | undefined;
  #paused = false;
  /** What arrived before it could be delivered: while paused, or before `handle`. Bounded by the flow window. */
  #held: Inbound[] = [];
  #releasing = false;
  #ended = false;
  /** The outcome is decided, nothing more is delivered but `onClose`. */
  #closed = false;
  #needsDrain = false;
  #afterClose: (() => void) | undefined;

  constructor(codecs: StreamCodecs<Out, In>, options: MessageStreamOptions) {
    this.#codecs = codecs;
    this.#options = options;
  }

  abstract get pendingBytes(): number;
  /** Queues one message; the chunks together are `length` bytes long. */
  protected abstract transmitMessage(chunks: readonly Uint8Array[], length: number): void;
  /** After the last message: a client's half-close, a server's good end. */
  protected abstract transmitEnd(): void;
  /** Tells the other side that this one is through with the stream, and frees what the stream holds. */
  protected abstract transmitFailure(error: RpcError): void;
  protected abstract pauseSource(): void;
  protected abstract resumeSource(): void;

  get closed(): boolean {
    return this.#closed;
  }

  /** True after `end()`: nothing more can be sent. */
  get ended(): boolean {
    return this.#ended;
  }

  handle(handler: StreamEvents<In>): void {
    this.#events = handler;
    if (this.#held.length > 0) this.#releaseSoon();
  }

  /** Runs once, just before `onClose`. One owner: whoever serves the stream. */
  afterClose(callback: () => void): void {
    this.#afterClose = callback;
  }

  send(message: Out): boolean {
    if (this.#ended || this.#closed) return false;
    const chunks = this.#codecs.out.encode(message);
    let length = 0;
    for (const chunk of chunks) length += chunk.byteLength;
    if (length > this.#options.messageBytesMax) {
      this.fail(messageTooLarge(length, this.#options.messageBytesMax));
      return false;
    }
    this.transmitMessage(chunks, length);
    if (this.pendingBytes < pendingBytesHighWater) return true;
    this.#needsDrain = true;
    return false;
  }

  end(): void {
    if (this.#ended || this.#closed) return;
    this.#ended = true;
    this.transmitEnd();
  }

  fail(error: RpcError = new RpcError('cancelled', 'cancelled')): void {
    if (this.#closed) return;
    this.transmitFailure(error);
    this.receivedFailure(error);
  }

  pause(): void {
    if (this.#paused || this.#closed) return;
    this.#paused = true;
    this.pauseSource();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#held.length > 0) this.#releaseSoon();
    else if (!this.#closed) this.resumeSource();
  }

  protected receivedMessage(bytes: Uint8Array): void {
    if (this.#mustHold()) this.#held.push({ kind: 'message', bytes });
    else this.#deliver(bytes);
  }

  protected receivedEnd(): void {
    if (this.#mustHold()) this.#held.push({ kind: 'end' });
    else this.#deliverEnd();
  }

  /** The other side closed in order: everything that came before is delivered first. */
  protected receivedClose(error: RpcError | undefined): void {
    if (this.#mustHold()) this.#held.push({ kind: 'close', error });
    else this.#close(error);
  }

  /** This side ended the stream well, and what it sent has left: what still waits for delivery is of no use to anyone. */
  protected finished(): void {
    this.#held.length = 0;
    this.#close(undefined);
  }

  /** The stream broke: nothing that waits for delivery is delivered any more. */
  protected receivedFailure(error: RpcError): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#held.length = 0;
    // Never inside the call that failed the stream: its caller is in the middle of something.
    queueMicrotask(() => this.#emitClose(error));
  }

  /** To be called whenever `pendingBytes` has become smaller. */
  protected drained(): void {
    if (!this.#needsDrain || this.#closed || this.pendingBytes > pendingBytesLowWater) return;
    this.#needsDrain = false;
    this.#guard(() => this.#events?.onDrain?.());
  }

  #mustHold(): boolean {
    return this.#paused || this.#events === undefined || this.#held.length > 0;
  }

  #deliver(bytes: Uint8Array): void {
    if (this.#closed) return;
    let message: In;
    try {
      message = this.#codecs.in.decode(bytes);
    } catch (cause) {
      this.fail(new RpcError('invalid-argument', `a malformed message: ${describe(cause)}`, { cause }));
      return;
    }
    try {
      this.#events?.onMessage(message);
    } catch (error) {
      this.#options.onHandlerError(error);
    }
  }

  #deliverEnd(): void {
    if (this.#closed) return;
    this.#guard(() => this.#events?.onEnd?.());
  }

  #close(error: RpcError | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#emitClose(error);
  }

  #emitClose(error: RpcError | undefined): void {
    this.#afterClose?.();
    this.#guard(() => this.#events?.onClose(error));
  }

  #guard(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.#options.onHandlerError(error);
    }
  }

  #releaseSoon(): void {
    if (this.#releasing) return;
    this.#releasing = true;
    queueMicrotask(() => {
      this.#releasing = false;
      this.#release();
    });
  }

  #release(): void {
    const held = this.#held;
    let released = 0;
    while (released < held.length && !this.#paused) {
      const item = held[released++] as Inbound;
      if (item.kind === 'message') this.#deliver(item.bytes);
      else if (item.kind === 'end') this.#deliverEnd();
      else this.#close(item.error);
    }
    held.splice(0, released);
    if (held.length === 0 && !this.#paused && !this.#closed) this.resumeSource();
  }
}

export function messageTooLarge(length: number, messageBytesMax: number): RpcError {
  return new RpcError('resource-exhausted', `a message of ${length} bytes; the limit is ${messageBytesMax}`);
}

export function describe(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
