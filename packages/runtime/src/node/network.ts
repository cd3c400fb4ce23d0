import { type AddressInfo, connect as connectSocket, createServer, type Server } from 'node:net';
import { hostname } from 'node:os';
import {
  type Address,
  type Connection,
  connectionHighWaterMarkBytes,
  connectTimeoutMsDefault,
  formatAddress,
  type Listener,
  type Network,
  NetworkError,
} from '../network.ts';
import { NodeConnection } from './connection.ts';
import { toNetworkError } from './network-error.ts';

/** Connections that the kernel accepts before this process gets to them. */
const backlogMax = 1_024;

const socketOptions = {
  noDelay: true,
  /** Quiet connections are probed, so that the kernel finds peers that vanished without a word. */
  keepAlive: true,
  keepAliveInitialDelay: 30_000,
  highWaterMark: connectionHighWaterMarkBytes,
} as const;

export const nodeNetwork: Network = { kind: 'node', hostName: hostname(), listen, connect };

function listen(address: Address, onConnection: (connection: Connection) => void): Promise<Listener> {
  return new Promise((resolve, reject) => {
    const server = createServer({ ...socketOptions, pauseOnConnect: true }, (socket) =>
      onConnection(new NodeConnection(socket)),
    );
    server.once('error', (error) => reject(toNetworkError(error, 'cannot listen on', address)));
    server.listen({ host: address.host || undefined, port: address.port, backlog: backlogMax }, () => {
      // A later error means that one connection could not be accepted (no descriptor left): its peer sees that, we go on.
      server.removeAllListeners('error').on('error', () => {});
      const { port } = server.address() as AddressInfo;
      resolve({ address: { host: address.host, port }, close: () => close(server) });
    });
  });
}

/** The server's own callback would wait for the end of every open connection; the port is free after one turn. */
function close(server: Server): Promise<void> {
  server.close();
  return new Promise((resolve) => setImmediate(resolve));
}

function connect(address: Address, options?: { readonly timeoutMs?: number }): Promise<Connection> {
  const timeoutMs = options?.timeoutMs ?? connectTimeoutMsDefault;
  return new Promise((resolve, reject) => {
    const socket = connectSocket({ ...socketOptions, host: address.host, port: address.port });
    const fail = (error: unknown): void => {
      clearTimeout(timeout);
      // A second error (the timeout's destroy, the next address of the name) has nobody left to hear it.
      socket.off('connect', succeed).on('error', () => {});
      socket.destroy();
      reject(toNetworkError(error, 'cannot connect to', address));
    };
    const succeed = (): void => {
      clearTimeout(timeout);
      socket.off('error', fail).pause();
      resolve(new NodeConnection(socket));
    };
    const timeout = setTimeout(() => {
      fail(
        new NetworkError(
          'timeout',
          `cannot connect to ${formatAddress(address)}: no connection within ${timeoutMs} ms`,
        ),
      );
    }, timeoutMs);
    socket.once('error', fail);
    socket.once('connect', succeed);
  });
}
