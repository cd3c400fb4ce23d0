import { type broker, brokerMethods, type RpcStream } from '@naru/rpc';
import type { BrokerLink } from '../cluster/broker-link.ts';
import type { Doubt } from '../cluster/doubt.ts';
import { DisconnectError, type KafkaError } from '../errors.ts';
import { errorFromRpc } from '../errors-from-wire.ts';
import type { PartitionQueue } from './accumulator.ts';
import type { ProducerBatch } from './producer-batch.ts';

/** The batches of one partition in one request. */
export interface RequestPart {
  readonly queue: PartitionQueue;
  readonly batches: readonly ProducerBatch[];
}

export interface OpenRequest {
  readonly correlationId: number;
  /** Monotonic milliseconds by which the answer must have come. */
  readonly deadlineMs: number;
  readonly doubt: Doubt;
  readonly parts: readonly RequestPart[];
}

export interface LaneEvents {
  onAnswer(lane: ProduceLane, request: OpenRequest, answer: broker.ProduceResponse): void;
  /** The lane may take requests (again). */
  onWritable(): void;
  /** The stream is gone; the outcome of `open` is unknown. `open` is empty when the connection never came about. */
  onBroken(lane: ProduceLane, open: readonly OpenRequest[], error: KafkaError): void;
}

/** One broker's Produce stream with the requests that wait for their answers. Opens when it is needed, and again after a break. */
export class ProduceLane {
  readonly brokerId: number;
  readonly link: BrokerLink;
  readonly #events: LaneEvents;
  readonly #open = new Map<number, OpenRequest>();
  #stream: RpcStream<broker.ProduceRequest, broker.ProduceResponse> | undefined;
  #isOpening = false;
  #isBlocked = false;
  #onHandedOver: (() => void) | undefined;

  constructor(brokerId: number, link: BrokerLink, events: LaneEvents) {
    this.brokerId = brokerId;
    this.link = link;
    this.#events = events;
  }

  get openRequests(): Iterable<OpenRequest> {
    return this.#open.values();
  }

  get openCount(): number {
    return this.#open.size;
  }

  /** Whether a request can leave now. */
  get isWritable(): boolean {
    return this.#stream !== undefined && !this.#isBlocked;
  }

  /** Begins to connect unless it is connected or at it; `onWritable` or `onBroken` tells how it went. */
  ensureOpen(): void {
    if (this.#stream !== undefined || this.#isOpening) return;
    this.#isOpening = true;
    this.link.connect().then(
      (channel) => {
        this.#isOpening = false;
        const stream = channel.open(brokerMethods.produce);
        this.#stream = stream;
        stream.handle({
          onMessage: (answer) => this.#onAnswer(answer),
          onDrain: () => {
            this.#isBlocked = false;
            this.#events.onWritable();
          },
          onEnd: () => stream.end(),
          onClose: (error) => {
            if (this.#stream === stream) this.#onBroken(error);
          },
        });
        if (this.#stream === stream) this.#events.onWritable();
      },
      (error) => {
        this.#isOpening = false;
        this.#onBroken(error);
      },
    );
  }

  /** Sends a request. It stays open until its answer unless acks is 0. */
  send(request: broker.ProduceRequest, open: OpenRequest): void {
    if (request.acks !== 0) this.#open.set(open.correlationId, open);
    if (this.#stream?.send(request) === false) this.#isBlocked = true;
  }

  /** Drops the connection: a request was not answered in time, and what was sent after it must not overtake it. */
  reset(): void {
    this.link.reset();
    this.#stream?.fail();
  }

  /** The last that is sent here. Resolves when the broker has dealt with all of it, answered or not, or the connection is gone. */
  handOver(): Promise<void> {
    if (this.#stream === undefined) return Promise.resolve();
    this.#stream.end();
    return new Promise((resolve) => {
      this.#onHandedOver = resolve;
    });
  }

  #onAnswer(answer: broker.ProduceResponse): void {
    const request = this.#open.get(answer.correlationId);
    if (request === undefined) return;
    this.#open.delete(answer.correlationId);
    this.link.confirm();
    this.#events.onAnswer(this, request, answer);
  }

  #onBroken(cause: unknown): void {
    this.#stream = undefined;
    this.#isBlocked = false;
    this.#onHandedOver?.();
    const open = [...this.#open.values()];
    this.#open.clear();
    const error =
      cause === undefined
        ? new DisconnectError('the broker ended the stream', { broker: this.brokerId })
        : errorFromRpc(cause, { broker: this.brokerId });
    this.#events.onBroken(this, open, error);
  }
}
