import { type broker, brokerMethods } from '@naru/rpc';
import type { BrokerLink } from '../cluster/broker-link.ts';
import { BrokerStream } from '../cluster/broker-stream.ts';
import type { Doubt } from '../cluster/doubt.ts';
import type { KafkaError } from '../errors.ts';
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

/** One broker's Produce stream with the requests that wait for their answers. */
export class ProduceLane {
  readonly brokerId: number;
  readonly link: BrokerLink;
  readonly #events: LaneEvents;
  readonly #open = new Map<number, OpenRequest>();
  readonly #stream: BrokerStream<broker.ProduceRequest, broker.ProduceResponse>;
  #onHandedOver: (() => void) | undefined;

  constructor(brokerId: number, link: BrokerLink, events: LaneEvents) {
    this.brokerId = brokerId;
    this.link = link;
    this.#events = events;
    this.#stream = new BrokerStream(this, brokerMethods.produce, {
      onAnswer: (answer) => this.#onAnswer(answer),
      onWritable: () => events.onWritable(),
      onBroken: (error) => this.#onBroken(error),
    });
  }

  get openRequests(): Iterable<OpenRequest> {
    return this.#open.values();
  }

  get openCount(): number {
    return this.#open.size;
  }

  /** Whether a request can leave now. */
  get isWritable(): boolean {
    return this.#stream.isWritable;
  }

  /** `onWritable` or `onBroken` tells how it went. */
  ensureOpen(): void {
    this.#stream.ensureOpen();
  }

  /** Sends a request. It stays open until its answer unless acks is 0. */
  send(request: broker.ProduceRequest, open: OpenRequest): void {
    if (request.acks !== 0) this.#open.set(open.correlationId, open);
    this.#stream.send(request);
  }

  /** Drops the connection: a request was not answered in time. */
  reset(): void {
    this.#stream.reset();
  }

  /** The last that is sent here. Resolves when the broker has dealt with all of it, answered or not, or the connection is gone. */
  handOver(): Promise<void> {
    if (!this.#stream.isOpen) return Promise.resolve();
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

  #onBroken(error: KafkaError): void {
    this.#onHandedOver?.();
    const open = [...this.#open.values()];
    this.#open.clear();
    this.#events.onBroken(this, open, error);
  }
}
