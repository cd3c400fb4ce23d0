import type { Logger } from '@naru/observability';
import type { Clock, Connection, Timer, Timers } from '@naru/runtime';
import type { KafkaRegistry } from '../requests/kafka/registry.ts';
import { KafkaConnection, type KafkaConnectionOptions } from './kafka-connection.ts';
import type { RequestBudget } from './request-budget.ts';

export interface KafkaLimits {
  /** `max.connections`. */
  readonly connectionsMax: number;
  /** `max.connections.per.ip`. */
  readonly connectionsPerHostMax: number;
  /** `connections.max.idle.ms`. */
  readonly idleMsMax: number;
  /** `socket.request.max.bytes`. */
  readonly frameBytesMax: number;
  /** Bytes of requests that are not whole yet, over all connections: what slow or lying senders may hold. */
  readonly heldBytesMax: number;
}

export interface KafkaFrontOptions {
  readonly registry: KafkaRegistry;
  readonly budget: RequestBudget;
  readonly limits: KafkaLimits;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

const sweepMsMax = 10_000;
/** A stopping broker answers what was asked, but not for longer. */
const endMsMax = 1_000;

/** All clients that speak Kafka's protocol: who may come, who has to go. */
export class KafkaFront {
  readonly #options: KafkaFrontOptions;
  readonly #connectionOptions: KafkaConnectionOptions;
  readonly #connections = new Set<KafkaConnection>();
  readonly #perHost = new Map<string, number>();
  #sweepTimer: Timer | undefined;
  #closing: { readonly done: () => void } | undefined;

  constructor(options: KafkaFrontOptions) {
    this.#options = options;
    this.#connectionOptions = {
      registry: options.registry,
      budget: options.budget,
      frameBytesMax: options.limits.frameBytesMax,
      nowMs: () => options.clock.monotonicMs(),
      onClose: (connection, reason) => this.#closed(connection, reason),
    };
    this.#sweepLater();
  }

  get connectionsCount(): number {
    return this.#connections.size;
  }

  /** Takes a connection over; `head` is what was read of it already. */
  accept(connection: Connection, head: readonly Uint8Array[]): void {
    const { host } = connection.remote;
    const count = this.#perHost.get(host) ?? 0;
    const refusal = this.#refusalOf(count);
    const accepted = new KafkaConnection(connection, this.#connectionOptions);
    this.#connections.add(accepted);
    this.#perHost.set(host, count + 1);
    if (refusal === undefined) accepted.start(head);
    else accepted.close(refusal);
  }

  /** Answers what was asked so far, then closes every connection. */
  async close(): Promise<void> {
    this.#sweepTimer?.cancel();
    if (this.#connections.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = this.#options.timers.after(endMsMax, resolve);
      this.#closing = {
        done: () => {
          timer.cancel();
          resolve();
        },
      };
      for (const connection of [...this.#connections]) connection.end();
    });
    for (const connection of [...this.#connections]) connection.close('the broker stops');
  }

  #refusalOf(connectionsOfHost: number): string | undefined {
    const { connectionsMax, connectionsPerHostMax } = this.#options.limits;
    if (this.#closing !== undefined) return 'the broker stops';
    if (this.#connections.size >= connectionsMax) return `max.connections (${connectionsMax}) are open`;
    if (connectionsOfHost >= connectionsPerHostMax) {
      return `max.connections.per.ip (${connectionsPerHostMax}) are open from this address`;
    }
    return undefined;
  }

  #closed(connection: KafkaConnection, reason: string | undefined): void {
    this.#connections.delete(connection);
    const left = (this.#perHost.get(connection.host) ?? 1) - 1;
    if (left > 0) this.#perHost.set(connection.host, left);
    else this.#perHost.delete(connection.host);
    if (reason !== undefined && this.#closing === undefined) {
      this.#options.logger.warn({ peer: connection.peer, reason }, 'closed a connection of Kafka protocol');
    }
    if (this.#connections.size === 0) this.#closing?.done();
  }

  #sweepLater(): void {
    const delayMs = Math.min(sweepMsMax, Math.max(1, this.#options.limits.idleMsMax / 4));
    this.#sweepTimer = this.#options.timers.after(delayMs, () => {
      this.#sweep();
      this.#sweepLater();
    });
  }

  /** Ends the idle ones; and, while unfinished requests take too much memory, the ones that hold most of it. */
  #sweep(): void {
    const { idleMsMax, heldBytesMax } = this.#options.limits;
    const nowMs = this.#options.clock.monotonicMs();
    let heldBytes = 0;
    for (const connection of [...this.#connections]) {
      if (connection.idleMs(nowMs) >= idleMsMax) connection.close('idle');
      else heldBytes += connection.heldBytes;
    }
    if (heldBytes <= heldBytesMax) return;
    for (const connection of [...this.#connections].sort((a, b) => b.heldBytes - a.heldBytes)) {
      if (heldBytes <= heldBytesMax / 2) return;
      heldBytes -= connection.heldBytes;
      connection.close('unfinished requests take too much memory');
    }
  }
}
