import { createSimulation } from '@naru/runtime/simulated';
import { transportContract } from '../contracts/transport-contract.ts';

transportContract('simulated', async () => {
  const simulation = createSimulation({ seed: 1 });
  return {
    server: simulation.addNode('server').runtime,
    client: simulation.addNode('client').runtime,
    address: { host: 'server', port: 0 },
    run: (task) => simulation.complete(task()),
    close: async () => {},
  };
});
