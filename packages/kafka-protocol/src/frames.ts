import { ProtocolError } from './protocol-error.ts';

const lengthBytes = 4;

/**
 * Cuts a stream of bytes into Kafka's frames: an int32 length, then so many bytes. A frame that arrived in one piece is a view of it; one that did
 * not is put together once, when its last byte is there. Memory is taken for what has come, never for what is announced.
 */
export class FrameSplitter {
  readonly #frameBytesMax: number;
  #pieces: Uint8Array[] = [];
  #heldBytes = 0;
  /** Of the frame whose length is known, with its length; undefined before. */
  #wantedBytes: number | undefined;

  constructor(frameBytesMax: number) {
    this.#frameBytesMax = frameBytesMax;
  }

  /** Of a frame that is not whole yet. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Bytes of the frame that has begun, as far as it has announced them. */
  get announcedBytes(): number {
    return this.#wantedBytes ?? 0;
  }

  /** The first bytes of what is held; to say what it is when it is no frame. */
  get head(): Uint8Array {
    return Buffer.concat(this.#pieces.slice(0, lengthBytes)).subarray(0, lengthBytes);
  }

  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#pieces.push(bytes);
    this.#heldBytes += bytes.length;
  }

  /** The next whole frame without its length; undefined when more is needed. Throws `ProtocolError` `too-large` or `malformed`. */
  next(): Uint8Array | undefined {
    if (this.#wantedBytes === undefined) {
      if (this.#heldBytes < lengthBytes) return undefined;
      this.#wantedBytes = lengthBytes + this.#frameLength();
    }
    const wanted = this.#wantedBytes;
    if (this.#heldBytes < wanted) return undefined;
    const last = this.#pieces.at(-1) as Uint8Array;
    const frame = this.#pieces.length === 1 ? last.subarray(0, wanted) : Buffer.concat(this.#pieces, wanted);
    this.#wantedBytes = undefined;
    this.#heldBytes -= wanted;
    this.#pieces = this.#heldBytes === 0 ? [] : [last.subarray(last.length - this.#heldBytes)];
    return frame.subarray(lengthBytes);
  }

  #frameLength(): number {
    const first = this.#pieces[0] as Uint8Array;
    const head = first.length >= lengthBytes ? first : Buffer.concat(this.#pieces);
    const length =
      ((head[0] as number) << 24) | ((head[1] as number) << 16) | ((head[2] as number) << 8) | (head[3] as number);
    if (length < 0) throw new ProtocolError('malformed', `a frame of ${length} bytes`);
    if (length > this.#frameBytesMax) {
      throw new ProtocolError('too-large', `a frame of ${length} bytes; at most ${this.#frameBytesMax} are allowed`);
    }
    return length;
  }
}
