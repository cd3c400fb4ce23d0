import type { Address, Connection, Listener, Network, Timers } from '@naru/runtime';

/** Bytes of a request's head. */
const headBytesMax = 8_192;
const requestTimeoutMs = 5_000;
const connectionsMax = 64;

export interface MetricsListenerOptions {
  readonly network: Network;
  readonly timers: Timers;
  readonly address: Address;
  /** Prometheus' text format. */
  readonly metrics: () => string;
  readonly isReady: () => boolean;
}

/** `/metrics` for Prometheus, `/healthz` and `/readyz` for whoever starts and watches brokers: as much HTTP/1.1 as these ask. */
export class MetricsListener {
  readonly #options: MetricsListenerOptions;
  readonly #connections = new Set<Connection>();
  #listener: Listener | undefined;

  constructor(options: MetricsListenerOptions) {
    this.#options = options;
  }

  async listen(): Promise<Address> {
    const { network, address } = this.#options;
    this.#listener = await network.listen(address, (connection) => this.#accept(connection));
    return this.#listener.address;
  }

  async close(): Promise<void> {
    await this.#listener?.close();
    for (const connection of this.#connections) connection.destroy();
  }

  #accept(connection: Connection): void {
    if (this.#connections.size >= connectionsMax) {
      connection.destroy();
      return;
    }
    this.#connections.add(connection);
    let head = '';
    const deadline = this.#options.timers.after(requestTimeoutMs, () => connection.destroy());
    connection.handle({
      onData: (bytes) => {
        head += Buffer.from(bytes).toString('latin1');
        if (head.length > headBytesMax) connection.destroy();
        else if (head.includes('\r\n\r\n')) {
          deadline.cancel();
          this.#answer(connection, head);
          head = '';
        }
      },
      onClose: () => {
        deadline.cancel();
        this.#connections.delete(connection);
      },
    });
  }

  #answer(connection: Connection, head: string): void {
    const [method, path] = head.split(' ', 2);
    const [status, body] = method === 'GET' ? this.#page(path ?? '') : ['405 Method Not Allowed', 'only GET\n'];
    const bytes = Buffer.from(body);
    const lines = [
      `HTTP/1.1 ${status}`,
      'content-type: text/plain; version=0.0.4; charset=utf-8',
      `content-length: ${bytes.length}`,
      'connection: close',
    ];
    connection.write([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), bytes]);
    connection.end();
  }

  #page(path: string): readonly [status: string, body: string] {
    switch (path) {
      case '/metrics':
        return ['200 OK', this.#options.metrics()];
      case '/healthz':
        return ['200 OK', 'ok\n'];
      case '/readyz':
        return this.#options.isReady() ? ['200 OK', 'ready\n'] : ['503 Service Unavailable', 'not ready\n'];
      default:
        return ['404 Not Found', 'try /metrics or /readyz\n'];
    }
  }
}
