import type { MemberEvent, MemberHistories } from '../workload/groups/group-history.ts';
import type { History, ListedOffset } from '../workload/history.ts';
import { type Violation, Violations } from './violation.ts';

type CommitEvent = MemberEvent & { kind: 'commit' };

/** The time in which a member held a partition, as it saw it: from being given it to giving it up, or to its end. */
interface Tenure {
  readonly member: string;
  readonly partition: number;
  readonly sinceMs: number;
  readonly processed: (MemberEvent & { kind: 'processed' })[];
  readonly acked: CommitEvent[];
}

/**
 * Judges what the members of a group did and saw (group G of the invariants). Pure. A member that was stopped does not know that its partitions have gone to
 * others, and processes on for a moment; so holding is judged by what counts: commits that were acknowledged (G1, G4).
 *
 * G2 and G8, which speak of the coordinator's insides, are the simulation's.
 */
export function checkGroups(history: History, members: MemberHistories): Violation[] {
  const violations = new Violations();
  const tenures = [...members].flatMap(([member, events]) => tenuresOf(member, events));
  for (const [partition, ofPartition] of Map.groupBy(tenures, (tenure) => tenure.partition)) {
    checkOneHolder(partition, ofPartition, violations);
    checkStarts(partition, ofPartition, violations);
    checkTenures(partition, ofPartition, violations);
    checkObserved(partition, ofPartition, history.committed, violations);
  }
  checkEnds(history, violations);
  checkAllProcessed(history, tenures, violations);
  return violations.list;
}

function tenuresOf(member: string, events: readonly MemberEvent[]): Tenure[] {
  const tenures: Tenure[] = [];
  const current = new Map<number, Tenure>();
  for (const event of events) {
    switch (event.kind) {
      case 'assigned':
        for (const partition of event.partitions) {
          const tenure: Tenure = { member, partition, sinceMs: event.atMs, processed: [], acked: [] };
          current.set(partition, tenure);
          tenures.push(tenure);
        }
        break;
      case 'given-up':
        // Not taken out: the commit of what it had may end after the partition was given up.
        break;
      case 'processed':
        current.get(event.partition)?.processed.push(event);
        break;
      case 'commit':
        if (event.isAcked) current.get(event.partition)?.acked.push(event);
        break;
    }
  }
  return tenures;
}

/** G1, G4: acknowledged commits of two tenures never alternate; a commit between two of another's would be by two holders, or by one who was put out. */
function checkOneHolder(partition: number, tenures: readonly Tenure[], violations: Violations): void {
  for (const tenure of tenures) {
    const firstEnded = Math.min(...tenure.acked.map((commit) => commit.endedMs));
    const lastInvoked = Math.max(...tenure.acked.map((commit) => commit.invokedMs));
    for (const other of tenures) {
      if (other === tenure) continue;
      const between = other.acked.find((commit) => commit.invokedMs > firstEnded && commit.endedMs < lastInvoked);
      if (between === undefined) continue;
      violations.add(
        'G1',
        `${other.member} committed ${between.offset} of partition ${partition} while ${tenure.member} held it and went on committing`,
      );
    }
  }
}

/** G3: whoever takes over goes on from no less than what was committed before. */
function checkStarts(partition: number, tenures: readonly Tenure[], violations: Violations): void {
  const commits = tenures.flatMap((tenure) => tenure.acked);
  for (const { member, sinceMs, processed } of tenures) {
    const [first] = processed;
    if (first === undefined) continue;
    const committed = highest(commits.filter((commit) => commit.endedMs < sinceMs));
    if (first.from < committed) {
      violations.add(
        'G3',
        `${member} began with ${first.from} in partition ${partition}, of which ${committed} had been committed`,
      );
    }
  }
}

/** C7 within a tenure: each offset after the one before. What it skips at its beginning G6 finds. */
function checkTenures(partition: number, tenures: readonly Tenure[], violations: Violations): void {
  for (const { member, processed } of tenures) {
    for (const [i, run] of processed.entries()) {
      const before = processed[i - 1];
      if (before === undefined || before.to === run.from) continue;
      violations.add('C7', `${member} went from ${before.to} to ${run.from} in partition ${partition}`);
    }
  }
}

/** G3 once more, by somebody who is no member: what is told is no less than what was acknowledged or told before. */
function checkObserved(
  partition: number,
  tenures: readonly Tenure[],
  observed: readonly ListedOffset[],
  violations: Violations,
): void {
  const told = observed.filter((one) => one.partition === partition);
  const known = [...tenures.flatMap((tenure) => tenure.acked), ...told];
  for (const one of told) {
    const before = highest(known.filter((earlier) => earlier.endedMs < one.invokedMs));
    if (one.offset < before) {
      violations.add('G3', `${one.offset} was told as committed in partition ${partition}, after ${before}`);
    }
  }
}

/** G5: nothing is committed beyond the end that somebody was told later. */
function checkEnds({ ends, committed }: History, violations: Violations): void {
  for (const one of committed) {
    const later = ends.find((end) => end.partition === one.partition && end.invokedMs > one.endedMs);
    if (later !== undefined && later.offset < one.offset) {
      violations.add('G5', `${one.offset} was committed in partition ${one.partition}, which ended at ${later.offset}`);
    }
  }
}

/** G6: every record that is there at the end was processed, by somebody, some time. */
function checkAllProcessed(history: History, tenures: readonly Tenure[], violations: Violations): void {
  const processed = new Map<number, Set<number>>();
  for (const { partition, processed: runs } of tenures) {
    const offsets = processed.get(partition) ?? new Set<number>();
    processed.set(partition, offsets);
    for (const { from, to } of runs) for (let offset = from; offset < to; offset++) offsets.add(offset);
  }
  for (const read of history.final) {
    if (processed.get(read.partition)?.has(read.offset) !== true) {
      violations.add('G6', `${read.partition}@${read.offset} was processed by no member`);
    }
  }
}

/** Figures of the group: what its rebalances cost. */
export interface GroupFigures {
  /** Times that a member was given partitions. */
  readonly assignments: number;
  /** Records that were processed more than once. */
  readonly reprocessed: number;
}

export function groupFiguresOf(members: MemberHistories): GroupFigures {
  const events = [...members.values()].flat();
  const seen = new Set<string>();
  let reprocessed = 0;
  for (const event of events) {
    if (event.kind !== 'processed') continue;
    for (let offset = event.from; offset < event.to; offset++) {
      const place = `${event.partition}@${offset}`;
      if (seen.has(place)) reprocessed++;
      seen.add(place);
    }
  }
  return { assignments: events.filter((event) => event.kind === 'assigned').length, reprocessed };
}

/** G7: in an orderly restart of brokers nobody is given anything anew. */
export function checkNoRebalance(
  members: MemberHistories,
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
): Violation[] {
  const violations = new Violations();
  for (const [member, events] of members) {
    for (const event of events) {
      if (event.kind === 'assigned' && event.atMs > fromMs && event.atMs < toMs) {
        violations.add('G7', `${member} was given partitions anew although no member came, went or died`);
      }
    }
  }
  return violations.list;
}

function highest(commits: readonly { readonly offset: number }[]): number {
  return commits.reduce((most, { offset }) => Math.max(most, offset), 0);
}
