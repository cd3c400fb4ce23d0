import type { Clock, Timers } from './clock.ts';
import type { Disk } from './disk.ts';
import type { Network } from './network.ts';
import type { Random } from './random.ts';
import type { StoreFactory } from './store.ts';

/**
 * The whole outside world of a node, handed to `createBroker(runtime, config)` and `createCoordinator(runtime, config)`. `main.ts` passes the real
 * one (`@naru/runtime/node`), the simulation a seeded one (`@naru/runtime/simulated`); the code in between is the same.
 */
export interface Runtime {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly disk: Disk;
  readonly stores: StoreFactory;
  readonly network: Network;
}
