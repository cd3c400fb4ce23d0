import { type Address, type Connection, formatAddress, type Listener, type Network, NetworkError } from '@naru/runtime';
import type { NodeConnection } from '@naru/runtime/node';

type Socket = NodeConnection['socket'];

/** The network of one node of a test cluster: real sockets that can all be cut at once. */
export class ContainedNetwork implements Network {
  readonly kind: Network['kind'];
  readonly hostName: string;
  readonly #network: Network;
  readonly #sockets = new Set<Socket>();
  readonly #listeners = new Set<Listener>();
  #state: 'open' | 'isolated' | 'dead' = 'open';

  constructor(network: Network) {
    this.#network = network;
    this.kind = network.kind;
    this.hostName = network.hostName;
  }

  async listen(address: Address, onConnection: (connection: Connection) => void): Promise<Listener> {
    const listener = await this.#network.listen(address, (connection) => {
      if (this.#state !== 'open') return connection.destroy();
      this.#track(connection);
      onConnection(connection);
    });
    this.#listeners.add(listener);
    return listener;
  }

  async connect(address: Address, options?: { readonly timeoutMs?: number }): Promise<Connection> {
    if (this.#state === 'dead') return new Promise<Connection>(() => {});
    const cut = (): NetworkError =>
      new NetworkError('unreachable', `cannot connect to ${formatAddress(address)}: cut off`);
    if (this.#state === 'isolated') throw cut();
    const connection = await this.#network.connect(address, options);
    // Cut off while it was connecting.
    if (this.#state !== 'open') {
      connection.destroy();
      throw cut();
    }
    this.#track(connection);
    return connection;
  }

  /** Nothing comes in or goes out until `heal`; what is open is reset. */
  isolate(): void {
    if (this.#state === 'open') this.#state = 'isolated';
    this.#reset();
  }

  heal(): void {
    if (this.#state === 'isolated') this.#state = 'open';
  }

  async kill(): Promise<void> {
    this.#state = 'dead';
    this.#reset();
    await Promise.all([...this.#listeners].map((listener) => listener.close()));
  }

  #track(connection: Connection): void {
    const { socket } = connection as NodeConnection;
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }

  #reset(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
