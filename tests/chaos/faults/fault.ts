import type { ChaosCluster } from '../cluster/chaos-cluster.ts';
import type { Dice } from '../cluster/power-loss.ts';
import type { ShimControl } from '../cluster/preload-shim.ts';
import type { Endpoint } from '../network/network.ts';
import type { GroupMembers } from '../workload/groups/members.ts';

/** What a host may lack. `delay`: late messages; `shim`: preloaded syncs and clocks; `mount`: small file systems. */
export type Capability = 'delay' | 'shim' | 'mount';

/** Which nodes a fault takes as its victims. */
export interface Targets {
  /** Broker that leads the first partition; and the brokers that follow it. */
  readonly leader: Endpoint;
  readonly followers: readonly Endpoint[];
  readonly controller: Endpoint;
  readonly coordinatorLeader: Endpoint;
  readonly coordinatorFollowers: readonly Endpoint[];
}

export interface FaultContext extends Targets {
  readonly cluster: ChaosCluster;
  /** Of the workload, and how many partitions it has. */
  readonly topic: string;
  readonly partitions: number;
  /** How long the fault lasts, milliseconds. */
  readonly faultMs: number;
  readonly dice: Dice;
  /** As they are now, not as they were when the fault began. */
  targets(): Promise<Targets>;
  shim(name: Endpoint): ShimControl;
  /** Of the workload's group; fails where the workload has none. */
  readonly members: GroupMembers;
  /** The broker that coordinates the group; undefined while nobody does. */
  groupCoordinator(): Endpoint | undefined;
  /** Fills the file system of a node's data (a cell that needs `mount`). */
  fillDisk(name: Endpoint): void;
  freeDisk(name: Endpoint): void;
  /** A line for the report. */
  note(text: string): void;
  sleep(ms: number): Promise<void>;
}

/**
 * What happens to the cluster during a cell. `run` need not tidy up: afterwards the harness continues stopped processes, heals the network, lets syncs
 * pass, frees disks and starts what is down.
 */
export interface Fault {
  readonly name: string;
  readonly doc: string;
  /** What remains can serve every partition: acknowledgements must go on within session timeout + 2 s. */
  readonly isSurvivable: boolean;
  readonly needs: readonly Capability[];
  /** The promise of flush.before.ack=false ends here. */
  readonly losesPageCache?: boolean;
  /** Not one acks=all write may fail. */
  readonly isOrderly?: boolean;
  /** A process may refuse to start again because of what was done to its files; then that is the right thing. */
  readonly mayStayDown?: boolean;
  run(context: FaultContext): Promise<void>;
}

/** As long as the fault lasts. */
export async function repeatedly(context: FaultContext, step: () => Promise<void>): Promise<void> {
  const until = performance.now() + context.faultMs;
  while (performance.now() < until) await step();
}

export function oneOf<T>(list: readonly T[], context: FaultContext): T {
  return list[Math.floor(context.dice() * list.length)] as T;
}
