import {
  type Address,
  type Connection,
  type ConnectionHandler,
  connectionHighWaterMarkBytes,
  NetworkError,
} from '../network.ts';
import type { Packet, Pipe } from './pipe.ts';
import type { SimulatedProcess } from './process.ts';
import type { SeededRandom } from './seeded-random.ts';

/** What the systems of both sides hold for a connection before bytes wait in the program. */
const systemBufferBytes = 131_072;

/** How often bytes that were written together arrive as two pieces: a stream has no message boundaries. */
const splitProbability = 0.05;

/** What an end needs of the world. */
export interface EndOptions {
  readonly process: SimulatedProcess;
  readonly remote: Address;
  readonly outgoing: Pipe;
  readonly incoming: Pipe;
  readonly random: SeededRandom;
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
  readonly #outgoing: Pipe;
  readonly #incoming: Pipe;
  readonly #random: SeededRandom;
  readonly #onClosed: () => void;
  #handler: ConnectionHandler | undefined;
  #state: State = 'open';
  #paused = false;
  /** Arrived, and waiting for a handler or for `resume`. */
  #received: Packet[] = [];
  #needsDrain = false;
  #closeError: NetworkError | undefined;
  /** Set when the close has happened and the handler does not know it yet. */
  #closeUntold = false;
  /** The power of this end's machine is gone: nothing answers, not even with a reset. */
  #silent = false;

  constructor(options: EndOptions, onClosed: () => void) {
    this.remote = options.remote;
    this.process = options.process;
    this.#outgoing = options.outgoing;
    this.#incoming = options.incoming;
    this.#random = options.random;
    this.#onClosed = onClosed;
    this.#incoming.onArrival = (packet) => this.#arrive(packet);
    this.#outgoing.onAcknowledge = () => this.#drain();
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
    if (bytes > 0) this.#outgoing.sendData(chunks, bytes);
    this.#needsDrain ||= this.pendingBytes >= connectionHighWaterMarkBytes;
    return !this.#needsDrain;
  }

  get pendingBytes(): number {
    return Math.max(0, this.#outgoing.unacknowledgedBytes - systemBufferBytes);
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
    this.#outgoing.sendEnd();
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
    if (this.#incoming.unacknowledgedBytes > 0) this.#outgoing.sendReset();
  }

  #reset(error: NetworkError | undefined): void {
    if (this.#state === 'closed') return;
    // What was written may have left this machine before the reset, or not.
    this.#outgoing.sendReset(this.#random.chance(0.5));
    this.#close(error);
  }

  #arrive(packet: Packet): void {
    if (this.#silent) return;
    if (this.#state === 'closed') {
      if (packet.kind === 'data' && !this.process.alive) this.#outgoing.sendReset();
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
    const isSplit = length > 1 && this.#random.chance(splitProbability);
    const cut = isSplit ? 1 + this.#random.nextInt(length - 1) : length;
    if (cut < length) this.#received.unshift({ kind: 'data', chunks: [bytes.subarray(cut)], bytes: length - cut });
    this.#incoming.acknowledge(cut);
    this.#handler?.onData(cut < length ? bytes.subarray(0, cut) : bytes);
  }

  #drain(): void {
    if (!this.#needsDrain || this.pendingBytes > 0) return;
    this.#needsDrain = false;
    this.#laterIfAlive(() => {
      if (this.#state === 'open') this.#handler?.onDrain?.();
    });
  }

  #otherSideEnded(): void {
    if (this.#state === 'open') this.#outgoing.sendEnd();
    this.#close(undefined);
  }

  #close(error: NetworkError | undefined): void {
    this.#state = 'closed';
    this.#closeError = error;
    this.#closeUntold = true;
    this.#onClosed();
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
