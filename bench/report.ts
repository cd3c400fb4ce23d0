/** One figure of the bench. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The machine's own limit for the same kind of work, measured in the same run, in the same unit. */
  readonly limit?: { readonly name: string; readonly value: number };
  /** What the project aims at; `at most` for latencies and sizes. */
  readonly aim?: { readonly value: number; readonly bound: 'at least' | 'at most' };
  readonly note?: string;
}

export function formatTable(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => [
    figure.name,
    `${formatNumber(figure.value)} ${figure.unit}`,
    figure.aim === undefined
      ? ''
      : `${figure.aim.bound} ${formatNumber(figure.aim.value)}${meets(figure) ? '' : '  MISSED'}`,
    figure.limit === undefined
      ? ''
      : `${formatRatio(figure.value / figure.limit.value)} of ${figure.limit.name} (${formatNumber(figure.limit.value)})`,
    figure.note ?? '',
  ]);
  const header = ['figure', 'measured', 'aim', "beside the machine's limit", ''];
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] as string).length)),
  );
  return [header, widths.map((width) => '-'.repeat(width)), ...rows]
    .map((row) =>
      row
        .map((cell, column) => (cell as string).padEnd(widths[column] as number))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export function meets(figure: Figure): boolean {
  if (figure.aim === undefined) return true;
  return figure.aim.bound === 'at least' ? figure.value >= figure.aim.value : figure.value <= figure.aim.value;
}

function formatRatio(ratio: number): string {
  return ratio >= 10 ? `${Math.round(ratio)} times` : ratio.toFixed(2);
}

function formatNumber(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString('en-US');
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

export function quantile(sorted: Float64Array, q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}
