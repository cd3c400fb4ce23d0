import { createNodeRuntime } from '@naru/runtime/node';
import { transportContract } from '../contracts/transport-contract.ts';

transportContract('gRPC on sockets', async () => ({
  server: createNodeRuntime(),
  client: createNodeRuntime(),
  address: { host: '127.0.0.1', port: 0 },
  run: (task) => task(),
  close: async () => {},
}));
