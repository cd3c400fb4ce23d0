import type { EventLoop } from './event-loop.ts';
import type { EventOwner } from './event-queue.ts';
import type { Delay, SeededRandom } from './seeded-random.ts';

/**
 * One direction between two hosts. A cut link loses nothing for good: as with TCP, which sends again until it gets through,
 * everything stalls and arrives after the link has healed. Neither side is told.
 */
export class Link {
  readonly #loop: EventLoop;
  readonly #random: SeededRandom;
  /** The receiving machine, which takes packets whatever its processes do. */
  readonly #receiver: EventOwner;
  #cut = false;
  #clogEndsMs = 0;
  #stalled: (() => void)[] = [];
  delay: Delay;

  constructor(loop: EventLoop, random: SeededRandom, delay: Delay, receiver: string) {
    this.#loop = loop;
    this.#random = random;
    this.#receiver = { host: receiver, alive: true, paused: false, hold: () => {} };
    this.delay = delay;
  }

  get nowMs(): number {
    return this.#loop.nowMs;
  }

  cut(): void {
    this.#cut = true;
  }

  heal(): void {
    this.#cut = false;
    this.#clogEndsMs = 0;
    const stalled = this.#stalled;
    this.#stalled = [];
    for (const arrive of stalled) this.transmit(arrive);
  }

  /** Everything sent from now on arrives only after `durationMs`. */
  clog(durationMs: number): void {
    this.#clogEndsMs = Math.max(this.#clogEndsMs, this.#loop.nowMs + durationMs);
  }

  /** Calls `arrive` when the packet is there, not before `notBeforeMs`. Returns that time as far as it is known. */
  transmit(arrive: () => void, notBeforeMs = 0): number {
    const sentMs = Math.max(this.#loop.nowMs, this.#clogEndsMs);
    const arrivalMs = Math.max(sentMs + this.#random.delayMs(this.delay), notBeforeMs);
    this.#loop.schedule(arrivalMs - this.#loop.nowMs, this.#receiver, () => {
      if (this.#cut) this.#stalled.push(arrive);
      else arrive();
    });
    return arrivalMs;
  }
}
