import type { Logger } from '@naru/observability';
import type { Clock, Connection, Timer, Timers } from '@naru/runtime';
import type { KafkaRegistry } from '../requests/kafka/registry.ts';
import { FrameMemory } from './frame-memory.ts';
import { KafkaConnection, type KafkaConnectionOptions } from './kafka-connection.ts';
import type { RequestBudget } from './request-budget.ts';

export interface KafkaLimits {
  /** `connections.max.idle.ms`. */
  readonly idleMsMax: number;
  /** `socket.request.max.bytes`. */
  readonly frameBytesMax: number;
  /** Bytes of large requests that may be on their way, over all connections. */
  readonly receivedBytesMax: number;
  /** Bytes of answers that may wait for clients that do not take them, before answers become small. */
  readonly unsentBytesMax: number;
}

export interface KafkaFrontOptions {
  readonly registry: KafkaRegistry;
  readonly budget: RequestBudget;
  readonly limits: KafkaLimits;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

/** Where a connection came in. */
interface Accepted {
  /** Name of the listener. */
  readonly listener: string;
  /** Called once, when the connection is closed. */
  readonly onClose: () => void;
}

const sweepMsMax = 10_000;
/** Of answers while too many wait to be taken. */
const smallAnswerBytes = 1_048_576;
/** A large request may take so long to come when others wait for the memory. */
const receiveMsMax = 30_000;
/** A stopping broker answers what was asked, but not for longer. */
const endMsMax = 1_000;

/** All clients that speak Kafka's protocol: who may come, who has to go. */
export class KafkaFront {
  readonly #options: KafkaFrontOptions;
  readonly #connectionOptions: Omit<KafkaConnectionOptions, 'listener' | 'onClose'>;
  readonly #connections = new Set<KafkaConnection>();
  #sweepTimer: Timer | undefined;
  readonly #memory: FrameMemory;
  /** Of answers that wait for clients that do not take them. */
  #unsentBytes = 0;
  #closing: { readonly done: () => void } | undefined;

  constructor(options: KafkaFrontOptions) {
    this.#options = options;
    this.#memory = new FrameMemory(options.limits.receivedBytesMax, () => options.clock.monotonicMs());
    this.#connectionOptions = {
      registry: options.registry,
      budget: options.budget,
      frameBytesMax: options.limits.frameBytesMax,
      nowMs: () => options.clock.monotonicMs(),
      memory: this.#memory,
      onUnsent: (bytes) => {
        this.#unsentBytes += bytes;
      },
      answerBytesMax: () =>
        this.#unsentBytes > options.limits.unsentBytesMax ? smallAnswerBytes : Number.POSITIVE_INFINITY,
    };
    this.#sweepLater();
  }

  get connectionsCount(): number {
    return this.#connections.size;
  }

  /** Takes a connection over; `head` is what was read of it already. */
  accept(connection: Connection, head: readonly Uint8Array[], { listener, onClose }: Accepted): void {
    const accepted: KafkaConnection = new KafkaConnection(connection, {
      ...this.#connectionOptions,
      listener,
      onClose: (reason) => {
        onClose();
        this.#closed(accepted, reason);
      },
    });
    this.#connections.add(accepted);
    if (this.#closing === undefined) accepted.start(head);
    else accepted.close('the broker stops');
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

  #closed(connection: KafkaConnection, reason: string | undefined): void {
    this.#connections.delete(connection);
    if (reason !== undefined && this.#closing === undefined) {
      this.#options.logger.warn(
        { peer: connection.peer, listener: connection.listener, reason },
        'closed a connection',
      );
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

  #sweep(): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const connection of this.#memory.slow(receiveMsMax) as readonly KafkaConnection[]) {
      connection.close(`its request is not whole after ${receiveMsMax} ms, and others wait for the memory`);
    }
    for (const connection of [...this.#connections]) {
      if (connection.idleMs(nowMs) >= this.#options.limits.idleMsMax) connection.close('idle');
    }
  }
}
