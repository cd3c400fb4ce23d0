import { RpcError } from '../status.ts';
import { messageTooLarge } from '../stream/message-stream.ts';

/** gRPC's prefix: one byte "compressed", four bytes length, big-endian (grpc/grpc: doc/PROTOCOL-HTTP2.md). */
export const prefixBytes = 5;

/** A split message up to this size gets its whole buffer at once; a larger one only as it really arrives. */
const bufferBytesAtOnce = 1_048_576;

/** Chunks below this size are gathered into one buffer when they leave; larger ones leave as they are. */
export const gatherBytesMax = 16_384;

/**
 * Cuts the bytes of a stream into messages. A message that lies in one chunk is a view of it; one that is split is copied
 * once, into a buffer of its own.
 */
export class MessageUnframer {
  readonly #messageBytesMax: number;
  readonly #onMessage: (bytes: Uint8Array) => void;
  readonly #prefix = new Uint8Array(prefixBytes);
  #prefixFilled = 0;
  #message: Buffer | undefined;
  #messageLength = 0;
  #messageFilled = 0;

  constructor(messageBytesMax: number, onMessage: (bytes: Uint8Array) => void) {
    this.#messageBytesMax = messageBytesMax;
    this.#onMessage = onMessage;
  }

  /** True between messages: the stream may end here. */
  get idle(): boolean {
    return this.#prefixFilled === 0 && this.#message === undefined;
  }

  /** Throws `RpcError`: `resource-exhausted` before anything of a too large message is kept, `unimplemented` for a compressed one. */
  push(chunk: Uint8Array): void {
    let position = 0;
    const end = chunk.length;
    while (position < end) {
      if (this.#message !== undefined) {
        position = this.#fill(chunk, position);
        continue;
      }
      if (this.#prefixFilled === 0 && end - position >= prefixBytes) {
        const length = this.#checkedLength(chunk, position);
        position += prefixBytes;
        if (end - position >= length) {
          this.#onMessage(chunk.subarray(position, position + length));
          position += length;
        } else this.#begin(length);
        continue;
      }
      this.#prefix[this.#prefixFilled++] = chunk[position++] as number;
      if (this.#prefixFilled < prefixBytes) continue;
      this.#prefixFilled = 0;
      this.#begin(this.#checkedLength(this.#prefix, 0));
      if (this.#messageLength === 0) this.#complete();
    }
  }

  #checkedLength(bytes: Uint8Array, at: number): number {
    if (bytes[at] !== 0) throw new RpcError('unimplemented', 'compressed messages are not supported');
    const length =
      (bytes[at + 1] as number) * 0x100_0000 +
      (((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 8) | (bytes[at + 4] as number));
    if (length > this.#messageBytesMax) throw messageTooLarge(length, this.#messageBytesMax);
    return length;
  }

  #begin(length: number): void {
    this.#messageLength = length;
    this.#messageFilled = 0;
    this.#message = Buffer.allocUnsafeSlow(Math.min(length, bufferBytesAtOnce));
  }

  #fill(chunk: Uint8Array, position: number): number {
    const take = Math.min(chunk.length - position, this.#messageLength - this.#messageFilled);
    const message = this.#roomFor(take);
    message.set(
      position === 0 && take === chunk.length ? chunk : chunk.subarray(position, position + take),
      this.#messageFilled,
    );
    this.#messageFilled += take;
    if (this.#messageFilled === this.#messageLength) this.#complete();
    return position + take;
  }

  /** Doubles the buffer: a peer that announces a large message and sends little of it costs little memory. */
  #roomFor(bytes: number): Buffer {
    const message = this.#message as Buffer;
    const needed = this.#messageFilled + bytes;
    if (needed <= message.length) return message;
    const larger = Buffer.allocUnsafeSlow(Math.min(this.#messageLength, Math.max(needed, 2 * message.length)));
    message.copy(larger, 0, 0, this.#messageFilled);
    this.#message = larger;
    return larger;
  }

  #complete(): void {
    const message = this.#message as Buffer;
    this.#message = undefined;
    this.#onMessage(message);
  }
}

/** Messages that leave together. Small chunks and prefixes are gathered, large chunks stay as they are. */
export class MessageFramer {
  #messages: (readonly Uint8Array[])[] = [];
  #lengths: number[] = [];
  #bytes = 0;

  /** Of the messages added since `take`, with their prefixes. */
  get bytes(): number {
    return this.#bytes;
  }

  add(chunks: readonly Uint8Array[], length: number): void {
    this.#messages.push(chunks);
    this.#lengths.push(length);
    this.#bytes += prefixBytes + length;
  }

  /** The bytes of everything added, in order. */
  take(): Uint8Array[] {
    const pieces: Uint8Array[] = [];
    const gathered = Buffer.allocUnsafe(this.#gatheredBytes());
    let from = 0;
    let position = 0;
    for (let index = 0; index < this.#messages.length; index += 1) {
      const length = this.#lengths[index] as number;
      gathered[position] = 0;
      gathered[position + 1] = length >>> 24;
      gathered[position + 2] = length >>> 16;
      gathered[position + 3] = length >>> 8;
      gathered[position + 4] = length;
      position += prefixBytes;
      for (const chunk of this.#messages[index] as readonly Uint8Array[]) {
        if (chunk.length < gatherBytesMax) {
          gathered.set(chunk, position);
          position += chunk.length;
          continue;
        }
        if (position > from) pieces.push(gathered.subarray(from, position));
        from = position;
        pieces.push(chunk);
      }
    }
    if (position > from) pieces.push(gathered.subarray(from, position));
    this.clear();
    return pieces;
  }

  clear(): void {
    this.#messages = [];
    this.#lengths = [];
    this.#bytes = 0;
  }

  #gatheredBytes(): number {
    let bytes = 0;
    for (const chunks of this.#messages) {
      bytes += prefixBytes;
      for (const chunk of chunks) if (chunk.length < gatherBytesMax) bytes += chunk.length;
    }
    return bytes;
  }
}
