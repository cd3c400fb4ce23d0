import type { Runtime } from '../runtime.ts';
import { nodeClock } from './clock.ts';
import { nodeDisk } from './disk.ts';
import { nodeNetwork } from './network.ts';
import { nodeRandom } from './random.ts';
import { nodeStores } from './store.ts';
import { nodeTimers } from './timers.ts';

export { NodeConnection } from './connection.ts';
export { countBuffersInHeapLimit } from './memory.ts';

/** The real world of this process. */
export function createNodeRuntime(): Runtime {
  return {
    clock: nodeClock,
    timers: nodeTimers,
    random: nodeRandom,
    disk: nodeDisk,
    stores: nodeStores,
    network: nodeNetwork,
  };
}
