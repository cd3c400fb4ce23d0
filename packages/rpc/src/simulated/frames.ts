/**
 * The frames of the simulated transport: length (4 bytes, of what follows it), kind (1), stream (4), payload. It begins as
 * HTTP/2 does, with `PRI `, so that a port shared with another protocol can tell them apart in the simulation, too.
 */
export const preface: Uint8Array = Buffer.from('PRI * SIMULATED\n');

export const frameKinds = {
  /** Server to client, once: the connection is served. */
  hello: 0,
  /** Client to server: deadline in milliseconds (4 bytes, 0xffffffff for none), path. */
  open: 1,
  message: 2,
  /** Client to server: no more messages. */
  end: 3,
  /** Status (1 byte), text. From the client: it cancels. */
  close: 4,
  /** Bytes (4) of messages that were consumed and may be sent again. */
  credit: 5,
  ping: 6,
  pong: 7,
} as const;

export type FrameKind = (typeof frameKinds)[keyof typeof frameKinds];

const nothing = Buffer.alloc(0);

const headerBytes = 9;
const kindMax = 7;

/** The largest payload of anything but a message: a path or a status text. */
const controlBytesMax = 4_096;

export interface Frame {
  readonly kind: FrameKind;
  readonly stream: number;
  readonly payload: Uint8Array;
}

export function frameHeader(kind: FrameKind, stream: number, payloadBytes: number): Uint8Array {
  const header = Buffer.allocUnsafe(headerBytes);
  header.writeUInt32BE(headerBytes - 4 + payloadBytes, 0);
  header.writeUInt8(kind, 4);
  header.writeUInt32BE(stream, 5);
  return header;
}

/** The bytes are not ours: another protocol, or garbage. The connection is to be destroyed. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

export interface FrameEvents {
  onFrame(frame: Frame): void;
  /** A message above the limit; its bytes are skipped, not kept. */
  onTooLarge(stream: number, length: number): void;
}

/** Cuts the bytes of a connection into frames. */
export class FrameReader {
  readonly #events: FrameEvents;
  readonly #messageBytesMax: number;
  /** What must come before the first frame. */
  #expected: Uint8Array;
  #rest: Buffer = nothing;
  #skip = 0;

  constructor(expected: Uint8Array, messageBytesMax: number, events: FrameEvents) {
    this.#expected = expected;
    this.#messageBytesMax = messageBytesMax;
    this.#events = events;
  }

  /** Throws `FrameError`. */
  push(chunk: Uint8Array): void {
    let bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (this.#rest.length > 0) bytes = Buffer.concat([this.#rest, bytes]);
    let position = this.#expected.length > 0 ? this.#readExpected(bytes) : 0;
    for (;;) {
      const skipped = Math.min(this.#skip, bytes.length - position);
      this.#skip -= skipped;
      position += skipped;
      const next = this.#readFrame(bytes, position);
      if (next === position) break;
      position = next;
    }
    this.#rest = position === bytes.length ? nothing : bytes.subarray(position);
  }

  #readExpected(bytes: Buffer): number {
    const compared = Math.min(bytes.length, this.#expected.length);
    for (let index = 0; index < compared; index += 1) {
      if (bytes[index] !== this.#expected[index]) throw new FrameError('not the preface');
    }
    this.#expected = this.#expected.subarray(compared);
    return compared;
  }

  /** Where the next frame begins; `position` when this one is not whole yet. */
  #readFrame(bytes: Buffer, position: number): number {
    if (bytes.length - position < headerBytes) return position;
    const length = bytes.readUInt32BE(position) - (headerBytes - 4);
    const kind = bytes.readUInt8(position + 4);
    const stream = bytes.readUInt32BE(position + 5);
    if (kind > kindMax || length < 0) throw new FrameError('not a frame');
    const begin = position + headerBytes;
    if (kind === frameKinds.message && length > this.#messageBytesMax) {
      this.#skip = length;
      this.#events.onTooLarge(stream, length);
      return begin;
    }
    if (kind !== frameKinds.message && length > controlBytesMax) throw new FrameError('a control frame too large');
    if (bytes.length - begin < length) return position;
    this.#events.onFrame({ kind: kind as FrameKind, stream, payload: bytes.subarray(begin, begin + length) });
    return begin + length;
  }
}
