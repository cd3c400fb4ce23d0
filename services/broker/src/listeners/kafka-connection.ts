import {
  encodeResponse,
  FrameSplitter,
  ProtocolError,
  Reader,
  type RequestStart,
  readClientId,
  readRequestStart,
} from '@naru/kafka-protocol';
import { type Connection, type ConnectionHandler, formatAddress } from '@naru/runtime';
import { apiVersionsKey, unsupportedApiVersions } from '../requests/kafka/api-versions.ts';
import type { KafkaAnswer, KafkaApi } from '../requests/kafka/kafka-api.ts';
import type { KafkaRegistry } from '../requests/kafka/registry.ts';
import { guessProtocol } from './foreign-protocol.ts';
import type { FrameMemory, Receiver } from './frame-memory.ts';
import type { RequestBudget, Source } from './request-budget.ts';

/** Requests of one connection that wait for their answers; whoever sends more is not read until some are answered. */
const outstandingMax = 1_000;
/** The same in bytes: several of the largest batches, but one client cannot fill the broker's budget alone. */
const outstandingBytesMax = 32 * 1024 * 1024;
/** Smaller requests are read without asking for memory: about as much comes in one piece anyway. */
const unreservedBytesMax = 65_536;
/** Answers of so many bytes together are copied into one piece. */
const joinedBytesMax = 16_384;
/** A request costs so much besides its bytes. */
const requestOverheadBytes = 512;

export interface KafkaConnectionOptions {
  readonly registry: KafkaRegistry;
  readonly budget: RequestBudget;
  /** `socket.request.max.bytes`. */
  readonly frameBytesMax: number;
  readonly nowMs: () => number;
  /** Name of the listener by which it came. */
  readonly listener: string;
  readonly memory: FrameMemory;
  /** So many bytes more (or less) of answers wait for a client that does not take them. */
  readonly onUnsent: (bytes: number) => void;
  /** How large the broker wants answers to be at the moment. */
  readonly answerBytesMax: () => number;
  /** Called once. `reason` is undefined when the peer ended in an orderly way. */
  readonly onClose: (reason: string | undefined) => void;
}

/** A request that was read and is not answered yet, or whose answer waits for earlier ones. */
interface Slot {
  readonly api: KafkaApi;
  readonly version: number;
  readonly correlationId: number;
  readonly costBytes: number;
  /** Undefined while it is not answered; empty when nothing is to be sent. */
  chunks: readonly Uint8Array[] | undefined;
  giveUp: (() => void) | undefined;
}

type Hold = 'budget' | 'congested' | 'memory' | 'order' | 'outstanding';

/**
 * One client that speaks Kafka's protocol.
 *
 * - Responses leave in the order of their requests. Requests that may overlap (produce, fetch) begin while earlier ones wait; all others run alone.
 * - It is not read from while the broker has too much to do, the client does not take its answers, or the next request has to wait for its turn. What it
 *   sends meanwhile stays in the buffers of the network.
 * - Anything that is not the protocol closes the connection, with a reason.
 */
export class KafkaConnection implements ConnectionHandler, Source, Receiver {
  readonly #connection: Connection;
  readonly #options: KafkaConnectionOptions;
  readonly #frames: FrameSplitter;
  readonly #slots: Slot[] = [];
  readonly #holds = new Set<Hold>();
  /** A whole request that has to wait until all before it are answered. */
  #next: Uint8Array | undefined;
  #outstandingBytes = 0;
  #isReserved = false;
  #unsentBytes = 0;
  #isReading = false;
  #isFlushing = false;
  #isClosed = false;
  #isEnding = false;
  #hasSpoken = false;
  #reason: string | undefined;
  /** When the last request came or answer went. */
  #lastActiveMs: number;

  constructor(connection: Connection, options: KafkaConnectionOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#frames = new FrameSplitter(options.frameBytesMax);
    this.#lastActiveMs = options.nowMs();
  }

