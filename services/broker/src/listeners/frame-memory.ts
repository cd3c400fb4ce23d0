/** Someone who receives a large request. */
export interface Receiver {
  /** There is memory for it now. */
  granted(): void;
}

/** Room that was given, and when. */
interface Grant {
  readonly bytes: number;
  readonly atMs: number;
}

/**
 * Memory for requests that are on their way, over all connections: large ones are read only while there is room for all that they announce, first come, first
 * served. The first finds room however large it is.
 */
export class FrameMemory {
  readonly #bytesMax: number;
  readonly #nowMs: () => number;
  readonly #granted = new Map<Receiver, Grant>();
  /** With the bytes that they want, in the order in which they came. */
  readonly #waiting = new Map<Receiver, number>();
  #grantedBytes = 0;
  #isGranting = false;

  constructor(bytesMax: number, nowMs: () => number) {
    this.#bytesMax = bytesMax;
    this.#nowMs = nowMs;
  }

  /** True when there is room; otherwise `granted` is called later. */
  reserve(receiver: Receiver, bytes: number): boolean {
    if (this.#waiting.size === 0 && this.#fits(bytes)) {
      this.#grant(receiver, bytes);
      return true;
    }
    this.#waiting.set(receiver, bytes);
    return false;
  }

  /** Its request is whole, or will never be. Nothing happens when it has reserved nothing. */
  release(receiver: Receiver): void {
    this.#waiting.delete(receiver);
    const grant = this.#granted.get(receiver);
    if (grant !== undefined) {
      this.#granted.delete(receiver);
      this.#grantedBytes -= grant.bytes;
    }
    this.#grantWaiting();
  }

  /** While others wait: who has had its room for `ms` and is still not done. */
  slow(ms: number): readonly Receiver[] {
    if (this.#waiting.size === 0) return [];
    const beforeMs = this.#nowMs() - ms;
    return [...this.#granted].filter(([, { atMs }]) => atMs <= beforeMs).map(([receiver]) => receiver);
  }

  #fits(bytes: number): boolean {
    return this.#grantedBytes === 0 || this.#grantedBytes + bytes <= this.#bytesMax;
  }

  #grant(receiver: Receiver, bytes: number): void {
    this.#granted.set(receiver, { bytes, atMs: this.#nowMs() });
    this.#grantedBytes += bytes;
  }

  /** Whoever is granted may release at once: the loop goes on then, and does not begin within itself. */
  #grantWaiting(): void {
    if (this.#isGranting) return;
    this.#isGranting = true;
    for (const [receiver, bytes] of this.#waiting) {
      if (!this.#fits(bytes)) break;
      this.#waiting.delete(receiver);
      this.#grant(receiver, bytes);
      receiver.granted();
    }
    this.#isGranting = false;
  }
}
