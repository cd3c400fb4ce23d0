import { type broker, brokerMethods, type RpcStream } from '@naru/rpc';
import type { BrokerLink } from '../cluster/broker-link.ts';
import type { Doubt } from '../cluster/doubt.ts';
import { DisconnectError, type KafkaError } from '../errors.ts';
import { errorFromRpc } from '../errors-from-wire.ts';
import type { PartitionState } from './partition-state.ts';

/** One partition in one fetch; an answer counts only while the partition's generation is still this one. */
export interface FetchPart<K, V> {
  readonly state: PartitionState<K, V>;
  readonly generation: number;
}

export interface OpenFetch<K, V> {
  readonly correlationId: number;
  /** Monotonic milliseconds by which the answer must have come. */
  readonly deadlineMs: number;
  readonly doubt: Doubt;
  readonly parts: readonly FetchPart<K, V>[];
}

export interface FetchLaneEvents<K, V> {
  onAnswer(lane: FetchLane<K, V>, fetch: OpenFetch<K, V>, answer: broker.FetchResponse): void;
  onWritable(): void;
  /** The stream is gone. `open` is empty when the connection never came about. */
  onBroken(lane: FetchLane<K, V>, open: readonly OpenFetch<K, V>[], error: KafkaError): void;
}

/** One broker's Fetch stream with the requests that wait for their answers. */
export class FetchLane<K, V> {
  readonly brokerId: number;
  readonly link: BrokerLink;
  readonly #events: FetchLaneEvents<K, V>;
  readonly #open = new Map<number, OpenFetch<K, V>>();
  #stream: RpcStream<broker.FetchRequest, broker.FetchResponse> | undefined;
  #isOpening = false;

  constructor(brokerId: number, link: BrokerLink, events: FetchLaneEvents<K, V>) {
    this.brokerId = brokerId;
    this.link = link;
    this.#events = events;
  }

  get openCount(): number {
    return this.#open.size;
  }

  get openFetches(): Iterable<OpenFetch<K, V>> {
    return this.#open.values();
  }

  get isOpen(): boolean {
    return this.#stream !== undefined;
  }

  /** Begins to connect unless it is connected or at it; `onWritable` or `onBroken` tells how it went. */
  ensureOpen(): void {
    if (this.#stream !== undefined || this.#isOpening) return;
    this.#isOpening = true;
    this.link.connect().then(
      (channel) => {
        this.#isOpening = false;
        const stream = channel.open(brokerMethods.fetch);
        this.#stream = stream;
        stream.handle({
          onMessage: (answer) => this.#onAnswer(answer),
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

  /** A fetch is small: no need to wait for a slow stream to drain. */
  send(request: broker.FetchRequest, open: OpenFetch<K, V>): void {
    this.#open.set(open.correlationId, open);
    this.#stream?.send(request);
  }

  /** Drops a connection that no longer answers. */
  reset(): void {
    this.link.reset();
    this.#stream?.fail();
  }

  #onAnswer(answer: broker.FetchResponse): void {
    const fetch = this.#open.get(answer.correlationId);
    if (fetch === undefined) return;
    this.#open.delete(answer.correlationId);
    this.link.confirm();
    this.#events.onAnswer(this, fetch, answer);
  }

  #onBroken(cause: unknown): void {
    this.#stream = undefined;
    const open = [...this.#open.values()];
    this.#open.clear();
    const error =
      cause === undefined
        ? new DisconnectError('the broker ended the stream', { broker: this.brokerId })
        : errorFromRpc(cause, { broker: this.brokerId });
    this.#events.onBroken(this, open, error);
  }
}
