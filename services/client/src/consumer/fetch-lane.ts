import { type broker, brokerMethods } from '@naru/rpc';
import type { BrokerLink } from '../cluster/broker-link.ts';
import { BrokerStream } from '../cluster/broker-stream.ts';
import type { Doubt } from '../cluster/doubt.ts';
import type { KafkaError } from '../errors.ts';
import { partitionKey } from '../topic-partition.ts';
import type { FetchSession, PartitionState } from './partition-state.ts';

/** A fetch that waits for its answer. */
export interface OpenFetch {
  /** Monotonic milliseconds by which the answer must have come. */
  readonly deadlineMs: number;
  readonly doubt: Doubt;
}

/** What of a fetch is not about partitions. */
export type FetchTerms = Pick<broker.FetchRequest, 'maxWaitMs' | 'minBytes' | 'maxBytes' | 'isolationLevel'>;

export interface FetchLaneEvents<K, V> {
  onAnswer(lane: FetchLane<K, V>, answer: broker.FetchResponse): void;
  onWritable(): void;
  /** The stream is gone, and with it the session. */
  onBroken(lane: FetchLane<K, V>, error: KafkaError): void;
}

/**
 * One broker's Fetch stream. The stream is the session: a partition that was named stands there until an answer brings something for it, so
 * that a request holds what is new and not what is read. One fetch waits at a time; partitions that become free meanwhile are told without one.
 */
export class FetchLane<K, V> implements FetchSession<K, V> {
  readonly brokerId: number;
  readonly link: BrokerLink;
  readonly #events: FetchLaneEvents<K, V>;
  readonly #standing = new Map<string, PartitionState<K, V>>();
  /** Of those that stand: the broker has not heard of them yet. */
  readonly #unnamed = new Set<PartitionState<K, V>>();
  readonly #forgotten = new Map<string, broker.ForgottenPartition>();
  readonly #stream: BrokerStream<broker.FetchRequest, broker.FetchResponse>;
  #open: OpenFetch | undefined;

  constructor(brokerId: number, link: BrokerLink, events: FetchLaneEvents<K, V>) {
    this.brokerId = brokerId;
    this.link = link;
    this.#events = events;
    this.#stream = new BrokerStream(this, brokerMethods.fetch, {
      onAnswer: (answer) => this.#onAnswer(answer),
      onWritable: () => events.onWritable(),
      onBroken: (error) => this.#onBroken(error),
    });
  }

  get openFetch(): OpenFetch | undefined {
    return this.#open;
  }

  get isOpen(): boolean {
    return this.#stream.isOpen;
  }

  /** A fetch is due: somebody stands there and nobody waits. */
  get isIdle(): boolean {
    return this.isOpen && this.#open === undefined && this.#standing.size > 0;
  }

  get standing(): readonly PartitionState<K, V>[] {
    return [...this.#standing.values()];
  }

  find(topic: string, partition: number): PartitionState<K, V> | undefined {
    return this.#standing.get(partitionKey(topic, partition));
  }

  /** From its fetch offset on, told with the next `send` or `tell`. */
  stand(state: PartitionState<K, V>): void {
    this.#standing.set(partitionKey(state.topic, state.partition), state);
    this.#unnamed.add(state);
    state.session = this;
  }

  /** An answer has ended its standing at the broker. */
  release(state: PartitionState<K, V>): void {
    this.#standing.delete(partitionKey(state.topic, state.partition));
    state.session = undefined;
  }

  /** It is not to be read from there any more; the broker is told in time. */
  forget(state: PartitionState<K, V>): void {
    const { topic, partition } = state;
    this.release(state);
    if (!this.#unnamed.delete(state)) this.#forgotten.set(partitionKey(topic, partition), { topic, partition });
  }

  /** `onWritable` or `onBroken` tells how it went. */
  ensureOpen(): void {
    this.#stream.ensureOpen();
  }

  /** A fetch is small: no need to wait for a slow stream to drain. */
  fetch(open: OpenFetch, terms: FetchTerms, position: (state: PartitionState<K, V>) => broker.PartitionFetch): void {
    this.#open = open;
    this.#send(true, terms, position);
  }

  /** What has changed, beside a fetch that waits. */
  tell(terms: FetchTerms, position: (state: PartitionState<K, V>) => broker.PartitionFetch): void {
    if (this.#unnamed.size > 0 || this.#forgotten.size > 0) this.#send(false, terms, position);
  }

  /** Drops a connection that no longer answers. */
  reset(): void {
    this.#stream.reset();
  }

  #send(wantData: boolean, terms: FetchTerms, position: (state: PartitionState<K, V>) => broker.PartitionFetch): void {
    const forgotten = [...this.#forgotten.values()];
    const partitions = [...this.#unnamed].map(position);
    this.#forgotten.clear();
    this.#unnamed.clear();
    this.#stream.send({ wantData, ...terms, forgotten, partitions });
  }

  #onAnswer(answer: broker.FetchResponse): void {
    this.#open = undefined;
    this.link.confirm();
    this.#events.onAnswer(this, answer);
  }

  #onBroken(error: KafkaError): void {
    this.#open = undefined;
    for (const state of this.#standing.values()) state.session = undefined;
    this.#standing.clear();
    this.#unnamed.clear();
    this.#forgotten.clear();
    this.#events.onBroken(this, error);
  }
}
