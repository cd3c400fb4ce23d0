import type { Rpc, RpcChannel } from '@naru/rpc';
import { type Address, formatAddress, type Random, type Runtime, sleep } from '@naru/runtime';
import { DisconnectError, IllegalStateError } from '../errors.ts';
import { backoffMs } from './backoff.ts';

export interface LinkSettings {
  readonly connectTimeoutMs: number;
  readonly backoffMs: number;
  readonly backoffMaxMs: number;
}

/**
 * The connection to one address: opened when somebody needs it, and opened again, after a pause that grows with each failure,
 * when it broke. Calls that were open on a broken connection fail; the link itself goes on.
 */
export class BrokerLink {
  readonly address: Address;
  readonly #runtime: Runtime;
  readonly #rpc: Rpc;
  readonly #settings: LinkSettings;
  readonly #random: Random;
  #channel: RpcChannel | undefined;
  #connecting: Promise<RpcChannel> | undefined;
  /** It did not answer in time lately; others are asked first until it does. */
  isSuspect = false;
  #failuresCount = 0;
  #notBeforeMs = 0;
  readonly #closing = new AbortController();

  constructor(runtime: Runtime, rpc: Rpc, address: Address, settings: LinkSettings) {
    this.#runtime = runtime;
    this.#rpc = rpc;
    this.address = address;
    this.#settings = settings;
    this.#random = runtime.random;
  }

  /** The open connection, if there is one. */
  get channel(): RpcChannel | undefined {
    return this.#channel;
  }

  /** Milliseconds until another attempt is allowed; 0 when it may come at once. */
  get pauseMs(): number {
    return Math.max(0, this.#notBeforeMs - this.#runtime.clock.monotonicMs());
  }

  /** The open connection or a new one; callers at the same time share one attempt. Waits out the pause first. */
  connect(): Promise<RpcChannel> {
    // A connection may be closed already and its callback still be on the way.
    if (this.#channel?.closed) this.#onClose(this.#channel);
    if (this.#channel !== undefined) return Promise.resolve(this.#channel);
    if (this.#closing.signal.aborted) return Promise.reject(closedError(this.address));
    this.#connecting ??= this.#open().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  async #open(): Promise<RpcChannel> {
    if (this.pauseMs > 0) await sleep(this.#runtime.timers, this.pauseMs, this.#closing.signal);
    let channel: RpcChannel;
    try {
      channel = await this.#rpc.connect(this.address, { timeoutMs: this.#settings.connectTimeoutMs });
    } catch (error) {
      this.#pause();
      throw error;
    }
    if (this.#closing.signal.aborted) {
      void channel.close();
      throw closedError(this.address);
    }
    this.#channel = channel;
    channel.onClose(() => this.#onClose(channel));
    return channel;
  }

  /** A request was answered: the next failure starts with the shortest pause again. */
  confirm(): void {
    this.#failuresCount = 0;
    this.isSuspect = false;
  }

  /** Drops a connection that no longer answers; everything open on it fails. */
  reset(): void {
    const channel = this.#channel;
    if (channel === undefined) return;
    this.#onClose(channel);
    void channel.close();
  }

  #onClose(channel: RpcChannel): void {
    if (this.#channel !== channel) return;
    this.#channel = undefined;
    this.#pause();
  }

  #pause(): void {
    this.#failuresCount++;
    const pause = backoffMs(this.#failuresCount, this.#settings.backoffMs, this.#settings.backoffMaxMs, this.#random);
    this.#notBeforeMs = this.#runtime.clock.monotonicMs() + pause;
  }

  async close(): Promise<void> {
    this.#closing.abort(closedError(this.address));
    const channel = this.#channel;
    this.#channel = undefined;
    await channel?.close();
  }
}

function closedError(address: Address): Error {
  return new DisconnectError(`the connection to ${formatAddress(address)} was closed`, {
    cause: new IllegalStateError('closed'),
  });
}
