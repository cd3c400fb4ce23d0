import type { ClusterChange, PartitionChange } from '../cluster/observer.ts';

/** What the brokers keep for themselves does not count among the workload's partitions. */
const isInternal = (topic: string): boolean => topic.startsWith('__');

export interface PartitionHistory {
  readonly name: string;
  readonly changes: readonly PartitionChange[];
}

/** The states of each partition one after the other: those of the workload first. */
export function partitionHistories(changes: readonly ClusterChange[]): PartitionHistory[] {
  const partitions = changes.filter((change) => change.kind === 'partition');
  const byName = Map.groupBy(partitions, ({ topic, partition }) => `${topic}-${partition}`);
  return [...byName]
    .map(([name, list]) => ({ name, changes: list }))
    .sort((a, b) => rank(a) - rank(b) || (a.changes[0]?.partition ?? 0) - (b.changes[0]?.partition ?? 0));
}

function rank({ changes }: PartitionHistory): number {
  return isInternal(changes[0]?.topic ?? '') ? 1 : 0;
}

/** Members of all ISRs of the workload's topic together, whenever that changes. */
export function inSyncSteps(changes: readonly ClusterChange[]): { readonly atMs: number; readonly members: number }[] {
  const sizes = new Map<number, number>();
  const steps: { atMs: number; members: number }[] = [];
  for (const change of changes) {
    if (change.kind !== 'partition' || isInternal(change.topic)) continue;
    sizes.set(change.partition, change.isr.length);
    const members = [...sizes.values()].reduce((sum, size) => sum + size, 0);
    if (members !== steps.at(-1)?.members) steps.push({ atMs: change.atMs, members });
  }
  return steps;
}

/** Of the workload's partitions: changes of the leader epoch after the first, as long as nobody was told to stop. */
export function electionCount(changes: readonly ClusterChange[], untilMs: number): number {
  let count = 0;
  for (const { changes: states } of partitionHistories(changes)) {
    for (const [i, state] of states.entries()) {
      if (i > 0 && state.atMs < untilMs && !isInternal(state.topic) && states[i - 1]?.leaderEpoch !== state.leaderEpoch)
        count++;
    }
  }
  return count;
}
