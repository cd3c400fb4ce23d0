import { describe } from 'vitest';
import { diskContract, networkContract, storeContract, timersContract, type World } from '../contracts/index.ts';
import { createSimulation } from './simulation.ts';

let seed = 0;

async function makeWorld(): Promise<World> {
  const simulation = createSimulation({ seed: seed++ });
  const node = simulation.addNode('node');
  await simulation.complete(node.runtime.disk.makeDirectory('/data'));
  return {
    runtime: node.runtime,
    host: 'node',
    directory: '/data',
    settle: (promise) => simulation.complete(promise),
    pass: (durationMs) => simulation.runFor(durationMs),
    dispose: async () => node.crash(),
  };
}

describe('the simulated world', () => {
  diskContract(makeWorld);
  storeContract(makeWorld);
  networkContract(makeWorld);
  timersContract(makeWorld);
});
