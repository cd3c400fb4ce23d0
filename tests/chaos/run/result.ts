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
  /** The nodes are stopped, after everything was read. */
  readonly stopMs: number;
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

/** What all runs come to. With acks=1 (`single/`) an acknowledged record may be lost, and is not counted as such. */
export function totalLines(results: readonly CellResult[], skipped: number): string[] {
  const failed = results.filter((result) => result.violations.length > 0);
  const verdict = failed.length === 0 ? 'none failed' : `${failed.length} FAILED`;
  const head = `${results.length} runs of ${new Set(results.map((result) => result.cell)).size} cells, ${verdict}, ${skipped} cells skipped`;
  if (results.length === 0) return [`${head}: nothing was shown`];
  const sum = (pick: (figures: Figures) => number) => results.reduce((total, { figures }) => total + pick(figures), 0);
  const lost = results.reduce((total, { cell, figures }) => total + (cell.startsWith('single/') ? 0 : figures.lost), 0);
  const unseen = results.reduce((total, result) => total + result.unseen, 0);
  return [
    head,
    `records        acked ${sum((f) => f.acked)}, unknown ${sum((f) => f.unknown)}, failed ${sum((f) => f.failed)}, lost ${lost}, duplicated ${sum((f) => f.duplicated)}, ` +
      `reordered ${sum((f) => f.reordered)}, torn ${sum((f) => f.torn)}, unseen ${unseen}`,
    spread(
      'availability  ',
      results,
      ({ figures }) => -100 * figures.availability,
      (value) => `${Math.round(-value)} %`,
    ),
    spread('longest gap   ', results, ({ figures }) => figures.longestGapMs, milliseconds),
    spread('full ISR after', results, ({ fullIsrMs }) => fullIsrMs ?? Number.POSITIVE_INFINITY, milliseconds),
    ...failed.map(({ cell, directory }) => `FAILED ${cell}, kept in ${directory}`),
  ];
}

/** The median, and the worst with the cell that it was. `of`: the larger, the worse. */
function spread(
  name: string,
  results: readonly CellResult[],
  of: (result: CellResult) => number,
  text: (value: number) => string,
): string {
  const sorted = results.toSorted((a, b) => of(a) - of(b));
  const [median, worst] = [sorted[sorted.length >> 1] as CellResult, sorted.at(-1) as CellResult];
  return `${name} median ${text(of(median))}, worst ${text(of(worst))} in ${worst.cell}`;
}

function milliseconds(value: number): string {
  return Number.isFinite(value) ? `${Math.round(value)} ms` : 'never';
}
