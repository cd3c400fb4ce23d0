export { type DiskTimes, diskTimesDefault, SimulatedDisk } from './disk.ts';
export type { PowerLossMode } from './file-content.ts';
export { type Direction, networkDelayDefault, SimulatedNetwork } from './network.ts';
export { type PowerLoss, SimulatedNode } from './node.ts';
export { type Delay, SeededRandom } from './seeded-random.ts';
export { createSimulation, Simulation, type SimulationOptions, SimulationTimeout } from './simulation.ts';
