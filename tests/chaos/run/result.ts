import type { GroupFigures } from '../checker/check-groups.ts';
import type { Figures } from '../checker/figures.ts';
import type { Violation } from '../checker/violation.ts';
import type { ClusterChange } from '../cluster/observer.ts';
import type { NetworkKind } from '../network/network.ts';

/** Something that happened at one moment of a run, for the story and the report. */
export interface Note {
  readonly atMs: number;
  readonly text: string;
}

/** All times are milliseconds since the first send was possible. */
export interface CellResult {
  readonly cell: string;
  readonly seed: number;
  readonly network: NetworkKind;
  readonly figures: Figures;
  /** Where the workload has a group. */
  readonly group: GroupFigures | undefined;
  readonly violations: readonly Violation[];
  readonly faultFromMs: number;
  readonly faultToMs: number;
  readonly endMs: number;
  /** Acknowledged records that some consumer had not polled 30 s after healing (C11). */
  readonly unseen: number;
  /** From the end of the fault until every ISR was full; undefined: it was not in time. */
  readonly fullIsrMs: number | undefined;
  /** Acknowledged records in each interval of `ackBucketMs`. */
  readonly acks: readonly number[];
  readonly changes: readonly ClusterChange[];
  readonly notes: readonly Note[];
  /** Kept when something is wrong. */
  readonly directory: string;
}

export interface SkippedCell {
  readonly cell: string;
  readonly reason: string;
}

export const ackBucketMs = 100;

/** One line for a terminal. */
export function summaryLine({ cell, figures, group, violations, fullIsrMs, network, unseen }: CellResult): string {
  const rules = [...new Set(violations.map((violation) => violation.rule))];
  const verdict = rules.length === 0 ? 'ok  ' : 'FAIL';
  const { acked, unknown, failed, lost, duplicated, reordered, torn } = figures;
  const counts = `acked ${acked} unknown ${unknown} failed ${failed} lost ${lost} duplicated ${duplicated} reordered ${reordered} torn ${torn}`;
  const times = `availability ${Math.round(figures.availability * 100)} % gap ${Math.round(figures.longestGapMs)} ms full ISR after ${
    fullIsrMs === undefined ? '—' : `${Math.round(fullIsrMs)} ms`
  }`;
  const groupCounts =
    group === undefined ? '' : ` group: ${group.assignments} assignments, ${group.reprocessed} processed again`;
  return `${verdict} ${cell.padEnd(44)} ${counts} unseen ${unseen} ${times}${groupCounts} (${network})${rules.length > 0 ? ` ${rules.join(' ')}` : ''}`;
}
