import {
  type Address,
  type Connection,
  type ConnectionHandler,
  connectionHighWaterMarkBytes,
  NetworkError,
} from '../network.ts';
import type { Link } from './link.ts';
import type { SimulatedProcess } from './process.ts';
import type { SeededRandom } from './seeded-random.ts';

/** What the systems of both sides hold for a connection before bytes wait in the program. */
const systemBufferBytes = 131_072;

/** How often bytes that were written together arrive as two pieces: a stream has no message boundaries. */
const splitProbability = 0.05;

type Packet =
  | { readonly kind: 'data'; readonly chunks: Uint8Array[]; bytes: number }
  | { readonly kind: 'end' }
  | { readonly kind: 'reset' };

/** What one end sends to the other. Packets arrive in order, each not before its time. */
class Pipe {
  readonly #link: Link;
  readonly #onArrival: (packet: Packet) => void;
  #packets: Packet[] = [];
  #lastSentMs = -1;
  #lastArrivalMs = 0;

  constructor(link: Link, onArrival: (packet: Packet) => void) {
    this.#link = link;
    this.#onArrival = onArrival;
  }

  send(nowMs: number, packet: Packet): void {
    const last = this.#packets.at(-1);
    if (last?.kind === 'data' && packet.kind === 'data' && this.#lastSentMs === nowMs) {
      last.chunks.push(...packet.chunks);
      last.bytes += packet.bytes;
      return;
    }
    this.#packets.push(packet);
    this.#lastSentMs = nowMs;
    // An arrival takes whatever is first: packets of a link that stalled and healed cannot overtake each other.
    this.#lastArrivalMs = this.#link.transmit(() => {
      const first = this.#packets.shift();
      if (first) this.#onArrival(first);
    }, this.#lastArrivalMs);
  }

  /** Forgets what has not arrived. */
  clear(): void {
    this.#packets = [];
  }
}

/** What an end needs of the world. */
export interface EndOptions {
  readonly process: SimulatedProcess;
  readonly remote: Address;
  /** From this end to the other. */
  readonly link: Link;
  readonly random: SeededRandom;
  readonly now: () => number;
}

/** Makes both ends of a connection. */
export function connectEnds(
  first: EndOptions,
  second: EndOptions,
): readonly [SimulatedConnection, SimulatedConnection] {
  const ends = [new SimulatedConnection(first), new SimulatedConnection(second)] as const;
  ends[0].attach(ends[1]);
  ends[1].attach(ends[0]);
  return ends;
}

type State =
  /** Both directions are open. */
  | 'open'
  /** This end sends no more; the other has not ended yet. */
  | 'ending'
  | 'closed';

export class SimulatedConnection implements Connection {
  readonly remote: Address;
  readonly process: SimulatedProcess;
  readonly #options: EndOptions;
  #peer: SimulatedConnection | undefined;
  #pipe: Pipe | undefined;
  #handler: ConnectionHandler | undefined;
  #state: State = 'open';
  #paused = false;
  /** Arrived, and waiting for a handler or for `resume`. */
  #received: Packet[] = [];
  /** Written and not yet taken by the other side's program. */
  #unacknowledgedBytes = 0;
  #needsDrain = false;
  #closeError: NetworkError | undefined;
  /** Set when the close has happened and the handler does not know it yet. */
  #closeUntold = false;
  /** The power of this end's machine is gone: nothing answers, not even with a reset. */
  #silent = false;
  readonly #onClosed: (() => void)[] = [];

  constructor(options: EndOptions) {
    this.remote = options.remote;
    this.process = options.process;
    this.#options = options;
  }

  /** @internal */
  attach(peer: SimulatedConnection): void {
    this.#peer = peer;
    this.#pipe = new Pipe(this.#options.link, (packet) => peer.#arrive(packet));
  }

