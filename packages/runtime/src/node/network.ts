import { connect, createServer } from 'node:net';
import { formatAddress, type Listener, type Network, NetworkError } from '../network.ts';
import { NodeConnection } from './connection.ts';
import { toNetworkError } from './network-error.ts';

/** How long an attempt to connect may take when the caller does not say, milliseconds. */
const connectTimeoutMs = 30_000;

export const nodeNetwork: Network = {
  kind: 'node',

  listen: (address, onConnection) =>
    new Promise((resolve, reject) => {
      const server = createServer({ allowHalfOpen: false, noDelay: true }, (socket) =>
        onConnection(new NodeConnection(socket)),
      );
      server.once('error', (error) => reject(toNetworkError(error, address)));
      server.listen({ host: address.host, port: address.port }, () => {
        const bound = server.address() as { port: number };
        const listener: Listener = {
          address: { host: address.host, port: bound.port },
          close: () => new Promise((closed) => server.close(() => closed())),
        };
        resolve(listener);
      });
    }),

  connect: (address, options) =>
    new Promise((resolve, reject) => {
      const timeoutMs = options?.timeoutMs ?? connectTimeoutMs;
      const socket = connect({ host: address.host, port: address.port, noDelay: true });
      const timer = setTimeout(() => {
        socket.destroy();
        reject(new NetworkError('timeout', `${formatAddress(address)}: no answer within ${timeoutMs} ms`));
      }, timeoutMs);
      const failed = (error: Error): void => {
        clearTimeout(timer);
        reject(toNetworkError(error, address));
      };
      socket.once('error', failed);
      socket.once('connect', () => {
        clearTimeout(timer);
        socket.off('error', failed);
        resolve(new NodeConnection(socket));
      });
    }),
};