  get peer(): string {
    return formatAddress(this.#connection.remote);
  }

  get host(): string {
    return this.#connection.remote.host;
  }

  get listener(): string {
    return this.#options.listener;
  }

  /** Since nothing whole was heard or said, unless it is the broker that is at work or does not listen. */
  idleMs(nowMs: number): number {
    const isWaitedFor = this.#slots.length > 0 || this.#holds.has('budget') || this.#holds.has('memory');
    return isWaitedFor ? 0 : nowMs - this.#lastActiveMs;
  }

  start(head: readonly Uint8Array[]): void {
    this.#connection.handle(this);
    for (const bytes of head) this.#frames.push(bytes);
    this.#read();
  }

  /** Answers what was asked, then closes. */
  end(): void {
    if (this.#isClosed) return;
    this.#isEnding = true;
    if (this.#slots.length === 0) this.#connection.end();
  }

  /** Closes at once; `reason` is for the log. */
  close(reason: string): void {
    if (this.#isClosed) return;
    this.#reason ??= reason;
    this.#connection.destroy();
    this.#closed();
  }

  onData(bytes: Uint8Array): void {
    if (this.#isClosed) return;
    this.#frames.push(bytes);
    this.#read();
  }

  onDrain(): void {
    this.#tellUnsent(0);
    this.#release('congested');
  }

  onClose(): void {
    this.#closed();
  }

  pause(): void {
    this.#hold('budget');
  }

  resume(): void {
    this.#release('budget');
  }

  granted(): void {
    this.#release('memory');
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { budget, memory, onClose } = this.#options;
    for (const slot of this.#slots) {
      slot.giveUp?.();
      budget.give(slot.costBytes);
    }
    this.#slots.length = 0;
    budget.forget(this);
    memory.release(this);
    this.#tellUnsent(0);
    onClose(this.#reason);
  }

  #tellUnsent(bytes: number): void {
    this.#options.onUnsent(bytes - this.#unsentBytes);
    this.#unsentBytes = bytes;
  }

  #hold(hold: Hold): void {
    if (this.#holds.size === 0 && !this.#isClosed) this.#connection.pause();
    this.#holds.add(hold);
  }

  #release(hold: Hold): void {
    if (!this.#holds.delete(hold)) return;
    if (hold !== 'congested') this.#lastActiveMs = this.#options.nowMs();
    if (this.#holds.size > 0 || this.#isClosed) return;
    this.#connection.resume();
    this.#read();
  }

  /** Begins as many requests as may begin now. */
  #read(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      while (!this.#isClosed && !this.#isEnding && this.#holds.size === 0) {
        const frame = this.#next ?? this.#nextFrame();
        if (frame === undefined) break;
        this.#next = undefined;
        this.#begin(frame);
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.close(this.#describe(error));
    } finally {
      this.#isReading = false;
    }
    this.#flush();
  }

  /** The next whole frame; one that is large is read on only when there is memory for it. */
  #nextFrame(): Uint8Array | undefined {
    const frame = this.#frames.next();
    if (frame !== undefined) {
      if (this.#isReserved) this.#options.memory.release(this);
      this.#isReserved = false;
    } else if (!this.#isReserved && this.#frames.announcedBytes > unreservedBytesMax) {
      this.#isReserved = true;
      if (!this.#options.memory.reserve(this, this.#frames.announcedBytes)) this.#hold('memory');
    }
    return frame;
  }

  #describe(error: ProtocolError): string {
    const guess = this.#hasSpoken ? undefined : guessProtocol(this.#frames.head);
    return guess === undefined ? error.message : `${guess} on a port for Kafka's protocol and gRPC`;
  }

  #begin(frame: Uint8Array): void {
    const reader = new Reader(frame);
    const start = readRequestStart(reader);
    const api = this.#options.registry.get(start.apiKey);
    if (api === undefined) throw new ProtocolError('unsupported', `API key ${start.apiKey} is not served`);
    if (this.#mustWait(api)) {
      this.#next = frame;
      this.#hold('order');
      return;
    }
    this.#hasSpoken = true;
    this.#lastActiveMs = this.#options.nowMs();
    const { min, max } = api.versions;
    if (start.apiVersion >= min && start.apiVersion <= max) this.#serve(api, start, reader, frame.length);
    else if (start.apiKey === apiVersionsKey) this.#refuseApiVersions(api, start);
    else throw new ProtocolError('unsupported', `${api.api.name} version ${start.apiVersion} is not served`);
  }

  #mustWait(api: KafkaApi): boolean {
    const last = this.#slots.at(-1);
    if (last === undefined || (last.api.overlappingMax > 0 && this.#mayOverlap(api))) return false;
    // What is answered already is out of the way: a long run of requests that are answered at once is one loop, not a recursion.
    this.#flush();
    return this.#slots.length > 0;
  }

  #mayOverlap(api: KafkaApi): boolean {
    if (!Number.isFinite(api.overlappingMax)) return true;
    return this.#slots.filter((slot) => slot.api === api).length < api.overlappingMax;
  }

  #serve(api: KafkaApi, { apiVersion, correlationId }: RequestStart, reader: Reader, frameBytes: number): void {
    const { flexible, request: message } = api.api;
    const clientId = readClientId(reader, apiVersion >= flexible.min && apiVersion <= flexible.max) ?? '';
    // Bytes behind it are let go, as in Kafka: librdkafka sends three behind a Metadata request for all topics (2.10 to 2.16).
    const request = message.decode(reader, apiVersion);
    const slot = this.#admit(api, apiVersion, correlationId, frameBytes + requestOverheadBytes + api.costBytes);
    let isAnswered = false;
    const giveUp = api.serve({
      request: request as never,
      version: apiVersion,
      answerBytesMax: this.#options.answerBytesMax(),
      caller: { host: this.host, listener: this.listener, clientId },
      answer: (answer: KafkaAnswer<never>) => {
        isAnswered = true;
        slot.giveUp = undefined;
        this.#answered(slot, answer);
      },
    });
    if (!isAnswered) slot.giveUp = giveUp;
  }

  #admit(api: KafkaApi, version: number, correlationId: number, costBytes: number): Slot {
    const slot: Slot = { api, version, correlationId, costBytes, chunks: undefined, giveUp: undefined };
    this.#slots.push(slot);
    this.#outstandingBytes += costBytes;
    if (this.#slots.length >= outstandingMax || this.#outstandingBytes >= outstandingBytesMax)
      this.#hold('outstanding');
    this.#options.budget.take(costBytes, this);
    return slot;
  }

  /** In the body of version 0, which every client can read; the connection stays open. */
  #refuseApiVersions(api: KafkaApi, { correlationId }: RequestStart): void {
    const slot = this.#admit(api, 0, correlationId, requestOverheadBytes);
    const response = unsupportedApiVersions(this.#options.registry.values());
    this.#answered(slot, { kind: 'response', response: response as never });
  }

  #answered(slot: Slot, answer: KafkaAnswer<never>): void {
    if (this.#isClosed) return;
    switch (answer.kind) {
      case 'close':
        this.close(answer.reason);
        return;
      case 'none':
        slot.chunks = [];
        break;
      case 'response':
        try {
          slot.chunks = encodeResponse(slot.api.api, slot.version, slot.correlationId, answer.response);
        } catch (error) {
          if (!(error instanceof ProtocolError)) throw error;
          this.close(`the answer to ${slot.api.api.name} cannot be written: ${error.message}`);
          return;
        }
    }
    if (!this.#isReading) this.#flushSoon();
  }

  /** What one event answers (a high watermark that moved past five produce requests) leaves in one write, and brings the client's next requests in one. */
  #flushSoon(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    queueMicrotask(() => {
      this.#isFlushing = false;
      this.#flush();
    });
  }

  /** Sends the answers whose turn it is, all in one write. */
  #flush(): void {
    let count = 0;
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for (const slot of this.#slots) {
      if (slot.chunks === undefined) break;
      chunks.push(...slot.chunks);
      bytes += slot.costBytes;
      count++;
    }
    if (count === 0 || this.#isClosed) return;
    this.#slots.splice(0, count);
    this.#outstandingBytes -= bytes;
    this.#lastActiveMs = this.#options.nowMs();
    if (chunks.length > 0 && !this.#connection.write(joined(chunks))) {
      this.#hold('congested');
      this.#tellUnsent(this.#connection.pendingBytes);
    }
    if (this.#isEnding && this.#slots.length === 0) this.#connection.end();
    this.#options.budget.give(bytes);
    this.#continue();
  }

  /** There is room again. */
  #continue(): void {
    if (this.#slots.length < outstandingMax && this.#outstandingBytes < outstandingBytesMax)
      this.#release('outstanding');
    if (this.#slots.length === 0) this.#release('order');
  }
}

/** One piece costs the network less than many small ones; what is large (records) is not copied. */
function joined(chunks: readonly Uint8Array[]): readonly Uint8Array[] {
  if (chunks.length === 1) return chunks;
  let bytes = 0;
  for (const chunk of chunks) bytes += chunk.length;
  return bytes <= joinedBytesMax ? [Buffer.concat(chunks, bytes)] : chunks;
}
