import type { HeaderEntry } from '@naru/record';
import type { Runtime, Timer } from '@naru/runtime';
import type { KafkaError } from '../errors.ts';
import type { SendCallback } from './producer-record.ts';

/** A record that is not in a batch yet: its topic's metadata or buffer space is missing. */
export interface WaitingSend {
  readonly topic: string;
  readonly partition: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly timestampMs: number;
  readonly headers: readonly HeaderEntry[];
  /** Undefined: the application gave it up, it must not be sent. */
  callback: SendCallback | undefined;
  /** `max.block.ms` after the call; monotonic. */
  readonly deadlineMs: number;
  /** False as soon as it was taken out, for whatever reason. */
  isWaiting: boolean;
}

/**
 * Sends in the order of their calls that wait for something. Deadlines are in the same order, so one timer for the head is
 * enough. `take` is constant time: the array is cut only now and then.
 */
export class WaitingSends {
  readonly #runtime: Runtime;
  readonly #late: (send: WaitingSend) => KafkaError;
  readonly #onExpired: () => void;
  #sends: WaitingSend[] = [];
  #head = 0;
  #timer: Timer | undefined;
  /** Sends ever pushed, and taken: whoever was there at a moment is gone when as many have left as had entered. */
  enteredCount = 0;
  leftCount = 0;

  constructor(runtime: Runtime, late: (send: WaitingSend) => KafkaError, onExpired: () => void) {
    this.#runtime = runtime;
    this.#late = late;
    this.#onExpired = onExpired;
  }

  get size(): number {
    return this.#sends.length - this.#head;
  }

  push(send: WaitingSend): void {
    this.enteredCount++;
    this.#sends.push(send);
    if (this.size === 1) this.#arm();
  }

  peek(): WaitingSend | undefined {
    return this.#sends[this.#head];
  }

  take(): WaitingSend | undefined {
    const send = this.#sends[this.#head];
    if (send === undefined) return undefined;
    send.isWaiting = false;
    this.leftCount++;
    this.#head++;
    if (this.#head > 1_024 && this.#head * 2 > this.#sends.length) {
      this.#sends = this.#sends.slice(this.#head);
      this.#head = 0;
    }
    if (this.size === 0) this.#timer?.cancel();
    return send;
  }

  failAll(error: (send: WaitingSend) => KafkaError): void {
    for (let send = this.take(); send !== undefined; send = this.take()) send.callback?.(error(send), undefined);
  }

  #arm(): void {
    this.#timer?.cancel();
    const head = this.peek();
    if (head === undefined) return;
    const delayMs = Math.max(0, head.deadlineMs - this.#runtime.clock.monotonicMs());
    this.#timer = this.#runtime.timers.after(delayMs, () => this.#expire());
  }

  #expire(): void {
    const nowMs = this.#runtime.clock.monotonicMs();
    for (let head = this.peek(); head !== undefined && head.deadlineMs <= nowMs; head = this.peek()) {
      this.take();
      head.callback?.(this.#late(head), undefined);
    }
    this.#arm();
    this.#onExpired();
  }
}
