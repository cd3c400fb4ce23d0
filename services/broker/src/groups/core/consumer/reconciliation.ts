import { type CurrentAssignment, memberStates } from './consumer-group-state.ts';
import { noPartitions, type PartitionSet } from './partition-set.ts';

export interface Reconciliation {
  readonly current: CurrentAssignment;
  readonly target: PartitionSet;
  readonly targetEpoch: number;
  /** What the member says it holds; undefined: it did not say. */
  readonly owned: PartitionSet | undefined;
  /** Nobody else holds it, nor has yet to give it up. */
  readonly isFree: (partition: string) => boolean;
}

/**
 * One member's next step towards the target (KIP-848): first it gives up what it must, then, when it has said so, it moves to the target's epoch and is
 * given what is free, then the rest as others give it up. So no partition ever has two owners, and what stays is never taken away. Returns
 * `current` itself when nothing changes.
 *
 * ```
 * stable ──target without p──► unrevoked ──heartbeat without p──► stable
 *    └──target with p, which another one holds──► unreleased ──it is free──┘
 * ```
 */
export function reconcile(asked: Reconciliation): CurrentAssignment {
  const { current, owned, targetEpoch } = asked;
  switch (current.state) {
    case memberStates.stable:
      return current.epoch === targetEpoch ? current : next(asked);
    case memberStates.unrevoked:
      return owned === undefined || !owned.isDisjointFrom(current.pendingRevocation) ? current : next(asked);
    case memberStates.unreleased:
      return next(asked);
  }
}

function next({ current, target, targetEpoch, owned, isFree }: Reconciliation): CurrentAssignment {
  const kept = current.assigned.intersection(target);
  const revoked = current.assigned.difference(target);
  if (revoked.size > 0 && (owned === undefined || !owned.isDisjointFrom(revoked))) {
    return { ...current, state: memberStates.unrevoked, assigned: kept, pendingRevocation: revoked };
  }
  const wanted = [...target.difference(kept)];
  const free = wanted.filter(isFree);
  const state = free.length < wanted.length ? memberStates.unreleased : memberStates.stable;
  const isSame = free.length === 0 && revoked.size === 0 && current.epoch === targetEpoch && current.state === state;
  if (isSame) return current;
  return {
    epoch: targetEpoch,
    previousEpoch: current.epoch === targetEpoch ? current.previousEpoch : current.epoch,
    state,
    assigned: free.length === 0 ? kept : new Set([...kept, ...free]),
    pendingRevocation: noPartitions,
  };
}
