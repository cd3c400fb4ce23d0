export { diskContract } from './disk-contract.ts';
export { networkContract } from './network-contract.ts';
export { storeContract } from './store-contract.ts';
export { timersContract } from './timers-contract.ts';
export type { MakeWorld, World } from './world.ts';