  handle(handler: ConnectionHandler): void {
    this.#handler = handler;
    this.#laterIfAlive(() => {
      this.#deliverReceived();
      this.#tellClosed();
    });
  }

  write(chunks: readonly Uint8Array[]): boolean {
    if (this.#state !== 'open' || !this.process.alive) return false;
    let bytes = 0;
    for (const chunk of chunks) bytes += chunk.length;
    if (bytes > 0) {
      this.#unacknowledgedBytes += bytes;
      this.#pipe?.send(this.#options.now(), { kind: 'data', chunks: [...chunks], bytes });
    }
    this.#needsDrain ||= this.pendingBytes >= connectionHighWaterMarkBytes;
    return !this.#needsDrain;
  }

  get pendingBytes(): number {
    return Math.max(0, this.#unacknowledgedBytes - systemBufferBytes);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#laterIfAlive(() => this.#deliverReceived());
  }

  end(): void {
    if (this.#state !== 'open' || !this.process.alive) return;
    this.#state = 'ending';
    this.#pipe?.send(this.#options.now(), { kind: 'end' });
  }

  destroy(): void {
    if (this.process.alive) this.#reset(new NetworkError('closed', 'the connection was closed from this side'));
  }

  /** @internal For fault scripts: both ends learn of a reset. */
  breakOff(): void {
    this.#reset(new NetworkError('reset', 'the connection was reset'));
  }

  /** @internal The process is gone; its system tells the other side, unless it is gone, too. */
  abandon(silent: boolean): void {
    if (this.#state === 'closed') return;
    this.#silent = silent;
    if (silent) this.#close(undefined);
    else this.#reset(undefined);
  }

  /** @internal The machine runs again and knows nothing of this connection: whatever the peer sent is answered by a reset. */
  wakeUp(): void {
    if (!this.#silent) return;
    this.#silent = false;
    if (this.#peer !== undefined && this.#peer.#unacknowledgedBytes > 0)
      this.#pipe?.send(this.#options.now(), { kind: 'reset' });
  }

  /** @internal */
  onClosed(callback: () => void): void {
    this.#onClosed.push(callback);
  }

  #reset(error: NetworkError | undefined): void {
    if (this.#state === 'closed') return;
    // What was under way may have left before the reset, or not.
    if (this.#options.random.chance(0.5)) this.#pipe?.clear();
    this.#pipe?.send(this.#options.now(), { kind: 'reset' });
    this.#close(error);
  }

  #arrive(packet: Packet): void {
    if (this.#silent) return;
    if (this.#state === 'closed') {
      if (packet.kind === 'data' && !this.process.alive) this.#pipe?.send(this.#options.now(), { kind: 'reset' });
      return;
    }
    if (packet.kind === 'reset') {
      this.#received = [];
      this.#close(new NetworkError('reset', 'the connection was reset'));
      return;
    }
    this.#received.push(packet);
    if (this.process.paused) this.#laterIfAlive(() => this.#deliverReceived());
    else this.#deliverReceived();
  }

  #deliverReceived(): void {
    while (this.#handler && !this.#paused && this.#state !== 'closed') {
      const packet = this.#received.shift();
      if (packet === undefined) return;
      if (packet.kind === 'data') this.#deliver(packet.chunks, packet.bytes);
      else this.#otherSideEnded();
    }
  }

  /** Copied only here: a sender that changes bytes after `write` is seen to, and a receiver may change what it got. */
  #deliver(chunks: readonly Uint8Array[], length: number): void {
    const bytes = Buffer.concat(chunks, length);
    const { random } = this.#options;
    const cut = length > 1 && random.chance(splitProbability) ? 1 + random.nextInt(length - 1) : length;
    if (cut < length) this.#received.unshift({ kind: 'data', chunks: [bytes.subarray(cut)], bytes: length - cut });
    if (this.#peer) this.#peer.#acknowledge(cut);
    this.#handler?.onData(bytes.subarray(0, cut));
  }

  #acknowledge(bytes: number): void {
    this.#unacknowledgedBytes -= bytes;
    if (!this.#needsDrain || this.pendingBytes > 0) return;
    this.#needsDrain = false;
    this.#laterIfAlive(() => {
      if (this.#state === 'open') this.#handler?.onDrain?.();
    });
  }

  #otherSideEnded(): void {
    if (this.#state === 'open') this.#pipe?.send(this.#options.now(), { kind: 'end' });
    this.#close(undefined);
  }

  #close(error: NetworkError | undefined): void {
    this.#state = 'closed';
    this.#closeError = error;
    this.#closeUntold = true;
    for (const callback of this.#onClosed) callback();
    this.#laterIfAlive(() => this.#tellClosed());
  }

  #tellClosed(): void {
    if (!this.#closeUntold || !this.#handler) return;
    this.#closeUntold = false;
    const handler = this.#handler;
    this.#handler = undefined;
    handler.onClose(this.#closeError);
  }

  /** An event of the process that owns this end. */
  #laterIfAlive(run: () => void): void {
    if (this.process.alive) this.process.after(0, run);
  }
}
