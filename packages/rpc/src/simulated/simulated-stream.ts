import { RpcError, type StatusCode, statusNumber } from '../status.ts';
import { MessageStream, type StreamCodecs } from '../stream/message-stream.ts';
import { type FrameKind, frameKinds } from './frames.ts';

/** What may be under way on one stream before the receiver has consumed it; one message may exceed it. */
export const streamWindowBytes = 1_048_576;

const statusTextBytesMax = 1_024;

/** What a stream needs of its connection. */
export interface StreamLink {
  readonly role: 'client' | 'server';
  readonly messageBytesMax: number;
  sendFrame(kind: FrameKind, stream: number, payload: readonly Uint8Array[]): void;
  /** The stream needs no more frames. */
  forget(stream: number): void;
}

interface QueuedMessage {
  readonly chunks: readonly Uint8Array[];
  readonly length: number;
}

/** A stream within a simulated connection, with a window of its own, so that a paused reader holds back its sender. */
export class SimulatedStream<Out, In> extends MessageStream<Out, In> {
  readonly #id: number;
  readonly #link: StreamLink;
  readonly #queue: QueuedMessage[] = [];
  #queuedBytes = 0;
  #window = streamWindowBytes;
  #consumedBytes = 0;
  #reading = true;
  #endWanted = false;

  constructor(id: number, codecs: StreamCodecs<Out, In>, link: StreamLink, onHandlerError: (error: unknown) => void) {
    super(codecs, { messageBytesMax: link.messageBytesMax, onHandlerError });
    this.#id = id;
    this.#link = link;
  }

  get pendingBytes(): number {
    return this.#queuedBytes;
  }

  /** A frame of this stream arrived. */
  receive(kind: FrameKind, payload: Uint8Array): void {
    switch (kind) {
      case frameKinds.message:
        this.#consumedBytes += payload.length;
        this.receivedMessage(payload);
        this.#giveCredit();
        return;
      case frameKinds.end:
        this.receivedEnd();
        return;
      case frameKinds.close:
        this.#receiveClose(decodeStatus(payload));
        return;
      case frameKinds.credit:
        this.#window += Buffer.from(payload).readUInt32BE(0);
        this.#transmitQueued();
        this.drained();
        return;
    }
  }

  connectionLost(error: RpcError): void {
    this.receivedFailure(error);
  }

  #receiveClose(error: RpcError | undefined): void {
    this.#link.forget(this.#id);
    this.#dropQueue();
    if (this.#link.role === 'server') {
      this.receivedFailure(new RpcError('cancelled', 'the caller cancelled'));
      return;
    }
    if (error === undefined) this.receivedEnd();
    this.receivedClose(error);
  }

  protected transmitMessage(chunks: readonly Uint8Array[], length: number): void {
    this.#queue.push({ chunks, length });
    this.#queuedBytes += length;
    this.#transmitQueued();
  }

  protected transmitEnd(): void {
    this.#endWanted = true;
    this.#transmitQueued();
  }

  protected transmitFailure(error: RpcError): void {
    this.#dropQueue();
    this.#link.sendFrame(frameKinds.close, this.#id, [encodeStatus(error)]);
    this.#link.forget(this.#id);
  }

  protected pauseSource(): void {
    this.#reading = false;
  }

  protected resumeSource(): void {
    this.#reading = true;
    this.#giveCredit();
  }

  #transmitQueued(): void {
    while (this.#window > 0) {
      const message = this.#queue.shift();
      if (message === undefined) break;
      this.#window -= message.length;
      this.#queuedBytes -= message.length;
      this.#link.sendFrame(frameKinds.message, this.#id, message.chunks);
    }
    if (!this.#endWanted || this.#queue.length > 0) return;
    this.#endWanted = false;
    if (this.#link.role === 'client') this.#link.sendFrame(frameKinds.end, this.#id, []);
    else this.#closeWell();
  }

  #closeWell(): void {
    this.#link.sendFrame(frameKinds.close, this.#id, [encodeStatus(undefined)]);
    this.#link.forget(this.#id);
    // Never inside `end()`.
    queueMicrotask(() => this.finished());
  }

  #giveCredit(): void {
    if (!this.#reading || this.closed || this.#consumedBytes < streamWindowBytes / 2) return;
    const credit = Buffer.allocUnsafe(4);
    credit.writeUInt32BE(this.#consumedBytes);
    this.#consumedBytes = 0;
    this.#link.sendFrame(frameKinds.credit, this.#id, [credit]);
  }

  #dropQueue(): void {
    this.#queue.length = 0;
    this.#queuedBytes = 0;
    this.#endWanted = false;
  }
}

const codeByNumber = new Map<number, StatusCode>(
  Object.entries(statusNumber).map(([code, number]) => [number, code as StatusCode]),
);

function encodeStatus(error: RpcError | undefined): Uint8Array {
  if (error === undefined) return Uint8Array.of(0);
  const text = Buffer.from(error.message).subarray(0, statusTextBytesMax);
  return Buffer.concat([Uint8Array.of(statusNumber[error.code]), text]);
}

function decodeStatus(payload: Uint8Array): RpcError | undefined {
  const number = payload[0];
  if (number === 0) return undefined;
  return new RpcError(codeByNumber.get(number ?? -1) ?? 'unknown', Buffer.from(payload.subarray(1)).toString());
}
