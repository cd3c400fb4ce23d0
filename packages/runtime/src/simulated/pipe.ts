import type { Link } from './link.ts';

export type Packet =
  | { readonly kind: 'data'; readonly chunks: Uint8Array[]; bytes: number }
  | { readonly kind: 'end' }
  | { readonly kind: 'reset' };

/** One direction of a connection. Packets arrive in order, each not before its time. */
export class Pipe {
  readonly #link: Link;
  #packets: Packet[] = [];
  #lastSentMs = -1;
  #lastArrivalMs = 0;
  #unacknowledgedBytes = 0;
  /** Set by the end that receives. */
  onArrival: (packet: Packet) => void = () => {};
  /** Set by the end that sends. */
  onAcknowledge: () => void = () => {};

  constructor(link: Link) {
    this.#link = link;
  }

  /** Sent and not yet taken by the program on the other side. */
  get unacknowledgedBytes(): number {
    return this.#unacknowledgedBytes;
  }

  sendData(chunks: readonly Uint8Array[], bytes: number): void {
    this.#unacknowledgedBytes += bytes;
    const last = this.#packets.at(-1);
    if (last?.kind === 'data' && this.#lastSentMs === this.#link.nowMs) {
      last.chunks.push(...chunks);
      last.bytes += bytes;
    } else this.#send({ kind: 'data', chunks: [...chunks], bytes });
  }

  sendEnd(): void {
    this.#send({ kind: 'end' });
  }

  /** With `dropping`, what is still under way is lost. */
  sendReset(dropping = false): void {
    if (dropping) this.#packets = [];
    this.#send({ kind: 'reset' });
  }

  acknowledge(bytes: number): void {
    this.#unacknowledgedBytes -= bytes;
    this.onAcknowledge();
  }

  #send(packet: Packet): void {
    this.#packets.push(packet);
    this.#lastSentMs = this.#link.nowMs;
    // An arrival takes whatever is first: packets of a link that stalled and healed cannot overtake each other.
    this.#lastArrivalMs = this.#link.transmit(this.#arrive, this.#lastArrivalMs);
  }

  readonly #arrive = (): void => {
    const first = this.#packets.shift();
    if (first) this.onArrival(first);
  };
}
