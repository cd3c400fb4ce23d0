import type { Logger } from '@naru/observability';
import type { RpcHost } from '@naru/rpc';
import { type Address, type Connection, formatAddress, type Listener, type Network, type Timers } from '@naru/runtime';
import type { ConnectionQuota } from './connection-quota.ts';
import type { KafkaFront } from './kafka-front.ts';

/** What HTTP/2 begins with (RFC 9113 §3.4), as far as it is looked at. */
const http2Preface = [0x50, 0x52, 0x49, 0x20];
/** A connection that does not say in time what it speaks is closed. */
const sniffTimeoutMs = 10_000;

/** Who takes a connection when it is known what it speaks. */
interface Fronts {
  readonly grpc: RpcHost;
  readonly kafka: KafkaFront;
}

export interface SharedListenerOptions {
  readonly network: Network;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly quota: ConnectionQuota;
  readonly name: string;
  readonly address: Address;
  /** Clients have listeners of their own. */
  readonly isForBrokers: boolean;
}

/**
 * One listener: gRPC and Kafka's own protocol on one port, told apart by the first four bytes. Kafka's frames begin with their length, and no frame is
 * 1.3 GB long, so that `PRI ` can only be HTTP/2.
 *
 * It listens before the broker can serve, because the port stands in the registration; connections that come early wait.
 */
export class SharedListener {
  readonly #options: SharedListenerOptions;
  readonly #silent = new Set<Connection>();
  #early: Connection[] = [];
  #listener: Listener | undefined;
  #fronts: Fronts | undefined;

  constructor(options: SharedListenerOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  /** Fails with `NetworkError`. Resolves with the address that was really taken. */
  async listen(): Promise<Address> {
    const { network, address } = this.#options;
    this.#listener = await network.listen(address, (connection) => this.#accept(connection));
    return this.#listener.address;
  }

  /** Each front takes the connections that speak its protocol. */
  serve(grpc: RpcHost, kafka: KafkaFront): void {
    this.#fronts = { grpc, kafka };
    for (const connection of this.#early.splice(0)) this.#sniff(connection, this.#fronts);
  }

  /** Not the connections of Kafka's protocol: their front ends them. */
  async close(): Promise<void> {
    await this.#listener?.close();
    for (const connection of [...this.#silent, ...this.#early.splice(0)]) connection.destroy();
    await this.#fronts?.grpc.close();
  }

  #accept(connection: Connection): void {
    const { quota, isForBrokers } = this.#options;
    const refusal = quota.open(connection.remote.host, isForBrokers);
    if (refusal !== undefined) {
      this.#warn(connection, refusal);
      connection.destroy();
    } else if (this.#fronts === undefined) this.#early.push(connection);
    else this.#sniff(connection, this.#fronts);
  }

  #sniff(connection: Connection, fronts: Fronts): void {
    const { timers, quota, name } = this.#options;
    const head: Uint8Array[] = [];
    let isCounted = true;
    const closed = (): void => {
      if (isCounted) quota.closed(connection.remote.host);
      isCounted = false;
    };
    const deadline = timers.after(sniffTimeoutMs, () => {
      this.#warn(connection, `said nothing for ${sniffTimeoutMs} ms`);
      connection.destroy();
    });
    const heard = (): void => {
      deadline.cancel();
      this.#silent.delete(connection);
    };
    this.#silent.add(connection);
    connection.handle({
      onData: (bytes) => {
        head.push(bytes);
        const protocol = protocolOf(head);
        if (protocol === undefined) return;
        heard();
        if (protocol === 'grpc') fronts.grpc.accept(connection, head, closed);
        else fronts.kafka.accept(connection, head, { listener: name, onClose: closed });
      },
      onClose: () => {
        heard();
        closed();
      },
    });
  }

  #warn(connection: Connection, reason: string): void {
    const { logger, name } = this.#options;
    logger.warn({ peer: formatAddress(connection.remote), listener: name, reason }, 'closed a connection');
  }
}

/** Undefined while too little is there. One byte that does not fit is enough to know. */
function protocolOf(head: readonly Uint8Array[]): 'grpc' | 'kafka' | undefined {
  let at = 0;
  for (const bytes of head) {
    for (const byte of bytes) {
      if (byte !== http2Preface[at]) return 'kafka';
      at++;
      if (at === http2Preface.length) return 'grpc';
    }
  }
  return undefined;
}
