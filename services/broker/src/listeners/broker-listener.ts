import type { RpcHost } from '@naru/rpc';
import type { Address, Connection, Listener, Network } from '@naru/runtime';

/** Brokers that connect before this one serves. */
const earlyConnectionsMax = 1_000;

/**
 * The brokers' port: replication, and requests to the controller; gRPC only. As the clients' port it listens first and serves later.
 */
export class BrokerListener {
  readonly #network: Network;
  readonly #address: Address;
  #early: Connection[] = [];
  #listener: Listener | undefined;
  #grpc: RpcHost | undefined;

  constructor(network: Network, address: Address) {
    this.#network = network;
    this.#address = address;
  }

  /** Fails with `NetworkError`. Resolves with the address that was really taken. */
  async listen(): Promise<Address> {
    this.#listener = await this.#network.listen(this.#address, (connection) => {
      if (this.#grpc !== undefined) this.#grpc.accept(connection, []);
      else if (this.#early.length < earlyConnectionsMax) this.#early.push(connection);
      else connection.destroy();
    });
    return this.#listener.address;
  }

  serve(grpc: RpcHost): void {
    this.#grpc = grpc;
    for (const connection of this.#early.splice(0)) grpc.accept(connection, []);
  }

  async close(): Promise<void> {
    await this.#listener?.close();
    for (const connection of this.#early.splice(0)) connection.destroy();
    await this.#grpc?.close();
  }
}
