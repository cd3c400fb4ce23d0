import type { Http2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { Timer, Timers } from '@naru/runtime';

/**
 * Finds out that the other side is gone without a word: a machine that lost its power, a cut cable. On a connection that
 * received nothing for `intervalMs` a ping goes out; when nothing came for as long again, the connection is destroyed.
 */
export class Keepalive {
  readonly #session: Http2Session;
  readonly #socket: Socket;
  readonly #timers: Timers;
  readonly #intervalMs: number;
  readonly #onTick: () => void;
  #timer: Timer | undefined;
  #bytesSeen = 0;
  #pinged = false;

  constructor(
    session: Http2Session,
    socket: Socket,
    timers: Timers,
    intervalMs: number,
    onTick: () => void = () => {},
  ) {
    this.#session = session;
    this.#socket = socket;
    this.#timers = timers;
    this.#intervalMs = intervalMs;
    this.#onTick = onTick;
    if (intervalMs > 0) this.#arm();
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #arm(): void {
    this.#timer = this.#timers.after(this.#intervalMs, () => this.#check());
  }

  #check(): void {
    if (this.#session.destroyed) return;
    const bytes = this.#socket.bytesRead;
    if (bytes !== this.#bytesSeen) {
      this.#bytesSeen = bytes;
      this.#pinged = false;
    } else if (this.#pinged) {
      this.#socket.destroy();
      return;
    } else {
      this.#pinged = true;
      // The answer is seen as bytes read; the callback is of no use, but the call wants one.
      this.#session.ping(() => {});
    }
    this.#arm();
    this.#onTick();
  }
}
