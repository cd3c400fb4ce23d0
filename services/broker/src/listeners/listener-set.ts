import type { Logger } from '@naru/observability';
import type { RpcHost } from '@naru/rpc';
import type { Address, Network, Timers } from '@naru/runtime';
import type { ConnectionLimits } from './connection-quota.ts';
import { ConnectionQuota } from './connection-quota.ts';
import type { KafkaFront } from './kafka-front.ts';
import { SharedListener } from './shared-listener.ts';

export interface ListenerSetOptions {
  readonly network: Network;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly limits: ConnectionLimits;
  /** Names and what they bind. */
  readonly listeners: readonly { readonly listener: string; readonly address: Address }[];
  /** Name of the one by which brokers reach each other. */
  readonly interBroker: string;
}

/** All listeners of a broker, with one count of connections. */
export class ListenerSet {
  readonly quota: ConnectionQuota;
  readonly #options: ListenerSetOptions;
  readonly #listeners: readonly SharedListener[];
  #kafka: KafkaFront | undefined;

  constructor(options: ListenerSetOptions) {
    this.#options = options;
    const { network, timers, logger, listeners, interBroker } = options;
    const quota = new ConnectionQuota(options.limits);
    this.quota = quota;
    this.#listeners = listeners.map(({ listener: name, address }) => {
      const isForBrokers = listeners.length > 1 && name === interBroker;
      return new SharedListener({ network, timers, logger, quota, name, address, isForBrokers });
    });
  }

  /** Takes all ports, or fails with `NetworkError`; whoever fails closes. Resolves with the addresses that were really taken. */
  async listen(): Promise<ReadonlyMap<string, Address>> {
    const taken = new Map<string, Address>();
    for (const listener of this.#listeners) taken.set(listener.name, await listener.listen());
    return taken;
  }

  serve(grpcOf: (listener: string, isInterBroker: boolean) => RpcHost, kafka: KafkaFront): void {
    this.#kafka = kafka;
    for (const listener of this.#listeners) {
      listener.serve(grpcOf(listener.name, listener.name === this.#options.interBroker), kafka);
    }
  }

  /** Lets clients go; brokers still reach this one. */
  async closeForClients(): Promise<void> {
    const forClients = this.#listeners.filter(({ name }) => name !== this.#options.interBroker);
    await Promise.all([...forClients.map((listener) => listener.close()), this.#kafka?.close()]);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#listeners.map((listener) => listener.close()), this.#kafka?.close()]);
  }
}
