/** How the wait of an acks=all append ended. */
export type AckOutcome =
  | 'replicated'
  /** The ISR fell below `min.insync.replicas` after the append: it may or may not survive (row 55). */
  | 'not-enough-replicas'
  /** Another leader, or none: the records may be cut, or be there under the next leader (row 50). */
  | 'leadership-lost'
  | 'storage-failed';

/** Told once, synchronously. */
export interface AckWaiter {
  acknowledged(outcome: AckOutcome): void;
}

interface WaitingAck {
  /** Acknowledged when the high watermark is at least this. */
  readonly endOffset: number;
  readonly waiter: AckWaiter;
}

/** Slots of a queue that are read already are given back once they are this many. */
const compactAfter = 1024;

/**
 * Appends that wait for the high watermark, first come, first served: a log gives out its offsets in order, so the first that is not yet
 * replicated ends the look through the queue.
 */
export class AckQueue {
  #queue: (WaitingAck | undefined)[] = [];
  #head = 0;

  get size(): number {
    return this.#queue.length - this.#head;
  }

  add(endOffset: number, waiter: AckWaiter): void {
    let at = this.#queue.length;
    // Only a batch that came a second time (KIP-98) waits for less than those before it.
    while (at > this.#head && (this.#queue[at - 1] as WaitingAck).endOffset > endOffset) at--;
    if (at === this.#queue.length) this.#queue.push({ endOffset, waiter });
    else this.#queue.splice(at, 0, { endOffset, waiter });
  }

  highWatermarkAdvanced(highWatermark: number): void {
    while (this.#head < this.#queue.length) {
      const first = this.#queue[this.#head] as WaitingAck;
      if (first.endOffset > highWatermark) break;
      // Under constant load the queue is never empty: what was answered must not be held by its slot.
      this.#queue[this.#head++] = undefined;
      first.waiter.acknowledged('replicated');
    }
    if (this.#head === this.#queue.length) this.#restart();
    else if (this.#head >= compactAfter) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
  }

  failAll(outcome: Exclude<AckOutcome, 'replicated'>): void {
    const waiting = this.#queue.slice(this.#head) as WaitingAck[];
    this.#restart();
    for (const { waiter } of waiting) waiter.acknowledged(outcome);
  }

  #restart(): void {
    this.#queue.length = 0;
    this.#head = 0;
  }
}

/** Wants to look again when a partition has moved; told at the end of the turn, however often it moved. */
export interface Watcher {
  wake(): void;
}

/** The watchers of one thing of one partition. */
export class Watchers {
  readonly #watchers = new Set<Watcher>();

  get size(): number {
    return this.#watchers.size;
  }

  add(watcher: Watcher): void {
    this.#watchers.add(watcher);
  }

  delete(watcher: Watcher): void {
    this.#watchers.delete(watcher);
  }

  wakeAll(): void {
    for (const watcher of this.#watchers) watcher.wake();
  }
}
