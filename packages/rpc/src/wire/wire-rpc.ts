import type { Socket } from 'node:net';
import { type Address, type Connection, NetworkError, type Runtime } from '@naru/runtime';
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
import { RpcError } from '../status.ts';
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
    const listener = await this.#runtime.network.listen(address, (connection) =>
      host.accept(detachSocket(connection), connection.remote),
    );
    return {
      address: listener.address,
      close: async () => {
        await listener.close();
        await host.close();
      },
    };
  }

  host(services: readonly ServiceBinding[], limits?: Partial<RpcLimits>): RpcHost {
    const host = this.#host(services, limits);
    return {
      accept: (connection, head, onClose) => {
        const socket = detachSocket(connection);
        if (onClose !== undefined) socket.once('close', onClose);
        host.accept(socket, connection.remote, head);
      },
      close: () => host.close(),
    };
  }

  async connect(address: Address, options: ConnectOptions = {}): Promise<RpcChannel> {
    const { network, timers, clock } = this.#runtime;
    const limits = { ...defaultRpcLimits, ...options.limits };
    const timeoutMs = options.timeoutMs ?? connectTimeoutMsDefault;
    const deadlineMs = clock.monotonicMs() + timeoutMs;
    let connection: Connection;
    try {
      connection = await network.connect(address, { timeoutMs });
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error;
      throw new RpcError('unavailable', error.message, { cause: error });
    }
    const patience = { timeoutMs, leftMs: deadlineMs - clock.monotonicMs() };
    return connectWire(detachSocket(connection), address, limits, patience, timers);
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
