import type { ConsumerRecord } from './consumer-record.ts';

export interface RecordIteratorParts<K, V> {
  readonly poll: () => Promise<ConsumerRecord<K, V>[]>;
  /** Asked before each record: what must be done first, if anything. */
  readonly pulse: () => Promise<void> | undefined;
  /** Closing the consumer is the normal end of an iteration. */
  readonly isClosed: () => boolean;
}

/**
 * `for await` over a consumer. Written by hand, because an async generator costs two promises more for each record. Records that were polled and not
 * yet handed out stay here, so that leaving the loop in the middle loses none.
 */
export class RecordIterator<K, V> implements AsyncIterableIterator<ConsumerRecord<K, V>> {
  readonly #parts: RecordIteratorParts<K, V>;
  #records: ConsumerRecord<K, V>[];
  #at = 0;
  /** Handed out last: the application may still be working on it. */
  #inHand: ConsumerRecord<K, V> | undefined;
  #isEnded = false;

  constructor(parts: RecordIteratorParts<K, V>, left: ConsumerRecord<K, V>[]) {
    this.#parts = parts;
    this.#records = left;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<ConsumerRecord<K, V>>> {
    if (this.#isEnded || this.#parts.isClosed()) return Promise.resolve({ done: true, value: undefined });
    // Asking for the next one says that this one is done.
    this.#inHand = undefined;
    const pause = this.#parts.pulse();
    if (pause !== undefined) return pause.then(() => this.#deliver());
    return this.#deliver();
  }

  #deliver(): Promise<IteratorResult<ConsumerRecord<K, V>>> {
    const value = this.#records[this.#at];
    if (value === undefined) return this.#refill();
    this.#at++;
    this.#inHand = value;
    return Promise.resolve({ done: false, value });
  }

  return(): Promise<IteratorResult<ConsumerRecord<K, V>>> {
    this.#isEnded = true;
    return Promise.resolve({ done: true, value: undefined });
  }

  async #refill(): Promise<IteratorResult<ConsumerRecord<K, V>>> {
    while (this.#at >= this.#records.length) {
      this.#records = [];
      this.#at = 0;
      try {
        this.#records = await this.#parts.poll();
      } catch (error) {
        if (this.#parts.isClosed()) return { done: true, value: undefined };
        throw error;
      }
    }
    const value = this.#records[this.#at++] as ConsumerRecord<K, V>;
    this.#inHand = value;
    return { done: false, value };
  }

  /** The first record of the partition that was polled and not handed out. */
  firstUndelivered(topic: string, partition: number): ConsumerRecord<K, V> | undefined {
    for (let i = this.#at; i < this.#records.length; i++) {
      const record = this.#records[i] as ConsumerRecord<K, V>;
      if (record.partition === partition && record.topic === topic) return record;
    }
    return undefined;
  }

  /** The same, but the record that was handed out last does not count as dealt with, either. */
  firstOpen(topic: string, partition: number): ConsumerRecord<K, V> | undefined {
    const held = this.#inHand;
    return held?.partition === partition && held.topic === topic ? held : this.firstUndelivered(topic, partition);
  }

  /** Forgets the partition's records: the position was set anew. */
  drop(topic: string, partition: number): void {
    if (this.#inHand?.partition === partition && this.#inHand.topic === topic) this.#inHand = undefined;
    const left = this.#records.slice(this.#at);
    this.#records = left.filter((record) => record.partition !== partition || record.topic !== topic);
    this.#at = 0;
  }

  /** Ends this iteration and gives up what it holds. */
  takeUndelivered(): ConsumerRecord<K, V>[] {
    const left = this.#records.slice(this.#at);
    this.#isEnded = true;
    this.#records = [];
    this.#at = 0;
    return left;
  }
}
