import { createServer, type Server, type Socket } from 'node:net';
import { type Address, type Connection, formatAddress, NetworkError, type Runtime } from '@naru/runtime';
import { bindingsByPath } from '../binding.ts';
import {
  type ConnectOptions,
  connectTimeoutMsDefault,
  defaultRpcLimits,
  type Rpc,
  type RpcChannel,
  type RpcHost,
  type RpcLimits,
  type RpcOptions,
  type RpcServer,
  type ServiceBinding,
} from '../rpc.ts';
import { connectWire } from './wire-channel.ts';
import { WireHost } from './wire-host.ts';

/** gRPC over HTTP/2, without TLS, on sockets. */
export class WireRpc implements Rpc {
  readonly #runtime: Runtime;
  readonly #onError: (error: unknown, path: string) => void;

  constructor(runtime: Runtime, options: RpcOptions) {
    this.#runtime = runtime;
    this.#onError = options.onError ?? (() => {});
  }

  async serve(address: Address, services: readonly ServiceBinding[], limits?: Partial<RpcLimits>): Promise<RpcServer> {
    const host = this.#host(services, limits);
    const server = createServer({ noDelay: true }, (socket) => host.accept(socket));
    const port = await listen(server, address);
    return {
      address: { host: address.host, port },
      close: async () => {
        const stopped = new Promise<void>((resolve) => {
          server.close(() => resolve());
        });
        await host.close();
        await stopped;
      },
    };
  }

  host(services: readonly ServiceBinding[], limits?: Partial<RpcLimits>): RpcHost {
    const host = this.#host(services, limits);
    return {
      accept: (connection, head) => host.accept(detachSocket(connection), head),
      close: () => host.close(),
    };
  }

  connect(address: Address, options: ConnectOptions = {}): Promise<RpcChannel> {
    const limits = { ...defaultRpcLimits, ...options.limits };
    return connectWire(address, limits, options.timeoutMs ?? connectTimeoutMsDefault, this.#runtime.timers);
  }

  #host(services: readonly ServiceBinding[], limits?: Partial<RpcLimits>): WireHost {
    const options = { timers: this.#runtime.timers, onError: this.#onError };
    return new WireHost(bindingsByPath(services), { ...defaultRpcLimits, ...limits }, options);
  }
}

/** A connection of a real network: a socket, which can be given away. */
interface SocketConnection extends Connection {
  readonly socket: Socket;
  detach(): Socket;
}

/** HTTP/2 takes the socket over whole. */
function detachSocket(connection: Connection): Socket {
  const { socket } = connection as SocketConnection;
  if (socket === undefined) throw new TypeError('not a connection of a real network');
  return socket.destroyed ? socket : (connection as SocketConnection).detach();
}

function listen(server: Server, address: Address): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const code = error.code === 'EADDRINUSE' ? 'address-in-use' : 'not-permitted';
      const why = code === 'address-in-use' ? 'the address is in use' : error.message;
      reject(new NetworkError(code, `cannot listen on ${formatAddress(address)}: ${why}`, { cause: error }));
    });
    server.listen(address.port, address.host, () => {
      const bound = server.address();
      resolve(typeof bound === 'object' && bound !== null ? bound.port : address.port);
    });
  });
}
