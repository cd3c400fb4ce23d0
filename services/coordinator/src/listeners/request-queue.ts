import type { WatchFeed } from './watch-feed.ts';
import type { ReadRequest, Response } from './wire.ts';

/**
 * What a client asked for and has not been answered yet. A slot is done when its answer can be made: for a write when it was
 * decided, for what reads when a barrier that began after its arrival has passed.
 */
export type Slot =
  | { readonly kind: 'write'; propose: (() => void) | undefined; response: Response | undefined }
  | { readonly kind: 'close'; propose: (() => void) | undefined; response: Response | undefined }
  | { readonly kind: 'read'; readonly xid: number; readonly request: ReadRequest; ready: boolean }
  | { readonly kind: 'watch'; readonly feed: WatchFeed; ready: boolean }
  | { readonly kind: 'pong' };

/** A queue whose head moves: no shifting of an array under ten thousand requests. */
export class RequestQueue {
  #slots: Slot[] = [];
  #first = 0;

  get length(): number {
    return this.#slots.length - this.#first;
  }

  get head(): Slot | undefined {
    return this.#slots[this.#first];
  }

  push(slot: Slot): void {
    this.#slots.push(slot);
  }

  shift(): void {
    if (this.length === 0) return;
    this.#first += 1;
    if (this.#first === this.#slots.length) {
      this.#slots = [];
      this.#first = 0;
    } else if (this.#first >= 1024 && this.#first * 2 >= this.#slots.length) {
      this.#slots = this.#slots.slice(this.#first);
      this.#first = 0;
    }
  }

  clear(): void {
    this.#slots = [];
    this.#first = 0;
  }

  *[Symbol.iterator](): Iterator<Slot> {
    for (let index = this.#first; index < this.#slots.length; index += 1) yield this.#slots[index] as Slot;
  }
}
